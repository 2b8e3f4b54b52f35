import { createHash } from 'node:crypto'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'

/** Slack's side of Socket Mode: apps.connections.open, and WebSockets (RFC 6455) that speak its envelopes. */
export interface FakeSocket {
  apiUrl: string
  /** Where the sockets are. */
  url: string
  /** What apps.connections.open answers instead of an address; `silent`: the socket never says hello. */
  trouble: { error?: string; status?: number; body?: string; refuse?: boolean; silent?: boolean }
  /** Times that an address was asked for. */
  asked: number
  /** Connections that are open. */
  open: Connection[]
  /** Sends an interaction to one connection and resolves with what is acknowledged. */
  deliver(payload: unknown, type?: string): Promise<Record<string, unknown> | undefined>
  stop(): Promise<void>
}

export interface Connection {
  send(text: string): void
  /** Cuts the connection without a word. */
  cut(): void
}

export async function startFakeSocket(): Promise<FakeSocket> {
  const open: (Connection & { acks: Map<string, (payload: Record<string, unknown>) => void> })[] = []
  const sockets = new Set<Duplex>()
  const state = { asked: 0, trouble: {} as FakeSocket['trouble'] }
  let url = ''
  let count = 0

  const server = http.createServer((request, response) => {
    request.resume()
    state.asked++
    const { error, status, body } = state.trouble
    if (status) return void response.writeHead(status, { 'retry-after': '0' }).end(body ?? 'no')
    response.setHeader('content-type', 'application/json')
    response.end(body ?? JSON.stringify(error ? { ok: false, error } : { ok: true, url }))
  })

  server.on('upgrade', (request, socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => sockets.delete(socket))
    if (state.trouble.refuse) return void socket.end('HTTP/1.1 503 Service Unavailable\r\n\r\n')
    const accept = createHash('sha1')
      .update(`${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
      .digest('base64')
    const head = ['HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket', 'Connection: Upgrade']
    socket.write(`${[...head, `Sec-WebSocket-Accept: ${accept}`].join('\r\n')}\r\n\r\n`)
    const acks = new Map<string, (payload: Record<string, unknown>) => void>()
    const connection = {
      acks,
      send: (text: string) => void socket.write(frame(1, Buffer.from(text))),
      cut: () => void socket.destroy(),
    }
    socket.on('close', () => open.splice(0, open.length, ...open.filter((each) => each !== connection)))
    let rest = Buffer.alloc(0)
    socket.on('data', (chunk: Buffer) => {
      rest = Buffer.concat([rest, chunk])
      for (let next = read(rest); next; next = read(rest)) {
        rest = rest.subarray(next.length)
        if (next.opcode === 8) return void socket.end(frame(8, next.payload))
        if (next.opcode === 9) socket.write(frame(10, next.payload))
        if (next.opcode !== 1) continue
        const { envelope_id: id, payload } = JSON.parse(next.payload.toString())
        acks.get(id)?.(payload)
      }
    })
    if (state.trouble.silent) return
    open.push(connection)
    connection.send(JSON.stringify({ type: 'hello', num_connections: open.length }))
  })

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  url = `ws://127.0.0.1:${port}/link?ticket=secret-ticket`
  return {
    apiUrl: `http://127.0.0.1:${port}/api/`,
    url,
    get asked() {
      return state.asked
    },
    get trouble() {
      return state.trouble
    },
    set trouble(next) {
      state.trouble = next
    },
    open,
    deliver(payload, type = 'interactive') {
      const connection = open[count++ % open.length]
      if (connection === undefined) throw new Error('nobody is connected')
      const id = `envelope-${count}`
      return new Promise((resolve) => {
        connection.acks.set(id, resolve)
        connection.send(JSON.stringify({ envelope_id: id, type, payload, accepts_response_payload: true }))
      })
    },
    async stop() {
      for (const socket of sockets) socket.destroy()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function frame(opcode: number, payload: Buffer): Buffer {
  const size = payload.length
  const head =
    size < 126 ? Buffer.from([0x80 | opcode, size]) : Buffer.from([0x80 | opcode, 126, size >> 8, size & 0xff])
  return Buffer.concat([head, payload])
}

/** The first whole frame; those of clients are masked. */
function read(data: Buffer): { opcode: number; payload: Buffer; length: number } | undefined {
  if (data.length < 6) return undefined
  let size = (data[1] ?? 0) & 0x7f
  let at = 2
  if (size === 126) {
    if (data.length < 8) return undefined
    size = data.readUInt16BE(2)
    at = 4
  }
  const mask = data.subarray(at, at + 4)
  const length = at + 4 + size
  if (data.length < length) return undefined
  const payload = Buffer.from(data.subarray(at + 4, length).map((byte, i) => byte ^ (mask[i % 4] ?? 0)))
  return { opcode: (data[0] ?? 0) & 0x0f, payload, length }
}

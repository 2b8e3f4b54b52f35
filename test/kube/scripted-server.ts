import http from 'node:http'
import type { AddressInfo, Socket } from 'node:net'

interface SeenRequest {
  method: string
  path: string
  query: URLSearchParams
  headers: http.IncomingHttpHeaders
  body: unknown
  /** The connection it came on, counted from 1. */
  connection: number
}

export interface ScriptedServer {
  url: string
  port: number
  requests: SeenRequest[]
  /** Connections ever opened. */
  connections(): number
  /** Cuts every open connection. */
  cut(): void
  close(): Promise<void>
}

export type Script = (request: SeenRequest, response: http.ServerResponse) => void

/** A real HTTP server on loopback that answers as the test says: for errors no well-behaved server makes. */
export async function startScriptedServer(script: Script, port = 0): Promise<ScriptedServer> {
  const requests: SeenRequest[] = []
  const sockets = new Map<Socket, number>()
  let opened = 0
  const server = http.createServer({ keepAliveTimeout: 0 }, (incoming, response) => {
    const chunks: Buffer[] = []
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
    incoming.on('end', () => {
      const url = new URL(incoming.url ?? '/', 'http://server')
      const text = Buffer.concat(chunks).toString()
      const seen: SeenRequest = {
        method: incoming.method ?? '',
        path: url.pathname,
        query: url.searchParams,
        headers: incoming.headers,
        body: text === '' ? undefined : JSON.parse(text),
        connection: sockets.get(incoming.socket) ?? 0,
      }
      requests.push(seen)
      script(seen, response)
    })
  })
  server.on('connection', (socket) => {
    opened += 1
    sockets.set(socket, opened)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => {})
  })
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  const address = server.address() as AddressInfo
  const cut = () => {
    for (const socket of sockets.keys()) socket.destroy()
  }
  return {
    url: `http://127.0.0.1:${address.port}`,
    port: address.port,
    requests,
    connections: () => opened,
    cut,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        cut()
      }),
  }
}

export function json(response: http.ServerResponse, status: number, body: unknown, headers: object = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers })
  response.end(JSON.stringify(body))
}

/** A refusal as the API server words it. */
export function status(code: number, reason: string, message: string, details?: object): object {
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', code, reason, message, details }
}

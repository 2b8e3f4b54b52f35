import net from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { systemRuntime } from '../../src/runtime.ts'
import type { Endpoint, StreamingEndpoint } from '../../src/server/endpoint.ts'
import type { HealthReport } from '../../src/server/health.ts'
import { createMetrics } from '../../src/server/metrics.ts'
import { createServer, type RunningServer, type ServerConfig } from '../../src/server/server.ts'
import { readableLog } from '../approval/questions.ts'

let server: RunningServer
let report: { live: HealthReport; ready: HealthReport }
let release: () => void
let log: ReturnType<typeof readableLog>

const echo: Endpoint = {
  path: '/hooks/echo',
  handle: async ({ body, header }) => ({
    status: 200,
    json: { hex: body.toString('hex'), type: header('content-type') },
  }),
}
const failing: Endpoint = {
  path: '/hooks/failing',
  handle: async () => {
    throw new Error('token=hunter2 at /src/secret.ts')
  },
}

const named: Endpoint = {
  path: '/hooks/named/:namespace/:name',
  handle: async ({ params }) => ({ status: 200, json: params }),
}
let read: number
const streaming: StreamingEndpoint = {
  path: '/hooks/streaming',
  maxBodyBytes: 5_000_000,
  async receive({ chunks }) {
    read = 0
    for await (const chunk of chunks) read += chunk.byteLength
    return { status: 202, json: { read } }
  },
}

async function begin(over: Partial<ServerConfig> = {}): Promise<void> {
  log = readableLog()
  report = { live: { ok: true, message: 'fine' }, ready: { ok: true, message: 'leading' } }
  const opened = new Promise<void>((resolve) => {
    release = resolve
  })
  const slow: Endpoint = { path: '/hooks/slow', handle: () => opened.then(() => ({ status: 204 })) }
  server = await createServer({
    listen: '127.0.0.1:0',
    runtime: systemRuntime,
    log: log.log,
    health: { live: () => report.live, ready: () => report.ready },
    metrics: createMetrics(),
    slack: echo,
    webhooks: [failing, slow, named, streaming],
    maxBodyBytes: 1000,
    ...over,
  })
}

beforeEach(() => begin())
afterEach(async () => {
  release()
  await server.stop()
})

const post = (path: string, body: NonNullable<RequestInit['body']>, headers: Record<string, string> = {}) =>
  fetch(server.url + path, { method: 'POST', body, headers })

describe('probes', () => {
  test('say 200 while all is well and 503 with the reason when it is not', async () => {
    for (const [path, name] of [
      ['/healthz', 'live'],
      ['/readyz', 'ready'],
    ] as const) {
      const good = await fetch(server.url + path)
      expect([good.status, await good.json()]).toEqual([200, report[name]])
      report[name] = { ok: false, message: 'still reading rollouts' }
      const bad = await fetch(server.url + path)
      expect([bad.status, await bad.json()]).toEqual([503, { ok: false, message: 'still reading rollouts' }])
    }
  })

  test('metrics come in the exposition format', async () => {
    const answer = await fetch(`${server.url}/metrics`)
    expect(answer.headers.get('content-type')).toContain('text/plain; version=0.0.4')
    expect(await answer.text()).toContain('# TYPE sluice_leader gauge')
  })
})

describe('requests that are not for us', () => {
  test('unknown paths are 404 and wrong methods 405, as JSON', async () => {
    const missing = await fetch(`${server.url}/admin?x=1`)
    expect([missing.status, await missing.json()]).toEqual([404, { error: 'there is nothing at /admin' }])
    const wrong = await post('/healthz', '')
    expect([wrong.status, wrong.headers.get('allow')]).toEqual([405, 'GET, HEAD'])
    const read = await fetch(`${server.url}/hooks/echo`)
    expect([read.status, read.headers.get('allow')]).toEqual([405, 'POST'])
  })

  test('every answer forbids sniffing, framing and caching', async () => {
    for (const path of ['/healthz', '/nothing', '/metrics']) {
      const { headers } = await fetch(server.url + path)
      expect(headers.get('x-content-type-options')).toBe('nosniff')
      expect(headers.get('x-frame-options')).toBe('SAMEORIGIN')
      expect(headers.get('cache-control')).toBe('no-store')
      expect(headers.get('x-powered-by')).toBeNull()
    }
  })
})

describe('endpoints', () => {
  test('get the body as the bytes that were sent', async () => {
    const bytes = Buffer.from([0x00, 0xff, 0xc3, 0x28, 0x0d, 0x0a])
    const answer = await post('/hooks/echo', bytes, { 'content-type': 'application/x-www-form-urlencoded' })
    expect(await answer.json()).toEqual({ hex: bytes.toString('hex'), type: 'application/x-www-form-urlencoded' })
  })

  test('never see a body that is too long, whether its length is announced or not', async () => {
    expect((await post('/hooks/echo', 'x'.repeat(1001))).status).toBe(413)
    const stream = new Blob(['y'.repeat(600), 'z'.repeat(600)]).stream()
    const init: RequestInit & { duplex: 'half' } = { method: 'POST', body: stream, duplex: 'half' }
    const answer = await fetch(`${server.url}/hooks/echo`, init)
    expect([answer.status, await answer.json()]).toEqual([413, { error: 'the body is longer than 1000 bytes' }])
  })

  test('find the names of their path, decoded', async () => {
    const answer = await post('/hooks/named/shop/check%2Fout', '')
    expect(await answer.json()).toEqual({ namespace: 'shop', name: 'check/out' })
    expect((await post('/hooks/named/shop', '')).status).toBe(404)
  })

  test('with a limit of their own read longer bodies piece by piece, and leave one that goes on and on', async () => {
    const long = await post('/hooks/streaming', Buffer.alloc(4_000_000))
    expect([long.status, await long.json()]).toEqual([202, { read: 4_000_000 }])
    const announced = await post('/hooks/streaming', Buffer.alloc(6_000_000))
    expect(announced.status).toBe(413)
    expect(await endless('/hooks/streaming')).toMatch(/^HTTP\/1\.1 413 /)
    expect(read).toBeLessThanOrEqual(5_000_000)
  })

  test('do not wait for senders that never come to an end, and have room for others afterwards', async () => {
    await server.stop()
    await begin({ arrivalMs: 200 })
    const { hostname, port } = new URL(server.url)
    const slow = Array.from({ length: 64 }, () => {
      const socket = net.connect(Number(port), hostname)
      const closed = new Promise((resolve) => socket.on('close', resolve).on('error', () => undefined))
      socket.resume()
      socket.write('POST /hooks/streaming HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\nx')
      return closed
    })
    await Promise.all(slow)
    expect((await post('/hooks/streaming', 'x')).status).toBe(202)
  })

  test('let in only so many at once, and say so to the next', async () => {
    const open = Array.from({ length: 64 }, () => post('/hooks/slow', ''))
    await reached()
    const next = await post('/hooks/slow', '')
    expect([next.status, next.headers.get('retry-after')]).toEqual([503, '5'])
    expect((await post('/hooks/echo', '')).status).toBe(200)
    release()
    expect(new Set((await Promise.all(open)).map((answer) => answer.status))).toEqual(new Set([204]))
  })

  test('that throw answer 500 without a word of the cause, which is in the log', async () => {
    const answer = await post('/hooks/failing', '')
    const text = await answer.text()
    expect(answer.status).toBe(500)
    expect(text).not.toMatch(/hunter2|secret\.ts|Error:/)
    expect(log.text()).toContain('request failed')
  })

  test('that take too long are answered with 503', async () => {
    await server.stop()
    await begin({ requestTimeoutMs: 50 })
    const answer = await post('/hooks/slow', '')
    expect([answer.status, await answer.json()]).toEqual([503, { error: 'this took too long; try again' }])
  })
})

describe('stopping', () => {
  test('open requests finish, new ones are refused, and stopping twice is stopping once', async () => {
    const open = post('/hooks/slow', '')
    await reached()
    const stopped = server.stop()
    expect(server.stop()).toBe(stopped)
    release()
    const answer = await open
    expect([answer.status, answer.headers.get('connection')]).toEqual([204, 'close'])
    await stopped
    await expect(fetch(`${server.url}/healthz`)).rejects.toThrow()
  })

  test('a request that never ends is cut when the grace is over', async () => {
    await server.stop()
    await begin({ graceMs: 50 })
    const open = post('/hooks/slow', '').then(
      () => 'answered',
      () => 'cut',
    )
    await reached()
    await server.stop()
    expect(await open).toBe('cut')
  })
})

describe('listening', () => {
  test('a port in use is one sentence with the address and the way out', async () => {
    const port = new URL(server.url).port
    await expect(begin({ listen: `127.0.0.1:${port}` })).rejects.toThrow(/127\.0\.0\.1:\d+ is in use already.*--listen/)
  })

  test.each(['8080', 'localhost', 'a:b:1', '127.0.0.1:70000', '127.0.0.1:x', ''])(
    '%j is no address',
    async (listen) => {
      await expect(begin({ listen })).rejects.toThrow('is not HOST:PORT')
    },
  )

  test('IPv6 addresses stand in brackets', async () => {
    if (!(await hasIpv6())) return
    await server.stop()
    await begin({ listen: '[::1]:0' })
    expect(server.url).toMatch(/^http:\/\/\[::1\]:\d+$/)
    expect((await fetch(`${server.url}/healthz`)).status).toBe(200)
  })
})

/** Sends a body without end in chunks until the server has had enough; what it answered. */
function endless(path: string): Promise<string> {
  const { hostname, port } = new URL(server.url)
  const chunk = `10000\r\n${'x'.repeat(0x10000)}\r\n`
  return new Promise((resolve) => {
    let answer = ''
    const socket = net.connect(Number(port), hostname)
    const send = () => {
      while (!socket.destroyed && socket.write(chunk));
    }
    socket.on('data', (data) => {
      answer += data
    })
    socket.on('drain', send)
    socket.on('error', () => undefined)
    socket.on('close', () => resolve(answer))
    socket.write(`POST ${path} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n`)
    send()
  })
}

/** Waits until the server has taken up the request before: it answers another one after it. */
async function reached(): Promise<void> {
  for (let i = 0; i < 3; i++) await (await fetch(`${server.url}/healthz`)).text()
}

function hasIpv6(): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = net.createServer()
    probe.once('error', () => resolve(false))
    probe.listen(0, '::1', () => probe.close(() => resolve(true)))
  })
}

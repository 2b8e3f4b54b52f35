import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { getRequestListener } from '@hono/node-server'
import { type Runtime, systemRuntime } from '../../runtime.ts'
import { createApi, errorBody } from './api.ts'
import { type FaultState, noFaults, type PrometheusFaults } from './faults.ts'
import { evaluate, type QueryResult } from './promql/evaluate.ts'
import { startScraper } from './scraper.ts'
import { Store } from './store.ts'
import type { Target } from './target.ts'

export interface PrometheusOptions {
  /** What to scrape, asked again and again so that pods can come and go. */
  targets: () => Target[]
  scrapeIntervalMs: number
  /** How long samples are kept; a day by default. */
  retentionMs?: number
  runtime?: Runtime
  /** 0, the default, takes a free port. */
  port?: number
}

/** A running sandbox Prometheus: scraping, and answering its HTTP API on 127.0.0.1. */
export interface SandboxPrometheus {
  /** The base URL, without a trailing slash. */
  url: string
  store: Store
  /** Adds a sample as if it had been scraped. Times are milliseconds, rise within a series, and lie within the retention. */
  append(labels: Readonly<Record<string, string>>, timeMs: number, value: number): void
  /** Answers a query without HTTP and untouched by faults; throws `QueryError`. */
  query(expr: string, timeMs: number): QueryResult
  faults: PrometheusFaults
  stop(): Promise<void>
}

/** Starts scraping and listening; rejects when the port cannot be had. */
export async function startPrometheus(options: PrometheusOptions): Promise<SandboxPrometheus> {
  const runtime = options.runtime ?? systemRuntime
  const store = new Store(options.retentionMs)
  let state: FaultState = noFaults
  let server: Server | undefined
  const stalled = new Set<Socket>()

  const scraper = startScraper({
    targets: options.targets,
    intervalMs: options.scrapeIntervalMs,
    store,
    runtime,
    isStopped: () => state.stale,
  })
  const api = createApi({
    store,
    now: () => runtime.now(),
    activeTargets: () => scraper.active(),
    scrapeIntervalMs: options.scrapeIntervalMs,
    faults: () => state,
  })
  const listener = getRequestListener(async (request) => {
    if (state.latencyMs > 0) await runtime.sleep(state.latencyMs)
    if (state.html)
      return new Response('<html><body>Sign in</body></html>', { headers: { 'content-type': 'text/html' } })
    if (state.garbage)
      return new Response('{"status":"success","data":{"resultType":"vec', {
        headers: { 'content-type': 'application/json' },
      })
    return state.status === undefined ? api.fetch(request) : failure(state.status)
  })

  function handle(request: IncomingMessage, response: ServerResponse): void {
    if (state.outage === 'reset') request.socket.resetAndDestroy()
    else if (state.stalled) {
      stalled.add(request.socket)
      request.socket.once('close', () => stalled.delete(request.socket))
      response.writeHead(200, { 'content-type': 'application/json' })
      response.write('{"status":"success","data":')
    } else void listener(request, response)
  }

  async function open(port: number): Promise<number> {
    const opened = createServer(handle)
    await new Promise<void>((resolve, reject) => {
      opened.once('error', reject)
      opened.listen(port, '127.0.0.1', resolve)
    })
    server = opened
    const { port: taken } = opened.address() as AddressInfo
    return taken
  }

  async function close(): Promise<void> {
    const closing = server
    server = undefined
    if (!closing) return
    await new Promise<void>((resolve) => {
      closing.close(() => resolve())
      closing.closeAllConnections()
    })
  }

  async function apply(next: FaultState): Promise<void> {
    state = next
    if (!next.stalled) for (const socket of stalled) socket.destroy()
    if (next.outage === 'refused') await close()
    else if (!server) await open(port)
  }

  const port = await open(options.port ?? 0).catch(async (cause: unknown) => {
    await scraper.stop()
    throw new Error(`the sandbox's Prometheus could not listen on 127.0.0.1:${options.port}`, { cause })
  })

  return {
    url: `http://127.0.0.1:${port}`,
    store,
    append: (labels, timeMs, value) => void store.append(labels, timeMs, value),
    query: (expr, timeMs) => evaluate(expr, store, { timeMs }),
    faults: {
      get current() {
        return state
      },
      set: (faults) => apply({ ...state, ...faults }),
      clear: () => apply(noFaults),
    },
    async stop() {
      await scraper.stop()
      await close()
    },
  }
}

function failure(status: number): Response {
  const types: Record<number, string> = { 400: 'bad_data', 422: 'execution', 500: 'internal', 503: 'unavailable' }
  const type = types[status]
  if (type) return errorBody(status, type, 'this failure was asked for')
  return new Response('this failure was asked for\n', { status, headers: { 'content-type': 'text/plain' } })
}

import { type Context, Hono } from 'hono'
import { HTTPException } from 'hono/http-exception'
import { secureHeaders } from 'hono/secure-headers'
import { timeout } from 'hono/timeout'
import type { Logger } from 'pino'
import type { Runtime } from '../runtime.ts'
import { BodyTooLong, chunksOf, wholeOf } from './body.ts'
import type { Endpoint, EndpointAnswer, StreamingEndpoint } from './endpoint.ts'
import type { Health, HealthReport } from './health.ts'
import { type RunningServer, serveOn } from './listener.ts'
import type { Metrics } from './metrics.ts'

/** Requests to one endpoint that are worked on at the same time: what strangers may hold in memory is this many bodies. */
const REQUESTS_AT_ONCE = 64

export interface ServerConfig {
  /** `host:port`; port 0 takes a free one, an empty host takes every address. */
  listen: string
  runtime: Pick<Runtime, 'sleep'>
  log: Logger
  health: Health
  metrics: Pick<Metrics, 'render'>
  slack?: Endpoint
  webhooks?: (Endpoint | StreamingEndpoint)[]
  /** Bytes that a body may have. Default 1 MiB: Slack's payloads repeat the message, forges' webhooks list commits. */
  maxBodyBytes?: number
  /** Milliseconds until a request that is not answered gets 503. Default 10 s. */
  requestTimeoutMs?: number
  /** Milliseconds that open requests get at the end. Default 5 s. */
  graceMs?: number
  /** Milliseconds in which a whole request has to arrive. Default 15 s. */
  arrivalMs?: number
}

export type { RunningServer }

/**
 * The controller's HTTP side: probes, metrics, Slack and webhooks. Every failure is JSON `{error}`, never a stack.
 * @throws {SluiceError} when the address cannot be used.
 */
export async function createServer(config: ServerConfig): Promise<RunningServer> {
  let stopping = false
  const app = routes(config, () => stopping)
  return serveOn(app, {
    listen: config.listen,
    runtime: config.runtime,
    graceMs: config.graceMs ?? 5_000,
    ...(config.arrivalMs === undefined ? {} : { arrivalMs: config.arrivalMs }),
    onStop: () => {
      stopping = true
    },
  })
}

function routes(config: ServerConfig, isStopping: () => boolean): Hono {
  const { log, health, metrics, maxBodyBytes = 1024 * 1024, requestTimeoutMs = 10_000 } = config
  const app = new Hono()
  app.use(secureHeaders())
  app.use(async (c, next) => {
    await next()
    if (!c.res.headers.has('cache-control')) c.header('cache-control', 'no-store')
    // A kept-alive connection would hold up the end until the grace is over.
    if (isStopping()) c.header('connection', 'close')
  })
  app.use(timeout(requestTimeoutMs, new HTTPException(503, { message: 'this took too long; try again' })))

  const probe = (report: () => HealthReport) => (c: Context) => {
    const { ok, message } = report()
    return c.json({ ok, message }, ok ? 200 : 503)
  }
  app.get('/healthz', probe(health.live))
  app.get('/readyz', probe(health.ready))
  app.get('/metrics', async (c) => {
    const { contentType, body } = await metrics.render()
    return c.body(body, 200, { 'content-type': contentType })
  })
  for (const path of ['/healthz', '/readyz', '/metrics']) app.all(path, (c) => notAllowed(c, 'GET, HEAD'))

  for (const endpoint of [...(config.slack ? [config.slack] : []), ...(config.webhooks ?? [])]) {
    const atOnce = gate(REQUESTS_AT_ONCE)
    app.post(endpoint.path, async (c) => {
      const leave = atOnce()
      if (!leave) return c.json({ error: 'too many requests at once; try again' }, 503, { 'retry-after': '5' })
      try {
        const answer = await answerOf(endpoint, c, maxBodyBytes)
        return answer.json === undefined ? c.body(null, answer.status) : c.json(answer.json, answer.status as 200)
      } finally {
        leave()
      }
    })
    app.all(endpoint.path, (c) => notAllowed(c, 'POST'))
  }

  app.notFound((c) => c.json({ error: `there is nothing at ${c.req.path}` }, 404))
  app.onError((error, c) => {
    // What follows of such a body is not wanted: the connection ends with the answer.
    if (error instanceof BodyTooLong) return c.json({ error: error.message }, 413, { connection: 'close' })
    if (error instanceof HTTPException) return c.json({ error: error.message }, error.status)
    log.error({ err: error, path: c.req.path, method: c.req.method }, 'request failed')
    return c.json({ error: 'internal error; the log of the controller says more' }, 500)
  })
  return app
}

async function answerOf(
  endpoint: Endpoint | StreamingEndpoint,
  c: Context,
  maxBodyBytes: number,
): Promise<EndpointAnswer> {
  const head = {
    params: c.req.param() as Record<string, string>,
    header: (name: string) => c.req.header(name),
    signal: c.req.raw.signal,
  }
  const chunks = chunksOf(c.req.raw, endpoint.maxBodyBytes ?? maxBodyBytes)
  if ('receive' in endpoint) return await endpoint.receive({ ...head, chunks })
  return await endpoint.handle({ ...head, body: await wholeOf(chunks) })
}

/** Lets in so many at once: gives back how to leave, or nothing when it is full. */
function gate(places: number): () => (() => void) | undefined {
  let inside = 0
  return () => {
    if (inside >= places) return undefined
    inside += 1
    return () => {
      inside -= 1
    }
  }
}

function notAllowed(c: Context, allow: string): Response {
  return c.json({ error: `${c.req.method} is not allowed here; use ${allow}` }, 405, { allow })
}

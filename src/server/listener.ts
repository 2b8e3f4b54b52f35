import { Server } from 'node:http'
import { serve } from '@hono/node-server'
import type { Hono } from 'hono'
import { SluiceError } from '../errors.ts'
import type { Runtime } from '../runtime.ts'
import { parseListen } from './listen.ts'

export interface RunningServer {
  /** Base URL with the real port, without a slash at the end. */
  url: string
  /** Takes no new requests, lets the open ones finish, then closes. Idempotent. */
  stop(): Promise<void>
}

export interface ListenerConfig {
  /** `host:port`; port 0 takes a free one, an empty host takes every address. */
  listen: string
  runtime: Pick<Runtime, 'sleep'>
  /** Milliseconds that open requests get at the end. */
  graceMs: number
  /** Milliseconds in which a whole request has to arrive. Default 15 s. */
  arrivalMs?: number
  /** Called once, when the end begins. */
  onStop?: () => void
}

/**
 * Serves `app`. Slow senders cannot hold connections.
 * @throws {SluiceError} when the address cannot be used.
 */
export async function serveOn(app: Hono, config: ListenerConfig): Promise<RunningServer> {
  const { host, port } = parseListen(config.listen)
  let stopping: Promise<void> | undefined
  const { arrivalMs = 15_000 } = config
  const server = await open(app, host, port, config.listen, arrivalMs)
  server.headersTimeout = Math.min(5_000, arrivalMs)
  server.requestTimeout = arrivalMs
  server.keepAliveTimeout = 65_000
  const address = server.address()
  const realPort = typeof address === 'object' && address !== null ? address.port : port
  const shown = host === '' || host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host
  return {
    url: `http://${shown.includes(':') ? `[${shown}]` : shown}:${realPort}`,
    stop() {
      if (!stopping) config.onStop?.()
      stopping ??= close(server, config.runtime, config.graceMs)
      return stopping
    },
  }
}

function open(app: Hono, hostname: string, port: number, listen: string, arrivalMs: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = serve({
      fetch: app.fetch,
      port,
      // How often the limits on slow senders are looked at.
      serverOptions: { connectionsCheckingInterval: Math.min(2_000, arrivalMs) },
      ...(hostname === '' ? {} : { hostname }),
    })
    if (!(server instanceof Server)) throw new Error('expected a plain HTTP/1.1 server')
    const failed = (cause: NodeJS.ErrnoException) => {
      const why = cause.code === 'EADDRINUSE' ? 'is in use already' : `cannot be used (${cause.code ?? cause.message})`
      reject(new SluiceError({ reason: 'ListenFailed', message: `the address ${listen} ${why}` }, { cause }))
    }
    server.once('error', failed)
    server.once('listening', () => {
      server.off('error', failed)
      resolve(server)
    })
  })
}

async function close(server: Server, runtime: Pick<Runtime, 'sleep'>, graceMs: number): Promise<void> {
  const closed = new AbortController()
  const done = new Promise<void>((resolve) => server.close(() => resolve()))
  server.closeIdleConnections()
  const cut = runtime.sleep(graceMs, closed.signal).then(
    () => server.closeAllConnections(),
    () => undefined,
  )
  await done
  closed.abort()
  await cut
}

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Handler } from './app.ts'
import { type Address, type AddressPool, type Listener, listen, listenNear } from './listener.ts'

/** Sits before the app of a pod, as a mesh's sidecar does; `app` is undefined while the container is down. */
export type Sidecar = (request: IncomingMessage, response: ServerResponse, app: Handler | undefined) => void

/** The network of one pod: its address, its ports, and what answers behind them. */
export interface PodServer {
  readonly ip: string
  /** Where a container port really listens; undefined when nothing does. */
  addressOf(port: number): Address | undefined
  /** Container ports that could not be bound on the pod's own address. */
  moved(): Record<string, string>
  /** Starts the app; every port is bound when it resolves. */
  start(app: Handler): Promise<void>
  /** The app is gone: without a sidecar connections are refused, with one the sidecar answers for it. */
  crash(): Promise<void>
  /** Puts a sidecar in front, or takes it away. */
  intercept(sidecar: Sidecar | undefined): void
  close(drainMs: number): Promise<void>
}

const ATTEMPTS = 16

/**
 * Reserves an address and, once started, serves `ports` on it; with `anyPort` the mesh reaches it whichever port a Service names.
 * @param reachable false: nothing ever listens, as if the node had gone
 */
export async function createPodServer(
  pool: AddressPool,
  { ports, anyPort }: { ports: readonly number[]; anyPort: boolean },
  reachable: boolean,
): Promise<PodServer> {
  const listeners = new Map<number, Listener>()
  let app: Handler | undefined
  let sidecar: Sidecar | undefined

  const handle: Handler = (request, response) => {
    if (sidecar) sidecar(request, response, app)
    else if (app) app(request, response)
    else request.socket.destroy()
  }

  const ip = await bind()

  async function bind(): Promise<string> {
    const [first] = ports
    if (!reachable || first === undefined) return pool.next()
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const candidate = pool.next()
      try {
        // Only binding tells whether the address is free; what connects before the app is up is cut off.
        listeners.set(first, await listen(candidate, first, handle))
        return candidate
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') break
      }
    }
    return pool.next()
  }

  async function open(): Promise<void> {
    if (!reachable) return
    for (const port of ports) {
      if (!listeners.has(port)) listeners.set(port, await listenNear(ip, port, handle))
    }
  }

  async function shut(drainMs: number): Promise<void> {
    const open = [...listeners.values()]
    listeners.clear()
    await Promise.all(open.map((listener) => listener.close(drainMs)))
  }

  return {
    ip,
    addressOf: (port) => (listeners.get(port) ?? (anyPort ? listeners.values().next().value : undefined))?.address,
    moved() {
      const elsewhere = [...listeners].filter(([port, { address }]) => address.host !== ip || address.port !== port)
      return Object.fromEntries(
        elsewhere.map(([port, { address }]) => [String(port), `${address.host}:${address.port}`]),
      )
    },
    async start(handler) {
      app = handler
      await open()
    },
    async crash() {
      app = undefined
      if (!sidecar) await shut(0)
    },
    intercept(next) {
      sidecar = next
    },
    async close(drainMs) {
      await shut(drainMs)
      app = undefined
    },
  }
}

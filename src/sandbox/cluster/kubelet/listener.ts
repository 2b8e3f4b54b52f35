import { createServer, type Server } from 'node:http'
import type { Handler } from './app.ts'

/** Where something really listens. */
export interface Address {
  host: string
  port: number
}

/** Hands out loopback addresses for pods: 127.64.0.1 to 127.127.255.254, each once before any comes again. */
export interface AddressPool {
  next(): string
}

// 127.64.0.0/10
const POOL_BASE = (127 << 24) | (64 << 16)
const POOL_SIZE = 1 << 22

/** @param start where in the pool to begin, in [0, 1): sandboxes that run at once should begin apart */
export function createAddressPool(start: number): AddressPool {
  let offset = Math.floor(start * POOL_SIZE)
  return {
    next() {
      do offset = (offset + 1) % POOL_SIZE
      while ((offset & 0xff) === 0 || (offset & 0xff) === 0xff)
      const address = POOL_BASE + offset
      return [24, 16, 8, 0].map((shift) => (address >>> shift) & 0xff).join('.')
    },
  }
}

/** One listening HTTP server. */
export interface Listener {
  address: Address
  /** Stops accepting, lets requests in flight end, then cuts what is left after `drainMs`. */
  close(drainMs?: number): Promise<void>
}

/** Listens on exactly this address; rejects with the system's error when it cannot. */
export async function listen(host: string, port: number, handler: Handler): Promise<Listener> {
  const server = createServer({ keepAliveTimeout: 60_000 }, handler)
  // A client that goes away mid-request is no error of the pod.
  server.on('clientError', (_, socket) => socket.destroy())
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, 511, () => {
      server.off('error', reject)
      resolve()
    })
  })
  const bound = server.address()
  if (bound === null || typeof bound === 'string') throw new Error(`${host}:${port} has no TCP address`)
  return { address: { host: bound.address, port: bound.port }, close: (drainMs = 0) => close(server, drainMs) }
}

/**
 * Listens on `ip:port`; where the system does not allow that (a privileged or taken port, a system without the whole of 127/8),
 * on any free port of 127.0.0.1.
 */
export async function listenNear(ip: string, port: number, handler: Handler): Promise<Listener> {
  try {
    return await listen(ip, port, handler)
  } catch {
    return await listen('127.0.0.1', 0, handler)
  }
}

function close(server: Server, drainMs: number): Promise<void> {
  return new Promise((resolve) => {
    const cut = drainMs > 0 ? setTimeout(() => server.closeAllConnections(), drainMs) : undefined
    server.close(() => {
      clearTimeout(cut)
      resolve()
    })
    if (drainMs > 0) server.closeIdleConnections()
    else server.closeAllConnections()
  })
}

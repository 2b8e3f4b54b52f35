import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http'
import type { ClientProxy } from './client-proxies.ts'
import { type DestinationService, type Peer, UNKNOWN_PEER } from './istio-metrics.ts'

/** One request on its way through a client's proxy: answers the client once, and counts it once. */
export interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly proxy: ClientProxy
  /** Aborted when the client went away, or when the answer has been given. */
  readonly over: AbortSignal
  /** Whom telemetry names as destination from here on. */
  towards(service: DestinationService, peer?: Peer): void
  /** Adds an Envoy response flag. */
  flag(flag: string): void
  /** Answers in the proxy's own name. */
  reply(status: number, body: string, headers?: OutgoingHttpHeaders): void
  /** Passes an upstream's answer on. */
  relay(upstream: IncomingMessage, headers: OutgoingHttpHeaders): void
}

// One reason for all: making a DOMException with its stack for every request would cost more than the request.
const OVER = new Error('the exchange is over')

/** Begins an exchange; it is counted by the client's proxy when the answer is out or the client is gone. */
export function beginExchange(
  request: IncomingMessage,
  response: ServerResponse,
  proxy: ClientProxy,
  monotonic: () => number,
): Exchange {
  const startedMs = monotonic()
  const over = new AbortController()
  const host = request.headers.host ?? 'unknown'
  // Without a cluster, telemetry falls back to the Host header.
  let service: DestinationService = { host, name: host, namespace: 'unknown' }
  let destination = UNKNOWN_PEER
  let grpcStatus = ''
  const flags: string[] = []

  response.once('close', () => {
    const answered = response.writableFinished || flags.includes('UC')
    const status = answered ? response.statusCode : 0
    proxy.metrics.record({
      reporter: 'source',
      source: proxy.peer,
      destination,
      service,
      responseCode: status,
      responseFlags: answered ? flags.join(',') || '-' : 'DC',
      grpcStatus,
      protocol: isGrpc(request) ? 'grpc' : 'http',
      durationMs: monotonic() - startedMs,
    })
    over.abort(OVER)
  })

  return {
    request,
    response,
    proxy,
    over: over.signal,
    towards(to, peer = UNKNOWN_PEER) {
      service = to
      destination = peer
    },
    flag(flag) {
      flags.push(flag)
    },
    reply(status, body, headers = {}) {
      if (response.destroyed || response.headersSent) return
      response.writeHead(status, {
        'content-type': 'text/plain',
        'content-length': Buffer.byteLength(body),
        server: 'istio-envoy',
        ...headers,
      })
      response.end(request.method === 'HEAD' ? undefined : body)
    },
    relay(upstream, headers) {
      grpcStatus = String(upstream.headers['grpc-status'] ?? '')
      if (response.destroyed) {
        upstream.destroy()
        return
      }
      const length = upstream.headers['content-length']
      response.writeHead(upstream.statusCode ?? 502, {
        ...headers,
        ...(length === undefined ? {} : { 'content-length': length }),
        server: 'istio-envoy',
        'x-envoy-upstream-service-time': String(Math.round(monotonic() - startedMs)),
      })
      upstream.once('error', () => cutOff())
      upstream.once('aborted', () => cutOff())
      upstream.once('end', () => {
        const trailer = upstream.trailers['grpc-status']
        if (trailer !== undefined) grpcStatus = trailer
      })
      upstream.pipe(response)
    },
  }

  /** The upstream broke in the middle of its answer: the client must not take what it got for the whole. */
  function cutOff(): void {
    if (response.writableFinished || response.destroyed) return
    flags.push('UC')
    response.destroy()
  }
}

/** Whether a request speaks gRPC. */
export function isGrpc(request: IncomingMessage): boolean {
  return request.headers['content-type']?.startsWith('application/grpc') ?? false
}

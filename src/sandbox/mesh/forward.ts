import type { Agent, OutgoingHttpHeaders } from 'node:http'
import type { Address } from '../cluster/kubelet/listener.ts'
import { type AttemptResult, attempt } from './attempt.ts'
import type { Exchange } from './exchange.ts'
import { PEER_HEADER, passOn } from './headers.ts'
import type { Random } from './random.ts'
import type { Retry } from './route.ts'
import {
  beginRequest,
  type Endpoint,
  isOverflowing,
  pickEndpoint,
  recordOutcome,
  type Upstream,
  type UpstreamState,
} from './upstream.ts'
import type { HeaderManipulation } from './virtual-service.ts'

/** Everything one forwarded request needs to know. */
export interface Forwarding {
  exchange: Exchange
  upstream: Upstream
  state: UpstreamState
  retry: Retry
  timeoutMs: number | undefined
  path: string
  authority: string
  body: Buffer | undefined
  manipulations: readonly (HeaderManipulation | undefined)[]
}

/** What forwarding takes from the proxy it runs in. */
export interface ForwardParts {
  agent: Agent
  random: Random
  monotonic(): number
  addressOf(endpoint: Endpoint): Address
}

const UPSTREAM_ERROR = 'upstream connect error or disconnect/reset before headers.'

/**
 * Sends the request to an endpoint of the upstream, again where the retry policy allows, and answers the client:
 * UO when the circuit breaker is full, UH when nothing is healthy, UF when the endpoint cannot be reached, UC when it breaks off,
 * UT with 504 when it takes too long, URX when retries were wanted and used up.
 */
export async function forward(parts: ForwardParts, forwarding: Forwarding): Promise<void> {
  const { exchange, upstream, state, retry, timeoutMs } = forwarding
  exchange.towards(upstream.service)
  const deadlineMs = timeoutMs === undefined ? undefined : parts.monotonic() + timeoutMs
  const tried = new Set<string>()
  for (let retries = 0; ; retries++) {
    if (isOverflowing(upstream, state)) {
      exchange.flag('UO')
      return exchange.reply(503, `${UPSTREAM_ERROR} reset reason: overflow`)
    }
    const endpoint = pickEndpoint(upstream, state, tried, parts.random, parts.monotonic())
    if (!endpoint) {
      exchange.flag('UH')
      return exchange.reply(503, 'no healthy upstream')
    }
    tried.add(endpoint.pod)
    exchange.towards(upstream.service, endpoint.peer)
    const end = beginRequest(state, endpoint)
    const result = await tryOnce(parts, forwarding, endpoint, deadlineMs)
    if (result.kind === 'aborted') return end()
    const status =
      result.kind === 'response' ? (result.response.statusCode ?? 0) : result.kind === 'timeout' ? 504 : 503
    recordOutcome(upstream, state, endpoint, status, parts.monotonic())
    const isLate = deadlineMs !== undefined && parts.monotonic() >= deadlineMs
    const isRetriable = !isLate && retry.attempts > 0 && wantsRetry(retry, result)
    if (isRetriable && retries < retry.attempts) {
      if (result.kind === 'response') result.abort()
      end()
      continue
    }
    exchange.response.once('close', end)
    if (exchange.response.destroyed) end()
    return answer(exchange, result, isRetriable, forwarding)
  }
}

function tryOnce(
  parts: ForwardParts,
  { exchange, retry, path, authority, body, manipulations, upstream }: Forwarding,
  endpoint: Endpoint,
  deadlineMs: number | undefined,
): Promise<AttemptResult> {
  const leftMs = deadlineMs === undefined ? Number.POSITIVE_INFINITY : Math.max(0, deadlineMs - parts.monotonic())
  const limitMs = Math.min(leftMs, retry.perTryTimeoutMs ?? Number.POSITIVE_INFINITY)
  const headers: OutgoingHttpHeaders = {
    ...passOn({ ...exchange.request.headers, host: authority }, 'request', manipulations),
    [PEER_HEADER]: `${exchange.proxy.id}|${upstream.service.host}`,
    ...(body === undefined ? {} : { 'content-length': body.length }),
  }
  return attempt({
    agent: parts.agent,
    address: parts.addressOf(endpoint),
    method: exchange.request.method ?? 'GET',
    path,
    headers,
    body,
    timeoutMs: Number.isFinite(limitMs) ? limitMs : undefined,
    signal: exchange.over,
  })
}

function answer(exchange: Exchange, result: AttemptResult, exhausted: boolean, forwarding: Forwarding): void {
  const flag = (name: string) => {
    exchange.flag(name)
    if (exhausted) exchange.flag('URX')
  }
  if (result.kind === 'response') {
    if (exhausted) exchange.flag('URX')
    exchange.over.addEventListener('abort', () => result.response.complete || result.abort(), { once: true })
    exchange.relay(result.response, passOn(result.response.headers, 'response', forwarding.manipulations))
  } else if (result.kind === 'timeout') {
    flag('UT')
    exchange.reply(504, 'upstream request timeout')
  } else if (result.kind === 'refused') {
    flag('UF')
    exchange.reply(
      503,
      `${UPSTREAM_ERROR} reset reason: remote connection failure, transport failure reason: ${result.message}`,
    )
  } else if (result.kind === 'reset') {
    flag('UC')
    exchange.reply(503, `${UPSTREAM_ERROR} reset reason: connection termination`)
  }
}

/** Whether the policy's conditions cover this outcome (Envoy's x-envoy-retry-on). */
function wantsRetry({ on }: Retry, result: AttemptResult): boolean {
  if (result.kind === 'refused')
    return ['connect-failure', '5xx', 'gateway-error', 'reset'].some((name) => on.has(name))
  if (result.kind === 'reset') return ['5xx', 'gateway-error', 'reset'].some((name) => on.has(name))
  if (result.kind === 'timeout') return ['5xx', 'gateway-error'].some((name) => on.has(name))
  if (result.kind !== 'response') return false
  const status = result.response.statusCode ?? 0
  if (on.has('5xx') && status >= 500) return true
  if (on.has('gateway-error') && status >= 502 && status <= 504) return true
  if (on.has('retriable-4xx') && status === 409) return true
  return on.has(String(status))
}

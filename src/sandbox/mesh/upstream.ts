import type { Pod } from '../cluster/objects.ts'
import type { OutlierDetection, TrafficPolicy } from './destination-rule.ts'
import type { DestinationService, Peer } from './istio-metrics.ts'
import type { Random } from './random.ts'
import { durationMs } from './virtual-service.ts'

/** One pod that a cluster may send to. */
export interface Endpoint {
  /** `namespace/name` of the pod. */
  pod: string
  ip: string
  /** Container port. */
  port: number
  peer: Peer
}

/** Where one destination (host, subset, port) leads right now. */
export interface Upstream {
  key: string
  service: DestinationService
  endpoints: Endpoint[]
  policy: TrafficPolicy
}

/** What the proxy remembers of a destination across changes of configuration. */
export interface UpstreamState {
  active: number
  turn: number
  hosts: Map<string, HostState>
}

interface HostState {
  active: number
  failures: number
  gatewayFailures: number
  ejections: number
  ejectedUntilMs: number
}

export function createUpstreamState(): UpstreamState {
  return { active: 0, turn: 0, hosts: new Map() }
}

/** Whether the destination's circuit breaker has no room for one more request. */
export function isOverflowing(upstream: Upstream, state: UpstreamState): boolean {
  const most = upstream.policy.connectionPool?.http?.http2MaxRequests
  return most !== undefined && most > 0 && state.active >= most
}

/**
 * Chooses a ready endpoint that is not ejected, by the destination's load balancer (least request of two unless told), leaving out
 * those already tried when others are left. Undefined when there is none.
 */
export function pickEndpoint(
  upstream: Upstream,
  state: UpstreamState,
  tried: ReadonlySet<string>,
  random: Random,
  nowMs: number,
): Endpoint | undefined {
  const healthy = upstream.policy.outlierDetection
    ? upstream.endpoints.filter(({ pod }) => (state.hosts.get(pod)?.ejectedUntilMs ?? 0) <= nowMs)
    : upstream.endpoints
  const fresh = tried.size === 0 ? healthy : healthy.filter(({ pod }) => !tried.has(pod))
  const candidates = fresh.length > 0 ? fresh : healthy
  if (candidates.length <= 1) return candidates[0]
  const any = () => candidates[Math.floor(random() * candidates.length)]
  const algorithm = upstream.policy.loadBalancer?.simple
  if (algorithm === 'ROUND_ROBIN') return candidates[state.turn++ % candidates.length]
  if (algorithm === 'RANDOM') return any()
  const [first, second] = [any(), any()]
  if (!first || !second) return first ?? second
  return activeOf(state, first) <= activeOf(state, second) ? first : second
}

/** Counts a request that starts; answers how to count its end. */
export function beginRequest(state: UpstreamState, endpoint: Endpoint): () => void {
  const host = hostOf(state, endpoint.pod)
  host.active++
  state.active++
  return () => {
    host.active--
    state.active--
  }
}

/**
 * Passive health checking after Envoy's outlier detection: so many 5xx (or gateway errors, a failed connection included) in a row
 * eject a host for baseEjectionTime times the number of its ejections, while no more than maxEjectionPercent (at least one host) are out.
 */
export function recordOutcome(
  upstream: Upstream,
  state: UpstreamState,
  endpoint: Endpoint,
  status: number,
  nowMs: number,
): void {
  const rule = upstream.policy.outlierDetection
  if (!rule) return
  const host = hostOf(state, endpoint.pod)
  host.failures = status >= 500 ? host.failures + 1 : 0
  host.gatewayFailures = status >= 502 && status <= 504 ? host.gatewayFailures + 1 : 0
  if (!isDue(rule, host) || host.ejectedUntilMs > nowMs) return
  const out = upstream.endpoints.filter(({ pod }) => (state.hosts.get(pod)?.ejectedUntilMs ?? 0) > nowMs).length
  const most = Math.max(1, Math.floor((upstream.endpoints.length * (rule.maxEjectionPercent ?? 10)) / 100))
  if (out >= most) return
  host.ejections++
  host.failures = 0
  host.gatewayFailures = 0
  host.ejectedUntilMs = nowMs + (durationMs(rule.baseEjectionTime) ?? 30_000) * host.ejections
}

function isDue(rule: OutlierDetection, host: HostState): boolean {
  const total = rule.consecutive5xxErrors ?? 5
  const gateway = rule.consecutiveGatewayErrors ?? 0
  return (total > 0 && host.failures >= total) || (gateway > 0 && host.gatewayFailures >= gateway)
}

function activeOf(state: UpstreamState, endpoint: Endpoint): number {
  return state.hosts.get(endpoint.pod)?.active ?? 0
}

function hostOf(state: UpstreamState, pod: string): HostState {
  const known = state.hosts.get(pod)
  if (known) return known
  const host = { active: 0, failures: 0, gatewayFailures: 0, ejections: 0, ejectedUntilMs: 0 }
  state.hosts.set(pod, host)
  return host
}

/** Forgets hosts that are no longer endpoints. */
export function forgetHosts(state: UpstreamState, upstream: Upstream): void {
  const current = new Set(upstream.endpoints.map(({ pod }) => pod))
  for (const [pod, host] of state.hosts) if (!current.has(pod) && host.active === 0) state.hosts.delete(pod)
}

/** Whether a pod belongs to the subset's labels. */
export function isInSubset(pod: Pod, labels: Record<string, string> | undefined): boolean {
  return Object.entries(labels ?? {}).every(([name, value]) => pod.metadata.labels?.[name] === value)
}

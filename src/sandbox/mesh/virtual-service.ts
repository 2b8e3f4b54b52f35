import type { KubeObject } from '../../kube/object.ts'

/** Istio's StringMatch; an empty one asks only that the header is there. */
export interface StringMatch {
  exact?: string
  prefix?: string
  regex?: string
}

/** One entry of `http[].match`: all its conditions must hold. */
export interface HttpMatch {
  name?: string
  uri?: StringMatch
  scheme?: StringMatch
  method?: StringMatch
  authority?: StringMatch
  headers?: Record<string, StringMatch>
  withoutHeaders?: Record<string, StringMatch>
  queryParams?: Record<string, StringMatch>
  port?: number
  sourceLabels?: Record<string, string>
  sourceNamespace?: string
  gateways?: string[]
  ignoreUriCase?: boolean
}

/** Where a route sends requests; `host` short names are relative to the VirtualService's namespace. */
export interface Destination {
  host: string
  subset?: string
  port?: { number?: number }
}

export interface HeaderOperations {
  set?: Record<string, string>
  add?: Record<string, string>
  remove?: string[]
}

export interface HeaderManipulation {
  request?: HeaderOperations
  response?: HeaderOperations
}

interface RouteDestination {
  destination: Destination
  weight?: number
  headers?: HeaderManipulation
}

interface Percent {
  value?: number
}

interface FaultInjection {
  delay?: { fixedDelay?: string; percentage?: Percent; percent?: number }
  abort?: { httpStatus?: number; percentage?: Percent }
}

interface RetryPolicy {
  attempts?: number
  perTryTimeout?: string
  retryOn?: string
}

export interface Redirect {
  uri?: string
  authority?: string
  port?: number
  scheme?: string
  redirectCode?: number
}

export interface Rewrite {
  uri?: string
  authority?: string
  uriRegexRewrite?: { match?: string; rewrite?: string }
}

interface Mirror {
  destination: Destination
  percentage?: Percent
}

/** One entry of `spec.http`. */
export interface HttpRoute {
  name?: string
  match?: HttpMatch[]
  route?: RouteDestination[]
  redirect?: Redirect
  directResponse?: { status: number; body?: { string?: string; bytes?: string } }
  delegate?: { name: string; namespace?: string }
  rewrite?: Rewrite
  timeout?: string
  retries?: RetryPolicy
  fault?: FaultInjection
  mirror?: Destination
  mirrorPercentage?: Percent
  mirrors?: Mirror[]
  headers?: HeaderManipulation
  corsPolicy?: unknown
}

/** A VirtualService as stored: the API server has checked it against the CRD's schema. */
export interface VirtualService extends KubeObject {
  spec: { hosts?: string[]; gateways?: string[]; http?: HttpRoute[]; exportTo?: string[] }
}

/** The mesh's view of a stored object that the API server has already validated. */
export function asVirtualService(object: KubeObject): VirtualService {
  return { ...object, spec: (object.spec ?? {}) as VirtualService['spec'] }
}

/**
 * Milliseconds of a protobuf duration as Istio writes it (`1.5s`, `200ms`, `1h5m`); undefined when absent.
 * Throws on anything else, naming the text.
 */
export function durationMs(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const units: Record<string, number> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1, us: 1e-3, ns: 1e-6 }
  let rest = text.trim()
  let total = 0
  if (rest === '') throw new Error('an empty duration: write for example 2s or 200ms')
  while (rest !== '') {
    const part = /^(\d+(?:\.\d+)?)(ms|us|ns|h|m|s)/.exec(rest)
    if (!part) throw new Error(`not a duration: ${text}: write for example 2s or 200ms`)
    total += Number(part[1]) * (units[part[2] ?? ''] ?? 0)
    rest = rest.slice(part[0].length)
  }
  return total
}

import { resolveHost } from './hosts.ts'
import { compileMatches, compileRegex, compileString, type Predicate, type RequestView } from './match.ts'
import {
  type Destination,
  durationMs,
  type HeaderManipulation,
  type HttpMatch,
  type HttpRoute,
  type Redirect,
  type Rewrite,
  type VirtualService,
} from './virtual-service.ts'

/** Where a request may go: the full host name, the subset, and the port if the route names one. */
export interface Target {
  host: string
  subset: string | undefined
  port: number | undefined
}

interface WeightedTarget {
  target: Target
  weight: number
  headers: HeaderManipulation | undefined
}

interface Fault {
  delayMs: number
  delayPercent: number
  abortStatus: number
  abortPercent: number
}

/** How often and when a request is tried again; `attempts` counts the retries after the first try. */
export interface Retry {
  attempts: number
  perTryTimeoutMs: number | undefined
  on: ReadonlySet<string>
}

/** What a route does with the requests that match it. */
export type RouteAction =
  | {
      kind: 'forward'
      targets: WeightedTarget[]
      rewritePath: (path: string) => string
      rewriteAuthority: string | undefined
      timeoutMs: number | undefined
      retry: Retry
      mirrors: { target: Target; percent: number }[]
    }
  | { kind: 'redirect'; redirect: Redirect }
  | { kind: 'respond'; status: number; body: string }

/** A route ready to be asked; first match wins. */
export interface CompiledRoute {
  name: string
  matches: Predicate
  action: RouteAction
  fault: Fault | undefined
  headers: HeaderManipulation | undefined
}

/**
 * Istio's retry policy when a route has none: two retries, only where the request cannot have been processed.
 */
const DEFAULT_RETRY: Retry = {
  attempts: 2,
  perTryTimeoutMs: undefined,
  on: new Set(['connect-failure', 'refused-stream', 'unavailable', 'cancelled']),
}

const DEFAULT_RETRY_ON = 'connect-failure,refused-stream,unavailable,cancelled'

/**
 * Compiles `spec.http` into routes in order, delegates resolved through `delegateOf`.
 * Throws, naming the route and field, on what cannot work: a bad regex, a bad duration, a route that goes nowhere.
 */
export function compileRoutes(
  service: VirtualService,
  delegateOf: (namespace: string, name: string) => VirtualService | undefined,
): CompiledRoute[] {
  const namespace = service.metadata.namespace ?? 'default'
  return (service.spec.http ?? []).flatMap((route, index) => {
    const label = `spec.http[${index}]${route.name ? ` (${route.name})` : ''}`
    try {
      if (!route.delegate) return [compileRoute(route, namespace)]
      return compileDelegated(route, namespace, delegateOf)
    } catch (cause) {
      throw new Error(`${label}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
    }
  })
}

/** The first route whose conditions hold. */
export function findRoute(routes: readonly CompiledRoute[], request: RequestView): CompiledRoute | undefined {
  return routes.find((route) => route.matches(request))
}

/** The route of a Service that no VirtualService speaks for: everything to all its endpoints. */
export function defaultRoute(host: string): CompiledRoute {
  return {
    name: 'default',
    matches: () => true,
    fault: undefined,
    headers: undefined,
    action: {
      kind: 'forward',
      targets: [{ target: { host, subset: undefined, port: undefined }, weight: 100, headers: undefined }],
      rewritePath: (path) => path,
      rewriteAuthority: undefined,
      timeoutMs: undefined,
      retry: DEFAULT_RETRY,
      mirrors: [],
    },
  }
}

function compileDelegated(
  root: HttpRoute,
  namespace: string,
  delegateOf: (namespace: string, name: string) => VirtualService | undefined,
): CompiledRoute[] {
  const name = root.delegate?.name ?? ''
  const owner = root.delegate?.namespace ?? namespace
  const delegate = delegateOf(owner, name)
  // Istio drops a root route whose delegate does not exist (yet): its requests fall through to the next route.
  if (!delegate) return []
  if ((delegate.spec.hosts ?? []).length > 0) throw new Error(`delegate ${owner}/${name} must not have hosts`)
  const outer = compileMatches(root.match)
  return (delegate.spec.http ?? []).map((inner) => {
    const route: HttpRoute = {
      ...inner,
      match: inner.match ?? root.match,
      rewrite: inner.rewrite ?? root.rewrite,
      timeout: inner.timeout ?? root.timeout,
      retries: inner.retries ?? root.retries,
      fault: inner.fault ?? root.fault,
      headers: inner.headers ?? root.headers,
      mirror: inner.mirror ?? root.mirror,
      mirrorPercentage: inner.mirrorPercentage ?? root.mirrorPercentage,
      mirrors: inner.mirrors ?? root.mirrors,
    }
    const compiled = compileRoute(route, owner)
    return { ...compiled, matches: (request) => outer(request) && compiled.matches(request) }
  })
}

function compileRoute(route: HttpRoute, namespace: string): CompiledRoute {
  return {
    name: route.name ?? '',
    matches: compileMatches(route.match?.map((match) => inNamespace(match, namespace))),
    action: compileAction(route, namespace),
    fault: compileFault(route),
    headers: route.headers,
  }
}

/** Gateways in conditions are named like those of the VirtualService: relative to its namespace. */
function inNamespace(match: HttpMatch, namespace: string): HttpMatch {
  return match.gateways ? { ...match, gateways: match.gateways.map((name) => gatewayName(name, namespace)) } : match
}

/** `mesh`, or the gateway as `namespace/name`. */
export function gatewayName(name: string, namespace: string): string {
  return name === 'mesh' || name.includes('/') ? name : `${namespace}/${name}`
}

function compileAction(route: HttpRoute, namespace: string): RouteAction {
  if (route.redirect) return { kind: 'redirect', redirect: route.redirect }
  if (route.directResponse) {
    const { status, body } = route.directResponse
    const bytes = body?.bytes === undefined ? undefined : Buffer.from(body.bytes, 'base64').toString()
    return { kind: 'respond', status, body: body?.string ?? bytes ?? '' }
  }
  const destinations = route.route ?? []
  if (destinations.length === 0) throw new Error('has no route, redirect, directResponse or delegate')
  const timeoutMs = durationMs(route.timeout)
  return {
    kind: 'forward',
    targets: destinations.map(({ destination, weight, headers }) => ({
      target: targetOf(destination, namespace),
      weight: weight ?? 0,
      headers,
    })),
    rewritePath: compileRewrite(route.rewrite, route.match),
    rewriteAuthority: route.rewrite?.authority,
    timeoutMs: timeoutMs === 0 ? undefined : timeoutMs,
    retry: compileRetry(route),
    mirrors: compileMirrors(route, namespace),
  }
}

function targetOf(destination: Destination, namespace: string): Target {
  return {
    host: resolveHost(destination.host, namespace),
    subset: destination.subset || undefined,
    port: destination.port?.number,
  }
}

function compileRetry(route: HttpRoute): Retry {
  if (!route.retries) return DEFAULT_RETRY
  const { attempts, perTryTimeout, retryOn } = route.retries
  const on = (retryOn || DEFAULT_RETRY_ON).split(',').map((condition) => condition.trim())
  return { attempts: attempts ?? 2, perTryTimeoutMs: durationMs(perTryTimeout), on: new Set(on) }
}

function compileMirrors(route: HttpRoute, namespace: string) {
  const mirrors = (route.mirrors ?? []).map((mirror) => ({
    target: targetOf(mirror.destination, namespace),
    percent: mirror.percentage === undefined ? 100 : (mirror.percentage.value ?? 0),
  }))
  if (!route.mirror) return mirrors
  const percent = route.mirrorPercentage === undefined ? 100 : (route.mirrorPercentage.value ?? 0)
  return [{ target: targetOf(route.mirror, namespace), percent }, ...mirrors]
}

function compileFault({ fault }: HttpRoute): Fault | undefined {
  if (!fault) return undefined
  const percentOf = (percentage: { value?: number } | undefined) =>
    percentage === undefined ? 100 : (percentage.value ?? 0)
  return {
    delayMs: durationMs(fault.delay?.fixedDelay) ?? 0,
    delayPercent: fault.delay ? (fault.delay.percent ?? percentOf(fault.delay.percentage)) : 0,
    abortStatus: fault.abort?.httpStatus ?? 503,
    abortPercent: fault.abort ? percentOf(fault.abort.percentage) : 0,
  }
}

/**
 * A rewritten uri replaces the matched prefix, or the whole path where the route matches an exact path or a regex;
 * a route without a uri condition counts as prefix `/`.
 */
function compileRewrite(rewrite: Rewrite | undefined, matches: HttpMatch[] | undefined): (path: string) => string {
  const regex = rewrite?.uriRegexRewrite
  if (regex?.match) {
    const pattern = new RegExp(compileRegex(regex.match, 'rewrite.uriRegexRewrite').source.slice(1, -1), 'g')
    const substitute = (regex.rewrite ?? '').replaceAll('$', '$$$$').replaceAll(/\\(\d)/g, '$$$1')
    return (path) => path.replaceAll(pattern, substitute)
  }
  const uri = rewrite?.uri
  if (!uri) return (path) => path
  const conditions = (matches ?? []).map((match) => ({
    uri: match.uri,
    holds: match.uri ? compileString(match.uri, 'uri', match.ignoreUriCase) : () => true,
  }))
  return (path) => {
    const matched = conditions.find((condition) => condition.holds(path))?.uri
    if (matched?.exact !== undefined || matched?.regex !== undefined) return uri
    return uri + path.slice(matched?.prefix?.length ?? 1)
  }
}

import type { Problem } from '../../errors.ts'
import type { Pair } from '../router.ts'
import { canonicalHost, sameHost } from './host.ts'
import { type Destination, describeRoute, type Route, routeId, routesIn } from './virtualservice.ts'

/** Which VirtualService, which of its routes, and which service's subsets are meant. */
export interface Place {
  namespace: string
  name: string
  /** Names (or `tcp[0]`-like positions) of the owned routes; left out: the only route that splits between the pair. */
  routes: readonly string[] | undefined
  /** Host of the DestinationRule, where it is known: subsets of other hosts are not meant. */
  host: string | undefined
}

/** The owned pair where it stands in one route. */
export interface PairInRoute {
  route: Route
  stable: Destination
  canary: Destination
  /** Retreats only: further destinations of the canary, which somebody added in the middle of a rollout. */
  moreCanaries?: Destination[]
}

export type Located = { ok: true; pairs: PairInRoute[] } | { ok: false; problem: Problem }

/** Finds the pair in every owned route of a VirtualService, or says why that cannot be done without guessing. */
export function locate(virtualService: unknown, place: Place, pair: Pair): Located {
  const routes = ownedRoutes(virtualService, place)
  if (!routes.ok) return routes
  const results = routes.routes.map((route) => pairIn(route, place, pair))
  if (place.routes) {
    const problem = results.find((r) => r.kind !== 'pair')
    if (problem) return { ok: false, problem: problem.problem }
    return { ok: true, pairs: results.flatMap((r) => (r.kind === 'pair' ? [r] : [])) }
  }
  const pairs = results.flatMap((r) => (r.kind === 'pair' ? [r] : []))
  if (pairs.length > 1) return { ok: false, problem: ambiguousRoutes(place, pair, pairs) }
  const ambiguous = results.find((r) => r.kind === 'ambiguous')
  if (ambiguous) return { ok: false, problem: ambiguous.problem }
  if (pairs.length === 1) return { ok: true, pairs }
  return { ok: false, problem: nowhere(routes.routes, place, pair) }
}

/** What a retreat can do: the pairs to lower, and what stands in the way elsewhere. */
export interface RetreatTargets {
  pairs: PairInRoute[]
  problem?: Problem
}

/**
 * Finds every route a retreat has to lower. More willing than `locate`, because a route that was renamed, copied or broken in the middle
 * of a rollout must not keep the others from being lowered (I2): without named routes every route that holds the pair counts,
 * a route without the canary is as low as it gets, and where the canary stands several times all of it is meant.
 */
export function locateForRetreat(virtualService: unknown, place: Place, pair: Pair): RetreatTargets {
  const all = routesIn(virtualService)
  const missing = place.routes?.find((name) => !all.some((route) => routeId(route) === name))
  const chosen = place.routes ? all.filter((route) => place.routes?.includes(routeId(route))) : all
  const results = chosen.map((route) => pairIn(route, place, pair))
  const pairs = results.flatMap((r) => (r.kind === 'pair' ? [r] : r.kind === 'ambiguous' ? (r.every ?? []) : []))
  const stuck = results.find((r) => (r.kind === 'ambiguous' && !r.every) || (r.kind === 'missing' && r.hasCanary))
  const problem =
    stuck && stuck.kind !== 'pair'
      ? stuck.problem
      : missing === undefined
        ? undefined
        : missingRoute(place, missing, all)
  return { pairs, problem }
}

/** The routes the spec names, or every route that could be meant when it names none. */
export function ownedRoutes(
  virtualService: unknown,
  place: Place,
): { ok: true; routes: Route[] } | { ok: false; problem: Problem } {
  const all = routesIn(virtualService)
  if (place.routes) {
    const routes: Route[] = []
    for (const name of place.routes) {
      const named = all.filter((route) => routeId(route) === name)
      const [route] = named
      if (!route) return { ok: false, problem: missingRoute(place, name, all) }
      if (named.length > 1) {
        const message = `${describe(place)} has ${named.length} routes named "${name}"`
        return { ok: false, problem: { reason: 'RouteAmbiguous', message, field: ROUTES } }
      }
      if (route.delegates) return { ok: false, problem: delegates(place, route) }
      routes.push(route)
    }
    return { ok: true, routes }
  }
  const routes = all.filter((route) => !route.delegates)
  if (routes.length > 0) return { ok: true, routes }
  const [delegating] = all
  if (delegating) return { ok: false, problem: delegates(place, delegating) }
  return { ok: false, problem: { reason: 'RouteMissing', message: `${describe(place)} has no routes`, field: ROUTES } }
}

/** Whether a destination is the one called `name`: by its subset, or by its host where it has no subset. */
function isNamed(destination: Destination, name: string, place: Place): boolean {
  if (destination.subset === undefined) return sameHost(destination.host, name, place.namespace)
  return (
    destination.subset === name && (place.host === undefined || sameHost(destination.host, place.host, place.namespace))
  )
}

/** `VirtualService shop/checkout`. */
export function describe(place: Pick<Place, 'namespace' | 'name'>): string {
  return `VirtualService ${place.namespace}/${place.name}`
}

const ROUTES = 'spec.traffic.istio.virtualService.routes'

type PairResult =
  | ({ kind: 'pair' } & PairInRoute)
  | { kind: 'missing'; problem: Problem; hasCanary: boolean }
  /** `every`: the pair with all of its doubles, where they are doubles of one pair and not pairs of different services. */
  | { kind: 'ambiguous'; problem: Problem; every: PairInRoute | undefined }

function pairIn(route: Route, place: Place, pair: Pair): PairResult {
  const stables = route.destinations.filter((d) => isNamed(d, pair.stable, place))
  const canaries = route.destinations.filter((d) => isNamed(d, pair.canary, place))
  const sides = stables.flatMap((stable) =>
    canaries.filter((canary) => belongTogether(stable, canary, place)).map((canary) => ({ stable, canary })),
  )
  const hosts = new Set([...stables, ...canaries].map((d) => canonicalHost(d.host, place.namespace)))
  const [side] = sides
  if (side && sides.length === 1) return { kind: 'pair', route, ...side }
  const where = `${describeRoute(route)} of ${describe(place)}`
  if (side) {
    const twice = sides.every((s) => s.stable === side.stable) ? pair.canary : pair.stable
    const message = `${where} has several destinations for "${twice}"`
    const moreCanaries = canaries.filter((d) => d !== side.canary)
    const every = side.stable.subset === undefined || hosts.size === 1 ? { route, ...side, moreCanaries } : undefined
    return { kind: 'ambiguous', problem: { reason: 'DestinationAmbiguous', message }, every }
  }
  const absent = [stables.length === 0 ? pair.stable : [], canaries.length === 0 ? pair.canary : []].flat()
  const message =
    absent.length === 0
      ? `${where} has "${pair.stable}" and "${pair.canary}" only as subsets of different hosts (${[...hosts].join(', ')})`
      : route.destinations.length === 1 && absent.length === 1
        ? `${where} sends everything to one destination and has none for "${absent[0]}"`
        : `${where} has no destination for ${absent.map((name) => `"${name}"`).join(' and ')}`
  return { kind: 'missing', problem: { reason: 'DestinationMissing', message }, hasCanary: canaries.length > 0 }
}

/** Two subsets of one host, or two hosts without subsets. */
function belongTogether(a: Destination, b: Destination, place: Place): boolean {
  if (a === b || (a.subset === undefined) !== (b.subset === undefined)) return false
  return a.subset === undefined || sameHost(a.host, b.host, place.namespace)
}

function missingRoute(place: Place, name: string, all: readonly Route[]): Problem {
  const there = all.length === 0 ? 'it has no routes' : `it has ${all.map((r) => `"${routeId(r)}"`).join(', ')}`
  return { reason: 'RouteMissing', message: `${describe(place)} has no route "${name}" (${there})`, field: ROUTES }
}

function delegates(place: Place, route: Route): Problem {
  const message = `${describeRoute(route)} of ${describe(place)} hands its requests to another VirtualService (delegate)`
  return { reason: 'RouteDelegates', message, field: ROUTES }
}

function ambiguousRoutes(place: Place, pair: Pair, pairs: readonly PairInRoute[]): Problem {
  const names = pairs.map((p) => describeRoute(p.route)).join(', ')
  const message = `${pairs.length} routes of ${describe(place)} split traffic between "${pair.stable}" and "${pair.canary}": ${names}`
  return { reason: 'RouteAmbiguous', message, field: ROUTES }
}

function nowhere(routes: readonly Route[], place: Place, pair: Pair): Problem {
  const destinations = routes.flatMap((route) => route.destinations)
  const absent = [pair.stable, pair.canary].filter((name) => !destinations.some((d) => isNamed(d, name, place)))
  const message =
    absent.length === 0
      ? `no route of ${describe(place)} has destinations for both "${pair.stable}" and "${pair.canary}"`
      : `no route of ${describe(place)} has a destination for ${absent.map((name) => `"${name}"`).join(' or ')}`
  return { reason: 'DestinationMissing', message }
}

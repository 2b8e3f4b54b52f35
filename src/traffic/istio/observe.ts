import { lastWriterOf } from '../../kube/managed-fields.ts'
import type { KubeObject } from '../../kube/object.ts'
import type { PairObservation } from '../../plan/observation.ts'
import { percentOf } from '../../plan/weights.ts'
import type { Pair, RouteObservation } from '../router.ts'
import { sameHost, serviceOf } from './host.ts'
import { describe, locate, ownedRoutes, type PairInRoute, type Place } from './locate.ts'
import { type Destination, describeRoute, type Protocol, type Route } from './virtualservice.ts'

/** What a VirtualService says about the owned routes and the pairs that are asked for. */
export function observeRoutes(virtualService: KubeObject, place: Place, pairs: readonly Pair[]): RouteObservation {
  const owned = ownedRoutes(virtualService, place)
  if (!owned.ok) return { problem: owned.problem }
  const located = pairs.map((pair) => locate(virtualService, place, pair))
  const split = place.routes ? owned.routes : splittingRoutes(owned.routes, place)
  const holding = located.flatMap((l) => (l.ok ? l.pairs.map((p) => p.route) : []))
  if (!place.routes && pairs.length === 0 && split.length > 1) {
    const names = split.map(describeRoute).join(', ')
    return {
      problem: { reason: 'RouteAmbiguous', message: `${describe(place)} splits traffic in several routes: ${names}` },
    }
  }
  const routes = place.routes || holding.length === 0 ? split : holding
  return {
    shares: sharesOf(routes.length > 0 ? routes : owned.routes, place),
    pairs: located.map((l, i) => (l.ok ? pairObservation(virtualService, place, pairs[i]!, l.pairs) : l)),
  }
}

/** The percent every version gets, of all that its route carries; the greatest where routes differ. */
function sharesOf(routes: readonly Route[], place: Place): Record<string, number> {
  const shares = new Map<string, number>()
  for (const route of routes) {
    const total = route.destinations.reduce((sum, d) => sum + d.points, 0)
    const points = new Map<string, number>()
    for (const destination of route.destinations) {
      if (!isVersion(destination, place)) continue
      const name = versionName(destination, place.namespace)
      points.set(name, (points.get(name) ?? 0) + destination.points)
    }
    for (const [name, p] of points) shares.set(name, Math.max(shares.get(name) ?? 0, percentOf(p, total)))
  }
  return Object.fromEntries(shares)
}

function pairObservation(object: KubeObject, place: Place, pair: Pair, found: readonly PairInRoute[]): PairObservation {
  const splits = found.map((p) => ({ canary: p.canary.points, sum: p.stable.points + p.canary.points }))
  const sum = Math.min(...splits.map((s) => s.sum))
  if (sum <= 0) {
    const route = found.find((p) => p.stable.points + p.canary.points <= 0)
    const where = `${route ? describeRoute(route.route) : 'a route'} of ${describe(place)}`
    const message = `the weights of "${pair.stable}" and "${pair.canary}" in ${where} sum to 0`
    return { ok: false, problem: { reason: 'WeightsZero', message } }
  }
  return {
    ok: true,
    ...pair,
    weight: Math.max(...splits.map((s) => percentOf(s.canary, s.sum))),
    sum,
    ...(areUneven(splits)
      ? { uneven: true, lowest: Math.min(...splits.map((s) => percentOf(s.canary, s.sum))) }
      : { uneven: false }),
    resourceVersion: object.metadata.resourceVersion ?? '',
    writer: writerOf(
      object,
      found.map((p) => p.route.protocol),
    ),
  }
}

/** Whether no single weight can have been written to all of the routes: sums may differ, and with them the rounding. */
function areUneven(splits: readonly { canary: number; sum: number }[]): boolean {
  const ranges = splits.map(({ canary, sum }) => {
    if (canary === 0) return [0, 0] as const
    if (canary === sum) return [100, 100] as const
    // `pointsFor` raises a small step to 1 point and lowers a great one to all but 1.
    const low = canary === 1 ? 0 : percentOf(canary - 0.5, sum)
    const high = canary === sum - 1 ? 100 : percentOf(canary + 0.5, sum)
    return [low + 1e-9, high - 1e-9] as const
  })
  return Math.max(...ranges.map(([low]) => low)) > Math.min(...ranges.map(([, high]) => high))
}

function writerOf(object: KubeObject, written: readonly Protocol[]): { manager: string; time?: string } | undefined {
  const writers = [...new Set(written)].flatMap((protocol) => lastWriterOf(object, `f:spec/f:${protocol}`) ?? [])
  const newest = writers.reduce<(typeof writers)[number] | undefined>(
    (best, w) => (best === undefined || (w.time ?? '') > (best.time ?? '') ? w : best),
    undefined,
  )
  return newest && { manager: newest.manager, ...(newest.time ? { time: newest.time } : {}) }
}

/** Routes that choose between two or more versions. */
export function splittingRoutes(routes: readonly Route[], place: Place): Route[] {
  return routes.filter((route) => route.destinations.filter((d) => isVersion(d, place)).length > 1)
}

function isVersion(destination: Destination, place: Place): boolean {
  if (place.host === undefined || destination.subset === undefined) return true
  return sameHost(destination.host, place.host, place.namespace)
}

/** A version is called by its subset, or by its Service: the short name in the same namespace, else the host as written. */
export function versionName(destination: Pick<Destination, 'host' | 'subset'>, namespace: string): string {
  if (destination.subset !== undefined) return destination.subset
  const service = serviceOf(destination.host, namespace)
  return service?.namespace === namespace ? service.name : destination.host
}

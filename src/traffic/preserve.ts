import { fieldAt, listAt } from '../kube/field.ts'
import type { KubeObject } from '../kube/object.ts'
import { canonicalJson } from '../plan/revision.ts'
import { canonicalHost } from './istio/host.ts'
import { type Destination, type Route, routeId, routesIn } from './istio/virtualservice.ts'

/**
 * The object to apply when Git declares `desired` and the cluster has `live`: everything as declared, except the weights of the owned
 * routes. There every destination that exists live keeps its live weight, wherever it stands, and one that is new to the route gets 0,
 * so that only the rollout moves traffic. A route that is new stays as declared, and so does one of whose live destinations none that
 * carries traffic is left: it would carry nothing at all. `owned.routes` left out means every route with several destinations.
 * Pure; `desired` is not changed. Anything but a VirtualService is answered as it is.
 */
export function preserveWeights(
  desired: KubeObject,
  live: KubeObject | undefined,
  owned: { routes?: readonly string[] | undefined },
): KubeObject {
  if (!live || desired.kind !== 'VirtualService') return desired
  const namespace = desired.metadata.namespace ?? live.metadata.namespace ?? ''
  const liveRoutes = routesIn(live)
  const desiredRoutes = routesIn(desired)
  const weights = new Map<string, number>()
  for (const route of desiredRoutes) {
    if (owned.routes && !owned.routes.includes(routeId(route))) continue
    const before = liveCounterpart(route, { desired, live, desiredRoutes, liveRoutes })
    if (!before || (!owned.routes && route.destinations.length < 2)) continue
    for (const [index, points] of keptWeights(route, before, namespace)) weights.set(pathKey(route, index), points)
  }
  return weights.size === 0 ? desired : withWeights(desired, desiredRoutes, weights)
}

/** The weights that differ from the declared ones, by position in the declared route. */
function keptWeights(route: Route, before: Route, namespace: string): [number, number][] {
  const remaining = new Map<string, number[]>()
  for (const d of before.destinations) {
    const id = identityOf(d, namespace)
    remaining.set(id, [...(remaining.get(id) ?? []), d.points])
  }
  const kept = route.destinations.map((d) => remaining.get(identityOf(d, namespace))?.shift() ?? 0)
  if (kept.reduce((sum, points) => sum + points, 0) === 0) return []
  return kept.flatMap((points, index): [number, number][] => {
    const declared = route.destinations[index]
    return declared && declared.points !== points ? [[index, points]] : []
  })
}

/** Subset and host, in whatever spelling, and port: what a destination is, apart from its weight. */
function identityOf(destination: Destination, namespace: string): string {
  const host = canonicalHost(destination.host, namespace)
  return canonicalJson([host, destination.subset ?? '', fieldAt(destination.raw, 'port', 'number') ?? ''])
}

interface Both {
  desired: KubeObject
  live: KubeObject
  desiredRoutes: readonly Route[]
  liveRoutes: readonly Route[]
}

/**
 * The live route that a declared one is: by name; without one, or when it was renamed, the only one left over with the same matches;
 * unnamed routes else by position.
 */
function liveCounterpart(route: Route, both: Both): Route | undefined {
  const peers = both.liveRoutes.filter((r) => r.protocol === route.protocol)
  if (route.name !== undefined) {
    const named = peers.find((peer) => peer.name === route.name)
    if (named) return named
  }
  const declaredNames = new Set(both.desiredRoutes.map((r) => r.name))
  const unnamed = peers.filter((peer) => peer.name === undefined)
  const free =
    route.name === undefined ? unnamed : peers.filter((p) => p.name === undefined || !declaredNames.has(p.name))
  const own = matchesOf(both.desired, route)
  const alike = free.filter((peer) => matchesOf(both.live, peer) === own)
  if (alike.length === 1) return alike[0]
  if (route.name !== undefined) return undefined
  const siblings = both.desiredRoutes.filter((r) => r.protocol === route.protocol && r.name === undefined)
  return unnamed[siblings.indexOf(route)]
}

function matchesOf(object: KubeObject, route: Route): string {
  return canonicalJson(listAt(object, 'spec', route.protocol, route.index, 'match'))
}

function withWeights(object: KubeObject, routes: readonly Route[], weights: ReadonlyMap<string, number>): KubeObject {
  const copy = structuredClone(object)
  for (const route of routes) {
    for (const { index } of route.destinations) {
      const points = weights.get(pathKey(route, index))
      const entry = fieldAt(copy, 'spec', route.protocol, route.index, 'route', index)
      if (points !== undefined && typeof entry === 'object' && entry !== null) Object.assign(entry, { weight: points })
    }
  }
  return copy
}

function pathKey(route: Route, index: number): string {
  return `${route.protocol}/${route.index}/${index}`
}

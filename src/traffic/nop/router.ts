import type { Problem } from '../../errors.ts'
import { RETREAT_MANAGER } from '../../plan/retreat.ts'
import { percentOf, pointsFor } from '../../plan/weights.ts'
import type { Pair, Router, Traffic, WeightWrite } from '../router.ts'

/** Points by route and destination. */
export type NopRoutes = Record<string, Record<string, number>>

export interface NopRouter extends Router {
  /** A copy of all points. */
  points(): NopRoutes
  /** What somebody else does to the routes; counts as a write by `manager`. */
  interfere(routes: NopRoutes, manager: string): void
}

/** Keeps the weights of one imaginary route object in memory and moves no traffic: for tests and simulations. */
export function createNopRouter(initial: NopRoutes): NopRouter {
  let routes = structuredClone(initial)
  let version = 1
  let writer: { manager: string } | undefined

  function owned(
    spec: Traffic,
    pair: Pair | undefined,
  ): { ok: true; names: string[] } | { ok: false; problem: Problem } {
    const named = spec.istio?.virtualService.routes
    const missing = named?.find((name) => !routes[name])
    if (missing !== undefined) return refuse('RouteMissing', `there is no route "${missing}"`)
    const splits = Object.entries(routes).filter(([, points]) =>
      pair ? pair.stable in points && pair.canary in points : Object.keys(points).length > 1,
    )
    const names = named ?? splits.map(([name]) => name)
    if (names.length === 0)
      return refuse('DestinationMissing', `no route has both "${pair?.stable}" and "${pair?.canary}"`)
    if (!named && names.length > 1) return refuse('RouteAmbiguous', `several routes split traffic: ${names.join(', ')}`)
    return { ok: true, names }
  }

  function sides(spec: Traffic, pair: Pair) {
    const found = owned(spec, pair)
    if (!found.ok) return found
    const splits: { points: Record<string, number>; stable: number; canary: number; sum: number }[] = []
    for (const name of found.names) {
      const points = routes[name] ?? {}
      const [stable, canary] = [points[pair.stable], points[pair.canary]]
      if (stable === undefined || canary === undefined) {
        const absent = stable === undefined ? pair.stable : pair.canary
        return refuse('DestinationMissing', `route "${name}" has no destination for "${absent}"`)
      }
      splits.push({ points, stable, canary, sum: stable + canary })
    }
    return { ok: true, splits } as const
  }

  return {
    points: () => structuredClone(routes),
    interfere(changes, manager) {
      routes = { ...routes, ...structuredClone(changes) }
      version++
      writer = { manager }
    },

    observe(spec, _namespace, pairs) {
      const found = owned(spec, pairs[0])
      if (!found.ok && (pairs.length === 0 || spec.istio?.virtualService.routes)) return { problem: found.problem }
      const shares: Record<string, number> = {}
      for (const points of (found.ok ? found.names : Object.keys(routes)).map((name) => routes[name] ?? {})) {
        const total = Object.values(points).reduce((a, b) => a + b, 0)
        for (const [name, p] of Object.entries(points)) shares[name] = Math.max(shares[name] ?? 0, percentOf(p, total))
      }
      return {
        shares,
        pairs: pairs.map((pair) => {
          const pairSides = sides(spec, pair)
          if (!pairSides.ok) return pairSides
          const { splits } = pairSides
          const sum = Math.min(...splits.map((s) => s.sum))
          if (sum <= 0) return refuse('WeightsZero', 'the two weights sum to 0')
          const percents = splits.map((s) => percentOf(s.canary, s.sum))
          const weight = Math.max(...percents)
          const uneven = percents.some((percent) => Math.abs(percent - weight) > 1)
          return { ok: true, ...pair, weight, sum, uneven, resourceVersion: String(version), writer }
        }),
      }
    },

    async setWeight(spec, _namespace, write): Promise<WeightWrite> {
      const { direction, resourceVersion, weight } = write
      const stale = direction === 'forward' && resourceVersion !== undefined && resourceVersion !== String(version)
      if (stale) {
        return {
          ...refuse('WeightContested', 'the weights were changed in the meantime'),
          transient: false,
          conflict: true,
        }
      }
      const found = sides(spec, write)
      if (!found.ok) return { ...found, transient: false, conflict: false }
      let changed = false
      for (const { points, canary, sum } of found.splits) {
        const wanted = pointsFor(weight, sum)
        if (!wanted.ok) return { ...wanted, transient: false, conflict: false }
        if (wanted.canary === canary || (direction === 'retreat' && wanted.canary > canary)) continue
        points[write.stable] = wanted.stable
        points[write.canary] = wanted.canary
        changed = true
      }
      if (changed) {
        version++
        writer = { manager: direction === 'retreat' ? `${RETREAT_MANAGER}${write.reason ?? 'unknown'}` : 'sluice' }
      }
      return { ok: true, changed, resourceVersion: String(version) }
    },

    routesOf(spec, namespace) {
      const found = owned(spec, undefined)
      return found.ok ? found.names.map((name) => `nop/${namespace}#${name}`) : []
    },
  }
}

function refuse(reason: Problem['reason'], message: string): { ok: false; problem: Problem } {
  return { ok: false, problem: { reason, message } }
}

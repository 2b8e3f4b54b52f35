import { afterEach, describe, expect, test } from 'vitest'
import type { SetWeight } from '../../src/plan/effects.ts'
import type { PairObservation } from '../../src/plan/observation.ts'
import type { Pair, Router, Traffic } from '../../src/traffic/router.ts'

/** Points by route and destination. */
export type Weights = Record<string, Record<string, number>>

/** One route object somewhere, the router under test, and somebody else who may write to it too. */
export interface RouterWorld {
  router: Router
  namespace: string
  /** The spec that names these routes, or none. */
  spec(routes?: string[]): Traffic
  /** What the world says now. */
  weights(): Promise<Weights>
  /** Somebody else sets the weights of some routes. */
  interfere(weights: Weights, manager: string): Promise<void>
  /** Somebody else changes something that is no weight. */
  touch(): Promise<void>
  /** Resolves when the router's caches have caught up. */
  settle(): Promise<void>
  stop(): Promise<void>
}

const v1v2: Pair = { stable: 'v1', canary: 'v2' }

/** What every router does, whatever it writes to. Destinations called v1, v2 … must be possible in any of its routes. */
export function routerConformance(name: string, make: (weights: Weights) => Promise<RouterWorld>): void {
  describe(`router: ${name}`, () => {
    const worlds: RouterWorld[] = []
    afterEach(async () => {
      await Promise.all(worlds.splice(0).map((world) => world.stop()))
    })

    async function world(weights: Weights): Promise<RouterWorld> {
      const made = await make(weights)
      worlds.push(made)
      await made.settle()
      return made
    }

    function pairOf(w: RouterWorld, spec = w.spec(['primary']), pair = v1v2): PairObservation {
      const seen = w.router.observe(spec, w.namespace, [pair])
      if (seen.problem) throw new Error(seen.problem.message)
      return seen.pairs[0]!
    }

    function write(w: RouterWorld, change: Partial<SetWeight> & { weight: number }, spec = w.spec(['primary'])) {
      return w.router.setWeight(spec, w.namespace, {
        kind: 'setWeight',
        direction: 'forward',
        stable: 'v1',
        canary: 'v2',
        ...change,
      })
    }

    function versionOf(w: RouterWorld): string {
      const seen = pairOf(w)
      if (!seen.ok) throw new Error(seen.problem.message)
      return seen.resourceVersion
    }

    test('sees the share of every version and the weight within the pair', async () => {
      const w = await world({ primary: { v1: 60, v2: 20, v3: 20 } })
      expect(w.router.observe(w.spec(['primary']), w.namespace, [v1v2])).toMatchObject({
        shares: { v1: 60, v2: 20, v3: 20 },
        pairs: [{ ok: true, stable: 'v1', canary: 'v2', weight: 25, sum: 80, uneven: false }],
      })
    })

    test('finds the only route that splits the pair when none is named', async () => {
      const w = await world({ primary: { v1: 90, v2: 10 }, other: { v1: 100 } })
      expect(pairOf(w, w.spec())).toMatchObject({ ok: true, weight: 10 })
      expect(await write(w, { weight: 50 }, w.spec())).toMatchObject({ ok: true, changed: true })
      expect(await w.weights()).toEqual({ primary: { v1: 50, v2: 50 }, other: { v1: 100 } })
    })

    test('does not guess between two routes', async () => {
      const w = await world({ primary: { v1: 90, v2: 10 }, other: { v1: 90, v2: 10 } })
      expect(pairOf(w, w.spec())).toMatchObject({ ok: false, problem: { reason: 'RouteAmbiguous' } })
      expect(await write(w, { weight: 50 }, w.spec())).toMatchObject({
        ok: false,
        problem: { reason: 'RouteAmbiguous' },
      })
      expect(await w.weights()).toEqual({ primary: { v1: 90, v2: 10 }, other: { v1: 90, v2: 10 } })
    })

    test('moves the pair forward and leaves its sum and every other destination alone', async () => {
      const w = await world({ primary: { v1: 80, v2: 0, v3: 20 }, other: { v1: 100, v2: 0 } })
      expect(await write(w, { weight: 25, resourceVersion: versionOf(w) })).toMatchObject({ ok: true, changed: true })
      expect(await w.weights()).toEqual({ primary: { v1: 60, v2: 20, v3: 20 }, other: { v1: 100, v2: 0 } })
      await w.settle()
      expect(pairOf(w)).toMatchObject({ weight: 25, sum: 80, writer: { manager: 'sluice' } })
    })

    test('answers the version it wrote, from which the next write can start', async () => {
      const w = await world({ primary: { v1: 100, v2: 0 } })
      const first = await write(w, { weight: 10, resourceVersion: versionOf(w) })
      await w.settle()
      expect(first).toMatchObject({ ok: true, resourceVersion: versionOf(w) })
      if (!first.ok) throw new Error(first.problem.message)
      expect(await write(w, { weight: 50, resourceVersion: first.resourceVersion })).toMatchObject({ changed: true })
      expect(await w.weights()).toEqual({ primary: { v1: 50, v2: 50 } })
    })

    test('writes every named route, each in its own points', async () => {
      const w = await world({ primary: { v1: 100, v2: 0 }, other: { v1: 1000, v2: 0 } })
      await write(w, { weight: 10 }, w.spec(['primary', 'other']))
      expect(await w.weights()).toEqual({ primary: { v1: 90, v2: 10 }, other: { v1: 900, v2: 100 } })
      await w.settle()
      expect(pairOf(w, w.spec(['primary', 'other']))).toMatchObject({ weight: 10, sum: 100, uneven: false })
    })

    test('says when routes do not agree, and takes the greatest canary weight', async () => {
      const w = await world({ primary: { v1: 90, v2: 10 }, other: { v1: 50, v2: 50 } })
      expect(pairOf(w, w.spec(['primary', 'other']))).toMatchObject({ weight: 50, uneven: true })
    })

    test('writes nothing when everything is as wanted', async () => {
      const w = await world({ primary: { v1: 90, v2: 10 } })
      const before = versionOf(w)
      expect(await write(w, { weight: 10 })).toMatchObject({ ok: true, changed: false })
      await w.settle()
      expect(versionOf(w)).toBe(before)
    })

    test('does not move forward over somebody else’s change', async () => {
      const w = await world({ primary: { v1: 90, v2: 10 } })
      const resourceVersion = versionOf(w)
      await w.touch()
      expect(await write(w, { weight: 50, resourceVersion })).toMatchObject({ ok: false, conflict: true })
      await w.settle()
      expect(await write(w, { weight: 50, resourceVersion })).toMatchObject({ ok: false, conflict: true })
      expect(await w.weights()).toEqual({ primary: { v1: 90, v2: 10 } })
    })

    test('retreats whatever somebody else changed since the route was observed', async () => {
      const w = await world({ primary: { v1: 90, v2: 10, v3: 7 } })
      const resourceVersion = versionOf(w)
      await w.touch()
      await w.interfere({ primary: { v1: 30, v2: 70, v3: 7 } }, 'somebody')
      const retreat = { direction: 'retreat', weight: 0, resourceVersion, reason: 'success-rate' } as const
      expect(await write(w, retreat)).toMatchObject({ ok: true, changed: true })
      expect(await w.weights()).toEqual({ primary: { v1: 100, v2: 0, v3: 7 } })
      await w.settle()
      expect(pairOf(w)).toMatchObject({ weight: 0, writer: { manager: 'sluice-retreat.success-rate' } })
      expect(await write(w, retreat)).toMatchObject({ ok: true, changed: false })
    })

    test('never raises a weight by a retreat', async () => {
      const w = await world({ primary: { v1: 95, v2: 5 } })
      expect(await write(w, { direction: 'retreat', weight: 10 })).toMatchObject({ ok: true, changed: false })
      expect(await w.weights()).toEqual({ primary: { v1: 95, v2: 5 } })
    })

    test('names who wrote the weights last', async () => {
      const w = await world({ primary: { v1: 90, v2: 10 } })
      await w.interfere({ primary: { v1: 95, v2: 5 } }, 'flux')
      await w.settle()
      expect(pairOf(w)).toMatchObject({ weight: 5, writer: { manager: 'flux' } })
    })

    test.each([
      ['RouteMissing', { other: { v1: 90, v2: 10 } }],
      ['DestinationMissing', { primary: { v1: 90, v3: 10 } }],
      ['WeightsZero', { primary: { v1: 0, v2: 0, v3: 100 } }],
    ])('refuses with %s and leaves the weights alone', async (reason, weights: Weights) => {
      const w = await world(weights)
      const seen = w.router.observe(w.spec(['primary']), w.namespace, [v1v2])
      const found = seen.problem ?? (seen.pairs[0]?.ok === false ? seen.pairs[0].problem : undefined)
      expect(found?.reason).toBe(reason)
      expect(await write(w, { weight: 10 })).toMatchObject({ ok: false, transient: false, problem: { reason } })
      expect(await w.weights()).toEqual(weights)
    })

    test('refuses a pair too coarse for the step', async () => {
      const w = await world({ primary: { v1: 3, v2: 0 } })
      const answer = await write(w, { weight: 10 })
      expect(answer).toMatchObject({ ok: false, transient: false, problem: { reason: 'WeightsTooCoarse' } })
      expect(await w.weights()).toEqual({ primary: { v1: 3, v2: 0 } })
    })

    test('gives the same identity to the same route and different ones to different routes', async () => {
      const w = await world({ primary: { v1: 90, v2: 10 }, other: { v1: 100 } })
      const { router, namespace } = w
      expect(router.routesOf(w.spec(), namespace)).toEqual(router.routesOf(w.spec(['primary']), namespace))
      const primary = router.routesOf(w.spec(['primary']), namespace)
      expect(router.routesOf(w.spec(['other']), namespace)).not.toEqual(primary)
      expect(router.routesOf(w.spec(['primary', 'other']), namespace)).toEqual(expect.arrayContaining(primary))
      expect(router.routesOf(w.spec(['primary']), 'elsewhere')).not.toEqual(primary)
    })
  })
}

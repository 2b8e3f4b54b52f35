import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { KubeObject } from '../../src/kube/object.ts'
import { preserveWeights } from '../../src/traffic/preserve.ts'
import { to, virtualService } from './istio/objects.ts'

/** Weights of a route, by what stands there. */
function weights(object: KubeObject, index = 0, protocol = 'http'): unknown {
  const routes = (object.spec as Record<string, { route: { weight?: number }[] }[]>)[protocol]
  return routes?.[index]?.route.map((d) => d.weight)
}

const primary = (...route: unknown[]) => virtualService({ http: [{ name: 'primary', route }] })
const owned = { routes: ['primary'] }

describe('preserveWeights', () => {
  test('keeps live weights against the declared ones, wherever the destinations stand', () => {
    const live = primary(to('v1', 70), to('v2', 30))
    const desired = primary(to('v2', 0, 'checkout.shop.svc.cluster.local'), to('v1', 100))
    expect(weights(preserveWeights(desired, live, owned))).toEqual([30, 70])
  })

  test('applies a destination new to the route at 0', () => {
    const live = primary(to('v1', 100), to('v2', 0))
    const desired = primary(to('v1', 80), to('v2', 10), to('v3', 10))
    expect(weights(preserveWeights(desired, live, owned))).toEqual([100, 0, 0])
  })

  test('takes a live route with one destination for what it is: everything', () => {
    const desired = primary(to('v1', 90), to('v2', 10))
    expect(weights(preserveWeights(desired, primary(to('v1')), owned))).toEqual([100, 0])
    expect(weights(preserveWeights(desired, primary(to('v1', 0)), owned))).toEqual([100, 0])
  })

  test('takes everything else from Git', () => {
    const live = virtualService({ http: [{ name: 'primary', timeout: '1s', route: [to('v1', 70), to('v2', 30)] }] })
    const desired = virtualService({
      gateways: ['mesh'],
      http: [{ name: 'primary', timeout: '2s', retries: { attempts: 2 }, route: [to('v1', 100), to('v2', 0)] }],
    })
    expect(preserveWeights(desired, live, owned)).toEqual(
      virtualService({
        gateways: ['mesh'],
        http: [{ name: 'primary', timeout: '2s', retries: { attempts: 2 }, route: [to('v1', 70), to('v2', 30)] }],
      }),
    )
  })

  test('leaves routes that are not owned, and new routes, as declared', () => {
    const live = virtualService({
      http: [
        { name: 'primary', route: [to('v1', 70), to('v2', 30)] },
        { name: 'b', route: [to('v1', 5), to('v2', 5)] },
      ],
    })
    const desired = virtualService({
      http: [
        { name: 'new', match: [{ uri: { exact: '/' } }], route: [to('v1', 1), to('v2', 99)] },
        { name: 'b', route: [to('v1', 9), to('v2', 1)] },
        { name: 'primary', route: [to('v1', 100), to('v2', 0)] },
      ],
    })
    const applied = preserveWeights(desired, live, { routes: ['primary', 'new'] })
    expect([0, 1, 2].map((i) => weights(applied, i))).toEqual([
      [1, 99],
      [9, 1],
      [70, 30],
    ])
  })

  test('without named routes keeps the weights of every route that splits', () => {
    const live = virtualService({
      http: [{ route: [to('v1', 70), to('v2', 30)] }],
      tcp: [{ route: [to('v1', 60), to('v2', 40)] }],
    })
    const desired = virtualService({
      http: [{ route: [to('v1', 100), to('v2', 0)] }],
      tcp: [{ route: [to('v1', 1), to('v2', 0)] }],
    })
    const applied = preserveWeights(desired, live, {})
    expect([weights(applied), weights(applied, 0, 'tcp')]).toEqual([
      [70, 30],
      [60, 40],
    ])
  })

  test('finds an unnamed route by its matches when Git put another before it', () => {
    const byHeader = { match: [{ headers: { a: { exact: 'b' } } }] }
    const live = virtualService({ http: [{ route: [to('v1', 70), to('v2', 30)] }] })
    const desired = virtualService({
      http: [{ ...byHeader, route: [to('v1', 100), to('v2', 0)] }, { route: [to('v1', 100), to('v2', 0)] }],
    })
    expect(weights(preserveWeights(desired, live, {}), 1)).toEqual([70, 30])
  })

  test('does not take a new named route for the unnamed one at its place', () => {
    const live = virtualService({ http: [{ match: [{ uri: { exact: '/a' } }], route: [to('v1', 70), to('v2', 30)] }] })
    const desired = virtualService({
      http: [{ name: 'primary', match: [{ uri: { exact: '/b' } }], route: [to('v1', 5), to('v2', 95)] }],
    })
    expect(weights(preserveWeights(desired, live, owned))).toEqual([5, 95])
  })

  test('tells destinations on different ports of one subset apart', () => {
    const on = (port: number, weight: number) => ({
      destination: { host: 'checkout', subset: 'v1', port: { number: port } },
      weight,
    })
    const desired = primary(on(81, 50), on(80, 50))
    expect(weights(preserveWeights(desired, primary(on(80, 70), on(81, 30)), owned))).toEqual([30, 70])
  })

  test('knows a route again that was given another name', () => {
    for (const name of ['old', undefined]) {
      const live = virtualService({ http: [{ name, route: [to('v1', 70), to('v2', 30)] }] })
      const desired = primary(to('v1', 0), to('v2', 100))
      expect(weights(preserveWeights(desired, live, owned))).toEqual([70, 30])
    }
  })

  test('leaves a route as declared when nothing of it is left that carries traffic', () => {
    const live = primary(to('v1', 100), to('v2', 0))
    const desired = primary(to('v2', 60), to('v3', 40))
    expect(weights(preserveWeights(desired, live, owned))).toEqual([60, 40])
  })

  test('answers the declared object where there is nothing to keep', () => {
    const desired = primary(to('v1', 100), to('v2', 0))
    expect(preserveWeights(desired, undefined, owned)).toBe(desired)
    expect(preserveWeights(desired, primary(to('v1', 100), to('v2')), owned)).toBe(desired)
    const other = { ...desired, kind: 'ConfigMap' }
    expect(preserveWeights(other, primary(to('v1', 1), to('v2', 1)), owned)).toBe(other)
  })

  test('never moves traffic and never changes anything but weights', () => {
    const subset = fc.constantFrom('v1', 'v2', 'v3', 'v4')
    const entries = fc
      .uniqueArray(fc.record({ subset, weight: fc.integer({ min: 0, max: 100 }) }), {
        selector: (d) => d.subset,
        minLength: 2,
      })
      .map((list) => list.map((d) => to(d.subset, d.weight)))
    const withoutWeights = (object: KubeObject) =>
      JSON.parse(JSON.stringify(object, (k, v) => (k === 'weight' ? undefined : v)))
    fc.assert(
      fc.property(entries, entries, fc.integer({ min: 0, max: 2 }), (declared, running, before) => {
        const others = Array.from({ length: before }, (_, i) => ({
          name: `o${i}`,
          match: [{}],
          route: [to('v1', 1), to('v2', 2)],
        }))
        const desired = virtualService({ http: [...others, { name: 'primary', route: declared }] })
        const frozen = structuredClone(desired)
        const applied = preserveWeights(desired, primary(...running), owned)
        expect(desired).toEqual(frozen)
        expect(withoutWeights(applied)).toEqual(withoutWeights(desired))
        for (let i = 0; i < before; i++) expect(weights(applied, i)).toEqual([1, 2])
        const live = new Map(running.map((d) => [d.destination, d.weight]).map(([d, w]) => [JSON.stringify(d), w]))
        const wanted = declared.map((d) => live.get(JSON.stringify(d.destination)) ?? 0)
        const carries = wanted.some((w) => Number(w) > 0)
        expect(weights(applied, before)).toEqual(carries ? wanted : declared.map((d) => d.weight))
        // Applying is idempotent: what was applied is what the next look finds.
        expect(preserveWeights(desired, applied, owned)).toEqual(applied)
      }),
      { numRuns: 300 },
    )
  })
})

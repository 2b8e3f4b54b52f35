import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { fieldAt } from '../../../src/kube/field.ts'
import type { KubeObject } from '../../../src/kube/object.ts'
import type { SetWeight } from '../../../src/plan/effects.ts'
import { percentOf } from '../../../src/plan/weights.ts'
import { createIstioRouter } from '../../../src/traffic/istio/router.ts'
import { weightEdits } from '../../../src/traffic/manifest.ts'
import { createMemoryApi } from '../memory-api.ts'
import { key, namespace, to, traffic, virtualService } from './objects.ts'

const points = fc.oneof(fc.integer({ min: 0, max: 100 }), fc.integer({ min: 0, max: 100_000 }))
const host: fc.Arbitrary<string> = fc.constantFrom('checkout', 'checkout.shop', 'checkout.shop.svc.cluster.local')
/** Any JSON but the one key that JavaScript's own copies of it may lose. */
const json = fc.jsonValue().filter((value) => !JSON.stringify(value).includes('__proto__'))
const extras = fc.dictionary(fc.constantFrom('timeout', 'x-unknown', 'headers', 'mirror'), json, { maxKeys: 3 })

/** A destination with unknown fields around it. */
function destination(subset: fc.Arbitrary<string>, hosts = host, weight: fc.Arbitrary<number | undefined> = points) {
  return fc
    .record({
      subset,
      host: hosts,
      weight,
      extras,
      port: fc.option(fc.integer({ min: 1, max: 9999 }), { nil: undefined }),
    })
    .map(({ subset, host, weight, extras, port }) => {
      const { destination, ...rest } = to(subset, weight, host)
      return { ...extras, ...rest, destination: port ? { ...destination, port: { number: port } } : destination }
    })
}

const foreign = fc.oneof(
  destination(fc.constantFrom('v3', 'v4')),
  destination(fc.constantFrom('v1', 'v2', 'v3'), fc.constantFrom('ratings', 'checkout.other', 'api.example.com')),
)

/** A route that holds the pair once, anywhere among foreign destinations; sometimes a weight is not written. */
const owned = fc
  .tuple(
    destination(fc.constant('v1')),
    destination(fc.constant('v2'), host, fc.option(points, { nil: undefined })),
    fc.array(foreign, { maxLength: 3 }),
    extras,
  )
  .chain(([stable, canary, others, extras]) =>
    fc
      .shuffledSubarray([stable, canary, ...others], { minLength: others.length + 2 })
      .map((route) => ({ ...extras, route })),
  )

const bystander = fc
  .record({ route: fc.array(fc.oneof(foreign, destination(fc.constantFrom('v1', 'v2'))), { maxLength: 3 }), extras })
  .map(({ route, extras }) => ({ ...extras, route, match: [{ uri: { prefix: '/other' } }] }))

const world = fc
  .record({
    owned: fc.array(owned, { minLength: 1, maxLength: 3 }),
    bystanders: fc.array(bystander, { maxLength: 3 }),
    tcp: fc.array(bystander, { maxLength: 2 }),
    extras,
  })
  .chain(({ owned, bystanders, tcp, extras }) => {
    const routes = [
      ...owned.map((route, i) => ({ ...route, name: `owned-${i}` })),
      ...bystanders.map((route, i) => ({ ...route, name: `other-${i}` })),
    ]
    return fc
      .shuffledSubarray(routes, { minLength: routes.length })
      .map((http) => ({ object: virtualService({ ...extras, http, tcp }), names: owned.map((_, i) => `owned-${i}`) }))
  })

interface Change {
  path: string
  before: unknown
  after: unknown
}

/** Every leaf that differs between two values. */
function differences(before: unknown, after: unknown, path = ''): Change[] {
  const bothObjects = [before, after].every((v) => typeof v === 'object' && v !== null)
  if (!bothObjects) return Object.is(before, after) ? [] : [{ path, before, after }]
  const keys = new Set([...Object.keys(Object(before)), ...Object.keys(Object(after))])
  return [...keys].flatMap((k) => differences(fieldAt(before, k), fieldAt(after, k), `${path}/${k}`))
}

function content(object: KubeObject | undefined): unknown {
  const { resourceVersion: _, managedFields: __, ...metadata } = object?.metadata ?? { name: '' }
  return { ...object, metadata }
}

/** Paths and points of the pair in every owned route, found by a reading of the object that shares no code with the router. */
function pairs(object: KubeObject, names: string[]) {
  const http = fieldAt(object, 'spec', 'http')
  if (!Array.isArray(http)) throw new Error('no http')
  return http.flatMap((route, r) => {
    if (!names.includes(String(fieldAt(route, 'name')))) return []
    const entries = Array.isArray(route.route) ? route.route : []
    const at = (subset: string) =>
      entries.findIndex(
        (e: unknown) =>
          fieldAt(e, 'destination', 'subset') === subset &&
          /^checkout(\.shop(\.svc\.cluster\.local)?)?$/.test(String(fieldAt(e, 'destination', 'host'))),
      )
    const side = (subset: string) => ({
      path: `/spec/http/${r}/route/${at(subset)}/weight`,
      points: Number(fieldAt(entries, at(subset), 'weight') ?? 0),
    })
    return [{ stable: side('v1'), canary: side('v2') }]
  })
}

describe('I1: weights only', () => {
  test.each(['forward', 'retreat'] as const)(
    'a %s write changes the owned pair and keeps its sum',
    async (direction) => {
      await fc.assert(
        fc.asyncProperty(world, fc.integer({ min: 0, max: 100 }), async ({ object, names }, step) => {
          const weight = direction === 'retreat' ? 0 : step
          const api = createMemoryApi()
          api.put(object)
          api.sync()
          const before = structuredClone(api.live('VirtualService', key))!
          const write: SetWeight = { kind: 'setWeight', direction, stable: 'v1', canary: 'v2', weight, reason: 'x' }
          const rule = { ...traffic(names), istio: { ...traffic(names).istio!, destinationRule: { name: 'checkout' } } }
          const rules = {
            apiVersion: 'networking.istio.io/v1',
            kind: 'DestinationRule',
            metadata: { name: 'checkout', namespace },
          }
          api.put({ ...rules, spec: { host: 'checkout', subsets: [] } })
          api.sync()
          const answer = await createIstioRouter(api).setWeight(rule, namespace, write)
          const after = api.live('VirtualService', key)!
          const changes = differences(content(before), content(after))
          const [was, is] = [pairs(before, names), pairs(after, names)]
          if (!answer.ok) {
            expect(['WeightsTooCoarse', 'WeightsZero']).toContain(answer.problem.reason)
            expect(changes).toEqual([])
            return
          }
          expect(answer.changed).toBe(changes.length > 0)
          const allowed = was.flatMap((p) => [p.stable.path, p.canary.path])
          for (const change of changes) expect(allowed).toContain(change.path)
          is.forEach((p, i) => {
            const sum = was[i]!.stable.points + was[i]!.canary.points
            expect(p.stable.points + p.canary.points).toBe(sum)
            if (sum === 0) return
            expect(Math.abs(percentOf(p.canary.points, sum) - weight)).toBeLessThanOrEqual(1)
            if (weight > 0) expect(p.canary.points).toBeGreaterThanOrEqual(1)
            if (weight < 100) expect(p.stable.points).toBeGreaterThanOrEqual(1)
          })
        }),
        { numRuns: 300 },
      )
    },
  )

  test('a commit edits the same scalars to the same points as the mesh write', async () => {
    await fc.assert(
      fc.asyncProperty(world, fc.integer({ min: 0, max: 100 }), async ({ object, names }, weight) => {
        const api = createMemoryApi()
        api.put(object)
        api.sync()
        const pair = { stable: 'v1', canary: 'v2' }
        const write: SetWeight = { kind: 'setWeight', direction: 'forward', ...pair, weight }
        const place = { namespace, host: undefined }
        const planned = weightEdits(object, traffic(names), place, pair, weight)
        const before = content(api.live('VirtualService', key))
        const answer = await createIstioRouter(api).setWeight(traffic(names), namespace, write)
        expect(planned.ok).toBe(answer.ok)
        if (!planned.ok) return
        const changes = differences(before, content(api.live('VirtualService', key)))
        const edits = planned.edits.map(({ path, value, from }) => ({
          path: `/${path.join('/')}`,
          before: from,
          after: value,
        }))
        expect(new Set(edits)).toEqual(new Set(changes))
      }),
      { numRuns: 150 },
    )
  })
})

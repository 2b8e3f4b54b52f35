import { describe, expect, test } from 'vitest'
import type { KubeObject } from '../../../src/kube/object.ts'
import { createIstioRouter } from '../../../src/traffic/istio/router.ts'
import type { Pair } from '../../../src/traffic/router.ts'
import { createMemoryApi } from '../memory-api.ts'
import { destinationRule, key, namespace, to, traffic, virtualService } from './objects.ts'

const v1v2: Pair = { stable: 'v1', canary: 'v2' }

interface Options {
  routes?: string[]
  rule?: string
  pairs?: Pair[]
  rules?: KubeObject[]
}

function observe(spec: Record<string, unknown>, options: Options = {}) {
  const api = createMemoryApi()
  for (const rule of options.rules ?? [destinationRule()]) api.put(rule)
  api.put(virtualService(spec))
  api.sync()
  return createIstioRouter(api).observe(traffic(options.routes, options.rule), namespace, options.pairs ?? [v1v2])
}

/** The only pair's answer, or the problem with the routes. */
function pairIn(spec: Record<string, unknown>, options: Options = {}) {
  const seen = observe(spec, options)
  if (seen.problem) return { ok: false as const, problem: seen.problem }
  return seen.pairs[0]
}

const split = { route: [to('v1', 90), to('v2', 10)] }

describe('which destinations are meant', () => {
  test('hosts of one service in every spelling are one host', () => {
    const route = [to('v1', 90, 'checkout.shop.svc.cluster.local'), to('v2', 10, 'checkout.shop')]
    expect(pairIn({ http: [{ route }] })).toMatchObject({ ok: true, weight: 10 })
  })

  test('subsets of another host are not meant', () => {
    const route = [to('v1', 30), to('v2', 10), to('v1', 30, 'ratings'), to('v2', 30, 'ratings')]
    const rules = [destinationRule(), destinationRule('ratings', 'ratings')]
    expect(pairIn({ http: [{ route }] }, { rules })).toMatchObject({ problem: { reason: 'DestinationAmbiguous' } })
    const named = observe({ http: [{ route }] }, { rules, rule: 'checkout' })
    expect(named).toMatchObject({ pairs: [{ ok: true, weight: 25, sum: 40 }], shares: { v1: 30, v2: 10 } })
  })

  test('subsets of two different hosts are no pair', () => {
    expect(
      pairIn({ http: [{ route: [to('v1', 90), to('v2', 10, 'ratings')] }] }, { routes: ['http[0]'], rules: [] }),
    ).toMatchObject({
      problem: { reason: 'DestinationMissing', message: expect.stringContaining('different hosts') },
    })
  })

  test('without subsets a pair is named by its hosts', () => {
    const route = [to(undefined, 75, 'checkout-stable'), to(undefined, 25, 'checkout-canary.shop.svc.cluster.local')]
    const pairs = [{ stable: 'checkout-stable', canary: 'checkout-canary' }]
    expect(observe({ http: [{ route }] }, { pairs })).toMatchObject({
      shares: { 'checkout-stable': 75, 'checkout-canary': 25 },
      pairs: [{ ok: true, weight: 25 }],
    })
  })

  test('the same destination twice is ambiguous, and is named', () => {
    const route = [to('v1', 80), to('v2', 10), to('v2', 10, 'checkout.shop')]
    expect(pairIn({ http: [{ name: 'primary', route }] })).toMatchObject({
      problem: { reason: 'DestinationAmbiguous', message: expect.stringMatching(/route "primary".*several.*"v2"/) },
    })
  })

  test('a missing destination is named, and so is the route', () => {
    const http = [{ name: 'primary', route: [to('v1', 90), to('v3', 10)] }]
    expect(pairIn({ http }, { routes: ['primary'] })).toMatchObject({
      problem: {
        reason: 'DestinationMissing',
        message: 'route "primary" of VirtualService shop/checkout has no destination for "v2"',
      },
    })
    expect(pairIn({ http })).toMatchObject({
      problem: { message: 'no route of VirtualService shop/checkout has a destination for "v2"' },
    })
  })

  test('an only destination gets everything, whatever its weight', () => {
    for (const only of [to('v1'), to('v1', 0), to('v1', 100)]) {
      const http = [{ name: 'primary', route: [only] }]
      const seen = observe({ http }, { routes: ['primary'] })
      expect(seen).toMatchObject({ shares: { v1: 100 }, pairs: [{ problem: { reason: 'DestinationMissing' } }] })
      expect(seen).toMatchObject({
        pairs: [{ problem: { message: expect.stringContaining('sends everything to one') } }],
      })
    }
  })

  test('several pairs are answered each for itself', () => {
    const pairs = [v1v2, { stable: 'v1', canary: 'v3' }, { stable: 'v1', canary: 'v9' }]
    const http = [{ name: 'primary', route: [to('v1', 60), to('v2', 20), to('v3', 20)] }]
    expect(observe({ http }, { pairs })).toMatchObject({
      pairs: [
        { ok: true, weight: 25 },
        { ok: true, weight: 25 },
        { ok: false, problem: { reason: 'DestinationMissing' } },
      ],
    })
  })
})

describe('which routes are meant', () => {
  test('named ones', () => {
    const http = [
      { name: 'a', ...split },
      { name: 'b', route: [to('v1', 50), to('v2', 50)] },
      { name: 'c', ...split },
    ]
    expect(pairIn({ http }, { routes: ['b'] })).toMatchObject({ ok: true, weight: 50 })
    expect(pairIn({ http }, { routes: ['a', 'c'] })).toMatchObject({ ok: true, weight: 10 })
  })

  test('a name that does not exist is answered with those that do', () => {
    const http = [{ name: 'a', ...split }, { ...split }]
    expect(pairIn({ http, tcp: [split] }, { routes: ['primary'] })).toMatchObject({
      problem: {
        reason: 'RouteMissing',
        message: 'VirtualService shop/checkout has no route "primary" (it has "a", "http[1]", "tcp[0]")',
      },
    })
    expect(pairIn({}, { routes: ['primary'] })).toMatchObject({
      problem: { message: expect.stringContaining('it has no routes') },
    })
    expect(pairIn({})).toMatchObject({ problem: { reason: 'RouteMissing' } })
  })

  test('a name that exists twice is ambiguous', () => {
    const http = [
      { name: 'a', match: [{}], ...split },
      { name: 'a', ...split },
    ]
    expect(pairIn({ http }, { routes: ['a'] })).toMatchObject({ problem: { reason: 'RouteAmbiguous' } })
  })

  test('without names, several that split the pair are ambiguous and are listed', () => {
    const problem = pairIn({ http: [{ name: 'a', ...split }, split], tcp: [split] })
    expect(problem).toMatchObject({
      problem: { reason: 'RouteAmbiguous', message: expect.stringContaining('route "a", http route 2, tcp route 1') },
    })
  })

  test.each(['tls', 'tcp'])('the only %s route that splits the pair', (protocol) => {
    const spec = { http: [{ name: 'a', route: [to('v1')] }], [protocol]: [{ route: [to('v3')] }, split] }
    expect(pairIn(spec)).toMatchObject({ ok: true, weight: 10 })
  })

  test('a route without a name can be named by its place', () => {
    expect(pairIn({ tcp: [split, { route: [to('v1', 50), to('v2', 50)] }] }, { routes: ['tcp[1]'] })).toMatchObject({
      weight: 50,
    })
  })

  test.each([[{ routes: ['primary'] }], [{}]])('one that delegates cannot be owned %j', (options) => {
    const http = [{ name: 'primary', delegate: { name: 'checkout-routes' } }]
    expect(pairIn({ http }, options)).toMatchObject({ problem: { reason: 'RouteDelegates' } })
  })

  test('one that delegates does not hide the one that splits', () => {
    const http = [
      { name: 'other', delegate: { name: 'x' }, match: [{}] },
      { name: 'primary', ...split },
    ]
    expect(pairIn({ http })).toMatchObject({ ok: true, weight: 10 })
  })

  test('an absent VirtualService is said to be absent', () => {
    const router = createIstioRouter(createMemoryApi())
    expect(router.observe(traffic(), namespace, [v1v2])).toMatchObject({
      problem: { reason: 'VirtualServiceMissing', message: expect.stringContaining('shop/checkout') },
    })
    expect(router.routesOf(traffic(), namespace)).toEqual([])
    expect(router.routesOf(traffic(['primary']), namespace)).toEqual(['istio/shop/checkout#primary'])
  })
})

describe('what is seen at adoption, before there is a pair', () => {
  test('shares of the only route that splits traffic', () => {
    const http = [
      { name: 'health', match: [{}], route: [to('v1')] },
      { name: 'primary', route: [to('v1', 3), to('v2', 1)] },
    ]
    expect(observe({ http }, { pairs: [] })).toEqual({ shares: { v1: 75, v2: 25 }, pairs: [] })
  })

  test('the greatest share where named routes differ', () => {
    const http = [
      { name: 'a', ...split },
      { name: 'b', route: [to('v1', 50), to('v2', 50)] },
    ]
    expect(observe({ http }, { pairs: [], routes: ['a', 'b'] })).toMatchObject({ shares: { v1: 90, v2: 50 } })
  })

  test('no guess between several routes', () => {
    const http = [
      { name: 'a', ...split },
      { name: 'b', ...split },
    ]
    expect(observe({ http }, { pairs: [] })).toMatchObject({ problem: { reason: 'RouteAmbiguous' } })
  })
})

describe('uneven routes', () => {
  const routes = (...pairs: [number, number][]) => ({
    http: pairs.map(([a, b], i) => ({ name: `r${i}`, route: [to('v1', a), to('v2', b)] })),
  })
  const named = { routes: ['r0', 'r1'] }

  test.each<[string, [number, number], [number, number], boolean]>([
    ['one weight rounded to different sums', [67, 33], [2, 1], false],
    ['one small weight raised to a point', [99, 1], [9990, 10], false],
    ['one point apart', [90, 10], [89, 11], true],
    ['none and some', [100, 0], [99, 1], true],
    ['all and nearly all', [0, 100], [1, 99], true],
    ['all', [0, 100], [0, 7], false],
  ])('%s', (_what, a, b, uneven) => {
    expect(pairIn(routes(a, b), named)).toMatchObject({ ok: true, uneven })
  })

  test('say the smallest share as well as the greatest', () => {
    expect(pairIn(routes([90, 10], [95, 5]), named)).toMatchObject({ uneven: true, weight: 10, lowest: 5 })
    expect(pairIn(routes([90, 10], [90, 10]), named)).not.toHaveProperty('lowest')
  })
})

test('an object of any shape is survived', () => {
  for (const spec of [{ http: 'x' }, { http: [null, 1, { route: [null, { destination: 3 }] }] }, { tcp: {} }]) {
    expect(pairIn(spec)).toMatchObject({ ok: false })
  }
  const api = createMemoryApi()
  api.put({ ...virtualService({}), spec: undefined })
  api.sync()
  expect(createIstioRouter(api).observe(traffic(), key.namespace, [v1v2])).toMatchObject({
    problem: { reason: 'RouteMissing' },
  })
})

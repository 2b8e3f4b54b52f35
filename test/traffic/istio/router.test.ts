import { describe, expect, test } from 'vitest'
import { KubeError } from '../../../src/kube/kube-error.ts'
import type { SetWeight } from '../../../src/plan/effects.ts'
import { createIstioRouter } from '../../../src/traffic/istio/router.ts'
import { routerConformance } from '../../conformance/router.conformance.ts'
import { createMemoryApi, type MemoryApi } from '../memory-api.ts'
import { destinationRule, key, namespace, to, traffic, virtualService } from './objects.ts'
import { routesWith, weightsOf } from './weights.ts'

routerConformance('istio, in memory', async (weights) => {
  const api = createMemoryApi()
  api.put(destinationRule())
  api.put(virtualService({ http: routesWith(weights) }))
  const current = () => structuredClone(api.live('VirtualService', key)!)
  return {
    router: createIstioRouter(api),
    namespace,
    spec: (routes) => traffic(routes),
    weights: async () => weightsOf(current()),
    interfere: async (changes, manager) => {
      api.put(virtualService({ http: routesWith({ ...weightsOf(current()), ...changes }) }), manager)
    },
    touch: async () => {
      const object = current()
      api.put({ ...object, metadata: { ...object.metadata, labels: { touched: 'yes' } } }, 'somebody')
    },
    settle: async () => api.sync(),
    stop: async () => {},
  }
})

const forward: SetWeight = { kind: 'setWeight', direction: 'forward', stable: 'v1', canary: 'v2', weight: 10 }
const retreat: SetWeight = { ...forward, direction: 'retreat', weight: 0, reason: 'success-rate' }

function start(
  spec: Record<string, unknown>,
  version = 'v1',
): { api: MemoryApi; router: ReturnType<typeof createIstioRouter> } {
  const api = createMemoryApi(version)
  api.put(destinationRule())
  api.put(virtualService(spec, version))
  api.sync()
  return { api, router: createIstioRouter(api) }
}

function liveSpec(api: MemoryApi): unknown {
  return api.live('VirtualService', key)?.spec
}

const split = (v1 = 90, v2 = 10) => ({ http: [{ name: 'primary', route: [to('v1', v1), to('v2', v2)] }] })

describe('forward move', () => {
  test('is one patch that locks the version and tests the destinations', async () => {
    const { api, router } = start(split())
    const resourceVersion = api.live('VirtualService', key)?.metadata.resourceVersion
    await router.setWeight(traffic(), namespace, { ...forward, weight: 50 })
    expect(api.requests).toHaveLength(1)
    expect(api.requests[0]).toMatchObject({ manager: 'sluice' })
    expect(api.requests[0]?.ops).toEqual([
      { op: 'replace', path: '/metadata/resourceVersion', value: resourceVersion },
      { op: 'test', path: '/spec/http/0/name', value: 'primary' },
      { op: 'test', path: '/spec/http/0/route/0/destination', value: { host: 'checkout', subset: 'v1' } },
      { op: 'test', path: '/spec/http/0/route/1/destination', value: { host: 'checkout', subset: 'v2' } },
      { op: 'add', path: '/spec/http/0/route/0/weight', value: 50 },
      { op: 'add', path: '/spec/http/0/route/1/weight', value: 50 },
    ])
  })

  test('adds a weight where there was none', async () => {
    const { api, router } = start({ http: [{ route: [to('v1', 100), to('v2')] }] })
    expect(await router.setWeight(traffic(), namespace, forward)).toMatchObject({ ok: true, changed: true })
    expect(liveSpec(api)).toMatchObject({ http: [{ route: [{ weight: 90 }, { weight: 10 }] }] })
  })

  test('is a conflict when destinations were moved in between', async () => {
    const { api, router } = start(split())
    api.beforePatch = () =>
      api.put(virtualService({ http: [{ name: 'primary', route: [to('v2', 0), to('v1', 100)] }] }))
    expect(await router.setWeight(traffic(), namespace, { ...forward, weight: 50 })).toMatchObject({ conflict: true })
    expect(liveSpec(api)).toMatchObject({ http: [{ route: [{ weight: 0 }, { weight: 100 }] }] })
  })

  test('says what the server says when it refuses the object, and does not call that a conflict', async () => {
    const { api, router } = start(split())
    api.beforePatch = () => {
      throw new KubeError('patch: admission webhook "validation.istio.io" denied it', {
        status: 422,
        reason: 'Invalid',
      })
    }
    expect(await router.setWeight(traffic(), namespace, { ...forward, weight: 50 })).toMatchObject({
      ok: false,
      transient: false,
      conflict: false,
      problem: { reason: 'ManifestRefused', message: expect.stringContaining('denied it') },
    })
  })

  test.each([
    [503, 'ApiUnreachable', true],
    [0, 'ApiUnreachable', true],
    [429, 'ApiUnreachable', true],
    [403, 'Forbidden', false],
    [404, 'VirtualServiceMissing', false],
  ])('status %i is %s', async (status, reason, transient) => {
    const { api, router } = start(split())
    api.beforePatch = () => {
      throw new KubeError('no', { status, reason: 'x' })
    }
    const answers = [
      await router.setWeight(traffic(), namespace, { ...forward, weight: 50 }),
      await router.setWeight(traffic(), namespace, retreat),
    ]
    for (const answer of answers) expect(answer).toMatchObject({ ok: false, transient, problem: { reason } })
  })

  test('throws on what is not the cluster’s doing', async () => {
    const { api, router } = start(split())
    api.beforePatch = () => {
      throw new TypeError('a bug')
    }
    await expect(router.setWeight(traffic(), namespace, retreat)).rejects.toThrow('a bug')
  })
})

describe('I2: retreat first', () => {
  test('is a single patch without a read before it or a resourceVersion in it', async () => {
    const { api, router } = start(split())
    expect(await router.setWeight(traffic(), namespace, retreat)).toMatchObject({ ok: true, changed: true })
    expect(api.requests.map((r) => r.verb)).toEqual(['patch'])
    expect(api.requests[0]?.manager).toBe('sluice-retreat.success-rate')
    expect(JSON.stringify(api.requests[0]?.ops)).not.toContain('resourceVersion')
  })

  test('finds destinations that were moved, again and again, within one call', async () => {
    const { api, router } = start(split())
    const orders = [
      [to('v2', 10), to('v1', 90)],
      [to('v3', 0), to('v2', 40), to('v1', 60)],
      [to('v1', 60), to('v3', 0), to('v2', 40)],
    ]
    api.beforePatch = (attempt) => {
      const route = orders[attempt - 1]
      if (route) api.put(virtualService({ http: [{ name: 'primary', route }] }))
    }
    expect(await router.setWeight(traffic(), namespace, retreat)).toMatchObject({ ok: true, changed: true })
    expect(liveSpec(api)).toMatchObject({ http: [{ route: [to('v1', 100), to('v3', 0), to('v2', 0)] }] })
  })

  test('is worth repeating when somebody keeps moving destinations', async () => {
    const { api, router } = start(split())
    api.beforePatch = (attempt) => {
      const route = attempt % 2 ? [to('v2', 10), to('v1', 90)] : [to('v1', 90), to('v2', 10)]
      api.put(virtualService({ http: [{ name: 'primary', route }] }))
    }
    expect(await router.setWeight(traffic(), namespace, retreat)).toMatchObject({ ok: false, transient: true })
  })

  test('does not believe a cache that shows the canary at 0 already', async () => {
    const { api, router } = start(split(100, 0))
    api.put(virtualService(split(50, 50)))
    expect(await router.setWeight(traffic(), namespace, retreat)).toMatchObject({ ok: true, changed: true })
    expect(liveSpec(api)).toMatchObject({ http: [{ route: [{ weight: 100 }, { weight: 0 }] }] })
  })

  test('works while the cache is empty, at the version the cluster serves', async () => {
    const api = createMemoryApi('v1beta1')
    api.put(virtualService(split(), 'v1beta1'))
    expect(await createIstioRouter(api).setWeight(traffic(), namespace, retreat)).toMatchObject({ ok: true })
    expect(liveSpec(api)).toMatchObject({ http: [{ route: [{ weight: 100 }, { weight: 0 }] }] })
  })

  test('lowers every copy of the route when none is named', async () => {
    const { api, router } = start(split())
    const copies = [split().http[0], { name: 'copy', match: [{}], route: [to('v1', 50), to('v2', 50)] }]
    api.put(virtualService({ http: copies }))
    api.sync()
    expect(await router.setWeight(traffic(), namespace, retreat)).toMatchObject({ ok: true })
    expect(liveSpec(api)).toMatchObject({
      http: [{ route: [{ weight: 100 }, { weight: 0 }] }, { route: [{ weight: 100 }, { weight: 0 }] }],
    })
  })

  test('lowers the routes it can and then says which it cannot', async () => {
    const { api, router } = start({
      http: [
        { name: 'a', route: [to('v1', 90), to('v2', 10)] },
        { name: 'b', route: [to('v2', 100)] },
      ],
    })
    const answer = await router.setWeight(traffic(['a', 'b', 'gone']), namespace, retreat)
    expect(answer).toMatchObject({
      ok: false,
      problem: { reason: 'DestinationMissing', message: expect.stringContaining('"b"') },
    })
    expect(liveSpec(api)).toMatchObject({
      http: [{ route: [{ weight: 100 }, { weight: 0 }] }, { route: [{ weight: 100 }] }],
    })
  })

  test('finds the canary even when the DestinationRule now names another host', async () => {
    const { api, router } = start(split())
    api.put(destinationRule('checkout', 'elsewhere'))
    api.sync()
    await router.setWeight(traffic(undefined, 'checkout'), namespace, retreat)
    expect(liveSpec(api)).toMatchObject({ http: [{ route: [{ weight: 100 }, { weight: 0 }] }] })
  })

  test('is done when the canary is in no route any more', async () => {
    const { router } = start({ http: [{ name: 'primary', route: [to('v1')] }] })
    expect(await router.setWeight(traffic(), namespace, retreat)).toMatchObject({ ok: true, changed: false })
  })

  test('lowers all of a canary that somebody listed twice', async () => {
    const { api, router } = start(split())
    const route = [to('v1', 60), to('v2', 10), to('v3', 5), to('v2', 30, 'checkout.shop')]
    api.put(virtualService({ http: [{ name: 'primary', route }] }))
    api.sync()
    expect(await router.setWeight(traffic(), namespace, retreat)).toMatchObject({ ok: true, changed: true })
    const weights = [{ weight: 100 }, { weight: 0 }, { weight: 5 }, { weight: 0 }]
    expect(liveSpec(api)).toMatchObject({ http: [{ route: weights }] })
    api.sync()
    expect(await router.setWeight(traffic(), namespace, retreat)).toMatchObject({ ok: true, changed: false })
  })

  test('also lowers what the cache did not know about yet', async () => {
    const { api, router } = start(split())
    const route = [to('v1', 60), to('v2', 10), to('v2', 30)]
    const copy = { name: 'copy', match: [{}], route: [to('v1', 50), to('v2', 50)] }
    api.put(virtualService({ http: [{ name: 'primary', route }, copy] }))
    expect(await router.setWeight(traffic(), namespace, retreat)).toMatchObject({ ok: true, changed: true })
    expect(liveSpec(api)).toMatchObject({
      http: [{ route: [{}, { weight: 0 }, { weight: 0 }] }, { route: [{ weight: 100 }, { weight: 0 }] }],
    })
  })

  test('does not take the versions of another service for its own', async () => {
    const route = [to('v1', 40), to('v2', 10), to('v1', 40, 'ratings'), to('v2', 10, 'ratings')]
    const { api, router } = start({ http: [{ name: 'primary', route }] })
    const before = liveSpec(api)
    api.put(destinationRule('ratings', 'ratings'))
    api.sync()
    const answer = await router.setWeight(traffic(), namespace, retreat)
    expect(answer).toMatchObject({ ok: false, problem: { reason: 'DestinationAmbiguous' } })
    expect(liveSpec(api)).toEqual(before)
    expect(await router.setWeight(traffic(undefined, 'checkout'), namespace, retreat)).toMatchObject({ ok: true })
    const weights = [{ weight: 50 }, { weight: 0 }, { weight: 40 }, { weight: 10 }]
    expect(liveSpec(api)).toMatchObject({ http: [{ route: weights }] })
  })

  test('goes to 0 where the pair is too coarse for what the canary might keep', async () => {
    const { api, router } = start(split(1, 2))
    expect(await router.setWeight(traffic(), namespace, { ...retreat, weight: 10 })).toMatchObject({ ok: true })
    expect(liveSpec(api)).toMatchObject({ http: [{ route: [{ weight: 3 }, { weight: 0 }] }] })
  })

  test('gives up at once when the server refuses the very object that was read', async () => {
    const { api, router } = start(split())
    api.beforePatch = () => {
      throw new KubeError('spec.http: not like this', { status: 422, reason: 'Invalid' })
    }
    expect(await router.setWeight(traffic(), namespace, retreat)).toMatchObject({
      ok: false,
      transient: false,
      problem: { reason: 'ManifestRefused', message: expect.stringContaining('not like this') },
    })
    expect(api.requests.map((r) => r.verb)).toEqual(['patch', 'get', 'patch'])
  })

  test('keeps to the rules for names of field managers', async () => {
    const { api, router } = start(split())
    await router.setWeight(traffic(), namespace, { ...retreat, reason: `queue depth: 5 > 3\n${'x'.repeat(200)}` })
    const manager = api.requests[0]?.manager ?? ''
    expect(manager).toMatch(/^sluice-retreat\.queue-depth-5-3-x+$/)
    expect(manager.length).toBe(128)
  })
})

describe('API versions', () => {
  test.each(['v1', 'v1beta1', 'v1alpha3'])('writes %s where the cluster serves it', async (version) => {
    const { api, router } = start(split(), version)
    expect(await router.setWeight(traffic(), namespace, { ...forward, weight: 50 })).toMatchObject({ ok: true })
    expect(api.requests[0]?.path).toBe(`networking.istio.io/${version}/virtualservices/shop/checkout`)
  })
})

describe('last writer', () => {
  test('is unknown without managedFields', () => {
    const { api, router } = start(split())
    const bare = { ...api, reader: { ...api.reader, get: () => virtualService(split()) } }
    const seen = createIstioRouter(bare).observe(traffic(), namespace, [{ stable: 'v1', canary: 'v2' }])
    expect(seen).toMatchObject({ pairs: [{ ok: true, writer: undefined }] })
    expect(router.observe(traffic(), namespace, [{ stable: 'v1', canary: 'v2' }])).toMatchObject({
      pairs: [{ writer: { manager: 'kubectl-client-side-apply', time: expect.stringMatching(/^2026-11-22T18:/) } }],
    })
  })
})

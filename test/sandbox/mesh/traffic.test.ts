import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../cluster/world.ts'
import { type Answer, type Ask, type MeshWorld, meshWorld, split, to } from './mesh-world.ts'

let world: MeshWorld

beforeAll(async () => {
  world = await meshWorld({ seed: 3 })
  await world.version('v1', {}, 2)
  await world.version('v2')
  await Promise.all([world.ready('v1', 2), world.ready('v2', 1)])
})

afterAll(() => world.stop())

async function askMany(times: number, ask: Ask = {}): Promise<Answer[]> {
  const answers: Answer[] = []
  for (let n = 0; n < times; n++) answers.push(await world.ask(ask))
  return answers
}

function byVersion(answers: Answer[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { headers } of answers) {
    const version = String(headers['x-version'] ?? 'none')
    counts[version] = (counts[version] ?? 0) + 1
  }
  return counts
}

describe('a weighted route', () => {
  test('splits in proportion, and both reporters count every request', async () => {
    world.route([split(80, 20)])
    const before = await Promise.all(['source', 'destination'].map((reporter) => world.count({ reporter })))
    const seen = byVersion(await askMany(300))
    // 300 draws at 20 %: 60 on average, deviation 6.9.
    expect(seen.v2).toBeGreaterThan(25)
    expect(seen.v2).toBeLessThan(95)
    expect((seen.v1 ?? 0) + (seen.v2 ?? 0)).toBe(300)
    const after = await Promise.all(['source', 'destination'].map((reporter) => world.count({ reporter })))
    expect(after).toEqual(before.map((count) => count + 300))
    for (const [version, count] of Object.entries(seen)) {
      for (const reporter of ['source', 'destination']) {
        const labels = { reporter, destination_workload: `checkout-${version}`, destination_version: version }
        expect(await world.count({ ...labels, source_workload: 'web', response_code: '200' })).toBe(count)
      }
    }
  })

  test('at weight 0 sends nothing at all', async () => {
    world.route([split(100, 0)])
    expect(byVersion(await askMany(100))).toEqual({ v1: 100 })
  })

  test('takes a change of weights into account at once when nothing delays it', async () => {
    world.route([split(0, 100)])
    expect(byVersion(await askMany(20))).toEqual({ v2: 20 })
    world.route([split(100, 0)])
    expect(byVersion(await askMany(20))).toEqual({ v1: 20 })
  })
})

test('without a VirtualService requests go to all ready pods of the Service, whatever form its name has', async () => {
  world.route([], { hosts: ['something-else'] })
  for (const host of ['checkout', 'checkout.shop', 'checkout.shop.svc:80', 'checkout.shop.svc.cluster.local']) {
    expect(Object.keys(byVersion(await askMany(40, { host }))).sort()).toEqual(['v1', 'v2'])
  }
})

test('a short host means the client’s own namespace', async () => {
  world.route([split(100, 0)])
  const elsewhere = { workload: 'job', namespace: 'other' }
  expect((await world.ask({ source: elsewhere })).status).toBe(404)
  expect((await world.ask({ source: elsewhere, host: 'checkout.shop' })).status).toBe(200)
})

test('routes bound to a gateway take requests from outside, not those of the mesh', async () => {
  world.route([split(0, 100)], { hosts: ['www.example.com'], gateways: ['edge'] })
  expect((await world.ask({ host: 'www.example.com' })).status).toBe(404)
  expect(byVersion(await askMany(5, { host: 'www.example.com', source: 'outside' }))).toEqual({ v2: 5 })
  expect(
    await world.count({ reporter: 'source', source_workload: 'istio-ingressgateway', destination_version: 'v2' }),
  ).toBe(5)
})

test('the first matching route wins, by header and by path', async () => {
  world.route([
    { match: [{ headers: { 'x-beta': { exact: 'yes' } } }], route: [to('v2')] },
    { match: [{ uri: { prefix: '/new' } }], route: [to('v2')], rewrite: { uri: '/' } },
    { route: [to('v1')] },
  ])
  expect((await world.ask({ headers: { 'x-beta': 'yes' } })).headers['x-version']).toBe('v2')
  expect((await world.ask({ path: '/new/a?b=c' })).headers['x-version']).toBe('v2')
  expect((await world.ask()).headers['x-version']).toBe('v1')
})

test('redirects and direct responses are answered by the proxy', async () => {
  world.route([
    { match: [{ uri: { exact: '/old' } }], redirect: { uri: '/new', authority: 'shop.example', redirectCode: 308 } },
    { match: [{ uri: { exact: '/ping' } }], directResponse: { status: 418, body: { string: 'teapot' } } },
  ])
  const moved = await world.ask({ path: '/old' })
  expect([moved.status, moved.headers.location]).toEqual([308, 'http://shop.example/new'])
  const direct = await world.ask({ path: '/ping' })
  expect([direct.status, direct.body]).toEqual([418, 'teapot'])
})

test('headers are set, added and removed on the way back', async () => {
  world.route([
    {
      headers: { response: { set: { 'x-route': 'primary' }, remove: ['x-pod'] } },
      route: [{ ...to('v1'), headers: { response: { add: { 'x-side': 'stable' } } } }],
    },
  ])
  const { headers } = await world.ask()
  expect([headers['x-route'], headers['x-side'], headers['x-pod']]).toEqual(['primary', 'stable', undefined])
})

test('a mirrored request is answered by the route and counted only where it arrives', async () => {
  world.route([{ route: [to('v1')], mirror: { host: 'checkout', subset: 'v2' } }])
  const labels = { destination_workload: 'checkout-v2', source_workload: 'web' }
  const before = await Promise.all(['source', 'destination'].map((reporter) => world.count({ ...labels, reporter })))
  expect(byVersion(await askMany(10, { method: 'POST', body: 'order' }))).toEqual({ v1: 10 })
  await expect.poll(() => world.count({ ...labels, reporter: 'destination' })).toBe((before[1] ?? 0) + 10)
  expect(await world.count({ ...labels, reporter: 'source' })).toBe(before[0])
})

test('a delegate’s routes are taken where the root route points to it', async () => {
  world.route([{ match: [{ uri: { prefix: '/api' } }], delegate: { name: 'inner' } }, { route: [to('v1')] }])
  world.storage.create(
    { group: 'networking.istio.io', plural: 'virtualservices' },
    {
      apiVersion: 'networking.istio.io/v1',
      kind: 'VirtualService',
      metadata: { name: 'inner', namespace: 'shop' },
      spec: { http: [{ route: [to('v2')] }] },
    },
  )
  expect((await world.ask({ path: '/api/x' })).headers['x-version']).toBe('v2')
  expect((await world.ask({ path: '/' })).headers['x-version']).toBe('v1')
})

test('a VirtualService that cannot work is reported and routes nothing', async () => {
  world.route([{ match: [{ uri: { regex: '(' } }], route: [to('v1')] }])
  expect((await world.ask()).status).toBe(404)
  expect(world.mesh.problems()).toEqual([
    {
      object: 'VirtualService shop/checkout',
      message: expect.stringContaining('spec.http[0]: uri.regex does not compile'),
    },
  ])
})

test('each pod and each client is a scrape target with its own labels, and goes with its pod', async () => {
  await world.version('v3')
  await world.ready('v3', 1)
  world.route([{ route: [to('v3')] }])
  await askMany(3)
  const mine = () => world.mesh.targets().filter(({ labels }) => labels.version === 'v3')
  const [target] = mine()
  expect(target).toMatchObject({
    job: 'envoy-stats',
    labels: { namespace: 'shop', app: 'checkout', version: 'v3', pod: expect.stringMatching(/^checkout-v3-/) },
    url: expect.stringMatching(/^http:\/\/127\..*\/stats\/prometheus$/),
  })
  expect(await world.count({ destination_workload: 'checkout-v3', reporter: 'destination' })).toBe(3)
  world.storage.patchMerge(
    { group: 'apps', plural: 'deployments' },
    { namespace: 'shop', name: 'checkout-v3' },
    {
      spec: { replicas: 0 },
    },
  )
  await eventually(() => mine().length === 0)
  expect(await world.count({ destination_workload: 'checkout-v3', reporter: 'destination' })).toBe(0)
  expect(await world.count({ destination_workload: 'checkout-v3', reporter: 'source' })).toBe(3)
})

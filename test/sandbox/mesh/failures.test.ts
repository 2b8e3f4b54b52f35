import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { PODS, type Pod, view } from '../../../src/sandbox/cluster/objects.ts'
import { eventually } from '../cluster/world.ts'
import { type MeshWorld, meshWorld, to } from './mesh-world.ts'

let world: MeshWorld

const VERSIONS: Record<string, Record<string, string>> = {
  good: {},
  hanging: { SANDBOX_HANG_RATE: '1' },
  cutting: { SANDBOX_RESET_RATE: '1' },
  failing: { SANDBOX_ERROR_RATE: '1', SANDBOX_ERROR_STATUS: '503' },
  slow: { SANDBOX_LATENCY_MS: '60' },
  lost: { SANDBOX_UNREACHABLE: 'true' },
  unready: { SANDBOX_READY: 'false' },
}

beforeAll(async () => {
  world = await meshWorld({ seed: 5 })
  for (const [name, env] of Object.entries(VERSIONS)) await world.version(name, env)
  for (const name of Object.keys(VERSIONS)) if (name !== 'unready') await world.ready(name, 1)
})

afterAll(() => world.stop())

beforeEach(() => world.rule({ subsets: Object.keys(VERSIONS).map((name) => ({ name, labels: { version: name } })) }))

/** What one request adds to the counters, as `reporter workload code flags`. */
async function countedBy(send: () => Promise<unknown>, settle = 1): Promise<string[]> {
  const before = await counters()
  await send()
  let added: string[] = []
  await expect
    .poll(async () => {
      added = [...(await counters())].flatMap(([key, count]) => Array(count - (before.get(key) ?? 0)).fill(key))
      return added.length
    })
    .toBe(settle)
  return added.sort()
}

async function counters(): Promise<Map<string, number>> {
  const counts = new Map<string, number>()
  for (const { name, labels, value } of await world.samples()) {
    if (name !== 'istio_requests_total') continue
    const { reporter, destination_workload, response_code, response_flags } = labels
    const key = `${reporter} ${destination_workload} ${response_code} ${response_flags}`
    counts.set(key, (counts.get(key) ?? 0) + value)
  }
  return counts
}

const NO_RETRY = { retries: { attempts: 0 } }

describe('what goes wrong is counted as Istio counts it', () => {
  test('a host nobody answers to: 404 NR', async () => {
    const added = await countedBy(async () => expect((await world.ask({ host: 'nobody.shop' })).status).toBe(404))
    expect(added).toEqual(['source unknown 404 NR'])
  })

  test('no route matches: 404 NR', async () => {
    world.route([{ match: [{ uri: { exact: '/only' } }], route: [to('good')] }])
    const added = await countedBy(async () => expect((await world.ask()).status).toBe(404))
    expect(added).toEqual(['source unknown 404 NR'])
  })

  test('a subset that does not exist: 503 NC', async () => {
    world.route([{ route: [to('missing')] }])
    const added = await countedBy(async () => expect((await world.ask()).status).toBe(503))
    expect(added).toEqual(['source unknown 503 NC'])
  })

  test('no ready endpoint: 503 UH without a destination, but with its Service', async () => {
    world.route([{ route: [to('unready')] }])
    const added = await countedBy(async () => expect((await world.ask()).status).toBe(503))
    expect(added).toEqual(['source unknown 503 UH'])
    const labels = { response_flags: 'UH', destination_service_name: 'checkout', destination_service_namespace: 'shop' }
    expect(await world.count({ ...labels, destination_canonical_revision: 'latest' })).toBe(1)
  })

  test('a pod that cannot be reached: 503 UF with the right destination, nothing at the other side', async () => {
    world.route([{ route: [to('lost')], ...NO_RETRY }])
    const added = await countedBy(async () => expect((await world.ask()).status).toBe(503))
    expect(added).toEqual(['source checkout-lost 503 UF'])
    expect(await world.count({ destination_version: 'lost', response_flags: 'UF' })).toBe(1)
  })

  test('retries that run out: UF,URX', async () => {
    world.route([{ route: [to('lost')] }])
    const added = await countedBy(async () => expect((await world.ask()).status).toBe(503))
    expect(added).toEqual(['source checkout-lost 503 UF,URX'])
  })

  test('a route timeout: the caller gets 504 UT, the pod’s side sees the caller leave', async () => {
    world.route([{ route: [to('hanging')], timeout: '60ms' }])
    const added = await countedBy(async () => expect((await world.ask()).status).toBe(504), 2)
    expect(added).toEqual(['destination checkout-hanging 0 DC', 'source checkout-hanging 504 UT'])
  })

  test('a client that goes away: 0 DC on both sides', async () => {
    world.route([{ route: [to('hanging')] }])
    const added = await countedBy(() => expect(world.ask({ giveUpMs: 60 })).rejects.toThrow('gave up'), 2)
    expect(added).toEqual(['destination checkout-hanging 0 DC', 'source checkout-hanging 0 DC'])
  })

  test('an app that cuts the connection: the sidecar answers 503 for it', async () => {
    world.route([{ route: [to('cutting')] }])
    const added = await countedBy(async () => expect((await world.ask()).status).toBe(503), 2)
    expect(added).toEqual(['destination checkout-cutting 503 UC', 'source checkout-cutting 503 -'])
  })

  test('errors of the app are nobody’s flags', async () => {
    world.route([{ route: [to('failing')] }])
    const added = await countedBy(async () => expect((await world.ask()).status).toBe(503), 2)
    expect(added).toEqual(['destination checkout-failing 503 -', 'source checkout-failing 503 -'])
  })

  test('an injected abort and delay: FI and DI, without reaching a pod', async () => {
    world.route([{ route: [to('good')], fault: { abort: { httpStatus: 418, percentage: { value: 100 } } } }])
    expect(await countedBy(async () => expect((await world.ask()).status).toBe(418))).toEqual(['source unknown 418 FI'])
    world.route([{ route: [to('good')], fault: { delay: { fixedDelay: '30ms', percentage: { value: 100 } } } }])
    const added = await countedBy(async () => expect((await world.ask()).status).toBe(200), 2)
    expect(added).toEqual(['destination checkout-good 200 -', 'source checkout-good 200 DI'])
  })

  test('a full circuit breaker: 503 UO', async () => {
    world.rule({
      subsets: [{ name: 'slow', labels: { version: 'slow' } }],
      trafficPolicy: { connectionPool: { http: { http2MaxRequests: 1 } } },
    })
    world.route([{ route: [to('slow')] }])
    const added = await countedBy(() => Promise.all([world.ask(), world.ask()]), 3)
    expect(added).toContain('source checkout-slow 200 -')
    expect(added).toContain('source unknown 503 UO')
  })
})

test('every attempt is counted where it arrives, the request once where it starts', async () => {
  world.route([{ route: [to('failing')], retries: { attempts: 3, retryOn: '5xx' } }])
  const added = await countedBy(async () => expect((await world.ask()).status).toBe(503), 5)
  expect(added).toEqual([...Array(4).fill('destination checkout-failing 503 -'), 'source checkout-failing 503 URX'])
})

test('a retry goes to a pod that was not tried, and saves the request', async () => {
  world.rule({ subsets: [{ name: 'mixed' }] })
  world.storage.patchMerge(
    { group: '', plural: 'services' },
    { namespace: 'shop', name: 'checkout' },
    {
      spec: { selector: { mixed: 'yes' } },
    },
  )
  for (const version of ['good', 'lost']) {
    const pod = podOf(version)
    world.storage.patchMerge(PODS, pod.metadata, { metadata: { labels: { mixed: 'yes' } } })
  }
  world.route([{ route: [to('mixed')] }])
  await eventually(() => world.storage.list({ group: '', plural: 'endpoints' }).length > 0)
  await expect.poll(async () => (await world.ask()).status).toBe(200)
  for (let n = 0; n < 20; n++) expect((await world.ask()).headers['x-version']).toBe('good')
  world.storage.patchMerge(
    { group: '', plural: 'services' },
    { namespace: 'shop', name: 'checkout' },
    {
      spec: { selector: { mixed: null } },
    },
  )
})

test('a host that keeps failing is ejected for a while when outlierDetection asks for it', async () => {
  world.rule({
    subsets: ['failing', 'good'].map((version) => ({ name: version, labels: { version } })),
    trafficPolicy: { outlierDetection: { consecutive5xxErrors: 3, baseEjectionTime: '60s', maxEjectionPercent: 100 } },
  })
  await expect.poll(async () => (await world.ask({ host: 'checkout' })).status).toBeDefined()
  world.route([{ route: [to('failing')], ...NO_RETRY }])
  const bodies: string[] = []
  for (let n = 0; n < 4; n++) bodies.push((await world.ask()).body)
  expect(bodies.slice(0, 3)).not.toContain('no healthy upstream')
  expect(bodies[3]).toBe('no healthy upstream')
})

test('a crashed app behind a sidecar: 503 UF at the pod’s own side, until its endpoint is gone', async () => {
  const delayed = await meshWorld({ propagationMs: 400 })
  try {
    await delayed.version('v1', { SANDBOX_CRASH_AFTER_MS: '600' })
    delayed.route([{ route: [to('v1')], ...NO_RETRY }])
    await delayed.ready('v1', 1)
    await delayed.mesh.settled()
    await expect
      .poll(async () => (await delayed.ask()).body, { interval: 1, timeout: 5000 })
      .toContain('connection failure')
    const labels = { destination_version: 'v1', response_code: '503' }
    const [sidecar, caller] = await Promise.all([
      delayed.count({ ...labels, reporter: 'destination', response_flags: 'UF' }),
      delayed.count({ ...labels, reporter: 'source', response_flags: '-' }),
    ])
    expect(sidecar).toBeGreaterThan(0)
    expect(caller).toBe(sidecar)
  } finally {
    await delayed.stop()
  }
})

function podOf(version: string): Pod {
  const found = world.storage.list(PODS).find((pod) => pod.metadata.labels?.version === version)
  if (!found) throw new Error(`no pod of ${version}`)
  return view<Pod>(found)
}

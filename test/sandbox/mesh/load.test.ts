import { createServer } from 'node:http'
import { afterEach, expect, test } from 'vitest'
import { systemRuntime } from '../../../src/runtime.ts'
import { listen } from '../../../src/sandbox/cluster/kubelet/listener.ts'
import { startLoad } from '../../../src/sandbox/mesh/index.ts'
import { createTally } from '../../../src/sandbox/mesh/tally.ts'
import { type MeshWorld, meshWorld, split, to, WEB } from './mesh-world.ts'

let world: MeshWorld | undefined
afterEach(async () => {
  await world?.stop()
  world = undefined
})

test('what clients saw agrees with what the mesh counted, act by act', async () => {
  world = await meshWorld({ seed: 11 })
  await world.version('v1')
  await world.version('v2', { SANDBOX_ERROR_RATE: '0.5' })
  await Promise.all([world.ready('v1', 1), world.ready('v2', 1)])
  world.route([{ route: [to('v1')] }])
  const load = startLoad({
    url: world.mesh.url,
    host: 'checkout',
    ratePerSecond: 400,
    spacing: 'poisson',
    source: WEB,
    runtime: systemRuntime,
    maxRequests: 400,
  })
  load.mark('stable')
  await expect.poll(() => load.counts().sent).toBeGreaterThan(100)
  world.route([split(50, 50)])
  load.mark('canary')
  await load.done
  const counts = load.counts()
  expect(counts.sent).toBe(400)
  expect(counts.answered + counts.errors).toBe(400)
  // Requests sent in the first act may still be under way when the route changes; none is counted twice or not at all.
  expect(counts.acts.stable?.versions.v1?.total).toBeGreaterThan(0)
  expect(counts.acts.canary?.versions.v2?.total).toBeGreaterThan(0)
  expect((counts.acts.stable?.sent ?? 0) + (counts.acts.canary?.sent ?? 0)).toBe(400)
  expect(counts.bad).toBe(counts.versions.v2?.bad)
  expect(counts.bad).toBeGreaterThan(0)
  for (const reporter of ['source', 'destination']) {
    expect(await world.count({ reporter })).toBe(400)
    expect(await world.count({ reporter, response_code: '500', destination_version: 'v2' })).toBe(counts.bad)
  }
})

test('a change of weights reaches the traffic only after the propagation delay', async () => {
  world = await meshWorld({ propagationMs: 150 })
  await world.version('v1')
  await world.version('v2')
  await Promise.all([world.ready('v1', 1), world.ready('v2', 1)])
  world.route([{ route: [to('v1')] }])
  await world.mesh.settled()
  expect((await world.ask()).headers['x-version']).toBe('v1')
  world.route([{ route: [to('v2')] }])
  expect((await world.ask()).headers['x-version']).toBe('v1')
  await world.mesh.settled()
  expect((await world.ask()).headers['x-version']).toBe('v2')
})

test('ends by itself, gives up on silence, and leaves out what would be too much at once', async () => {
  const silent = await listen('127.0.0.1', 0, () => undefined)
  const { host, port } = silent.address
  const load = startLoad({
    url: `http://${host}:${port}`,
    host: 'silent',
    ratePerSecond: 1000,
    durationMs: 100,
    maxInFlight: 10,
    timeoutMs: 200,
    runtime: systemRuntime,
  })
  await load.done
  await silent.close()
  expect(load.counts()).toMatchObject({
    sent: 10,
    unsent: 90,
    errors: 10,
    answered: 0,
    bad: 10,
    versions: { none: { bad: 10 } },
  })
})

test('stops when told, having every answer', async () => {
  const server = createServer((_, response) => response.end('ok'))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const load = startLoad({
    url: `http://127.0.0.1:${address.port}`,
    host: 'x',
    ratePerSecond: 200,
    runtime: systemRuntime,
  })
  await expect.poll(() => load.counts().answered).toBeGreaterThan(10)
  await load.stop()
  const { sent, answered } = load.counts()
  expect(answered).toBe(sent)
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})

test('quantiles are read from classes that are 26 % wide', () => {
  const tally = createTally()
  for (let ms = 1; ms <= 1000; ms++) {
    tally.sent()
    tally.answered(ms > 990 ? 503 : 200, 'v1', ms)
  }
  const { latency, status, classes, bad, versions } = tally.counts()
  for (const [read, exact] of [
    [latency.p50Ms, 500],
    [latency.p90Ms, 900],
    [latency.p99Ms, 990],
  ] as const) {
    expect(read).toBeGreaterThanOrEqual(exact * 0.99)
    expect(read).toBeLessThanOrEqual(exact * 1.27)
  }
  expect(latency.maxMs).toBe(1000)
  expect({ status, classes, bad, versions }).toEqual({
    status: { 200: 990, 503: 10 },
    classes: { '2xx': 990, '5xx': 10 },
    bad: 10,
    versions: { v1: { total: 1000, bad: 10 } },
  })
})

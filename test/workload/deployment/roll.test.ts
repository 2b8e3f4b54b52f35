import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { rolloutSpec } from '../../../src/api/rollout.ts'
import type { RevisionRecord } from '../../../src/api/status.ts'
import type { KubeObject } from '../../../src/kube/object.ts'
import type { ObjectReader } from '../../../src/kube/reader.ts'
import type { Storage } from '../../../src/sandbox/apiserver/storage.ts'
import { type ClusterRuntime, startCluster } from '../../../src/sandbox/cluster/index.ts'
import { createDeploymentWorkload } from '../../../src/workload/deployment/observe.ts'
import { type SimulatedRuntime, simulatedRuntime } from '../../sandbox/cluster/simulated-runtime.ts'
import { DESTINATION_RULES, deployment, service, testStorage, VIRTUAL_SERVICES } from '../../sandbox/cluster/world.ts'
import { rule, virtualService } from './objects.ts'

const DEPLOYMENTS = { group: 'apps', plural: 'deployments' }
const REPLICA_SETS = { group: 'apps', plural: 'replicasets' }
const PODS = { group: '', plural: 'pods' }
const KEY = { namespace: 'shop', name: 'checkout' }
const labels = { app: 'checkout', track: 'stable' }
const image = (version: number) => `registry.example/checkout:${version}.0.0`

let runtime: SimulatedRuntime
let storage: Storage
let cluster: ClusterRuntime

beforeEach(async () => {
  runtime = simulatedRuntime()
  storage = testStorage(runtime)
  cluster = startCluster({ storage, runtime, serve: false })
  storage.create({ group: '', plural: 'services' }, service('checkout', { app: 'checkout' }))
  storage.create(VIRTUAL_SERVICES, virtualService)
  storage.create(DESTINATION_RULES, rule({ stable: { track: 'stable' }, canary: { track: 'canary' } }))
  storage.create(DEPLOYMENTS, shape(1))
  await runtime.advance(2_000)
})
afterEach(() => cluster.stop())

function shape(version: number, over: { env?: Record<string, string>; annotations?: Record<string, string> } = {}) {
  const spec = { selector: { matchLabels: { app: 'checkout' } }, progressDeadlineSeconds: 60 }
  return deployment({ ...KEY, labels, image: image(version), replicas: 4, spec, ...over })
}

function look(recorded: { stable?: RevisionRecord; canary?: RevisionRecord } = {}) {
  const reader: ObjectReader = {
    get: ({ group, plural }, key) => storage.get({ group, plural }, key),
    list: ({ group, plural }, namespace) => storage.list({ group, plural }, { namespace }),
  }
  const { workload, traffic } = rolloutSpec.parse({
    workload: { deployment: { name: 'checkout' } },
    traffic: { istio: { virtualService: { name: 'checkout' } } },
  })
  const now = createDeploymentWorkload(reader, { of: () => ({ state: 'Unknown' }) }).observe({
    namespace: 'shop',
    rollout: 'checkout',
    workload,
    traffic,
    recordedStable: recorded.stable,
    recordedCanary: recorded.canary,
  })
  if (!now.ok || !now.deployment) throw new Error(now.ok ? 'no Deployment' : now.problem.message)
  return { ...now, deployment: now.deployment }
}

const patch = (spec: Record<string, unknown>) => storage.patchMerge(DEPLOYMENTS, KEY, { spec })
const templateOf = (object: KubeObject) => Object(object.spec).template

/** Everything that was seen in these seconds, at every change of anything. */
async function watch(seconds: number, recorded: Parameters<typeof look>[0] = {}) {
  const seen = [look(recorded)]
  const stops = [DEPLOYMENTS, REPLICA_SETS, PODS].map((ref) => storage.subscribe(ref, () => seen.push(look(recorded))))
  await runtime.advance(seconds * 1_000)
  for (const stop of stops) stop()
  return seen
}

describe('a native roll, watched from outside', () => {
  test('is settled only at its end, goes from one content over both to the other, and stable stays until its last pod', async () => {
    const before = look()
    expect(before.deployment).toMatchObject({ settled: true, running: [{ pods: 4, ready: 4 }] })
    const stable = before.stable
    if (!stable) throw new Error('nothing serves')
    patch({ template: templateOf(shape(2)) })
    const seen = await watch(20, { stable })
    const target = seen[0]!.desired
    expect(target.hash).not.toBe(stable.hash)
    const contents = seen.map((now) => now.deployment.running.map((content) => content.hash).sort())
    const both = [stable.hash, target.hash].sort()
    expect(contents[0]).toEqual([stable.hash])
    expect(contents.at(-1)).toEqual([target.hash])
    expect(contents).toContainEqual(both)
    for (const now of seen) {
      const { running, settled, ready } = now.deployment
      if (running.some((content) => content.hash === stable.hash)) expect(now.stable?.hash).toBe(stable.hash)
      if (settled) {
        expect(running.map((content) => content.hash)).toEqual([target.hash])
        expect(ready).toBe(4)
      }
      expect(now.deployment.stuck).toBeUndefined()
      // maxUnavailable is 25 %.
      expect(ready).toBeGreaterThanOrEqual(3)
    }
    expect(seen.at(-1)?.deployment.settled).toBe(true)
    expect(seen.at(-1)?.stable?.hash).toBe(target.hash)
  })

  test('of a restart never runs a second content', async () => {
    const stable = look().stable
    if (!stable) throw new Error('nothing serves')
    const annotations = { 'kubectl.kubernetes.io/restartedAt': '2026-11-22T18:00:00Z' }
    patch({ template: templateOf(shape(1, { annotations })) })
    const seen = await watch(20, { stable })
    for (const now of seen) {
      expect(now.deployment.running.map((content) => content.hash)).toEqual([stable.hash])
      expect(now.desired.revision).toBe(stable.revision)
    }
    expect(seen.some((now) => !now.deployment.settled)).toBe(true)
    const last = seen.at(-1)
    expect(last?.deployment.settled).toBe(true)
    expect(last?.stable?.workloads).not.toEqual(stable.workloads)
  })

  test('whose pods never become ready is not settled, and is stuck at its deadline', async () => {
    const stable = look().stable!
    patch({ template: templateOf(shape(2, { env: { SANDBOX_READY: 'false' } })) })
    const seen = await watch(70, { stable })
    expect(seen.every((now) => !now.deployment.settled && now.stable?.hash === stable.hash)).toBe(true)
    expect(seen[0]?.deployment.stuck).toBeUndefined()
    expect(look({ stable }).deployment.stuck).toMatch(
      /^Deployment checkout has made no progress for 60 s: pod checkout-\S+ is not ready/,
    )
  })

  test('that is latched never begins: the old content serves and scales', async () => {
    const stable = look().stable!
    patch({ template: templateOf(shape(2)), paused: true })
    const waiting = (await watch(5, { stable })).at(-1)!
    expect(waiting).toMatchObject({
      stable: { hash: stable.hash, ready: 4 },
      deployment: { paused: true, settled: false },
    })
    expect(waiting.desired.hash).not.toBe(stable.hash)
    patch({ replicas: 6 })
    await runtime.advance(2_000)
    expect(look({ stable }).stable).toMatchObject({ hash: stable.hash, replicas: 6, ready: 6 })
    patch({ replicas: 0 })
    await runtime.advance(60_000)
    expect(look({ stable }).stable).toMatchObject({ revision: stable.revision, replicas: 0, ready: 0 })
  })

  test('back to the version before finds its old ReplicaSet again', async () => {
    const first = look().stable!
    patch({ template: templateOf(shape(2)) })
    await runtime.advance(20_000)
    const second = look({ stable: first }).stable!
    patch({ template: templateOf(shape(1)) })
    const seen = await watch(20, { stable: second })
    expect(seen[0]?.desired.revision).toBe(first.revision)
    expect(seen.at(-1)?.stable).toMatchObject({ revision: first.revision, workloads: first.workloads })
    expect(seen.at(-1)?.deployment.settled).toBe(true)
  })
})

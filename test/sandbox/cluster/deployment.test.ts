import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Storage } from '../../../src/sandbox/apiserver/storage.ts'
import { type ClusterRuntime, startCluster } from '../../../src/sandbox/cluster/index.ts'
import {
  controllerOf,
  DEPLOYMENTS,
  type Deployment,
  isPodReady,
  PODS,
  type Pod,
  REPLICA_SETS,
  type ReplicaSet,
  view,
} from '../../../src/sandbox/cluster/objects.ts'
import { type SimulatedRuntime, simulatedRuntime } from './simulated-runtime.ts'
import { type DeploymentShape, deployment, testStorage } from './world.ts'

let runtime: SimulatedRuntime
let storage: Storage
let cluster: ClusterRuntime

function start(): void {
  runtime = simulatedRuntime()
  storage = testStorage(runtime)
  cluster = startCluster({ storage, runtime, serve: false })
}

beforeEach(start)
afterEach(() => cluster.stop())

const KEY = { namespace: 'shop', name: 'checkout' }
const image = (version: number | string) => `registry.example/checkout:${version}`
const live = () => view<Deployment>(storage.get(DEPLOYMENTS, KEY)!)
const sets = () => storage.list(REPLICA_SETS).map((object) => view<ReplicaSet>(object))
const pods = () => storage.list(PODS).map((object) => view<Pod>(object))
const imageOf = ({ spec }: Pod | ReplicaSet) =>
  ('containers' in spec ? (spec as Pod['spec']) : (spec as ReplicaSet['spec']).template.spec).containers[0]?.image ?? ''
const setOf = (version: number | string) => sets().find((set) => imageOf(set) === image(version))
const condition = (type: string) => live().status.conditions?.find((found) => found.type === type)
const patch = (spec: Record<string, unknown>) => storage.patchMerge(DEPLOYMENTS, KEY, { spec })

function setImage(version: number | string, env: Record<string, string> = {}): void {
  const wanted = deployment({ ...KEY, image: image(version), env }) as unknown as Deployment
  patch({ template: wanted.spec.template })
}

async function create(shape: Partial<DeploymentShape> = {}): Promise<void> {
  storage.create(DEPLOYMENTS, deployment({ ...KEY, image: image(1), ...shape }))
  await runtime.advance(1000)
}

const rolling = (maxSurge: number | string, maxUnavailable: number | string) => ({
  strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge, maxUnavailable } },
})

describe('a rollout', () => {
  test('ends with every pod of the new template and the status kubectl and kstatus wait for', async () => {
    await create({ replicas: 3 })
    setImage(2)
    await runtime.advance(5000)
    expect(pods().map(imageOf)).toEqual([image(2), image(2), image(2)])
    expect(live().status).toMatchObject({
      observedGeneration: live().metadata.generation,
      replicas: 3,
      updatedReplicas: 3,
      readyReplicas: 3,
      availableReplicas: 3,
    })
    expect(live().status.unavailableReplicas).toBeUndefined()
    expect(condition('Available')).toMatchObject({ status: 'True', reason: 'MinimumReplicasAvailable' })
    expect(condition('Progressing')).toMatchObject({
      status: 'True',
      reason: 'NewReplicaSetAvailable',
      message: `ReplicaSet "${setOf(2)?.metadata.name}" has successfully progressed.`,
    })
    expect(live().metadata.annotations?.['deployment.kubernetes.io/revision']).toBe('2')
    expect(setOf(1)?.spec.replicas).toBe(0)
    expect(setOf(2)?.metadata.labels?.['pod-template-hash']).toBe(pods()[0]?.metadata.labels?.['pod-template-hash'])
  })

  test('back to an earlier template reuses its ReplicaSet under a new revision', async () => {
    await create()
    const first = setOf(1)?.metadata.uid
    setImage(2)
    await runtime.advance(5000)
    setImage(1)
    await runtime.advance(5000)
    expect(sets()).toHaveLength(2)
    expect(setOf(1)?.metadata.uid).toBe(first)
    expect(setOf(1)?.metadata.annotations).toMatchObject({
      'deployment.kubernetes.io/revision': '3',
      'deployment.kubernetes.io/revision-history': '1',
    })
    expect(pods().map(imageOf)).toEqual([image(1), image(1)])
  })

  test('whose pods never become ready keeps the old ones and exceeds its deadline', async () => {
    await create({ replicas: 4, spec: { progressDeadlineSeconds: 60 } })
    setImage(2, { SANDBOX_READY: 'false' })
    await runtime.advance(59_000)
    expect(condition('Progressing')?.status).toBe('True')
    await runtime.advance(5000)
    expect(condition('Progressing')).toMatchObject({ status: 'False', reason: 'ProgressDeadlineExceeded' })
    expect(pods().filter((pod) => imageOf(pod) === image(1) && isPodReady(pod))).toHaveLength(3)
    expect(live().status).toMatchObject({
      updatedReplicas: 2,
      replicas: 5,
      availableReplicas: 3,
      unavailableReplicas: 2,
    })
  })

  test('counts a pod as available only after minReadySeconds', async () => {
    await create({ replicas: 1, spec: { minReadySeconds: 30 } })
    expect(live().status).toMatchObject({ readyReplicas: 1 })
    expect(live().status.availableReplicas).toBeUndefined()
    await runtime.advance(31_000)
    expect(live().status.availableReplicas).toBe(1)
  })

  test('with Recreate starts no new pod before the last old one is gone', async () => {
    await create({ replicas: 3, spec: { strategy: { type: 'Recreate' } }, env: { SANDBOX_SHUTDOWN_MS: '2000' } })
    const together: string[][] = []
    const stop = storage.subscribe(PODS, () => {
      const images = [...new Set(pods().map(imageOf))]
      if (images.length > 1) together.push(images)
    })
    setImage(2)
    await runtime.advance(1000)
    expect(pods().map(imageOf)).toEqual([image(1), image(1), image(1)])
    await runtime.advance(9000)
    stop()
    expect(pods().map(imageOf)).toEqual([image(2), image(2), image(2)])
    expect(together).toEqual([])
  })

  test('keeps only as many old ReplicaSets as revisionHistoryLimit says', async () => {
    await create({ spec: { revisionHistoryLimit: 2 } })
    for (const version of [2, 3, 4, 5]) {
      setImage(version)
      await runtime.advance(5000)
    }
    expect(sets().map(imageOf).sort()).toEqual([image(3), image(4), image(5)])
  })
})

describe('a paused Deployment', () => {
  test('never starts a new template, says so, and goes all the way when resumed', async () => {
    await create({ replicas: 2 })
    patch({ paused: true })
    setImage(2)
    await runtime.advance(700_000)
    expect(sets().map(imageOf)).toEqual([image(1)])
    expect(condition('Progressing')).toMatchObject({ status: 'Unknown', reason: 'DeploymentPaused' })
    expect(live().status).toMatchObject({
      observedGeneration: live().metadata.generation,
      replicas: 2,
      availableReplicas: 2,
    })
    expect(live().status.updatedReplicas).toBeUndefined()
    patch({ paused: false })
    await runtime.advance(5000)
    expect(pods().map(imageOf)).toEqual([image(2), image(2)])
  })

  test('goes on scaling the active template', async () => {
    await create({ replicas: 2 })
    patch({ paused: true })
    setImage(2)
    patch({ replicas: 5 })
    await runtime.advance(2000)
    expect(pods().map(imageOf)).toEqual(Array(5).fill(image(1)))
  })

  test('in the middle of a rollout spreads a new size over both templates', async () => {
    await create({ replicas: 10, spec: { ...rolling(3, 2) } })
    setImage(2, { SANDBOX_READY: 'false' })
    await runtime.advance(2000)
    expect([setOf(1)?.spec.replicas, setOf(2)?.spec.replicas]).toEqual([8, 5])
    patch({ paused: true })
    patch({ replicas: 15 })
    await runtime.advance(2000)
    expect([setOf(1)?.spec.replicas, setOf(2)?.spec.replicas]).toEqual([11, 7])
  })

  test('whose template equals an old ReplicaSet takes its revision, without scaling it', async () => {
    await create()
    setImage(2)
    await runtime.advance(5000)
    patch({ paused: true })
    setImage(1)
    await runtime.advance(5000)
    expect(live().metadata.annotations?.['deployment.kubernetes.io/revision']).toBe('3')
    expect(setOf(1)?.spec.replicas).toBe(0)
    expect(pods().map(imageOf)).toEqual([image(2), image(2)])
  })

  test('scaled to zero and back starts the template it was held from, if that has a ReplicaSet', async () => {
    await create()
    setImage(2)
    await runtime.advance(5000)
    patch({ paused: true })
    setImage(1)
    patch({ replicas: 0 })
    await runtime.advance(5000)
    expect(pods()).toEqual([])
    patch({ replicas: 2 })
    await runtime.advance(5000)
    expect(pods().map(imageOf)).toEqual([image(1), image(1)])
  })

  test('keeps a deadline that was exceeded before', async () => {
    await create({ spec: { progressDeadlineSeconds: 10 } })
    setImage(2, { SANDBOX_READY: 'false' })
    await runtime.advance(20_000)
    patch({ paused: true })
    await runtime.advance(1000)
    expect(condition('Progressing')?.reason).toBe('ProgressDeadlineExceeded')
  })

  test('starts its deadline afresh when resumed', async () => {
    await create({ spec: { progressDeadlineSeconds: 10 } })
    patch({ paused: true })
    setImage(2, { SANDBOX_READY: 'false' })
    await runtime.advance(60_000)
    patch({ paused: false })
    await runtime.advance(5000)
    expect(condition('Progressing')?.status).toBe('True')
    await runtime.advance(10_000)
    expect(condition('Progressing')?.reason).toBe('ProgressDeadlineExceeded')
  })
})

test('a ReplicaSet replaces pods that were removed and adopts orphans that match', async () => {
  await create({ replicas: 2 })
  const [first, second] = pods()
  storage.remove(PODS, first!.metadata, { gracePeriodSeconds: 0 })
  storage.patchMerge(PODS, second!.metadata, { metadata: { ownerReferences: null } })
  await runtime.advance(2000)
  expect(pods()).toHaveLength(2)
  expect(pods().map(({ metadata }) => metadata.name)).toContain(second?.metadata.name)
  expect(new Set(pods().map((pod) => controllerOf(pod)?.uid))).toEqual(new Set([setOf(1)?.metadata.uid]))
})

type Step =
  | { kind: 'template'; version: number; ready: boolean; readyAfterMs: number }
  | { kind: 'pause'; paused: boolean }
  | { kind: 'wait'; ms: number }

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    kind: fc.constant('template' as const),
    version: fc.integer({ min: 1, max: 5 }),
    ready: fc.boolean(),
    readyAfterMs: fc.constantFrom(0, 300, 2000),
  }),
  fc.record({ kind: fc.constant('pause' as const), paused: fc.boolean() }),
  fc.record({ kind: fc.constant('wait' as const), ms: fc.constantFrom(0, 100, 1000, 5000) }),
)

test('over its whole history a rollout stays within surge and availability, and a pause starts nothing', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 1, maxLength: 12 }),
      fc.integer({ min: 1, max: 6 }),
      fc.constantFrom<[number, number]>([1, 0], [0, 1], [2, 1], [3, 2]),
      async (steps, replicas, [maxSurge, maxUnavailable]) => {
        await cluster.stop()
        start()
        await create({ replicas, spec: rolling(maxSurge, maxUnavailable) })
        const violations: string[] = []
        const least = replicas - Math.min(maxUnavailable, replicas)
        const stops = [
          storage.subscribe(REPLICA_SETS, (type, object) => {
            const total = sets().reduce((sum, set) => sum + (set.spec.replicas ?? 0), 0)
            if (total > replicas + maxSurge) violations.push(`${total} wanted pods of ${replicas}+${maxSurge}`)
            if (type === 'ADDED' && live().spec.paused) violations.push(`${object.metadata.name} created while paused`)
          }),
          storage.subscribe(PODS, () => {
            const serving = pods().filter((pod) => isPodReady(pod) && !pod.metadata.deletionTimestamp).length
            if (serving < least) violations.push(`${serving} available pods, ${least} promised`)
          }),
        ]
        for (const each of steps) {
          if (each.kind === 'wait') await runtime.advance(each.ms)
          if (each.kind === 'pause') patch({ paused: each.paused })
          if (each.kind === 'template') {
            const env = { SANDBOX_READY: String(each.ready), SANDBOX_READY_AFTER_MS: String(each.readyAfterMs) }
            setImage(each.version, env)
          }
          await runtime.advance(0)
        }
        patch({ paused: false })
        setImage('last')
        await runtime.advance(60_000)
        for (const stop of stops) stop()
        expect(violations).toEqual([])
        expect(pods().map(imageOf)).toEqual(Array(replicas).fill(image('last')))
        expect(live().status).toMatchObject({ replicas, updatedReplicas: replicas, availableReplicas: replicas })
      },
    ),
    { seed: 20261122, numRuns: 15 },
  )
})

test('whatever is scaled, changed and paused in whatever order, it ends where it was told to', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.oneof(step, fc.record({ kind: fc.constant('scale' as const), replicas: fc.integer({ min: 0, max: 8 }) })),
        { minLength: 1, maxLength: 12 },
      ),
      fc.integer({ min: 0, max: 6 }),
      async (steps, replicas) => {
        await cluster.stop()
        start()
        await create({ replicas: 2 })
        for (const each of steps) {
          if (each.kind === 'wait') await runtime.advance(each.ms)
          if (each.kind === 'pause') patch({ paused: each.paused })
          if (each.kind === 'scale') patch({ replicas: each.replicas })
          if (each.kind === 'template') setImage(each.version, { SANDBOX_READY: String(each.ready) })
          await runtime.advance(0)
        }
        patch({ paused: false, replicas })
        setImage('last')
        await runtime.advance(60_000)
        expect(pods().map(imageOf)).toEqual(Array(replicas).fill(image('last')))
        expect(sets().filter((set) => (set.spec.replicas ?? 0) > 0)).toHaveLength(replicas > 0 ? 1 : 0)
      },
    ),
    { seed: 20261122, numRuns: 15 },
  )
})

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { fieldAt } from '../../../src/kube/field.ts'
import type { KubeObject } from '../../../src/kube/object.ts'
import { BUDGETS, DEPLOYMENTS, type HandsWorld, HPAS, type Scene, startWorld } from './hands-world.ts'

let world: HandsWorld
beforeAll(async () => {
  world = await startWorld()
})
afterAll(() => world.stop())

const metrics = [
  { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 60 } } },
  {
    type: 'External',
    external: {
      metric: { name: 'lag', selector: { matchLabels: { topic: 'x' } } },
      target: { type: 'Value', value: '5' },
    },
  },
]
const behavior = {
  scaleDown: {
    stabilizationWindowSeconds: 300,
    policies: [{ type: 'Pods', value: 1, periodSeconds: 60 }],
    selectPolicy: 'Min',
  },
}
function autoscaler(s: Scene, over: Record<string, unknown> = {}): KubeObject {
  return s.create(HPAS, {
    apiVersion: 'autoscaling/v2',
    kind: 'HorizontalPodAutoscaler',
    metadata: { name: 'web-scaler', labels: { 'app.kubernetes.io/instance': 'shop' } },
    spec: {
      scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' },
      minReplicas: 2,
      maxReplicas: 6,
      metrics,
      behavior,
      ...over,
    },
  })
}
function budget(s: Scene, name: string, selector: object, over: object = { minAvailable: 1 }): KubeObject {
  return s.create(BUDGETS, {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: { name },
    spec: { selector, ...over },
  })
}
const spec = (object: KubeObject | undefined, ...path: string[]) => fieldAt(object, 'spec', ...path)
const scaled = (s: Scene, replicas: number) => s.act({ kind: 'scaleCanary', revision: s.desired(), replicas })
/** Its selector names the label by which the subsets differ, so that an autoscaler does not count the canary. */
const apart = () => world.scene({ selector: { track: 'stable' }, replicas: 4 })

describe('the autoscaler', () => {
  test('is copied for the canary with metrics and behavior, and never less than is asked for', async () => {
    const s = apart()
    const theirs = autoscaler(s)
    expect(await scaled(s, 3)).toEqual({ done: true })
    const copy = s.get(HPAS, 'web-canary')
    expect(copy?.spec).toEqual({
      ...(theirs.spec as object),
      scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web-canary' },
      minReplicas: 3,
    })
    expect(copy?.metadata.labels).toEqual({
      'sluice.dev/canary-of': 'web',
      'sluice.dev/rollout-name': 'web',
      'app.kubernetes.io/managed-by': 'sluice',
    })
    expect(s.get(HPAS, 'web-scaler')).toMatchObject({ spec: theirs.spec, metadata: { uid: theirs.metadata.uid } })
    await scaled(s, 9)
    expect(spec(s.get(HPAS, 'web-canary'))).toMatchObject({ minReplicas: 9, maxReplicas: 9 })
  })

  test('keeps the pods that it added: the canary is only ever raised', async () => {
    const s = apart()
    autoscaler(s)
    await scaled(s, 1)
    s.edit(DEPLOYMENTS, 'web-canary', { spec: { replicas: 5 } })
    await scaled(s, 2)
    expect(spec(s.canary(), 'replicas')).toBe(5)
    expect(spec(s.get(HPAS, 'web-canary'), 'minReplicas')).toBe(2)
  })

  test('that is gone takes its copy with it at the next change', async () => {
    const s = apart()
    autoscaler(s)
    await scaled(s, 1)
    world.api.storage.remove(HPAS, { namespace: s.namespace, name: 'web-scaler' })
    await scaled(s, 2)
    expect(s.get(HPAS, 'web-canary')).toBeUndefined()
  })

  test('that would count canary pods is said before anything is made', async () => {
    const s = world.scene()
    autoscaler(s)
    expect(await scaled(s, 1)).toMatchObject({ done: false, problem: { reason: 'AutoscalerOverlap' } })
    expect(s.canary()).toBeUndefined()
    expect(s.get(HPAS, 'web-canary')).toBeUndefined()
  })

  test('of the canary’s name that is somebody else’s is not touched', async () => {
    const s = apart()
    const theirs = autoscaler(s)
    const other = s.create(HPAS, {
      apiVersion: 'autoscaling/v2',
      kind: 'HorizontalPodAutoscaler',
      metadata: { name: 'web-canary' },
      spec: { ...(theirs.spec as object), scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'x' } },
    })
    expect(await scaled(s, 1)).toMatchObject({ done: false, problem: { reason: 'CanaryNameTaken' } })
    expect(s.canary()).toBeUndefined()
    await s.act({ kind: 'removeCanary' })
    expect(s.get(HPAS, 'web-canary')).toMatchObject({ spec: other.spec, metadata: { uid: other.metadata.uid } })
  })
})

describe('the disruption budget', () => {
  test('is copied where it would not cover the canary, as a share of its pods', async () => {
    const s = apart()
    budget(s, 'web', { matchLabels: { app: 'web', track: 'stable' } }, { minAvailable: 3 })
    await scaled(s, 1)
    expect(s.get(BUDGETS, 'web-canary')?.spec).toEqual({
      minAvailable: '75%',
      selector: spec(s.canary(), 'selector'),
    })
  })

  test.each([
    [{ minAvailable: '50%' }, { minAvailable: '50%' }],
    [{ maxUnavailable: 1 }, { maxUnavailable: 1 }],
    [
      { maxUnavailable: '10%', unhealthyPodEvictionPolicy: 'AlwaysAllow' },
      { maxUnavailable: '10%', unhealthyPodEvictionPolicy: 'AlwaysAllow' },
    ],
    [{ minAvailable: 9 }, { minAvailable: '100%' }],
  ])('%j becomes %j', async (theirs, ours) => {
    const s = apart()
    budget(s, 'web', { matchLabels: { track: 'stable' } }, theirs)
    await scaled(s, 1)
    const { selector: _, ...copied } = spec(s.get(BUDGETS, 'web-canary')) as Record<string, unknown>
    expect(copied).toEqual(ours)
  })

  test('that covers the canary already is not doubled: two over one pod stop every eviction', async () => {
    const s = apart()
    budget(s, 'all', { matchLabels: { app: 'web' } })
    budget(s, 'web', { matchLabels: { track: 'stable' } })
    budget(s, 'unrelated', { matchLabels: { app: 'other' } })
    await scaled(s, 1)
    expect(s.get(BUDGETS, 'web-canary')).toBeUndefined()
  })
})

test('what was copied goes with the canary, and nothing else', async () => {
  const s = apart()
  autoscaler(s)
  budget(s, 'web', { matchLabels: { track: 'stable' } })
  await scaled(s, 1)
  expect(s.get(HPAS, 'web-canary') && s.get(BUDGETS, 'web-canary')).toBeDefined()
  await s.act({ kind: 'removeCanary' })
  expect(s.list(HPAS).map(({ metadata }) => metadata.name)).toEqual(['web-scaler'])
  expect(s.list(BUDGETS).map(({ metadata }) => metadata.name)).toEqual(['web'])
  await s.until('it is gone', () => s.canary() === undefined)
})

describe('with trouble on the way', () => {
  test.each([
    ['409', { error: 409 }],
    ['500', { error: 500 }],
    ['a cut connection', { reset: true }],
    ['an answer that is lost', { resetAfter: true }],
    ['a stall', { stall: true }],
  ])('%s at every request in turn, the floor comes and goes, and what was copied goes', async (_, fault) => {
    const s = apart()
    autoscaler(s)
    budget(s, 'web', { matchLabels: { track: 'stable' } })
    await scaled(s, 1)
    const spoil = async (effect: Parameters<Scene['act']>[0], requests: number) => {
      for (let spoiled = 0; spoiled < requests; spoiled++) {
        let seen = 0
        const clear = world.api.faults.add({
          match: ({ namespace }) => namespace === s.namespace && seen++ === spoiled,
          ...fault,
        })
        await s.act(effect)
        clear()
      }
      await s.act(effect)
    }
    await spoil({ kind: 'floor', replicas: 5 }, 2)
    expect(spec(s.get(HPAS, 'web-scaler'), 'minReplicas')).toBe(5)
    await spoil({ kind: 'floor' }, 2)
    expect(spec(s.get(HPAS, 'web-scaler'), 'minReplicas')).toBe(2)
    await spoil({ kind: 'removeCanary' }, 6)
    await s.until('all of it is gone', () => s.canary() === undefined)
    expect([...s.list(HPAS), ...s.list(BUDGETS)].map(({ metadata }) => metadata.name)).toEqual(['web-scaler', 'web'])
  })
})

describe('the floor under stable', () => {
  const min = (s: Scene) => spec(s.get(HPAS, 'web-scaler'), 'minReplicas')
  const notes = (s: Scene) => s.get(HPAS, 'web-scaler')?.metadata.annotations ?? {}

  test('is raised and given back, and nothing else of the autoscaler changes', async () => {
    const s = apart()
    const { spec: before } = autoscaler(s)
    expect(await s.act({ kind: 'floor', replicas: 4 })).toEqual({ done: true })
    expect(s.get(HPAS, 'web-scaler')?.spec).toEqual({ ...(before as object), minReplicas: 4 })
    expect(notes(s)).toMatchObject({ 'sluice.dev/floor-of': '2' })
    expect(await world.requests(() => s.act({ kind: 'floor', replicas: 4 }))).toEqual(['list horizontalpodautoscalers'])
    expect(await s.act({ kind: 'floor' })).toEqual({ done: true })
    expect(s.get(HPAS, 'web-scaler')?.spec).toEqual(before)
    expect(notes(s)).toEqual({})
    expect(await world.requests(() => s.act({ kind: 'floor' }))).toEqual(['list horizontalpodautoscalers'])
  })

  test('remembers the first minimum over several raises, and stays below the maximum', async () => {
    const s = apart()
    autoscaler(s)
    await s.act({ kind: 'floor', replicas: 3 })
    await s.act({ kind: 'floor', replicas: 20 })
    expect(min(s)).toBe(6)
    await s.act({ kind: 'floor' })
    expect(min(s)).toBe(2)
  })

  test('put back by a GitOps engine in between is raised again, and what Git says now is what comes back', async () => {
    const s = apart()
    autoscaler(s)
    await s.act({ kind: 'floor', replicas: 4 })
    s.edit(HPAS, 'web-scaler', { spec: { minReplicas: 3 } })
    await s.act({ kind: 'floor', replicas: 4 })
    expect(min(s)).toBe(4)
    await s.act({ kind: 'floor' })
    expect(min(s)).toBe(3)
  })

  test('does not overwrite a minimum that somebody set above it', async () => {
    const s = apart()
    autoscaler(s)
    await s.act({ kind: 'floor', replicas: 4 })
    s.edit(HPAS, 'web-scaler', { spec: { minReplicas: 5 } })
    await s.act({ kind: 'floor', replicas: 4 })
    await s.act({ kind: 'floor' })
    expect(min(s)).toBe(5)
    expect(notes(s)).toEqual({})
  })

  test('is nothing where there is no autoscaler', async () => {
    const s = apart()
    expect(await s.act({ kind: 'floor', replicas: 4 })).toEqual({ done: true })
    expect(await s.act({ kind: 'floor' })).toEqual({ done: true })
  })
})

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { KubeObject } from '../../src/kube/object.ts'
import type { ResourceRef } from '../../src/sandbox/apiserver/index.ts'
import { installLatch } from '../../src/sandbox/latch.ts'
import {
  autoscalerOf,
  deploymentOf,
  destinationRuleOf,
  serviceOf,
  templateOf,
  virtualServiceOf,
} from './deployment-manifests.ts'
import { type DeploymentScene, type DeploymentSceneOptions, deploymentScenes, more } from './deployment-stage.ts'
import { openStage, refs, type Stage } from './stage.ts'

let stage: Stage
let scene: (name: string, options?: DeploymentSceneOptions) => Promise<DeploymentScene>
beforeAll(async () => {
  stage = await openStage({ latch: false })
  scene = deploymentScenes(stage)
  const controller = await stage.controller()
  await controller.synced
}, 60_000)
afterAll(() => stage.stop(), 60_000)

const QUICK = [
  { weight: 50, hold: '1s' },
  { weight: 100, hold: '1s' },
]

function appOf(
  namespace: string,
  changed: { [kind: string]: KubeObject | undefined } = {},
): [ResourceRef, KubeObject][] {
  const all: [ResourceRef, KubeObject | undefined][] = [
    [refs.services, serviceOf(namespace)],
    [refs.destinationRules, 'rule' in changed ? changed.rule : destinationRuleOf(namespace)],
    [refs.virtualServices, 'route' in changed ? changed.route : virtualServiceOf(namespace)],
  ]
  return all.flatMap(([ref, object]): [ResourceRef, KubeObject][] => (object ? [[ref, object]] : []))
}

/** Waits until the Rollout says what is wrong with itself, and answers what it says. */
async function invalid(s: DeploymentScene, reason: string): Promise<string> {
  const has = () => s.status().conditions?.some((c) => c.reason === reason && c.type === 'Ready') ?? false
  await s.until(reason, (status) => status.phase === 'Invalid' && has())
  return s.status().message ?? ''
}

describe('a cluster without the admission policy', { timeout: 240_000 }, () => {
  test('a Deployment that is always paused is released step by step all the same', async () => {
    await using s = await scene('l-paused', {
      rollout: { steps: QUICK, deployment: { latch: 'Pause' } },
    })
    await s.until('paused', () => s.isPaused())
    const before = s.names()
    await s.release({ tag: 'v2' })
    await s.until(
      'promoted',
      (status) =>
        status.lastOutcome?.result === 'Promoted' && status.phase === 'Healthy' && status.canary === undefined,
    )
    expect(s.weights()).toEqual([0, 50, 100, 0])
    await s.until('v2 serves', () => s.pods().every((pod) => pod.workload === 'checkout' && pod.version === 'v2'))
    await s.until('paused again', () => s.isPaused())
    expect(s.names().some((name) => before.includes(name))).toBe(false)
    expect(s.failures()).toEqual({})
  })

  test('says that nothing latches and how to change that; with the policy it is Healthy by itself and holds', async () => {
    await using s = await scene('l-missing', { rate: 0, asleep: true })
    expect(await invalid(s, 'LatchMissing')).toMatch(/no admission policy latches Deployment l-missing\/checkout/)
    expect(s.weights()).toEqual([0])
    await installLatch(stage.sandbox.api.storage)
    await s.until('Healthy', (status) => status.phase === 'Healthy')
    const before = s.names()
    await s.release({ tag: 'v2', image: 'unpullable.example/checkout:v2' })
    await s.until('waiting for pods', (status) => /v2-\w+ are ready/.test(status.message ?? ''))
    expect(s.isPaused()).toBe(true)
    expect(s.names()).toEqual(before)
  })
})

describe.concurrent('what cannot work is said before traffic moves, and works once it is mended', {
  timeout: 240_000,
}, () => {
  test('a template without the label of the stable subset', async () => {
    await using s = await scene('l-labels', { rate: 0, asleep: true, app: { labels: { app: 'checkout' } } })
    const message = await invalid(s, 'StableLabelsMissing')
    expect(message).toContain('track')
    expect(message).toContain('stable')
    expect(s.weights()).toEqual([0])
    s.patch({ spec: { template: templateOf({ tag: 'v1' }) } })
    await s.until('Healthy', (status) => status.phase === 'Healthy')
  })

  test('a subset that is not there', async () => {
    const namespace = 'l-subset'
    const objects = appOf(namespace, { rule: destinationRuleOf(namespace, ['stable']) })
    await using s = await scene(namespace, { rate: 0, asleep: true, objects })
    expect(await invalid(s, 'SubsetMissing')).toMatch(/no subset "canary"/)
    s.change(refs.destinationRules, { spec: destinationRuleOf(namespace).spec as Record<string, unknown> })
    await s.until('Healthy', (status) => status.phase === 'Healthy')
  })

  test('subsets that select the same pods', async () => {
    const namespace = 'l-overlap'
    const rule = destinationRuleOf(namespace)
    const spec = rule.spec as { subsets: { labels: Record<string, string> }[] }
    const objects = appOf(namespace, {
      rule: {
        ...rule,
        spec: { ...spec, subsets: spec.subsets.map((subset) => ({ ...subset, labels: { app: 'checkout' } })) },
      },
    })
    await using s = await scene(namespace, { rate: 0, asleep: true, objects })
    expect(await invalid(s, 'SubsetsOverlap')).toContain('canary')
    s.change(refs.destinationRules, { spec: spec as unknown as Record<string, unknown> })
    await s.until('Healthy', (status) => status.phase === 'Healthy')
  })

  test('a route without the canary’s destination', async () => {
    const namespace = 'l-route'
    const route = virtualServiceOf(namespace, [{ host: 'checkout', subset: 'stable' }])
    await using s = await scene(namespace, { rate: 0, asleep: true, objects: appOf(namespace, { route }) })
    await s.until('Invalid', (status) => status.phase === 'Invalid' && /canary/.test(status.message ?? ''))
    s.change(refs.virtualServices, { spec: virtualServiceOf(namespace).spec as Record<string, unknown> })
    await s.until('Healthy', (status) => status.phase === 'Healthy')
  })

  test('a Deployment that does not exist, until it does', async () => {
    await using s = await scene('l-nothing', { rate: 0, asleep: true, rollout: { deployment: { name: 'nothing' } } })
    expect(await invalid(s, 'WorkloadMissing')).toContain('l-nothing/nothing')
    const later = deploymentOf(s.namespace, { tag: 'v1' })
    later.metadata.name = 'nothing'
    stage.sandbox.api.storage.create(refs.deployments, later)
    await s.until('Healthy', (status) => status.phase === 'Healthy')
  })

  test('an autoscaler that would count the canary’s pods: both ways out are named, and nothing is tried', async () => {
    await using s = await scene('l-hpa', { rate: 0 })
    const { storage } = stage.sandbox.api
    storage.create(more.autoscalers, autoscalerOf(s.namespace, 2, 4))
    const message = await invalid(s, 'AutoscalerOverlap')
    expect(message).toMatch(/selector/)
    expect(message).toMatch(/Service/)
    await s.release({ tag: 'v2', image: 'unpullable.example/checkout:v2' })
    await s.stays('unmoved', () => s.weight() === 0 && s.isPaused() && s.pods('checkout-canary').length === 0, 500)
    storage.remove(more.autoscalers, { namespace: s.namespace, name: 'checkout' })
    await s.until('tried', (status) => status.canary?.name === 'v2')
  })

  test('a Deployment that has the canary’s name and is somebody else’s is left alone', async () => {
    const other = deploymentOf('', { tag: 'v9' }, { replicas: 1, labels: { app: 'other' }, selector: { app: 'other' } })
    other.metadata.name = 'checkout-canary'
    await using s = await scene('l-taken', { rate: 0, asleep: true, besides: [[refs.deployments, other]] })
    expect(await invalid(s, 'CanaryNameTaken')).toContain('checkout-canary')
    await s.stays('left alone', () => s.pods('checkout-canary').length === 1, 500)
    stage.sandbox.api.storage.remove(refs.deployments, { namespace: s.namespace, name: 'checkout-canary' })
    await s.until('Healthy', (status) => status.phase === 'Healthy')
  })
})

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { fieldAt } from '../../src/kube/field.ts'
import type { KubeObject } from '../../src/kube/object.ts'
import type { ResourceRef } from '../../src/sandbox/apiserver/index.ts'
import {
  autoscalerOf,
  rolloutOf,
  SERVICES,
  STABLE_LABELS,
  serviceOf,
  virtualServiceOf,
} from './deployment-manifests.ts'
import { type DeploymentScene, type DeploymentSceneOptions, deploymentScenes, more } from './deployment-stage.ts'
import { openStage, refs, type Stage } from './stage.ts'

let stage: Stage
let scene: (name: string, options?: DeploymentSceneOptions) => Promise<DeploymentScene>
beforeAll(async () => {
  stage = await openStage({ hpaIntervalMs: 500 })
  scene = deploymentScenes(stage)
  const controller = await stage.controller()
  await controller.synced
}, 60_000)
afterAll(() => stage.stop(), 60_000)

const LONG = [
  { weight: 10, hold: '10m' },
  { weight: 100, hold: '1s' },
]
const budget: [ResourceRef, KubeObject] = [
  more.budgets,
  {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: { name: 'checkout' },
    spec: { maxUnavailable: 1, selector: { matchLabels: { app: 'checkout', track: 'stable' } } },
  },
]

describe.concurrent('a Deployment makes progress', { timeout: 240_000 }, () => {
  test('adoption labels it and restarts nothing', async () => {
    await using s = await scene('d-adopted', { rate: 0, asleep: true })
    const before = s.names()
    await s.until('Healthy', (status) => status.phase === 'Healthy')
    expect(s.names()).toEqual(before)
    expect(s.deployment().metadata.labels).toMatchObject({ 'sluice.dev/rollout': 'checkout' })
    expect(s.isPaused()).toBe(false)
    expect(s.status()).toMatchObject({ stable: { name: 'v1' }, deployment: { latch: { proven: true } } })
    expect(s.weights()).toEqual([0])
    expect(s.get(refs.deployments, 'checkout-canary')).toBeUndefined()
  })

  test('a good release gets 10, 50 and 100, the Deployment takes it over under way, and no client notices', async () => {
    await using s = await scene('d-good', { git: true, app: { replicas: 4 } })
    await s.release({ tag: 'v2' })
    const asked = new Map<number, number>()
    await s.until('promoted', (status) => {
      const ready = s.pods('checkout-canary').filter((pod) => pod.ready).length
      if (!asked.has(s.weight())) asked.set(s.weight(), ready)
      return status.lastOutcome?.result === 'Promoted'
    })
    await s.rest('Promoted', 'v2')
    expect(s.weights()).toEqual([0, 10, 50, 100, 0])
    for (const [weight, ready] of asked) expect(ready).toBeGreaterThanOrEqual((4 * weight) / 100)
    expect(s.failures()).toEqual({})
    await s.until('all of it in Git', (status) => status.git?.committed !== false)
    expect(await s.commits()).toEqual([
      'everything',
      'release v2',
      'checkout: 0% → 10% (d-good)',
      'checkout: 10% → 50% (d-good)',
      'checkout: 50% → 100% (d-good)',
      'checkout: promote v2 (d-good)',
    ])
  })

  test('a newer image mid-flight sends traffic back first, then starts from the first step', async () => {
    await using s = await scene('d-superseded', { rollout: { steps: LONG } })
    await s.release({ tag: 'v2' })
    await s.until('at 10 %', (status) => status.step?.index === 1)
    const { attempt = 0 } = s.status()
    await s.release({ tag: 'v3' })
    await s.until('v3 at 10 %', (status) => status.canary?.name === 'v3' && status.step?.index === 1)
    expect(s.weights()).toEqual([0, 10, 0, 10])
    expect(s.status()).toMatchObject({
      attempt: attempt + 1,
      stable: { name: 'v1' },
      lastOutcome: { result: 'Superseded' },
    })
    expect(s.status().knownBad ?? []).toEqual([])
    expect(s.pods('checkout-canary').map((pod) => pod.version)).toEqual(['v3'])
    expect(s.isPaused()).toBe(true)
  })

  test('a git revert mid-flight is an abort: traffic back at once, nothing restarts, nobody is marked bad', async () => {
    await using s = await scene('d-reverted', { git: true, rollout: { steps: LONG } })
    const before = s.names()
    await s.release({ tag: 'v2' })
    await s.until('at 10 %', (status) => status.step?.index === 1)
    await s.release({ tag: 'v1' })
    await s.rest('Reverted', 'v1')
    expect(s.weights()).toEqual([0, 10, 0])
    expect(s.status().knownBad ?? []).toEqual([])
    expect(s.names()).toEqual(before)
  })

  test('scaling mid-flight scales the version that serves, and changes neither step nor revision', async () => {
    await using s = await scene('d-scaled', { rollout: { steps: LONG } })
    await s.release({ tag: 'v2' })
    await s.until('at 10 %', (status) => status.step?.index === 1)
    const before = s.status()
    s.patch({ spec: { replicas: 4 } })
    await s.until('scaled', () => s.pods('checkout').filter((pod) => pod.ready).length === 4)
    const looked = s.status().analysis?.[0]?.stepEvents ?? 0
    await s.until('looked again', (status) => (status.analysis?.[0]?.stepEvents ?? 0) > looked)
    expect(s.status()).toMatchObject({ attempt: before.attempt, step: { index: 1, since: before.step?.since } })
    expect(s.weights()).toEqual([0, 10])
    expect(s.pods('checkout').every((pod) => pod.version === 'v1')).toBe(true)
  })

  test('scaled to zero mid-flight nothing is tried further, and what comes back is what served', async () => {
    await using s = await scene('d-zero', { rollout: { steps: LONG } })
    await s.release({ tag: 'v2' })
    await s.until('at 10 %', (status) => status.step?.index === 1)
    s.patch({ spec: { replicas: 0 } })
    await s.until('empty', () => s.pods('checkout').length === 0)
    await s.stays('where it is', () => s.weight() === 10, 1_500)
    s.patch({ spec: { replicas: 2 } })
    await s.until('back', () => s.pods('checkout').filter((pod) => pod.ready).length === 2)
    expect(s.pods('checkout').every((pod) => pod.version === 'v1')).toBe(true)
    s.change(refs.rollouts, {
      spec: {
        steps: [
          { weight: 10, hold: '1s' },
          { weight: 100, hold: '1s' },
        ],
      },
    })
    await s.rest('Promoted', 'v2')
  })

  test('with an autoscaler the canary has one of its own, and stable keeps its size until the end', async () => {
    const labels = { ...STABLE_LABELS }
    await using s = await scene('d-scaling', {
      app: { replicas: 4, selector: labels },
      first: { tag: 'v1', behaviour: { CPU_UTILIZATION: '50' } },
      besides: [[more.autoscalers, autoscalerOf('', 2, 6)], budget],
      rollout: { steps: LONG },
    })
    await s.release({ tag: 'v2', behaviour: { CPU_UTILIZATION: '50' } })
    await s.until('at 10 %', (status) => status.step?.index === 1)
    const own = () => s.get(more.autoscalers, 'checkout-canary')
    expect(fieldAt(own(), 'spec', 'scaleTargetRef', 'name')).toBe('checkout-canary')
    expect(fieldAt(s.get(more.budgets, 'checkout-canary'), 'spec', 'selector', 'matchLabels', 'track')).toBe('canary')
    await s.until('floored', () => fieldAt(s.get(more.autoscalers), 'spec', 'minReplicas') === 4)
    // Traffic that went to the canary makes stable's pods idle: its autoscaler must not take them away.
    for (const tag of ['v1', 'v2']) s.behave(tag, { 'cpu-utilization': tag === 'v1' ? '10' : '100' })
    await s.until('the canary grows', () => s.pods('checkout-canary').filter((pod) => pod.ready).length >= 2)
    await s.stays('in full', () => s.pods('checkout').length === 4 && s.weight() === 10, 1_500)
    s.change(refs.rollouts, {
      spec: {
        steps: [
          { weight: 10, hold: '1s' },
          { weight: 100, hold: '1s' },
        ],
      },
    })
    await s.until('promoted', (status) => status.lastOutcome?.result === 'Promoted' && status.phase === 'Healthy')
    await s.until('copies gone', () => own() === undefined && s.get(more.budgets, 'checkout-canary') === undefined)
    await s.until('its own minimum again', () => fieldAt(s.get(more.autoscalers), 'spec', 'minReplicas') === 2)
    expect(s.get(more.autoscalers)?.metadata.annotations ?? {}).toEqual({})
    expect(s.failures()).toEqual({})
  })

  test('a restart while nothing is released rolls as ever, and starts no rollout', async () => {
    await using s = await scene('d-restarted')
    const [before, { attempt, stable }] = [s.names(), s.status()]
    const restartedAt = { 'kubectl.kubernetes.io/restartedAt': new Date().toISOString() }
    s.patch({ spec: { template: { metadata: { annotations: restartedAt } } } })
    await s.until('restarted', (status) => {
      const names = s.names()
      return names.length === 2 && names.every((name) => !before.includes(name)) && status.phase === 'Healthy'
    })
    await s.until('rolling templates', () => !s.isPaused())
    expect(s.status().attempt).toBe(attempt)
    expect(s.status().stable?.hash).toBe(stable?.hash)
    expect(s.weights()).toEqual([0])
    expect(s.failures()).toEqual({})
  })

  test('a newer image while the promoted one still rolls waits for its own rollout', async () => {
    const slow = { READY_AFTER_MS: '1200' }
    await using s = await scene('d-overtaken', {
      app: { replicas: 3 },
      rollout: {
        steps: [
          { weight: 50, hold: '1s' },
          { weight: 100, hold: '1s' },
        ],
      },
    })
    await s.release({ tag: 'v2', behaviour: slow })
    await s.until('rolling natively', () => s.pods('checkout').some((pod) => pod.version === 'v2'))
    await s.release({ tag: 'v3' })
    await s.rest('Promoted', 'v3')
    const results = s.status().history?.map((outcome) => outcome.result)
    expect(results?.filter((result) => result === 'Promoted')).toHaveLength(2)
    expect(s.weights()).toEqual([0, 50, 100, 0, 50, 100, 0])
    expect(s.failures()).toEqual({})
  })

  test('a Deployment in the middle of its own roll is adopted when that has ended', async () => {
    await using s = await scene('d-midroll', {
      rate: 0,
      asleep: true,
      app: { replicas: 3 },
      objects: [
        [refs.services, serviceOf('d-midroll')],
        [refs.virtualServices, virtualServiceOf('d-midroll')],
      ],
    })
    s.allow('v2')
    await s.release({ tag: 'v2', behaviour: { READY_AFTER_MS: '1000' } })
    await s.until('rolling', () => new Set(s.pods('checkout').map((pod) => pod.version)).size === 2)
    // Everything but the DestinationRule was there: from now on it can be adopted.
    const { storage } = stage.sandbox.api
    const rule = { host: 'checkout', subsets: ['stable', 'canary'].map((name) => ({ name, labels: { track: name } })) }
    storage.create(refs.destinationRules, {
      apiVersion: 'networking.istio.io/v1',
      kind: 'DestinationRule',
      metadata: { name: 'checkout', namespace: s.namespace },
      spec: rule,
    })
    await s.until('Healthy', (status) => status.phase === 'Healthy' && status.stable?.name === 'v2')
    expect(s.pods('checkout').map((pod) => pod.version)).toEqual(['v2', 'v2', 'v2'])
    expect(s.status().attempt ?? 0).toBe(0)
    expect(s.weights()).toEqual([0])
  })

  test('two Services instead of two subsets', async () => {
    const namespace = 'd-services'
    await using s = await scene(namespace, {
      app: { labels: { app: 'checkout' } },
      objects: [
        [refs.services, serviceOf(namespace)],
        [refs.services, serviceOf(namespace, 'checkout-canary', 'checkout-canary')],
        [refs.virtualServices, virtualServiceOf(namespace, SERVICES)],
      ],
      besides: [[more.autoscalers, autoscalerOf('', 2, 4)]],
      rollout: {
        istio: { services: { stable: 'checkout', canary: 'checkout-canary' } },
        steps: [
          { weight: 50, hold: '1s' },
          { weight: 100, hold: '1s' },
        ],
      },
    })
    await s.release({ tag: 'v2' })
    await s.rest('Promoted', 'v2')
    expect(s.weights()).toEqual([0, 50, 100, 0])
    expect(s.failures()).toEqual({})
  })

  test('of two Rollouts on one Deployment the younger is Invalid and names the older', async () => {
    await using s = await scene('d-rivals', { rate: 0 })
    await new Promise((resolve) => setTimeout(resolve, 1_100))
    const rival = rolloutOf(s.namespace)
    rival.metadata.name = 'usurper'
    stage.sandbox.api.storage.create(refs.rollouts, rival)
    await s.until('refused', () => fieldAt(s.get(refs.rollouts, 'usurper'), 'status', 'phase') === 'Invalid')
    expect(fieldAt(s.get(refs.rollouts, 'usurper'), 'status', 'message')).toContain(`${s.namespace}/checkout`)
    expect(s.deployment().metadata.labels?.['sluice.dev/rollout']).toBe('checkout')
  })
})

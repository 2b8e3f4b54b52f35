import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { connect } from '../../src/kube/client.ts'
import { fieldAt } from '../../src/kube/field.ts'
import { loadKubeconfig } from '../../src/kube/kubeconfig.ts'
import { resources } from '../../src/kube/resources.ts'
import { systemRuntime as runtime } from '../../src/runtime.ts'
import { deploymentOf, templateOf } from './deployment-manifests.ts'
import { type DeploymentScene, type DeploymentSceneOptions, deploymentScenes, more } from './deployment-stage.ts'
import { openStage, refs, type Stage } from './stage.ts'

let stage: Stage
let scene: (name: string, options?: DeploymentSceneOptions) => Promise<DeploymentScene>
beforeAll(async () => {
  stage = await openStage({ crashBackOffMs: 1_000 })
  scene = deploymentScenes(stage)
  const controller = await stage.controller()
  await controller.synced
}, 60_000)
afterAll(() => stage.stop(), 60_000)

const LONG = [
  { weight: 50, hold: '10m' },
  { weight: 100, hold: '1s' },
]
const BAKE = [
  { weight: 50, hold: '1s' },
  { weight: 100, hold: '10m' },
]
const QUICK = [
  { weight: 50, hold: '1s' },
  { weight: 100, hold: '1s' },
]

describe.concurrent('a Deployment goes back', { timeout: 240_000 }, () => {
  test('a breach: weight 0 first, then Git has the template back, and not one pod of the Deployment was touched', async () => {
    await using s = await scene('r-breach', { git: true })
    const [before, manifest] = [s.names(), await s.file('deployment-checkout.yaml')]
    await s.release({ tag: 'v2', behaviour: { ERROR_RATE: '1' } })
    await s.until('bad', (status) => status.knownBad?.some((bad) => bad.name === 'v2') ?? false)
    expect(s.weight()).toBe(0)
    await s.rest('RolledBack', 'v1')
    expect(s.weights()).toEqual([0, 10, 0])
    expect(s.names()).toEqual(before)
    expect(await s.file('deployment-checkout.yaml')).toBe(manifest)
    expect((await s.commits()).at(-1)).toMatch(/^checkout: roll back v2 → v1 \(r-breach\): success-rate /)
    // A person brings the very same content again: it is left in Git, latched, and not tried.
    await s.release({ tag: 'v2', behaviour: { ERROR_RATE: '1' } })
    await s.until('kept out', (status) => status.conditions?.some((c) => c.reason === 'KnownBad') ?? false)
    await s.stays('kept out', () => s.weight() === 0 && s.isPaused() && s.pods('checkout-canary').length === 0, 1_000)
    expect(s.names()).toEqual(before)
    // Other content under the same name is tried.
    await s.release({ tag: 'v2' })
    await s.rest('Promoted', 'v2')
  })

  test('a breach in the bake: back at once, to pods that never went away', async () => {
    await using s = await scene('r-bake', { rollout: { steps: BAKE } })
    const before = s.names()
    await s.release({ tag: 'v2' })
    await s.until('at 100 %', (status) => status.step?.weight === 100)
    s.behave('v2', { 'error-rate': '1' })
    await s.until('rolled back', (status) => status.lastOutcome?.result === 'RolledBack')
    expect(s.weights()).toEqual([0, 50, 100, 0])
    expect(s.names()).toEqual(before)
    await s.release({ tag: 'v1' })
    await s.until('Healthy', (status) => status.phase === 'Healthy' && !s.isPaused())
    expect(s.names()).toEqual(before)
  })

  test('a breach after the resume is a slow rollback, and says so', async () => {
    await using s = await scene('r-slow', { app: { replicas: 3 }, rollout: { steps: QUICK } })
    await s.release({ tag: 'v2', behaviour: { READY_AFTER_MS: '2500' } })
    await s.until('rolling natively', () => s.pods('checkout').some((pod) => pod.version === 'v2'))
    s.behave('v2', { 'error-rate': '1' })
    await s.until('rolled back', (status) => status.lastOutcome?.result === 'RolledBack')
    expect(s.status().lastOutcome?.message).toContain('slow')
    expect(s.weight()).toBe(0)
    await s.until(
      'v1 again',
      (status) =>
        status.phase === 'Healthy' &&
        status.stable?.name === 'v1' &&
        s.pods().length === 3 &&
        s.pods().every((pod) => pod.version === 'v1' && pod.ready),
    )
    expect(s.status().knownBad?.map((bad) => bad.name)).toEqual(['v2'])
  })

  test('all canary pods crash under traffic: back within seconds, for that reason', async () => {
    await using s = await scene('r-crash', { rollout: { steps: LONG } })
    await s.release({ tag: 'v2' })
    await s.until('at 50 %', (status) => status.step?.weight === 50)
    s.behave('v2', { ready: 'false' })
    await s.until('rolled back', (status) => status.lastOutcome?.result === 'RolledBack')
    expect(s.status().lastOutcome?.reason).toBe('NoReadyPods')
    expect(s.weights()).toEqual([0, 50, 0])
  })

  test.each([
    ['image', { tag: 'v2', image: 'unpullable.example/checkout:v2' }, /ImagePullBackOff|ErrImagePull/],
    ['crash', { tag: 'v2', behaviour: { CRASH_AFTER_MS: '50' } }, /CrashLoopBackOff|Error/],
    ['node', { tag: 'v2', behaviour: { UNSCHEDULABLE: 'true' } }, /0\/1 nodes are available/],
    ['quota', { tag: 'v2' }, /exceeded quota: few/],
  ] as const)(
    'pods that do not become ready in time (%s) are told with their own reason',
    async (what, release, reason) => {
      await using s = await scene(`r-never-${what}`, {
        rate: 0,
        rollout: { deployment: { progressDeadline: '4s' } },
        besides:
          what === 'quota'
            ? [
                [
                  more.quotas,
                  { apiVersion: 'v1', kind: 'ResourceQuota', metadata: { name: 'few' }, spec: { hard: { pods: '2' } } },
                ],
              ]
            : [],
      })
      const before = s.names()
      await s.release(release)
      await s.until('rolled back', (status) => status.lastOutcome?.result === 'RolledBack')
      expect(s.statuses().some(({ canary, message }) => canary && reason.test(message ?? ''))).toBe(true)
      expect(s.status().lastOutcome).toMatchObject({
        reason: 'ProgressDeadlineExceeded',
        message: expect.stringMatching(reason),
      })
      expect(s.weights()).toEqual([0])
      expect(s.names()).toEqual(before)
      expect(s.status().knownBad?.map((bad) => bad.name)).toEqual(['v2'])
      expect(s.isPaused()).toBe(true)
    },
  )

  test('whoever writes, in whatever way, the untried template stays latched, and stable’s rolls again', async () => {
    await using s = await scene('r-latched', { rate: 0, rollout: { steps: LONG } })
    const before = s.names()
    const { storage } = stage.sandbox.api
    const ci = { username: 'ci', groups: ['system:authenticated'] }
    const connection = await loadKubeconfig({ path: stage.sandbox.kubeconfig, env: {}, runtime })
    const client = connect({ connection, runtime })
    const v2 = deploymentOf(s.namespace, { tag: 'v2' })
    const replace = () => {
      const { labels, annotations, resourceVersion } = s.deployment().metadata
      const metadata = { ...v2.metadata, labels, annotations, resourceVersion }
      storage.update(refs.deployments, { ...v2, metadata }, { user: ci, fieldManager: 'kubectl-replace' })
    }
    const restart = () =>
      s.patch({ spec: { template: { metadata: { annotations: { 'kubectl.kubernetes.io/restartedAt': 'now' } } } } })
    const apply = () =>
      client.patch(
        resources.deployments,
        { namespace: s.namespace, name: 'checkout' },
        { type: 'apply', body: v2, force: true },
        { fieldManager: 'kustomize-controller' },
      )
    const resume = () => s.patch({ spec: { paused: null } })
    const unlabelled = () =>
      s.patch({ metadata: { labels: null }, spec: { template: templateOf({ tag: 'v3' }), paused: null } })
    for (const write of [replace, restart, apply, resume, replace, apply, unlabelled]) {
      await write()
      expect(s.isPaused(), write.name).toBe(true)
    }
    client.close()
    await s.stays('latched', () => s.isPaused(), 500)
    s.patch({
      spec: {
        template: {
          ...templateOf({ tag: 'v1' }),
          metadata: { annotations: null, labels: { app: 'checkout', track: 'stable' } },
        },
      },
    })
    await s.until('rolling again', (status) => !s.isPaused() && status.phase === 'Healthy')
    expect(s.names()).toEqual(before)
    expect(s.deployment().metadata.labels).toMatchObject({ 'sluice.dev/rollout': 'checkout' })
  })

  test('a broken glass rolls what a person asks for, unasked and untested, and says so', async () => {
    await using s = await scene('r-glass', { rollout: { steps: LONG } })
    await s.release({ tag: 'v2' })
    await s.until('at 50 %', (status) => status.step?.weight === 50)
    s.allow('v2')
    s.allow('v3')
    s.patch({
      metadata: { annotations: { 'sluice.dev/break-glass': 'incident 7' } },
      spec: { paused: null, template: templateOf({ tag: 'v3' }) },
    })
    await s.until(
      'v3 everywhere',
      (status) =>
        status.stable?.name === 'v3' &&
        s.weight() === 0 &&
        s.pods('checkout').every((pod) => pod.version === 'v3' && pod.ready) &&
        s.pods('checkout-canary').length === 0,
    )
    expect(s.status().stable?.tested).toBe(false)
    expect(s.status().history?.map(({ result }) => result)).toEqual(['Superseded'])
  })

  test('deleted at 50 %: retreat, Git says Aborted, the Deployment stays latched as it is, then it is gone', async () => {
    await using s = await scene('r-deleted', { git: true, rollout: { steps: LONG } })
    const before = s.names()
    await s.release({ tag: 'v2' })
    await s.until('at 50 %', (status) => status.step?.weight === 50)
    await s.developer.commit('no Rollout', (files) => new Map(files).set('rollout-checkout.yaml', '# gone\n'))
    stage.sandbox.api.storage.remove(refs.rollouts, { namespace: s.namespace, name: 'checkout' })
    await s.until('gone', () => s.rollout() === undefined)
    expect(s.weights()).toEqual([0, 50, 0])
    await s.until('canary gone', () => s.pods('checkout-canary').length === 0)
    expect(s.names()).toEqual(before)
    expect(s.deployment().metadata.labels?.['sluice.dev/rollout']).toBeUndefined()
    expect((await s.commits()).join('\n')).toMatch(/checkout: .*(delet|Abort)/i)
    expect(await s.file('virtualservice-checkout.yaml')).toMatch(/weight: 100[\s\S]*weight: 0/)
  })

  test('deleted while the Deployment takes over: traffic is back, the canary goes, and one version is left', async () => {
    await using s = await scene('r-deleted-late', { app: { replicas: 3 }, rollout: { steps: QUICK } })
    await s.release({ tag: 'v2', behaviour: { READY_AFTER_MS: '1000' } })
    await s.until('rolling natively', () => s.pods('checkout').some((pod) => pod.version === 'v2'))
    stage.sandbox.api.storage.remove(refs.rollouts, { namespace: s.namespace, name: 'checkout' })
    await s.until('gone', () => s.rollout() === undefined)
    await s.until('canary gone', () => s.pods('checkout-canary').length === 0)
    expect(s.weight()).toBe(0)
    expect(s.deployment().metadata.labels?.['sluice.dev/rollout']).toBeUndefined()
    await s.until('one version', () => new Set(s.pods().map((pod) => pod.version)).size === 1)
    expect(s.failures()).toEqual({})
  })

  test.each(['Background', 'Foreground'] as const)(
    'deleted while idle (%s): the workload serves on',
    async (policy) => {
      await using s = await scene(`r-idle-${policy.toLowerCase()}`, { rate: 0 })
      const before = s.names()
      const key = { namespace: s.namespace, name: 'checkout' }
      stage.sandbox.api.storage.remove(refs.rollouts, key, { propagationPolicy: policy })
      await s.until('gone', () => s.rollout() === undefined)
      expect(s.names()).toEqual(before)
      expect(s.isPaused()).toBe(false)
      expect(s.deployment().metadata.labels?.['sluice.dev/rollout']).toBeUndefined()
      await s.release({ tag: 'v1', behaviour: { LATENCY_MS: '1' } })
      await s.until('rolls as ever', () => s.names().every((name) => !before.includes(name)))
    },
  )

  test('a namespace that is deleted mid-flight goes, the Rollout with it', async () => {
    await using s = await scene('r-namespace', { git: true, rollout: { steps: LONG } })
    await s.release({ tag: 'v2' })
    await s.until('at 50 %', (status) => status.step?.weight === 50)
    const { storage } = stage.sandbox.api
    storage.remove(refs.namespaces, { name: s.namespace })
    await s.until('gone', () => storage.get(refs.namespaces, { name: s.namespace }) === undefined)
    expect(s.rollout()).toBeUndefined()
  })

  test('the progress deadline does not run while people are waited for; a breach then is answered as ever', async () => {
    await using s = await scene('r-waits', {
      rollout: {
        deployment: { progressDeadline: '8s' },
        steps: [
          { weight: 50, hold: '1s' },
          { weight: 100, hold: '1s', approval: { from: ['user:dana'] } },
        ],
      },
    })
    await s.release({ tag: 'v2' })
    await s.until('asks', (status) => status.approval?.state === 'Pending')
    await s.stays('asking', (status) => status.phase === 'AwaitingApproval' && s.weight() === 50, 9_000)
    s.behave('v2', { 'error-rate': '1' })
    await s.until('rolled back', (status) => status.lastOutcome?.reason === 'Breach.success-rate')
    expect(s.weights()).toEqual([0, 50, 0])
    expect(fieldAt(s.get(refs.approvals), 'status', 'state')).not.toBe('Approved')
  })
})

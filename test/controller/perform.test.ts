import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { RolloutStatus } from '../../src/api/status.ts'
import { fieldAt } from '../../src/kube/field.ts'
import type { KubeObject } from '../../src/kube/object.ts'
import { systemRuntime as runtime } from '../../src/runtime.ts'
import { ApiError, type ResourceRef } from '../../src/sandbox/apiserver/index.ts'
import { type Load, startLoad } from '../../src/sandbox/mesh/index.ts'
import { destinationRuleOf, rolloutOf, serviceOf, virtualServiceOf } from '../scenario/manifests.ts'
import { openStage, refs, type Stage } from '../scenario/stage.ts'

let stage: Stage
const loads: Load[] = []
beforeAll(async () => {
  stage = await openStage()
  await stage.controller()
})
afterAll(async () => {
  for (const load of loads) await load.stop()
  await stage.stop()
})

interface Shop {
  namespace: string
  status(): RolloutStatus
  weight(): number
  get(ref: ResourceRef, name: string): KubeObject | undefined
  pods(track: string): KubeObject[]
  release(image: string, env?: Record<string, string>): void
  until(what: string, test: () => boolean, ms?: number): Promise<void>
}

/** A Deployment in Deployment mode with its routes, under load, and Healthy. */
async function shop(namespace: string, replicas = 2): Promise<Shop> {
  const { storage } = stage.sandbox.api
  storage.create(refs.namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } })
  const template = (image: string, env: Record<string, string> = {}) => ({
    metadata: { labels: { app: 'my-app', track: 'stable' } },
    spec: {
      containers: [
        { name: 'app', image, env: Object.entries(env).map(([name, value]) => ({ name: `SANDBOX_${name}`, value })) },
      ],
    },
  })
  const rule = destinationRuleOf(namespace, [])
  const subsets = ['stable', 'canary'].map((name) => ({ name, labels: { track: name } }))
  storage.create(refs.deployments, {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'my-app', namespace },
    spec: { replicas, selector: { matchLabels: { app: 'my-app' } }, template: template('my-app:1') },
  })
  storage.create(refs.services, serviceOf(namespace))
  storage.create(refs.destinationRules, { ...rule, spec: { host: 'my-app', subsets } })
  storage.create(refs.virtualServices, virtualServiceOf(namespace, { stable: 100, canary: 0 }))
  const rollout = rolloutOf(namespace, {
    steps: [
      { weight: 20, hold: '1s' },
      { weight: 100, hold: '1s' },
    ],
    workload: { deployment: { name: 'my-app', scaleDownDelay: '0s' } },
  })
  storage.create(refs.rollouts, rollout)
  const load = startLoad({
    url: stage.sandbox.mesh.url,
    host: `my-app.${namespace}`,
    ratePerSecond: 40,
    runtime,
    source: { workload: 'frontend', namespace, app: 'frontend', version: 'v1' },
  })
  loads.push(load)
  const get: Shop['get'] = (ref, name) => storage.get(ref, { namespace, name })
  const self: Shop = {
    namespace,
    get,
    status: () => (get(refs.rollouts, 'my-app')?.status ?? {}) as RolloutStatus,
    weight: () => Number(fieldAt(get(refs.virtualServices, 'my-app'), 'spec', 'http', 0, 'route', 1, 'weight')),
    pods: (track) =>
      storage
        .list(refs.pods, { namespace })
        .filter((pod) => pod.metadata.labels?.track === track && !pod.metadata.deletionTimestamp),
    release: (image, env) =>
      void storage.patchMerge(
        refs.deployments,
        { namespace, name: 'my-app' },
        { spec: { template: template(image, env) } },
        { user: { username: 'eve', groups: ['system:masters'] } },
      ),
    async until(what, test, ms = 60_000) {
      const end = runtime.monotonic() + ms
      while (!test()) {
        if (runtime.monotonic() > end) {
          const log = stage.logs.filter((line) => line.level !== 20).slice(-8)
          throw new Error(
            `never ${what}: ${JSON.stringify(self.status(), null, 1)}\n${log.map((l) => JSON.stringify(l)).join('\n')}`,
          )
        }
        await runtime.sleep(20)
      }
    },
  }
  await self.until('Healthy', () => self.status().phase === 'Healthy')
  return self
}
const images = (pods: KubeObject[]) => [...new Set(pods.map((pod) => fieldAt(pod, 'spec', 'containers', 0, 'image')))]

describe('Deployment mode in the controller', () => {
  test('a new image is tried on a canary, passes, rolls, and the canary goes', async () => {
    const s = await shop('cycle')
    s.release('my-app:2')
    await s.until('the canary has everything', () => s.weight() === 100)
    expect(images(s.pods('stable'))).toEqual(['my-app:1'])
    await s.until('promoted', () => s.status().lastOutcome?.result === 'Promoted' && s.weight() === 0)
    expect(images(s.pods('stable'))).toEqual(['my-app:2'])
    await s.until(
      'the canary goes',
      () => s.get(refs.deployments, 'my-app-canary') === undefined && s.pods('canary').length === 0,
    )
    expect(s.status()).toMatchObject({ phase: 'Healthy' })
  })

  test('a canary that is refused is said in the message, and made when it is not refused any more', async () => {
    const s = await shop('refused')
    const stop = stage.sandbox.api.admission.addValidating(({ type, name, namespace }) => {
      if (type.plural !== 'deployments' || name !== 'my-app-canary' || namespace !== 'refused') return
      throw new ApiError(403, 'Forbidden', 'deployments.apps "my-app-canary" is forbidden: exceeded quota: small')
    })
    let tries = 0
    const heard = stage.sandbox.api.onRequest(({ verb, resource, namespace }) => {
      if (verb === 'create' && resource === 'deployments' && namespace === 'refused') tries++
    })
    s.release('my-app:2')
    await s.until('it says so', () => /exceeded quota: small/.test(s.status().message ?? ''))
    await runtime.sleep(3_000)
    expect(s.status().message).toMatch(/exceeded quota: small/)
    expect(tries).toBeLessThan(6)
    expect(s.weight()).toBe(0)
    stop()
    heard()
    await s.until('it goes on', () => s.weight() === 20)
    expect(s.status().message).not.toMatch(/quota/)
  })

  test('while no Deployment can be written, traffic still goes back at once (I2)', async () => {
    const s = await shop('stalled', 4)
    s.release('my-app:2')
    await s.until('a fifth of the traffic', () => s.weight() === 20)
    const clear = stage.sandbox.api.faults.add({
      match: ({ resource, verb, namespace }) =>
        resource === 'deployments' && verb !== 'watch' && namespace === 'stalled',
      stall: true,
    })
    let over = 0
    const heard = stage.sandbox.api.onRequest(({ resource, verb, namespace }) => {
      if (resource === 'deployments' && verb !== 'watch' && namespace === 'stalled') over++
    })
    await s.until('more pods are asked for', () => (s.status().deployment?.capacity?.replicas ?? 0) > 1)
    await runtime.sleep(300)
    for (const pod of s.pods('canary'))
      stage.sandbox.api.storage.patchMerge(
        refs.pods,
        { namespace: 'stalled', name: pod.metadata.name },
        {
          metadata: { annotations: { 'sandbox.sluice.dev/error-rate': '1' } },
        },
      )
    // Had the look waited for the stalled request, that one would be over when traffic is back.
    const before = over
    await s.until('traffic is back', () => s.weight() === 0)
    expect(over).toBe(before)
    heard()
    clear()
    await s.until('the canary goes', () => s.get(refs.deployments, 'my-app-canary') === undefined)
  })
})

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { systemRuntime } from '../../../src/runtime.ts'
import type { Storage } from '../../../src/sandbox/apiserver/storage.ts'
import { type ClusterRuntime, startCluster } from '../../../src/sandbox/cluster/index.ts'
import {
  DEPLOYMENTS,
  type Deployment,
  ENDPOINT_SLICES,
  type EndpointSlice,
  isPodReady,
  PODS,
  type Pod,
  REPLICA_SETS,
  SERVICES,
  view,
} from '../../../src/sandbox/cluster/objects.ts'
import { type DeploymentShape, deployment, eventually, service, testStorage } from './world.ts'

let storage: Storage
let cluster: ClusterRuntime
const errors: Error[] = []

beforeEach(() => {
  errors.length = 0
  storage = testStorage()
  cluster = startCluster({
    storage,
    runtime: systemRuntime,
    seed: 1,
    crashBackOffMs: 100,
    hpaIntervalMs: 20,
    onError: (error) => errors.push(error),
  })
})

afterEach(async () => {
  await cluster.stop()
  expect(errors).toEqual([])
})

const pods = () => storage.list(PODS).map((object) => view<Pod>(object))
const create = (shape: DeploymentShape) => storage.create(DEPLOYMENTS, deployment(shape))
const warnings = () =>
  storage
    .list({ group: '', plural: 'events' })
    .map((event) => [String(event.reason), String(event.message)])
    .sort()
const stateOf = (pod: Pod | undefined) => pod?.status.containerStatuses?.[0]

async function readyPod(): Promise<Pod> {
  return eventually(() => pods().find(isPodReady))
}

describe('a pod that is configured', () => {
  const config = (kind: 'ConfigMap' | 'Secret', name: string, data: Record<string, string>) => {
    const plural = `${kind.toLowerCase()}s`
    const ref = { group: '', plural }
    const object = { apiVersion: 'v1', kind, metadata: { name, namespace: 'shop' }, data }
    const key = { namespace: 'shop', name }
    return storage.get(ref, key) ? storage.patchMerge(ref, key, { data }) : storage.create(ref, object)
  }
  const container = {
    envFrom: [{ prefix: 'SANDBOX_', configMapRef: { name: 'env' } }],
    env: [{ name: 'SANDBOX_ERROR_STATUS', valueFrom: { secretKeyRef: { name: 'token', key: 'status' } } }],
  }
  const ask = async (pod: Pod) => (await fetch(`http://${pod.status.podIP}:8080/`)).status

  test('by a ConfigMap and a Secret has what they say when it starts, and keeps it', async () => {
    config('ConfigMap', 'env', { ERROR_RATE: '1' })
    config('Secret', 'token', { status: Buffer.from('503').toString('base64') })
    create({ name: 'checkout', replicas: 1, container })
    const pod = await readyPod()
    expect(await ask(pod)).toBe(503)
    config('ConfigMap', 'env', { ERROR_RATE: '0' })
    expect(await ask(pod)).toBe(503)
    storage.remove(PODS, pod.metadata)
    const next = await eventually(() =>
      pods().find((each) => isPodReady(each) && each.metadata.uid !== pod.metadata.uid),
    )
    expect(await ask(next)).toBe(200)
  })

  test('by what is missing waits for it, with the reason', async () => {
    create({ name: 'checkout', replicas: 1, container })
    const [, message] = await eventually(() => warnings().find(([reason]) => reason === 'Failed'))
    expect(message).toContain('configmap "env" not found')
    expect(stateOf(pods()[0])?.state.waiting?.reason).toBe('CreateContainerConfigError')
    config('ConfigMap', 'env', {})
    config('Secret', 'token', { other: 'eA==' })
    await eventually(() => stateOf(pods()[0])?.state.waiting?.message?.includes("couldn't find key status in Secret"))
    config('Secret', 'token', { status: 'NTAw' })
    await readyPod()
  })
})

describe('a pod', () => {
  test('answers over HTTP at its own address with its version and name', async () => {
    create({ name: 'checkout', replicas: 1, image: 'registry.example/checkout:2.1.0' })
    const pod = await readyPod()
    const response = await fetch(`http://${pod.status.podIP}:8080/any`)
    expect(response.status).toBe(200)
    expect(response.headers.get('x-version')).toBe('2.1.0')
    expect(await response.json()).toEqual({ version: '2.1.0', pod: pod.metadata.name })
  })

  test('fails as often as its environment says, the same requests for the same seed', async () => {
    const draw = async () => {
      create({ name: 'checkout', replicas: 1, env: { SANDBOX_ERROR_RATE: '0.3', SANDBOX_SEED: '7' } })
      const pod = await readyPod()
      const codes: number[] = []
      for (let n = 0; n < 100; n++) codes.push((await fetch(`http://${pod.status.podIP}:8080/`)).status)
      return codes
    }
    const first = await draw()
    expect(first.filter((code) => code === 500).length).toBeGreaterThan(15)
    expect(first.filter((code) => code === 500).length).toBeLessThan(45)
    await cluster.stop()
    storage = testStorage()
    cluster = startCluster({ storage, runtime: systemRuntime, seed: 99 })
    expect(await draw()).toEqual(first)
  })

  test('changes its behaviour while it runs when its annotation changes', async () => {
    create({ name: 'checkout', replicas: 1 })
    const pod = await readyPod()
    storage.patchMerge(PODS, pod.metadata, { metadata: { annotations: { 'sandbox.sluice.dev/error-rate': '1' } } })
    expect((await fetch(`http://${pod.status.podIP}:8080/`)).status).toBe(500)
    storage.patchMerge(PODS, pod.metadata, { metadata: { annotations: { 'sandbox.sluice.dev/ready': 'false' } } })
    await eventually(() => !isPodReady(pods()[0]!))
  })

  test('with an image that cannot be pulled says so and never becomes ready', async () => {
    create({ name: 'checkout', replicas: 1, image: 'registry.example/checkout:does-not-exist' })
    const waiting = await eventually(() => {
      const state = stateOf(pods()[0])?.state.waiting
      return state?.reason === 'ImagePullBackOff' ? state : undefined
    })
    expect(waiting.message).toContain('Back-off pulling image "registry.example/checkout:does-not-exist"')
    expect(pods()[0]?.status.phase).toBe('Pending')
    expect(warnings()).toEqual([
      ['BackOff', 'Back-off pulling image "registry.example/checkout:does-not-exist"'],
      ['Failed', expect.stringMatching(/^Failed to pull image "registry.example\/checkout:does-not-exist": /)],
    ])
  })

  test('that no node takes says why, stays pending, and runs as soon as one does', async () => {
    create({ name: 'checkout', replicas: 1, env: { SANDBOX_UNSCHEDULABLE: 'true' } })
    const scheduled = () => pods()[0]?.status.conditions?.find(({ type }) => type === 'PodScheduled')
    await eventually(() => scheduled()?.reason === 'Unschedulable')
    expect(scheduled()?.message).toMatch(/^0\/1 nodes are available: 1 node\(s\) were unschedulable\. /)
    expect(pods()[0]?.status).toMatchObject({ phase: 'Pending' })
    expect(pods()[0]?.status.containerStatuses).toBeUndefined()
    expect(warnings().map(([reason]) => reason)).toEqual(['FailedScheduling'])
    const annotations = { 'sandbox.sluice.dev/unschedulable': 'false' }
    storage.patchMerge(PODS, pods()[0]!.metadata, { metadata: { annotations } })
    expect((await readyPod()).spec.nodeName).toBe('sandbox')
  })

  test('that asks for more than the node has, or for another node, is not scheduled, and can be deleted', async () => {
    create({ name: 'large', replicas: 1, container: { resources: { requests: { cpu: '65' } } } })
    const other = deployment({ name: 'other', replicas: 1 }) as unknown as Deployment
    other.spec.template.spec.nodeSelector = { disk: 'ssd' }
    storage.create(DEPLOYMENTS, other)
    const why = () =>
      pods()
        .map((pod) => pod.status.conditions?.find(({ type }) => type === 'PodScheduled')?.message ?? '')
        .sort()
    await eventually(() => why().filter((message) => message !== '').length === 2)
    expect(why()[1]).toContain("1 node(s) didn't match Pod's node affinity/selector")
    expect(why()[0]).toContain('1 Insufficient cpu')
    for (const name of ['large', 'other']) storage.remove(DEPLOYMENTS, { namespace: 'shop', name })
    for (const set of storage.list(REPLICA_SETS)) storage.remove(REPLICA_SETS, set.metadata)
    for (const pod of pods()) storage.remove(PODS, pod.metadata)
    await eventually(() => pods().length === 0)
  })

  test('that crashes is restarted once at once, then backs off', async () => {
    create({ name: 'checkout', replicas: 1, env: { SANDBOX_CRASH_AFTER_MS: '20' } })
    const crashed = await eventually(() => {
      const status = stateOf(pods()[0])
      return status?.state.waiting?.reason === 'CrashLoopBackOff' ? status : undefined
    })
    expect(crashed).toMatchObject({ ready: false, lastState: { terminated: { exitCode: 1, reason: 'Error' } } })
    expect(crashed.state.waiting?.message).toMatch(/^back-off \d+s restarting failed container=app pod=checkout-/)
    expect(isPodReady(pods()[0]!)).toBe(false)
    await expect(fetch(`http://${pods()[0]?.status.podIP}:8080/`)).rejects.toThrow()
    await eventually(() => (stateOf(pods()[0])?.restartCount ?? 0) >= 2)
  })

  test('is not ready before its probe has passed often enough', async () => {
    create({
      name: 'checkout',
      replicas: 1,
      env: { SANDBOX_READY_AFTER_MS: '150' },
      container: { readinessProbe: { httpGet: { path: '/', port: 8080 }, periodSeconds: 1, successThreshold: 1 } },
    })
    await eventually(() => stateOf(pods()[0])?.state.running)
    expect(isPodReady(pods()[0]!)).toBe(false)
    await readyPod()
  })

  test('declared on a privileged or taken port still serves, and says where', async () => {
    create({ name: 'first', replicas: 1, container: { ports: [{ containerPort: 8080 }, { containerPort: 65_535 }] } })
    const pod = await readyPod()
    const moved = JSON.parse(pod.metadata.annotations?.['sandbox.sluice.dev/addresses'] ?? '{}')
    const address = moved['65535'] ?? `${pod.status.podIP}:65535`
    expect((await fetch(`http://${address}/`)).status).toBe(200)
  })

  test('that is deleted leaves its endpoints first, serves a little longer, and is replaced', async () => {
    storage.create(SERVICES, service('checkout', { app: 'checkout' }))
    create({ name: 'checkout', replicas: 1, env: { SANDBOX_SHUTDOWN_MS: '300' } })
    const pod = await readyPod()
    storage.remove(PODS, pod.metadata)
    const slice = () => view<EndpointSlice>(storage.list(ENDPOINT_SLICES)[0]!)
    await eventually(() => slice().endpoints?.find((endpoint) => endpoint.conditions?.terminating))
    expect((await fetch(`http://${pod.status.podIP}:8080/`)).status).toBe(200)
    await eventually(() => pods().every(({ metadata }) => metadata.name !== pod.metadata.name))
    await expect(fetch(`http://${pod.status.podIP}:8080/`)).rejects.toThrow()
    expect((await readyPod()).metadata.name).not.toBe(pod.metadata.name)
  })
})

test('a Service lists ready and unready pods with the number behind a named port', async () => {
  storage.create(SERVICES, service('checkout', { app: 'checkout' }))
  create({ name: 'good', replicas: 2, labels: { app: 'checkout', version: 'v1' } })
  create({ name: 'bad', replicas: 1, labels: { app: 'checkout', version: 'v2' }, env: { SANDBOX_READY: 'false' } })
  const slice = await eventually(() => {
    const found = storage.list(ENDPOINT_SLICES).map((object) => view<EndpointSlice>(object))[0]
    return found?.endpoints?.length === 3 && found.endpoints.filter((e) => e.conditions?.ready).length === 2 && found
  })
  expect(slice).toMatchObject({ ports: [{ name: 'http', port: 8080 }], addressType: 'IPv4' })
})

test('an autoscaler multiplies its ratio by every ready pod the selector matches, within its bounds', async () => {
  create({ name: 'checkout', replicas: 2, env: { SANDBOX_CPU_UTILIZATION: '150' } })
  await eventually(() => pods().filter(isPodReady).length === 2)
  storage.create(
    { group: 'autoscaling', plural: 'horizontalpodautoscalers' },
    {
      apiVersion: 'autoscaling/v2',
      kind: 'HorizontalPodAutoscaler',
      metadata: { name: 'checkout', namespace: 'shop' },
      spec: {
        minReplicas: 2,
        maxReplicas: 4,
        scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'checkout' },
        metrics: [
          { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 75 } } },
        ],
      },
    },
  )
  await eventually(() => view<Deployment>(storage.list(DEPLOYMENTS)[0]!).spec.replicas === 4)
  await eventually(() => pods().filter(isPodReady).length === 4)
})

const HPAS = { group: 'autoscaling', plural: 'horizontalpodautoscalers' }

function autoscale(name: string, minReplicas: number): void {
  storage.create(HPAS, {
    apiVersion: 'autoscaling/v2',
    kind: 'HorizontalPodAutoscaler',
    metadata: { name, namespace: 'shop' },
    spec: {
      minReplicas,
      maxReplicas: 9,
      scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name },
      metrics: [
        { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 10 } } },
      ],
    },
  })
}

test('two autoscalers whose targets select the same pods scale by no metric, and say so', async () => {
  create({ name: 'checkout', replicas: 1, labels: { app: 'checkout' }, env: { SANDBOX_CPU_UTILIZATION: '90' } })
  create({ name: 'checkout-canary', replicas: 1, labels: { app: 'checkout', track: 'canary' } })
  await eventually(() => pods().filter(isPodReady).length === 2)
  autoscale('checkout-canary', 2)
  autoscale('checkout', 1)
  const active = (name: string) =>
    (storage.get(HPAS, { namespace: 'shop', name })?.status as Deployment['status'] | undefined)?.conditions?.find(
      ({ type }) => type === 'ScalingActive',
    )
  for (const name of ['checkout', 'checkout-canary'])
    expect(await eventually(() => active(name)?.reason === 'AmbiguousSelector' && active(name))).toMatchObject({
      status: 'False',
      message: 'pods by selector are controlled by multiple HPAs: [shop/checkout shop/checkout-canary]',
    })
  const wanted = (name: string) =>
    view<Deployment>(storage.get(DEPLOYMENTS, { namespace: 'shop', name })!).spec.replicas
  await eventually(() => wanted('checkout-canary') === 2)
  expect(wanted('checkout')).toBe(1)
})

test('Deployments with overlapping selectors each keep to their own pods', async () => {
  create({ name: 'checkout', replicas: 2, labels: { app: 'checkout' } })
  await eventually(() => pods().filter(isPodReady).length === 2)
  create({ name: 'checkout-canary', replicas: 1, labels: { app: 'checkout', track: 'canary' } })
  await eventually(() => pods().filter(isPodReady).length === 3)
  storage.patchMerge(DEPLOYMENTS, { namespace: 'shop', name: 'checkout' }, { spec: { replicas: 1 } })
  await eventually(() => pods().length === 2)
  expect(pods().filter(({ metadata }) => metadata.labels?.track === 'canary')).toHaveLength(1)
  const of = (name: string) => view<Deployment>(storage.get(DEPLOYMENTS, { namespace: 'shop', name })!)
  await eventually(() => of('checkout').status.replicas === 1)
  expect(of('checkout').status).toMatchObject({ replicas: 1, readyReplicas: 1, updatedReplicas: 1 })
  expect(of('checkout-canary').status).toMatchObject({ replicas: 1, readyReplicas: 1 })
})

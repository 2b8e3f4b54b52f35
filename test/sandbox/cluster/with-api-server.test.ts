import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { stringify } from 'yaml'
import { systemRuntime } from '../../../src/runtime.ts'
import { type ApiServer, startApiServer } from '../../../src/sandbox/apiserver/index.ts'
import { type ClusterRuntime, startCluster } from '../../../src/sandbox/cluster/index.ts'
import {
  DEPLOYMENTS,
  type Deployment,
  isPodReady,
  PODS,
  type Pod,
  REPLICA_SETS,
  view,
} from '../../../src/sandbox/cluster/objects.ts'
import { type Mesh, startLoad, startMesh } from '../../../src/sandbox/mesh/index.ts'
import { deployment, eventually, service, VIRTUAL_SERVICES } from './world.ts'

const run = promisify(execFile)
const hasKubectl = await run('kubectl', ['version', '--client']).then(
  () => true,
  () => false,
)
if (!hasKubectl) console.warn('kubectl is not installed: the tests that drive it are skipped')

let api: ApiServer
let cluster: ClusterRuntime
let mesh: Mesh
let folder: string
const errors: Error[] = []

beforeAll(async () => {
  api = await startApiServer()
  const { storage } = api
  cluster = startCluster({
    storage,
    admission: api.admission,
    runtime: systemRuntime,
    onError: (error) => errors.push(error),
  })
  mesh = await startMesh({ storage, cluster, runtime: systemRuntime, propagationMs: 0 })
  folder = await mkdtemp(join(tmpdir(), 'cluster-'))
  await writeFile(join(folder, 'kubeconfig'), api.kubeconfig())
  storage.create(
    { group: '', plural: 'namespaces' },
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } },
  )
})

afterAll(async () => {
  await mesh.stop()
  await cluster.stop()
  await api.stop()
  await rm(folder, { recursive: true })
  expect(errors).toEqual([])
})

const pods = (app = 'checkout') =>
  api.storage
    .list(PODS)
    .map((object) => view<Pod>(object))
    .filter(({ metadata }) => metadata.labels?.app === app)

async function kubectl(...args: string[]): Promise<string> {
  const { stdout } = await run('kubectl', ['--kubeconfig', join(folder, 'kubeconfig'), '-n', 'shop', ...args])
  return stdout
}

async function apply(...objects: unknown[]): Promise<void> {
  const file = join(folder, 'objects.yaml')
  await writeFile(file, objects.map((object) => stringify(object)).join('---\n'))
  await kubectl('apply', '-f', file)
}

test.skipIf(!hasKubectl)('kubectl rolls out, waits, pauses, scales, undoes and deletes', async () => {
  await apply(
    deployment({ name: 'checkout', image: 'registry.example/checkout:1' }),
    service('checkout', { app: 'checkout' }),
  )
  expect(await kubectl('rollout', 'status', 'deployment/checkout', '--timeout=20s')).toContain(
    'successfully rolled out',
  )
  expect(await kubectl('get', 'pods')).toMatch(/checkout-\w+-\w+\s+1\/1\s+Running\s+0/)
  await kubectl('set', 'image', 'deployment/checkout', 'app=registry.example/checkout:2')
  expect(await kubectl('rollout', 'status', 'deployment/checkout', '--timeout=20s')).toContain(
    'successfully rolled out',
  )
  await eventually(() => pods().every((pod) => pod.spec.containers[0]?.image.endsWith(':2')))
  await kubectl('rollout', 'undo', 'deployment/checkout')
  expect(await kubectl('rollout', 'status', 'deployment/checkout', '--timeout=20s')).toContain(
    'successfully rolled out',
  )
  await eventually(() => pods().every((pod) => pod.spec.containers[0]?.image.endsWith(':1')))
  expect(await kubectl('rollout', 'history', 'deployment/checkout')).toMatch(/^2\s.*\n3\s/m)
  await kubectl('rollout', 'pause', 'deployment/checkout')
  await kubectl('set', 'image', 'deployment/checkout', 'app=registry.example/checkout:3')
  await kubectl('scale', 'deployment/checkout', '--replicas=3')
  await kubectl('wait', '--for=jsonpath={.status.readyReplicas}=3', 'deployment/checkout', '--timeout=20s')
  expect(pods().every((pod) => pod.spec.containers[0]?.image.endsWith(':1'))).toBe(true)
  await expect(kubectl('rollout', 'undo', 'deployment/checkout')).rejects.toThrow('cannot rollback a paused deployment')
  const before = pods().map(({ metadata }) => metadata.name)
  await kubectl('rollout', 'restart', 'deployment/checkout').catch((error: Error) =>
    expect(error.message).toContain("can't restart paused deployment"),
  )
  expect(pods().map(({ metadata }) => metadata.name)).toEqual(before)
  await kubectl('rollout', 'resume', 'deployment/checkout')
  expect(await kubectl('rollout', 'status', 'deployment/checkout', '--timeout=20s')).toContain(
    'successfully rolled out',
  )
  await eventually(() => pods().every((pod) => pod.spec.containers[0]?.image.endsWith(':3')))
  await kubectl('rollout', 'restart', 'deployment/checkout')
  expect(await kubectl('rollout', 'status', 'deployment/checkout', '--timeout=20s')).toContain(
    'successfully rolled out',
  )
  await eventually(() => pods().every(({ metadata }) => !before.includes(metadata.name)))
  await kubectl('delete', 'deployment/checkout', '--wait=true', '--timeout=20s')
  await eventually(() => api.storage.list(REPLICA_SETS).length === 0 && pods().length === 0)
})

test('a VirtualService that the CRD accepts moves traffic, and a rollout under load loses no request', async () => {
  const { storage } = api
  const shape = { name: 'web', image: 'registry.example/web:1', replicas: 3 }
  storage.create(DEPLOYMENTS, deployment(shape))
  storage.create({ group: '', plural: 'services' }, service('web', { app: 'web' }))
  storage.create(VIRTUAL_SERVICES, {
    apiVersion: 'networking.istio.io/v1',
    kind: 'VirtualService',
    metadata: { name: 'web', namespace: 'shop' },
    spec: { hosts: ['web'], http: [{ name: 'primary', route: [{ destination: { host: 'web' }, weight: 100 }] }] },
  })
  await eventually(() => pods('web').filter(isPodReady).length === 3)
  const source = { workload: 'loadgen', namespace: 'shop' }
  const load = startLoad({
    url: mesh.url,
    host: 'web',
    ratePerSecond: 150,
    source,
    durationMs: 20_000,
    runtime: systemRuntime,
  })
  await expect.poll(() => load.counts().versions['1']?.total ?? 0).toBeGreaterThan(10)
  const changed = structuredClone(deployment({ ...shape, image: 'registry.example/web:2' }))
  storage.patchMerge(DEPLOYMENTS, changed.metadata, { spec: changed.spec })
  await eventually(
    () => pods('web').length === 3 && pods('web').every((pod) => pod.spec.containers[0]?.image.endsWith(':2')),
  )
  await load.stop()
  const { bad, errors, versions } = load.counts()
  expect({ bad, errors }).toEqual({ bad: 0, errors: 0 })
  expect(versions['2']?.total).toBeGreaterThan(0)
})

test('a namespace that is deleted takes its pods and their servers with it', async () => {
  const { storage } = api
  const ref = { group: '', plural: 'namespaces' }
  storage.create(ref, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'gone' } })
  storage.create(DEPLOYMENTS, deployment({ name: 'app', namespace: 'gone' }))
  const mine = () => pods('app')
  await eventually(() => mine().filter(isPodReady).length === 2)
  const [pod] = mine()
  storage.remove(ref, { name: 'gone' })
  await eventually(() => mine().length === 0 && storage.get(ref, { name: 'gone' }) === undefined)
  await expect(fetch(`http://${pod?.status.podIP}:8080/`)).rejects.toThrow()
})

test('a quota refuses pods beyond it, the Deployment says so, and room makes it go on', async () => {
  const { storage } = api
  const quotas = { group: '', plural: 'resourcequotas' }
  const namespace = 'crowded'
  storage.create(
    { group: '', plural: 'namespaces' },
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } },
  )
  storage.create(quotas, {
    apiVersion: 'v1',
    kind: 'ResourceQuota',
    metadata: { name: 'few', namespace },
    spec: { hard: { pods: '2', 'requests.cpu': '4' } },
  })
  storage.create(DEPLOYMENTS, deployment({ name: 'crowd', namespace, replicas: 3 }))
  const live = () => view<Deployment>(storage.get(DEPLOYMENTS, { namespace, name: 'crowd' })!)
  const failure = () => live().status.conditions?.find(({ type }) => type === 'ReplicaFailure')
  await eventually(() => failure() && live().status.readyReplicas === 2)
  expect(failure()).toMatchObject({ status: 'True', reason: 'FailedCreate' })
  expect(failure()?.message).toMatch(
    /^pods "crowd-\w+-\w+" is forbidden: exceeded quota: few, requested: pods=1, used: pods=2, limited: pods=2$/,
  )
  expect(storage.get(quotas, { namespace, name: 'few' })?.status).toEqual({
    hard: { pods: '2', 'requests.cpu': '4' },
    used: { pods: '2', 'requests.cpu': '0' },
  })
  storage.patchMerge(quotas, { namespace, name: 'few' }, { spec: { hard: { pods: '3' } } })
  await eventually(() => live().status.readyReplicas === 3 && !failure())
})

import { afterEach, describe, expect, test, vi } from 'vitest'
import { type Caches, createCaches } from '../../src/controller/caches.ts'
import { connect, type KubeClient } from '../../src/kube/client.ts'
import { connectionTo } from '../../src/kube/connection.ts'
import type { KubeObject, OwnerReference } from '../../src/kube/object.ts'
import { resources } from '../../src/kube/resources.ts'
import { systemRuntime } from '../../src/runtime.ts'
import { type ApiServer, startApiServer } from '../../src/sandbox/apiserver/index.ts'
import { createDeploymentWorkload } from '../../src/workload/deployment/observe.ts'
import { deployment, namespace, observe, pods, replicaSet, routed } from '../workload/deployment/objects.ts'

const RULES = { group: 'rbac.authorization.k8s.io', plural: 'clusterroles' }
const everything = [{ apiGroups: ['*'], resources: ['*'], verbs: ['*'] }]
/** All that was needed before Deployments could be released. */
const before = [
  {
    apiGroups: ['', 'sluice.dev', 'networking.istio.io'],
    resources: ['*'],
    verbs: ['get', 'list', 'watch'],
  },
  { apiGroups: ['apps'], resources: ['deployments'], verbs: ['get', 'list', 'watch'] },
]

const ends: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

async function start(
  rules: object[],
): Promise<{ api: ApiServer; client: KubeClient; caches: Caches; woken: string[] }> {
  const api = await startApiServer({ rbac: true, tokens: { sluice: { username: 'sluice', groups: [] } } })
  ends.push(() => api.stop())
  api.storage.create({ group: '', plural: 'namespaces' }, object('v1', 'Namespace', namespace))
  api.storage.create(RULES, { ...object('rbac.authorization.k8s.io/v1', 'ClusterRole', 'sluice'), rules })
  api.storage.create(
    { group: 'rbac.authorization.k8s.io', plural: 'clusterrolebindings' },
    {
      ...object('rbac.authorization.k8s.io/v1', 'ClusterRoleBinding', 'sluice'),
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'sluice' },
      subjects: [{ kind: 'User', name: 'sluice', apiGroup: 'rbac.authorization.k8s.io' }],
    },
  )
  const client = connect({ connection: connectionTo(api.url, { token: api.token('sluice') }), runtime: systemRuntime })
  ends.push(() => client.close())
  const woken: string[] = []
  const log = { info() {}, warn() {}, error() {} }
  const caches = createCaches({
    client,
    runtime: systemRuntime,
    log,
    namespaces: [],
    onChange: (kind, key, now) => woken.push(`${now ? '' : '-'}${kind} ${key}`),
  })
  ends.push(() => caches.stop())
  caches.start()
  return { api, client, caches, woken }
}

function object(apiVersion: string, kind: string, name: string) {
  return { apiVersion, kind, metadata: { name } }
}

describe('caches', () => {
  test('of a role that may not read ReplicaSets are ready without, say so, and catch up when it may', async () => {
    const { api, caches } = await start(before)
    await caches.synced(AbortSignal.timeout(10_000))
    expect(caches.unsynced()).toEqual([])
    expect(caches.refusal?.(resources.replicaSets)).toMatch(/replicasets/)
    expect(caches.refusal?.(resources.horizontalPodAutoscalers)).toMatch(/horizontalpodautoscalers/)
    expect(caches.refusal?.(resources.pods)).toBeUndefined()
    api.storage.patchMerge(RULES, { name: 'sluice' }, { rules: everything })
    await vi.waitFor(() => expect(caches.refusal?.(resources.replicaSets)).toBeUndefined(), { timeout: 8_000 })
    await vi.waitFor(() => expect(caches.of('replicaSets').hasSynced()).toBe(true), { timeout: 8_000 })
  })

  test('are not ready while something that all Rollouts need may not be read', async () => {
    const { caches } = await start(before.slice(0, 1))
    await vi.waitFor(() => expect(caches.unsynced()).toEqual(['deployments.apps']), { timeout: 8_000 })
    await expect(caches.synced(AbortSignal.timeout(100))).rejects.toThrow()
  })

  test('show of a Deployment what there is, and let go of ReplicaSets without pods', async () => {
    const { api, caches, woken } = await start(everything)
    const put = (group: string, each: KubeObject, spec: object, ...ownerReferences: OwnerReference[]) => {
      const { name, labels } = each.metadata
      const metadata = { name, namespace, labels, ownerReferences }
      const plural = `${each.kind.toLowerCase()}s`
      const whole = { ...each, metadata, spec: { ...Object(each.spec), ...spec }, status: undefined }
      api.storage.create({ group, plural }, whole)
      return api.storage.updateStatus({ group, plural }, { ...whole, status: each.status }).metadata.uid ?? ''
    }
    const by = (kind: string, name: string, uid: string) => ({
      apiVersion: 'apps/v1',
      kind,
      name,
      uid,
      controller: true,
    })
    for (const each of routed) {
      const isService = each.kind === 'Service'
      put(isService ? '' : 'networking.istio.io', each, isService ? { ports: [{ port: 80 }] } : {})
    }
    const uid = put('apps', deployment('1.0.0'), {})
    const [set] = [replicaSet('a', '1.0.0', 3), replicaSet('old', '0.9.0', 0)].map((each) =>
      put('apps', each, { selector: { matchLabels: each.metadata.labels } }, by('Deployment', 'checkout', uid)),
    )
    const spec = { containers: [{ name: 'app', image: 'registry.example/checkout:1.0.0' }] }
    for (const pod of pods('a', 3)) put('', pod, spec, by('ReplicaSet', 'checkout-a', set ?? ''))
    await caches.synced(AbortSignal.timeout(10_000))
    const workload = createDeploymentWorkload(caches, { of: () => ({ state: 'Unknown' }) })
    const look = () =>
      workload.observe({
        namespace,
        rollout: 'checkout',
        workload: {
          deployment: {
            name: 'checkout',
            latch: 'Admission',
            canaryReplicas: 'Proportional',
            trackConfig: false,
            progressDeadline: '10m',
            scaleDownDelay: '30s',
          },
        },
        traffic: { istio: { virtualService: { name: 'checkout' } } },
      })
    await vi.waitFor(
      () => {
        expect(look()).toMatchObject({ ok: true, deployment: { uid, running: [{ pods: 3 }] } })
      },
      { timeout: 5_000 },
    )
    // The same as of plain objects, whose content is hashed from the manifest.
    const plain = observe([...routed, deployment('1.0.0'), replicaSet('a', '1.0.0', 3), ...pods('a', 3)])
    expect(look()).toMatchObject({ desired: { hash: plain.ok ? plain.desired.hash : '' } })
    expect(look()).toMatchObject({ stable: { hash: plain.ok ? plain.stable?.hash : '' } })
    const kept = () =>
      caches
        .of('replicaSets')
        .list()
        .map((each) => each.metadata.name)
    expect(kept()).toEqual(['checkout-a'])
    const ref = { group: 'apps', plural: 'replicasets' }
    api.storage.patchMerge(ref, { namespace, name: 'checkout-a' }, { spec: { replicas: 0 } })
    const live = api.storage.get(ref, { namespace, name: 'checkout-a' })
    if (live) api.storage.updateStatus(ref, { ...live, status: { replicas: 0 } })
    await vi.waitFor(() => expect(woken).toContain(`-replicaSets ${namespace}/checkout-a`), { timeout: 5_000 })
    expect(kept()).toEqual([])
  })
})

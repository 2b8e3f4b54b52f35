import { describe, expect, test } from 'vitest'
import type { RevisionRecord } from '../../src/api/status.ts'
import type { KubeObject } from '../../src/kube/object.ts'
import { createSubsetWorkload } from '../../src/workload/subsets.ts'
import type { WorkloadQuery } from '../../src/workload/workload.ts'
import { destinationRule, namespace, to, traffic, virtualService } from '../traffic/istio/objects.ts'
import { createMemoryApi } from '../traffic/memory-api.ts'

function service(name = 'checkout', selector: Record<string, string> = { app: 'checkout' }): KubeObject {
  return { apiVersion: 'v1', kind: 'Service', metadata: { name, namespace }, spec: { selector } }
}

function deployment(
  version: string,
  changes: { labels?: Record<string, string>; replicas?: number; status?: object } = {},
) {
  const labels = changes.labels ?? { app: 'checkout', version }
  const { replicas = 2 } = changes
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: `checkout-${version}`, namespace, uid: `uid-${version}`, generation: 4 },
    spec: {
      replicas,
      template: {
        metadata: { labels },
        spec: {
          containers: [{ name: 'app', image: `registry.example/checkout:${version}`, readinessProbe: { grpc: {} } }],
        },
      },
    },
    status: { observedGeneration: 4, replicas, updatedReplicas: replicas, ...changes.status },
  }
}

function pod(name: string, version: string, status: object = ready, metadata: object = {}): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace, labels: { app: 'checkout', version }, ...metadata },
    status,
  }
}

const ready = { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] }
const unready = {
  phase: 'Running',
  conditions: [{ type: 'Ready', status: 'False', message: 'containers with unready status: [app]' }],
  containerStatuses: [{ name: 'app', ready: false, state: { running: {} } }],
}

function record(name: string): RevisionRecord {
  return { revision: `${name}-0`, name, hash: '0', format: 1, workloads: [] }
}

const usual: KubeObject[] = [
  service(),
  destinationRule(),
  virtualService({ http: [{ route: [to('v1', 100), to('v2', 0)] }] }),
  deployment('v1'),
  deployment('v2'),
  pod('v1-a', 'v1'),
  pod('v1-b', 'v1'),
  pod('v2-a', 'v2'),
  pod('v2-b', 'v2'),
]

/** The usual objects with some replaced (same kind and name) or added, and some removed. */
function observe(changes: { put?: KubeObject[]; remove?: [string, string][]; query?: Partial<WorkloadQuery> } = {}) {
  const api = createMemoryApi()
  for (const object of [...usual, ...(changes.put ?? [])]) api.put(object)
  for (const [kind, name] of changes.remove ?? []) api.remove(kind, { namespace, name })
  api.sync()
  return createSubsetWorkload(api.reader).observe({
    namespace,
    rollout: 'checkout',
    workload: { subsets: { desired: 'v2' } },
    traffic: traffic(),
    ...changes.query,
  })
}

function desired(changes: Parameters<typeof observe>[0] = {}) {
  const seen = observe(changes)
  if (!seen.ok) throw new Error(seen.problem.message)
  return seen.desired
}

describe('subsets', () => {
  test('sees what runs behind every one of them', () => {
    const seen = observe({ query: { recordedStable: record('v1'), recordedCanary: record('v3') } })
    expect(seen).toMatchObject({
      ok: true,
      desired: {
        name: 'v2',
        image: 'registry.example/checkout:v2',
        format: 2,
        workloads: [{ name: 'checkout-v2', uid: 'uid-v2', generation: 4 }],
        replicas: 2,
        ready: 2,
        notReady: undefined,
      },
      stable: { name: 'v1', ready: 2 },
      canary: undefined,
      all: [{ name: 'v1' }, { name: 'v2' }],
    })
  })

  test('a revision is content: new labels on the object, replicas or status change nothing, the template does', () => {
    const before = desired().revision
    const scaled = deployment('v2', { replicas: 7, status: { readyReplicas: 1 } })
    expect(desired({ put: [scaled] }).revision).toBe(before)
    const edited = deployment('v2')
    edited.spec.template.spec.containers[0]!.image = 'registry.example/checkout:2.0.1'
    expect(desired({ put: [edited] }).revision).not.toBe(before)
  })

  test('a Deployment counts only when Service and subset both select its pods', () => {
    const stranger = deployment('v2', { labels: { app: 'other', version: 'v2' } })
    expect(observe({ put: [stranger] })).toMatchObject({
      ok: false,
      problem: { reason: 'WorkloadMissing', message: expect.stringContaining('app=checkout, version=v2') },
    })
  })

  test('several Deployments behind one subset are one revision', () => {
    const second = deployment('v2', { replicas: 3 })
    second.metadata.name = 'checkout-v2-eu'
    second.metadata.uid = 'uid-eu'
    expect(desired({ put: [second] })).toMatchObject({
      replicas: 5,
      ready: 2,
      workloads: [{ name: 'checkout-v2' }, { name: 'checkout-v2-eu' }],
    })
  })

  test('a Deployment that is going away is gone', () => {
    const going = {
      ...deployment('v2'),
      metadata: { ...deployment('v2').metadata, deletionTimestamp: '2026-11-22T18:00:00Z' },
    }
    expect(observe({ put: [going] })).toMatchObject({ problem: { reason: 'WorkloadMissing' } })
  })

  test('what is behind the recorded names is known although the desired version is not there', () => {
    const recorded = { recordedStable: record('v1'), recordedCanary: record('v2') }
    const seen = { desired: 'v9', stable: { name: 'v1' }, canary: { name: 'v2', ready: 2 } }
    expect(observe({ query: { workload: { subsets: { desired: 'v9' } }, ...recorded } })).toMatchObject({
      problem: { reason: 'SubsetMissing' },
      seen,
    })
    const going = {
      ...deployment('v2'),
      metadata: { ...deployment('v2').metadata, deletionTimestamp: '2026-11-22T18:00:00Z' },
    }
    const vanished = observe({ put: [going], query: { workload: { subsets: { desired: 'v2' } }, ...recorded } })
    expect(vanished).toMatchObject({ problem: { reason: 'WorkloadMissing' }, seen: { stable: { name: 'v1' } } })
    expect(vanished).toHaveProperty('seen.canary', undefined)
  })

  test('a DestinationRule that is missing, and a subset that is, are named', () => {
    expect(observe({ remove: [['DestinationRule', 'checkout']] })).toMatchObject({
      problem: { reason: 'DestinationRuleMissing', message: expect.stringContaining('checkout.shop') },
    })
    expect(observe({ query: { traffic: traffic(undefined, 'gone') } })).toMatchObject({
      problem: { reason: 'DestinationRuleMissing', message: 'DestinationRule shop/gone does not exist' },
    })
    expect(observe({ query: { workload: { subsets: { desired: 'v9' } } } })).toMatchObject({
      problem: {
        reason: 'SubsetMissing',
        message: 'DestinationRule shop/checkout has no subset "v9" (it has "v1", "v2", "v3")',
        field: 'spec.workload.subsets.desired',
      },
    })
  })

  test('a Service that is missing, selects nothing or can never select the subset is said to be so', () => {
    expect(observe({ remove: [['Service', 'checkout']] })).toMatchObject({
      problem: { reason: 'WorkloadMissing', message: expect.stringContaining('Service shop/checkout') },
    })
    expect(observe({ put: [service('checkout', {})] })).toMatchObject({
      problem: { message: expect.stringContaining('selects no pods') },
    })
    expect(observe({ put: [service('checkout', { version: 'v1' })] })).toMatchObject({
      problem: { message: expect.stringContaining('the Service selects version=v1, but subset "v2" wants version=v2') },
    })
  })

  test('versions can be Services of their own, without a DestinationRule', () => {
    const route = [to(undefined, 100, 'checkout-v1'), to(undefined, 0, 'checkout-v2.shop')]
    const seen = observe({
      put: [
        virtualService({ http: [{ route }] }),
        service('checkout-v1', { version: 'v1' }),
        service('checkout-v2', { version: 'v2' }),
      ],
      query: { workload: { subsets: { desired: 'checkout-v2' } }, recordedStable: record('checkout-v1') },
    })
    expect(seen).toMatchObject({
      ok: true,
      desired: { name: 'checkout-v2', ready: 2, workloads: [{ name: 'checkout-v2' }] },
      stable: { name: 'checkout-v1' },
    })
    // A DestinationRule that is named says that subsets are meant.
    expect(
      observe({
        put: [virtualService({ http: [{ route }] })],
        query: { workload: { subsets: { desired: 'checkout-v2' } }, traffic: traffic(undefined, 'checkout') },
      }),
    ).toMatchObject({ problem: { reason: 'SubsetMissing' } })
  })
})

describe('readiness', () => {
  test('counts pods that are ready and stay', () => {
    const going = pod('v2-b', 'v2', ready, { deletionTimestamp: '2026-11-22T18:00:00Z' })
    expect(desired({ put: [going] })).toMatchObject({ replicas: 2, ready: 1 })
  })

  const waiting = (reason: string, more: object = {}) => ({
    phase: 'Pending',
    conditions: [
      { type: 'PodScheduled', status: 'True' },
      { type: 'Ready', status: 'False' },
    ],
    containerStatuses: [{ name: 'app', ready: false, state: { waiting: { reason } }, ...more }],
  })
  const crashed = { lastState: { terminated: { reason: 'OOMKilled', exitCode: 137 } } }

  test.each<[string, object, string]>([
    ['an image that cannot be pulled', waiting('ImagePullBackOff'), 'ImagePullBackOff of container app'],
    [
      'a crash',
      waiting('CrashLoopBackOff', crashed),
      'CrashLoopBackOff of container app (it ended with OOMKilled 137)',
    ],
    ['a failing probe', unready, 'container app runs but fails its readiness probe'],
    [
      'no room',
      {
        phase: 'Pending',
        conditions: [
          { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: '0/3 nodes:\n no cpu' },
        ],
      },
      'it cannot be scheduled (0/3 nodes: no cpu)',
    ],
    ['an eviction', { phase: 'Failed', reason: 'Evicted' }, 'it has ended (Failed, Evicted)'],
    [
      'a failing init container',
      {
        ...waiting('PodInitializing'),
        initContainerStatuses: [{ name: 'init', state: { terminated: { exitCode: 3, reason: 'Error' } } }],
      },
      'container init ended with Error 3',
    ],
    ['a start', waiting('ContainerCreating'), 'it is starting'],
    ['nothing known', {}, 'it is starting'],
  ])('%s is the reason', (_what, status, reason) => {
    expect(desired({ put: [pod('v2-b', 'v2', status)] })).toMatchObject({
      ready: 1,
      notReady: `pod v2-b is not ready: ${reason}`,
    })
  })

  test('names the pod whose reason explains most', () => {
    const pods = [pod('v2-a', 'v2', waiting('ContainerCreating')), pod('v2-b', 'v2', waiting('ErrImagePull'))]
    expect(desired({ put: pods }).notReady).toContain('pod v2-b')
  })

  test('says why there is no pod at all', () => {
    const remove: [string, string][] = [
      ['Pod', 'v2-a'],
      ['Pod', 'v2-b'],
    ]
    expect(desired({ remove, put: [deployment('v2', { replicas: 0 })] })).toMatchObject({
      ready: 0,
      notReady: 'Deployment checkout-v2 is scaled to 0',
    })
    const conditions = [{ type: 'ReplicaFailure', status: 'True', message: 'exceeded quota: small' }]
    expect(desired({ remove, put: [deployment('v2', { status: { conditions } })] }).notReady).toBe(
      'Deployment checkout-v2 cannot create pods: exceeded quota: small',
    )
    expect(desired({ remove }).notReady).toBe('0 of 2 pods of Deployment checkout-v2 exist and are ready')
  })

  test('ready pods of the content before are not the new content', () => {
    const rolling = (status: object) => desired({ put: [deployment('v2', { status })] }).rolling
    expect(rolling({ updatedReplicas: 1 })).toBe('Deployment checkout-v2 is still rolling (1 of 2 pods are updated)')
    expect(rolling({ observedGeneration: 3 })).toBe('Deployment checkout-v2 has just been changed')
    expect(rolling({})).toBeUndefined()
    const halfway = deployment('v2', { status: { updatedReplicas: 0 } })
    expect(desired({ put: [{ ...halfway, spec: { ...halfway.spec, paused: true } }] }).rolling).toContain('is paused')
  })

  test('long messages are cut', () => {
    const status = {
      phase: 'Pending',
      conditions: [{ type: 'PodScheduled', status: 'False', message: 'x'.repeat(999) }],
    }
    expect(desired({ put: [pod('v2-b', 'v2', status)] }).notReady?.length).toBeLessThan(250)
  })
})

import { describe, expect, test } from 'vitest'
import { slimDeployment, slimNamespace, slimPod, slimRoute, slimService } from '../../src/controller/slim.ts'
import { lastWriterOf } from '../../src/kube/managed-fields.ts'
import type { KubeObject } from '../../src/kube/object.ts'
import { createSubsetWorkload } from '../../src/workload/subsets.ts'
import { destinationRule, namespace, to, traffic, virtualService } from '../traffic/istio/objects.ts'

const managedFields = [
  { manager: 'kubelet', operation: 'Update' as const, fieldsV1: { 'f:status': { 'f:phase': {} } } },
]
const owner = { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'checkout-v2-5d4f8c', uid: 'uid-rs', controller: true }

/** As a kubelet reports it. */
function pod(name: string, status: object, metadata: object = {}): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace,
      uid: `uid-${name}`,
      labels: { app: 'checkout', version: 'v2', 'pod-template-hash': '5d4f8c' },
      annotations: { 'sidecar.istio.io/status': 'x'.repeat(800) },
      ownerReferences: [owner],
      managedFields,
      ...metadata,
    },
    ...{
      spec: { nodeName: 'node-1', containers: [{ name: 'app', image: 'app:2', env: [{ name: 'A', value: 'b' }] }] },
    },
    status: { podIPs: [{ ip: '10.0.0.1' }], qosClass: 'Burstable', ...status },
  }
}

const conditions = (ready: 'True' | 'False') => [
  { type: 'PodScheduled', status: 'True' },
  { type: 'Ready', status: ready, message: ready === 'True' ? undefined : 'containers with unready status: [app]' },
]
const good = {
  phase: 'Running',
  conditions: conditions('True'),
  containerStatuses: [{ name: 'app', ready: true, imageID: 'sha256:0', state: { running: { startedAt: 'now' } } }],
}
const crashing = {
  phase: 'Running',
  conditions: conditions('False'),
  containerStatuses: [
    {
      name: 'app',
      ready: false,
      state: { waiting: { reason: 'CrashLoopBackOff', message: 'back-off 40s' } },
      lastState: { terminated: { reason: 'Error', exitCode: 1 } },
    },
  ],
}
const going = { deletionTimestamp: '2026-11-22T18:00:00Z' }

function deployment(status: object = {}): KubeObject {
  const spec = {
    replicas: 2,
    selector: { matchLabels: { app: 'checkout', version: 'v2' } },
    template: {
      metadata: { labels: { app: 'checkout', version: 'v2' } },
      spec: { containers: [{ name: 'app', image: 'app:2', readinessProbe: { grpc: {} } }] },
    },
  }
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'checkout-v2', namespace, uid: 'uid-d', generation: 4, managedFields },
    ...{ spec },
    status: { observedGeneration: 4, replicas: 2, updatedReplicas: 2, readyReplicas: 2, ...status },
  }
}

const service: KubeObject = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'checkout', namespace, uid: 'uid-s' },
  ...{ spec: { selector: { app: 'checkout' }, clusterIP: '10.96.0.7', ports: [{ port: 80 }] } },
}

/** What a Rollout sees of these objects, kept whole or slimmed. */
function observed(kept: 'whole' | 'slim', objects: { pods: KubeObject[]; deployment: KubeObject }) {
  const slim = kept === 'slim'
  const byPlural: Record<string, KubeObject[]> = {
    pods: slim ? objects.pods.map(slimPod) : objects.pods,
    deployments: [slim ? slimDeployment(objects.deployment) : objects.deployment],
    services: [slim ? slimService(service) : service],
    destinationrules: [destinationRule()],
    virtualservices: [virtualService({ http: [{ route: [to('v1', 100), to('v2', 0)] }] })],
  }
  const reader = {
    get: ({ plural }: { plural: string }, { name }: { name: string }) =>
      byPlural[plural]?.find((object) => object.metadata.name === name),
    list: ({ plural }: { plural: string }) => byPlural[plural] ?? [],
  }
  return createSubsetWorkload(reader).observe({
    namespace,
    rollout: 'checkout',
    workload: { subsets: { desired: 'v2' } },
    traffic: traffic(),
  })
}

describe('what is not kept in memory is not missed', () => {
  const failure = { type: 'ReplicaFailure', status: 'True', message: 'exceeded quota: compute' }
  const situations = {
    'all pods are ready': { pods: [pod('a', good), pod('b', good)], deployment: deployment() },
    'a pod crashes': { pods: [pod('a', good), pod('b', crashing)], deployment: deployment() },
    'a ready pod is going': { pods: [pod('a', good), pod('b', good, going)], deployment: deployment() },
    'a roll is under way': { pods: [pod('a', good)], deployment: deployment({ replicas: 3, updatedReplicas: 1 }) },
    'pods cannot be created': { pods: [], deployment: deployment({ conditions: [failure] }) },
    'a pod was evicted': { pods: [pod('a', { phase: 'Failed', reason: 'Evicted' })], deployment: deployment() },
  }
  for (const [name, objects] of Object.entries(situations)) {
    test(`a Rollout sees the same when ${name}`, () => {
      const whole = observed('whole', objects)
      expect(whole.ok).toBe(true)
      expect(observed('slim', objects)).toEqual(whole)
    })
  }

  test('whose a pod is stays known, so that its changes wake the Rollout', () => {
    const { metadata } = slimPod(pod('a', good))
    expect(metadata.ownerReferences).toEqual([owner])
    expect(metadata.labels?.['pod-template-hash']).toBe('5d4f8c')
    expect(slimPod(pod('a', good, going)).metadata.deletionTimestamp).toBe(going.deletionTimestamp)
  })

  test('who wrote the weights stays known, kubectl’s copy of the route goes', () => {
    const copy = { 'kubectl.kubernetes.io/last-applied-configuration': '{}', team: 'checkout' }
    const owned = [{ manager: 'dana', operation: 'Update' as const, fieldsV1: { 'f:spec': { 'f:http': {} } } }]
    const route = virtualService({ http: [] })
    const slim = slimRoute({ ...route, metadata: { ...route.metadata, annotations: copy, managedFields: owned } })
    expect(lastWriterOf(slim, 'f:spec/f:http')?.manager).toBe('dana')
    expect(slim.metadata.annotations).toEqual({ team: 'checkout' })
  })

  test('that a namespace is going stays known', () => {
    const object = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop', ...going, managedFields } }
    expect(slimNamespace(object).metadata).toMatchObject({ name: 'shop', ...going })
  })
})

test('a ready pod is kept in a third of what the kubelet reports, or less', () => {
  const whole = pod('a', good)
  expect(3 * JSON.stringify(slimPod(whole)).length).toBeLessThan(JSON.stringify(whole).length)
})

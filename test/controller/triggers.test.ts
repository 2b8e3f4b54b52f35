import { beforeEach, describe, expect, test } from 'vitest'
import type { Kind } from '../../src/controller/caches.ts'
import { createTriggers, type Triggers } from '../../src/controller/triggers.ts'
import type { KubeObject } from '../../src/kube/object.ts'

function object(kind: string, name: string, change: { metadata?: object; spec?: object; status?: object } = {}) {
  const metadata = { name, namespace: 'shop', uid: `uid-${name}`, generation: 1, ...change.metadata }
  return { apiVersion: 'v1', kind, metadata, spec: change.spec, status: change.status }
}

function owned(kind: string, name: string, by: [string, string], change: { spec?: object; status?: object } = {}) {
  const [ownerKind, ownerName] = by
  const owner = { apiVersion: 'apps/v1', kind: ownerKind, name: ownerName, uid: 'u', controller: true }
  const labels = kind === 'Pod' ? { 'pod-template-hash': ownerName.slice(ownerName.lastIndexOf('-') + 1) } : {}
  return object(kind, name, { metadata: { ownerReferences: [owner], labels }, ...change })
}

function rollout(name: string, deployment?: string, route = name, generation = 1): KubeObject {
  const workload = deployment === undefined ? { subsets: { desired: 'v2' } } : { deployment: { name: deployment } }
  const spec = { workload, traffic: { istio: { virtualService: { name: route } } } }
  return object('Rollout', name, { metadata: { generation }, spec })
}

let rollouts: KubeObject[]
let triggers: Triggers
beforeEach(() => {
  rollouts = []
  triggers = createTriggers((namespace) => (namespace === 'shop' ? rollouts : []))
})

function declare(...added: KubeObject[]): void {
  for (const each of added) {
    rollouts = [...rollouts.filter((r) => r.metadata.name !== each.metadata.name), each]
    triggers.concerned('rollouts', `shop/${each.metadata.name}`, each, undefined)
  }
}

/** Who is woken by a change; `before` undefined: it has appeared. */
function woken(kind: Kind, now: KubeObject | undefined, before?: KubeObject): string[] {
  const name = (now ?? before)?.metadata.name ?? ''
  return triggers.concerned(kind, `shop/${name}`, now, before).sort()
}

describe('a Rollout of a Deployment is woken, even before it has ever looked at anything, by', () => {
  beforeEach(() => declare(rollout('release', 'web'), rollout('other', 'api'), rollout('classic')))

  test.each<[string, Kind, KubeObject]>([
    ['its Deployment', 'deployments', object('Deployment', 'web')],
    ['the canary Deployment', 'deployments', object('Deployment', 'web-canary')],
    ['a ReplicaSet of it', 'replicaSets', owned('ReplicaSet', 'web-5d4f8c', ['Deployment', 'web'])],
    ['a ReplicaSet of the canary', 'replicaSets', owned('ReplicaSet', 'web-canary-77', ['Deployment', 'web-canary'])],
    ['a pod of it', 'pods', owned('Pod', 'web-5d4f8c-x', ['ReplicaSet', 'web-5d4f8c'])],
    ['a pod of the canary', 'pods', owned('Pod', 'web-canary-77-x', ['ReplicaSet', 'web-canary-77'])],
    [
      'its autoscaler',
      'horizontalPodAutoscalers',
      object('HorizontalPodAutoscaler', 'scale', { spec: { scaleTargetRef: { kind: 'Deployment', name: 'web' } } }),
    ],
  ])('%s that appears or goes', (_, kind, appears) => {
    // A new Deployment may be behind a subset.
    const others = kind === 'deployments' ? ['shop/classic'] : []
    expect(woken(kind, appears)).toEqual([...others, 'shop/release'])
    expect(woken(kind, undefined, appears)).toEqual([...others, 'shop/release'])
  })

  const status = { observedGeneration: 1, replicas: 3, updatedReplicas: 1, availableReplicas: 3 }
  const web = object('Deployment', 'web', { status, metadata: { labels: { 'sluice.dev/rollout': 'release' } } })
  test.each<[string, KubeObject]>([
    ['a new spec', { ...web, metadata: { ...web.metadata, generation: 2 } }],
    ['a pod that is updated', { ...web, status: { ...status, updatedReplicas: 2 } }],
    ['a pod that is available', { ...web, status: { ...status, availableReplicas: 2 } }],
    ['a reason of its controller', { ...web, status: { ...status, conditions: [{ type: 'ReplicaFailure' }] } }],
    ['its latch that is taken away', { ...web, metadata: { ...web.metadata, labels: {} } }],
    ['a note of a person', { ...web, metadata: { ...web.metadata, annotations: { 'sluice.dev/break-glass': 'x' } } }],
    ['its deletion', { ...web, metadata: { ...web.metadata, deletionTimestamp: 'now' } }],
  ])('%s', (_, now) => expect(woken('deployments', now, web)).toContain('shop/release'))

  test('a pod that becomes ready, and an autoscaler with another target', () => {
    const pod = owned('Pod', 'web-5d4f8c-x', ['ReplicaSet', 'web-5d4f8c'], { status: { phase: 'Pending' } })
    expect(woken('pods', { ...pod, status: { conditions: [] } }, pod)).toEqual(['shop/release'])
    const scaler = (name: string) =>
      object('HorizontalPodAutoscaler', 'scale', { spec: { scaleTargetRef: { kind: 'Deployment', name } } })
    expect(woken('horizontalPodAutoscalers', scaler('api'), scaler('web'))).toEqual(['shop/other', 'shop/release'])
  })
})

describe('nobody is woken by', () => {
  beforeEach(() => declare(rollout('release', 'web'), rollout('classic')))
  const versioned = (each: KubeObject, resourceVersion: string) => ({
    ...each,
    metadata: { ...each.metadata, resourceVersion },
  })

  test.each<[string, Kind, KubeObject]>([
    ['a ReplicaSet of another Deployment', 'replicaSets', owned('ReplicaSet', 'x-1', ['Deployment', 'x'])],
    ['a pod of another Deployment', 'pods', owned('Pod', 'x-1-y', ['ReplicaSet', 'x-1'])],
    ['a pod without a controller', 'pods', object('Pod', 'web')],
    ['a pod of something else with the name', 'pods', owned('Pod', 'web-0', ['StatefulSet', 'web'])],
    [
      'an autoscaler of another Deployment',
      'horizontalPodAutoscalers',
      object('HorizontalPodAutoscaler', 'web', { spec: { scaleTargetRef: { kind: 'Deployment', name: 'x' } } }),
    ],
  ])('%s', (_, kind, now) => expect(woken(kind, now)).toEqual([]))

  test.each<[Kind, KubeObject]>([
    ['deployments', object('Deployment', 'web', { status: { replicas: 1 } })],
    ['replicaSets', owned('ReplicaSet', 'web-1', ['Deployment', 'web'], { spec: { replicas: 1 } })],
    ['pods', owned('Pod', 'web-1-x', ['ReplicaSet', 'web-1'], { status: { phase: 'Running' } })],
    [
      'horizontalPodAutoscalers',
      object('HorizontalPodAutoscaler', 's', { spec: { scaleTargetRef: { kind: 'Deployment', name: 'web' } } }),
    ],
  ])('a new version of %s in which nothing has changed that is looked at', (kind, each) => {
    expect(woken(kind, versioned(each, '2'), versioned(each, '1'))).toEqual([])
    expect(woken(kind, each)).toContain('shop/release')
  })

  test('anything of a Deployment that its Rollout does not name any more, or whose Rollout is gone', () => {
    const pod = owned('Pod', 'web-1-x', ['ReplicaSet', 'web-1'])
    const before = rollouts[0]
    const changed = rollout('release', 'api', 'release', 2)
    rollouts = [changed]
    triggers.concerned('rollouts', 'shop/release', changed, before)
    expect(woken('pods', pod)).toEqual([])
    expect(woken('deployments', object('Deployment', 'api'))).toEqual(['shop/release'])
    triggers.forget('shop/release')
    rollouts = []
    expect(woken('deployments', object('Deployment', 'api'))).toEqual([])
  })
})

describe('Rollouts of subsets', () => {
  test('are woken by what they look at, and by new Deployments, which may be behind any subset', () => {
    declare(rollout('classic'), rollout('release', 'web'))
    expect(woken('deployments', object('Deployment', 'v2'))).toEqual(['shop/classic'])
    triggers.interest('shop/classic', ['shop/v2'])
    expect(woken('pods', owned('Pod', 'v2-1-x', ['ReplicaSet', 'v2-1']))).toEqual(['shop/classic'])
    const v2 = object('Deployment', 'v2')
    expect(woken('deployments', { ...v2, metadata: { ...v2.metadata, generation: 2 } }, v2)).toEqual(['shop/classic'])
    triggers.interest('shop/classic', [])
    expect(woken('pods', owned('Pod', 'v2-1-x', ['ReplicaSet', 'v2-1']))).toEqual([])
  })
})

test('a Rollout that lets go of a route or a Deployment wakes those that want it', () => {
  declare(rollout('a', 'web', 'one'), rollout('b', 'web', 'two'), rollout('c', 'api', 'one'), rollout('d', 'x', 'y'))
  const before = rollouts[0]
  const now = rollout('a', 'new', 'new', 2)
  expect(woken('rollouts', now, before)).toEqual(['shop/a', 'shop/b', 'shop/c'])
  expect(woken('rollouts', undefined, now)).toEqual(['shop/a'])
})

import { describe, expect, test } from 'vitest'
import type { KubeObject } from '../../../src/kube/object.ts'
import { names } from '../../../src/workload/deployment/names.ts'
import {
  type Asked,
  autoscaler,
  canary,
  canarySet,
  deployment,
  going,
  observe,
  pods,
  record,
  replicaSet,
  routed,
  rule,
  service,
  template,
  uid,
  waiting,
} from './objects.ts'

/** Everything as it is after a roll to `version` has ended. */
const steady = (version: string): KubeObject[] => [
  ...routed,
  deployment(version),
  replicaSet('a', version, 3),
  ...pods('a', 3),
]

function seen(objects: readonly KubeObject[], asked: Asked = {}) {
  const observation = observe(objects, asked)
  if (!observation.ok) throw new Error(observation.problem.message)
  if (!observation.deployment) throw new Error('no Deployment was seen')
  return { ...observation, deployment: observation.deployment }
}

const v1 = record('1.0.0', 'a')
const v2 = record('2.0.0', 'b')

describe('a settled Deployment', () => {
  test('runs the content of its template, and that is stable before anything is recorded', () => {
    const { stable, desired, canary, all, deployment: d } = seen(steady('1.0.0'))
    expect(stable).toEqual({ ...v1, replicas: 3, ready: 3 })
    expect(desired).toMatchObject({ revision: v1.revision, hash: v1.hash, replicas: 3, ready: 3 })
    expect(desired.workloads).toEqual([{ name: 'checkout-canary', uid, generation: 4 }])
    expect(canary).toBeUndefined()
    expect(all.map((revision) => revision.revision)).toEqual([v1.revision])
    expect(d).toEqual({
      name: 'checkout',
      uid,
      resourceVersion: '77',
      replicas: 3,
      ready: 3,
      paused: false,
      labelled: true,
      breakGlass: false,
      running: [{ revision: v1.revision, hash: v1.hash, pods: 3, ready: 3 }],
      settled: true,
      latch: { state: 'Unknown' },
    })
  })

  test('is named by the tag of its image and the hash of its template', () => {
    expect(seen(steady('1.0.0')).stable?.revision).toMatch(/^1\.0\.0-[0-9a-f]{10}$/)
  })

  test('with a ready pod short says which pod and why', () => {
    const crash = waiting('CrashLoopBackOff', 'back-off 40s')
    const objects = [...routed, deployment('1.0.0'), replicaSet('a', '1.0.0', 3), ...pods('a', 2), ...pods('bad', 0)]
    const [bad] = pods('a', 3, { status: crash }).slice(2)
    const { stable, deployment: d } = seen([...objects, bad!])
    expect(stable).toMatchObject({ replicas: 3, ready: 2, notReady: expect.stringContaining('CrashLoopBackOff') })
    expect(d.running).toEqual([{ revision: v1.revision, hash: v1.hash, pods: 3, ready: 2 }])
  })

  test.each([
    ['the newest spec has not been seen', { observedGeneration: 3 }],
    ['a pod is left over', { replicas: 4 }],
    ['a pod is still missing', { replicas: 2, updatedReplicas: 2 }],
    ['a pod is not of the template’s ReplicaSet', { updatedReplicas: 2 }],
    ['a pod is not available', { availableReplicas: 2 }],
  ])('is not settled while %s', (_, status) => {
    const objects = [...routed, deployment('1.0.0', { status }), replicaSet('a', '1.0.0', 3), ...pods('a', 3)]
    expect(seen(objects).deployment.settled).toBe(false)
  })

  test('is not settled while a pod runs other content, whatever the counts still say', () => {
    const late = [replicaSet('old', '0.9.0', 0, { status: { replicas: 1 } }), ...pods('old', 1)]
    expect(seen([...steady('1.0.0'), ...late]).deployment.settled).toBe(false)
  })

  test('old ReplicaSets without pods say nothing', () => {
    const history = ['x', 'y', 'z'].map((name, i) => replicaSet(name, `0.${i}.0`, 0))
    expect(seen([...steady('1.0.0'), ...history])).toEqual(seen(steady('1.0.0')))
  })

  test('pods on their way out, and pods that have ended, are not counted', () => {
    const leaving = pods('old', 2, { metadata: { ...going, labels: { app: 'checkout' } } })
    const evicted = pods('a', 5, { status: { phase: 'Failed', reason: 'Evicted' } }).slice(3)
    const { deployment: d } = seen([...steady('1.0.0'), replicaSet('old', '0.9.0', 0), ...leaving, ...evicted])
    expect(d.running).toEqual([{ revision: v1.revision, hash: v1.hash, pods: 3, ready: 3 }])
    expect(d.settled).toBe(true)
  })

  test('latch, label, pause and break-glass are told as they are', () => {
    const change = {
      metadata: { labels: {}, annotations: { [names.breakGlass]: 'incident 7' } },
      spec: { paused: true },
    }
    const objects = [...routed, deployment('1.0.0', change), replicaSet('a', '1.0.0', 3), ...pods('a', 3)]
    expect(seen(objects, { latch: 'Proven' }).deployment).toMatchObject({
      labelled: false,
      paused: true,
      breakGlass: true,
      latch: { state: 'Proven', at: 1 },
    })
    const others = deployment('1.0.0', {
      metadata: { labels: { [names.rollout]: 'other' }, annotations: { [names.breakGlass]: '' } },
    })
    expect(seen([...routed, others, replicaSet('a', '1.0.0', 3), ...pods('a', 3)]).deployment).toMatchObject({
      labelled: false,
      breakGlass: false,
    })
  })
})

describe('a latched template', () => {
  const latched = deployment('2.0.0', { spec: { paused: true }, status: { updatedReplicas: 0 } })
  const objects = [...routed, latched, replicaSet('a', '1.0.0', 3), ...pods('a', 3)]

  test('is desired; stable is what the pods run, whatever was recorded', () => {
    for (const stable of [undefined, v1, record('0.9.0')]) {
      const now = seen(objects, { ...(stable ? { stable } : {}) })
      expect(now.stable).toEqual({ ...v1, replicas: 3, ready: 3 })
      expect(now.desired).toMatchObject({ revision: v2.revision, replicas: 0, ready: 0 })
      expect(now.deployment).toMatchObject({ paused: true, settled: false })
      expect(now.deployment.stuck).toBeUndefined()
    }
  })

  test('that differs in nothing but a restart is the content that runs', () => {
    const annotations = { 'kubectl.kubernetes.io/restartedAt': '2026-11-22T18:00:00Z' }
    const restarted = deployment('1.0.0', {
      spec: { paused: true, template: template('1.0.0', { annotations }) },
      status: { updatedReplicas: 0 },
    })
    const now = seen([...routed, restarted, replicaSet('a', '1.0.0', 3), ...pods('a', 3)], { stable: v1 })
    expect(now.desired.revision).toBe(now.stable?.revision)
  })

  test('with no pods at all leaves the recorded content stable', () => {
    const zero = deployment('2.0.0', {
      spec: { paused: true, replicas: 0 },
      status: { replicas: 0, updatedReplicas: 0, availableReplicas: 0 },
    })
    const now = seen([...routed, zero, replicaSet('a', '1.0.0', 0)], { stable: v1 })
    expect(now.stable).toMatchObject({ ...v1, replicas: 0, ready: 0 })
    expect(now.stable?.notReady).toBe('Deployment checkout is scaled to 0')
    expect(now.desired.revision).toBe(v2.revision)
    expect(now.deployment.running).toEqual([])
  })
})

describe('a Deployment in the middle of a roll', () => {
  const rolling = deployment('2.0.0', { status: { replicas: 4, updatedReplicas: 2, availableReplicas: 3 } })
  const objects = [
    ...routed,
    rolling,
    replicaSet('a', '1.0.0', 2),
    replicaSet('b', '2.0.0', 2),
    ...pods('a', 2),
    ...pods('b', 1),
    pods('b', 2, { status: waiting('ContainerCreating', '') })[1]!,
  ]

  test('runs both contents, the one with most pods first', () => {
    expect(seen([...objects, ...pods('a', 3).slice(2)]).deployment).toMatchObject({
      ready: 4,
      settled: false,
      running: [
        { revision: v1.revision, pods: 3, ready: 3 },
        { revision: v2.revision, pods: 2, ready: 1 },
      ],
    })
  })

  test('serves the recorded content while that has pods, and says that it is not the only one', () => {
    expect(seen(objects, { stable: v1 }).stable).toMatchObject({
      ...v1,
      ready: 3,
      rolling: expect.stringMatching(/2 versions/),
    })
    expect(seen(objects, { stable: v2 }).stable).toMatchObject({ ...v2, ready: 3 })
  })

  test('tells the content with most pods first, wherever its ReplicaSet stands', () => {
    const more = [...objects.slice(0, 3), rolling, ...objects.slice(4), ...pods('b', 5).slice(2)]
    expect(seen(more).deployment.running.map((content) => content.pods)).toEqual([5, 2])
  })

  test('serves the recorded content also when that is in another ReplicaSet by now', () => {
    expect(seen(objects, { stable: record('1.0.0', 'gone') }).stable).toMatchObject(v1)
  })

  test('serves nobody knows what while several contents run and none is recorded', () => {
    expect(seen(objects).stable).toBeUndefined()
    expect(seen(objects, { stable: record('0.9.0') }).stable).toBeUndefined()
  })

  test('recognises the recorded ReplicaSet although its hash is of another format', () => {
    const older = { ...v1, hash: 'other', format: 1 }
    expect(seen(objects, { stable: older }).stable).toMatchObject({ hash: v1.hash, workloads: v1.workloads })
  })

  test('to the same content (a restart) runs one content, and is not settled before the end', () => {
    const status = { replicas: 4, updatedReplicas: 1, availableReplicas: 3 }
    const restart = [replicaSet('a', '1.0.0', 3), replicaSet('r', '1.0.0', 1), ...pods('a', 3), ...pods('r', 1)]
    const now = seen([...routed, deployment('1.0.0', { status }), ...restart], { stable: v1 })
    expect(now.deployment.running).toEqual([{ revision: v1.revision, hash: v1.hash, pods: 4, ready: 4 }])
    expect(now.deployment.settled).toBe(false)
    expect(now.stable).toMatchObject({ workloads: [{ uid: 'uid-a' }] })
    const later = [replicaSet('r', '1.0.0', 3), ...pods('r', 3)]
    expect(seen([...routed, deployment('1.0.0'), ...later], { stable: v1 }).stable).toMatchObject({
      hash: v1.hash,
      workloads: [{ name: 'checkout', uid: 'uid-r', generation: 0 }],
    })
  })

  test.each([
    ['cannot pull its image', 'ImagePullBackOff', waiting('ImagePullBackOff', 'no such tag')],
    ['crashes', 'CrashLoopBackOff', waiting('CrashLoopBackOff', 'back-off 40s')],
    [
      'finds no node',
      '0/3 nodes are available',
      {
        phase: 'Pending',
        conditions: [
          { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: '0/3 nodes are available' },
        ],
      },
    ],
  ])('whose new pod %s is stuck, and says so with the pod’s own reason', (_, reason, status) => {
    const bad = pods('b', 1, { status })
    const now = seen([
      ...routed,
      rolling,
      replicaSet('a', '1.0.0', 3),
      replicaSet('b', '2.0.0', 1),
      ...pods('a', 3),
      ...bad,
    ])
    expect(now.deployment.stuck).toContain('b-0')
    expect(now.deployment.stuck).toContain(reason)
  })

  test('whose pods merely start is not stuck', () => {
    expect(seen(objects).deployment.stuck).toBeUndefined()
  })

  test('that may not create pods is stuck for the quota’s own reason', () => {
    const conditions = [{ type: 'ReplicaFailure', status: 'True', message: 'exceeded quota: compute' }]
    const refused = deployment('2.0.0', { status: { replicas: 3, updatedReplicas: 0, conditions } })
    const now = seen([
      ...routed,
      refused,
      replicaSet('a', '1.0.0', 3),
      replicaSet('b', '2.0.0', 1, { status: { replicas: 0 } }),
      ...pods('a', 3),
    ])
    expect(now.deployment.stuck).toBe('Deployment checkout cannot create pods: exceeded quota: compute')
  })

  test('that Kubernetes has given up on is stuck even when the pod gives no reason', () => {
    const conditions = [
      {
        type: 'Progressing',
        status: 'False',
        reason: 'ProgressDeadlineExceeded',
        message: 'has timed out progressing',
      },
    ]
    const late = deployment('2.0.0', { status: { replicas: 4, updatedReplicas: 2, conditions } })
    const { stuck } = seen(objects.map((object) => (object === rolling ? late : object))).deployment
    expect(stuck).toBe('Deployment checkout has made no progress for 600 s: pod b-1 is not ready: it is starting')
    const paused = deployment('2.0.0', { spec: { paused: true }, status: { updatedReplicas: 2, conditions } })
    expect(seen(objects.map((object) => (object === rolling ? paused : object))).deployment.stuck).toBeUndefined()
  })
})

describe('a Deployment that was deleted and created again', () => {
  const again = deployment('2.0.0', { metadata: { uid: 'uid-again', labels: {} } })
  const strangers = [replicaSet('a', '1.0.0', 3), ...pods('a', 3)]

  test('does not own what its predecessor’s garbage is', () => {
    const now = seen([...routed, again, ...strangers], { stable: v1 })
    expect(now.deployment).toMatchObject({ uid: 'uid-again', labelled: false, running: [], ready: 0 })
    expect(now.stable).toMatchObject({ ...v1, replicas: 3, ready: 0 })
  })

  test('serves with orphans that its selector matches, before the controller has adopted them', () => {
    const orphan = replicaSet('a', '1.0.0', 3, { metadata: { ownerReferences: undefined } })
    const other = replicaSet('x', '9.9.9', 1, { metadata: { ownerReferences: undefined, labels: { app: 'other' } } })
    const now = seen([...routed, again, orphan, other, ...pods('a', 3), ...pods('x', 1)], { stable: v1 })
    expect(now.deployment.running).toEqual([{ revision: v1.revision, hash: v1.hash, pods: 3, ready: 3 }])
  })

  test('with a new version runs only that, whatever was recorded', () => {
    const set = replicaSet('b', '2.0.0', 3, {
      metadata: {
        ownerReferences: [
          { apiVersion: 'apps/v1', kind: 'Deployment', name: 'checkout', uid: 'uid-again', controller: true },
        ],
      },
    })
    expect(seen([...routed, again, set, ...pods('b', 3)], { stable: v1 }).stable).toMatchObject({
      hash: v2.hash,
      ready: 3,
    })
  })

  test('and has no pods yet: before anything is recorded its template is what it is', () => {
    expect(seen([...routed, again]).stable).toMatchObject({ hash: v2.hash, replicas: 3, ready: 0 })
  })
})

describe('the canary Deployment', () => {
  const latched = deployment('2.0.0', { spec: { paused: true }, status: { updatedReplicas: 0 } })
  const objects = [...routed, latched, replicaSet('a', '1.0.0', 3), ...pods('a', 3)]
  const made = [canary('2.0.0'), canarySet('c', '2.0.0', 2), ...pods('c', 2)]

  test('is the recorded canary with its pods while it carries that revision', () => {
    const now = seen([...objects, ...made], { stable: v1, canary: v2 })
    expect(now.canary).toEqual({ ...v2, replicas: 2, ready: 2 })
    expect(now.desired).toMatchObject({ revision: v2.revision, replicas: 2, ready: 2 })
    expect(now.deployment.canary).toEqual({
      name: 'checkout-canary',
      revision: v2.revision,
      asked: 2,
      replicas: 2,
      ready: 2,
      pods: 2,
      intact: true,
      deleting: false,
    })
  })

  test('is seen but is not the recorded canary while it carries another revision', () => {
    const now = seen([...objects, ...made], { stable: v1, canary: record('3.0.0') })
    expect(now.canary).toBeUndefined()
    expect(now.deployment.canary).toMatchObject({ revision: v2.revision, ready: 2 })
  })

  test('counts only pods of its newest template as ready, and says that others are left', () => {
    const older = [canarySet('o', '1.5.0', 1), ...pods('o', 1)]
    const status = { replicas: 3, updatedReplicas: 2 }
    const now = seen([...objects, canary('2.0.0', { status }), ...made.slice(1), ...older], { stable: v1, canary: v2 })
    expect(now.canary).toMatchObject({
      ready: 2,
      rolling: 'Deployment checkout-canary is still rolling (2 of 3 pods are updated)',
    })
    expect(now.deployment.canary).toMatchObject({ ready: 2, pods: 3 })
  })

  test('counts pods to the last terminating one', () => {
    const leaving = pods('c', 2, { metadata: { ...going } })
    const gone = canary('2.0.0', { metadata: { ...going }, spec: { replicas: 0 } })
    const now = seen([...objects, gone, canarySet('c', '2.0.0', 0), ...leaving], { stable: v1, canary: v2 })
    expect(now.deployment.canary).toMatchObject({ deleting: true, ready: 0, pods: 2 })
  })

  test('says why its pods are not ready', () => {
    const bad = pods('c', 2, { status: waiting('ErrImagePull', 'manifest unknown') })
    const now = seen([...objects, made[0]!, made[1]!, ...bad], { stable: v1, canary: v2 })
    expect(now.canary).toMatchObject({ ready: 0, notReady: expect.stringContaining('ErrImagePull') })
    expect(now.deployment.canary?.notReady).toContain('c-0')
  })

  test.each<[string, KubeObject]>([
    ['another image', canary('2.0.0', { spec: { template: template('3.0.0') } })],
    ['another revision’s mark', canary('2.0.0', { annotations: { [names.templateHash]: 'other' } })],
    ['a pause', canary('2.0.0', { spec: { paused: true } })],
  ])('is not intact any more with %s', (_, changed) => {
    expect(seen([...objects, changed], { canary: v2 }).deployment.canary?.intact).toBe(false)
  })

  test('is not intact when the subset has other labels now', () => {
    const [route, front] = routed
    const moved = rule({ stable: { track: 'stable' }, canary: { track: 'next' } })
    const now = seen([route!, front!, moved, latched, replicaSet('a', '1.0.0', 3), ...pods('a', 3), ...made], {
      canary: v2,
    })
    expect(now.deployment.canary?.intact).toBe(false)
  })

  test('of an autoscaler may have more pods than were asked for', () => {
    const scaled = canary('2.0.0', { spec: { replicas: 5 } })
    expect(seen([...objects, scaled], { canary: v2 }).deployment.canary).toMatchObject({ asked: 2, replicas: 5 })
  })
})

describe('an autoscaler', () => {
  const apart = deployment('1.0.0', { spec: { selector: { matchLabels: { app: 'checkout', track: 'stable' } } } })
  const objects = [...routed, apart, replicaSet('a', '1.0.0', 3), ...pods('a', 3)]

  test('of this Deployment is seen, with its minimum and whose that is', () => {
    expect(seen([...objects, autoscaler()]).deployment.autoscaler).toEqual({ name: 'checkout', min: 3, floored: false })
    const floored = autoscaler({
      metadata: { annotations: { [names.floorOf]: '1' } },
      spec: { minReplicas: undefined },
    })
    expect(seen([...objects, floored]).deployment.autoscaler).toEqual({ name: 'checkout', min: 1, floored: true })
  })

  test.each([
    ['another Deployment', { name: 'other' }],
    ['another kind', { kind: 'StatefulSet' }],
    ['a Deployment of another group', { apiVersion: 'example.com/v1' }],
  ])('of %s is not', (_, target) => {
    expect(seen([...objects, autoscaler({}, target)]).deployment.autoscaler).toBeUndefined()
  })
})

describe('what is known all the same when something is wrong', () => {
  const latched = deployment('2.0.0', { spec: { paused: true } })
  const running = [
    replicaSet('a', '1.0.0', 3),
    ...pods('a', 3),
    canary('2.0.0'),
    canarySet('c', '2.0.0', 2),
    ...pods('c', 2),
  ]

  test('both versions and the Deployment, so that guard and retreat go on', () => {
    const now = observe([latched, ...running], { stable: v1, canary: v2 })
    expect(now).toMatchObject({
      ok: false,
      problem: { reason: 'DestinationRuleMissing' },
      seen: {
        desired: v2.name,
        stable: { revision: v1.revision, ready: 3 },
        canary: { revision: v2.revision, ready: 2 },
      },
      deployment: { uid, paused: true },
    })
  })

  test('that another content is desired, even under the same tag', () => {
    const other = { ...v2, hash: 'other', revision: '2.0.0-other', workloads: [] }
    expect(observe([latched, ...running], { stable: v1, canary: other })).toMatchObject({
      seen: { desired: v2.revision },
    })
  })

  test('without the Deployment: the canary’s pods, and nothing new that is desired', () => {
    expect(observe([...routed, ...running.slice(4)], { stable: v1, canary: v2 })).toMatchObject({
      ok: false,
      problem: { reason: 'WorkloadMissing', message: 'Deployment shop/checkout does not exist' },
      seen: { desired: v2.name, canary: { ready: 2 } },
    })
  })

  test('of a Deployment that is being deleted: what is left of it', () => {
    const leaving = deployment('1.0.0', { metadata: { ...going } })
    expect(observe([...routed, leaving, ...running], { stable: v1 })).toMatchObject({
      ok: false,
      problem: { reason: 'WorkloadMissing', message: 'Deployment shop/checkout is being deleted' },
      seen: { stable: { ready: 3 } },
      deployment: { ready: 3 },
    })
  })

  test('nothing, while ReplicaSets may not be read: what serves is not guessed', () => {
    const now = observe(steady('1.0.0'), { refused: 'replicasets' })
    expect(now).toEqual({ ok: false, problem: { reason: 'Forbidden', message: 'may not list replicasets' } })
  })

  test('all but autoscalers while those may not be read', () => {
    expect(observe(steady('1.0.0'), { refused: 'horizontalpodautoscalers' })).toMatchObject({
      ok: false,
      problem: { reason: 'Forbidden', message: 'may not list horizontalpodautoscalers' },
      seen: { stable: { ready: 3 } },
      deployment: { settled: true },
    })
  })

  test('a Service in front says nothing about which pods there are', () => {
    const other = [
      rule({ stable: { track: 'stable' }, canary: { track: 'canary' } }),
      service('checkout', { app: 'other' }),
    ]
    expect(observe([...other, routed[0]!, ...steady('1.0.0').slice(3)])).toMatchObject({
      ok: false,
      deployment: { ready: 3 },
    })
  })
})

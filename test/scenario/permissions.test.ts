import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { KubeObject } from '../../src/kube/object.ts'
import { CONTROLLER_USER } from '../../src/sandbox/sandbox.ts'
import { controllersRequests, openStage, refs, type Scene, type Stage } from './stage.ts'

const GROUP = 'rbac.authorization.k8s.io'
const [, , accountNamespace = '', accountName = ''] = CONTROLLER_USER.split(':')
const subjects = [{ kind: 'ServiceAccount', name: accountName, namespace: accountNamespace }]

interface Rule {
  apiGroups: string[]
  resources: string[]
  verbs: string[]
}

const rule = (group: string, resource: string, ...verbs: string[]): Rule => ({
  apiGroups: [group],
  resources: [resource],
  verbs,
})

/** Everything that is only read, and events. */
const reading = [rule('*', '*', 'get', 'list', 'watch'), rule('', 'events', 'create', 'patch')]
/** What is written in the namespace of a Rollout. */
const writing = [
  rule('sluice.dev', 'rollouts', 'patch'),
  rule('sluice.dev', 'rollouts/status', 'update'),
  rule('sluice.dev', 'approvals', 'create', 'patch', 'delete'),
  rule('sluice.dev', 'approvals/status', 'patch'),
  rule('networking.istio.io', 'virtualservices', 'patch'),
]

let stage: Stage
beforeAll(async () => {
  stage = await openStage({ rbac: true })
  const { storage } = stage.sandbox.api
  storage.create(
    { group: GROUP, plural: 'clusterroles' },
    object('ClusterRole', 'sluice-reads', undefined, { rules: reading }),
  )
  storage.create(
    { group: GROUP, plural: 'clusterrolebindings' },
    object('ClusterRoleBinding', 'sluice-reads', undefined, {
      roleRef: { apiGroup: GROUP, kind: 'ClusterRole', name: 'sluice-reads' },
      subjects,
    }),
  )
  const controller = await stage.controller()
  await controller.synced
}, 60_000)
afterAll(() => stage.stop(), 60_000)

function object(kind: string, name: string, namespace: string | undefined, rest: object): KubeObject {
  return {
    apiVersion: `${GROUP}/v1`,
    kind,
    metadata: { name, ...(namespace ? { namespace } : {}) },
    ...rest,
  }
}

/** Lets the controller write in a namespace, but for one resource. */
function allow(namespace: string, except?: string): void {
  const { storage } = stage.sandbox.api
  const roles = { group: GROUP, plural: 'roles' }
  const rules = writing.filter(({ resources }) => !resources.includes(except ?? ''))
  const role = storage.get(roles, { namespace, name: 'sluice' })
  if (role) {
    storage.update(roles, { ...structuredClone(role), rules } as KubeObject)
    return
  }
  storage.create(roles, object('Role', 'sluice', namespace, { rules }))
  storage.create(
    { group: GROUP, plural: 'rolebindings' },
    object('RoleBinding', 'sluice', namespace, {
      roleRef: { apiGroup: GROUP, kind: 'Role', name: 'sluice' },
      subjects,
    }),
  )
}

async function permitted(namespace: string, rollout: Record<string, unknown> = {}): Promise<Scene> {
  const scene = await stage.scene(namespace, { asleep: true, rollout })
  allow(namespace)
  await scene.until('Healthy', (status) => status.phase === 'Healthy')
  return scene
}

describe.concurrent('without the permission', { timeout: 240_000 }, () => {
  test('to patch the VirtualService nothing moves, and the message names verb, resource and namespace', async () => {
    await using s = await permitted('no-weights')
    allow('no-weights', 'virtualservices')
    await s.desire('v2')
    const words = 'sluice may not patch virtualservices.networking.istio.io in namespace no-weights'
    await s.until('told', ({ message }) => message?.includes(words) ?? false)
    expect(s.status().message).toContain('Grant the missing permission')
    expect(s.weights('v2')).toEqual([0])
    allow('no-weights')
    await s.until('moving', () => s.weight('v2') === 10)
  })

  test('a retreat says that it cannot be made, and is made as soon as it may', async () => {
    await using s = await permitted('no-retreat', { steps: [{ weight: 50, hold: '10m' }, { weight: 100 }] })
    await s.desire('v2')
    await s.until('at 50 %', ({ step }) => step?.weight === 50)
    allow('no-retreat', 'virtualservices')
    s.behave('v2', { 'error-rate': '1' })
    const words = 'sluice may not patch virtualservices.networking.istio.io in namespace no-retreat'
    await s.until('told', ({ phase, message }) => phase === 'RollingBack' && (message?.includes(words) ?? false))
    allow('no-retreat')
    await s.until('rolled back', ({ phase }) => phase === 'RolledBack')
    expect(s.weights('v2')).toEqual([0, 50, 0])
  })

  test('to hold the finalizer no rollout starts, and the message says so', async () => {
    await using s = await stage.scene('no-finalizer', { asleep: true, rollout: { desired: 'v2', initialStable: 'v1' } })
    allow('no-finalizer', 'rollouts')
    const words = 'sluice may not patch rollouts.sluice.dev in namespace no-finalizer'
    await s.until('told', ({ message }) => message?.includes(words) ?? false)
    expect(s.weights('v2')).toEqual([0])
    allow('no-finalizer')
    await s.until('moving', () => s.weight('v2') === 10)
  })

  test('to write the status nothing moves, and an event says so', async () => {
    await using s = await permitted('no-status')
    allow('no-status', 'rollouts/status')
    await s.desire('v2')
    const words = 'sluice may not update rollouts.sluice.dev/status in namespace no-status'
    await s.until('told', () =>
      s.events().some((event) => event.startsWith('StatusNotWritten') && event.includes(words)),
    )
    expect(s.weights('v2')).toEqual([0])
    allow('no-status')
    await s.until('moving', () => s.weight('v2') === 10)
  })

  test('to ask people the message says that they were not asked, and they are as soon as it may', async () => {
    const approval = { from: ['user:dana'] }
    await using s = await permitted('no-questions', { steps: [{ weight: 10, hold: '1s', approval }, { weight: 100 }] })
    allow('no-questions', 'approvals')
    await s.desire('v2')
    const words = 'the question could not be asked: Kubernetes API, sluice may not create approvals.sluice.dev'
    await s.until('told', ({ message }) => message?.includes(words) ?? false)
    expect(s.status().message).toMatch(/^waits for approval/)
    expect(s.weights('v2')).toEqual([0])
    allow('no-questions')
    const asked = () => stage.sandbox.api.storage.list(refs.approvals, { namespace: 'no-questions' })
    await s.until('asked', ({ message }) => asked().length === 1 && !message?.includes('could not be asked'))
  })
})

test('a status that is larger than the API server takes moves nothing, and an event says so', {
  timeout: 240_000,
}, async () => {
  await using s = await permitted('too-large')
  const end = stage.sandbox.api.faults.add({
    ...controllersRequests('too-large', 'update', 'rollouts', 'status'),
    error: 413,
  })
  await s.desire('v2')
  await s.until('told', () => s.events().some((event) => /^StatusNotWritten: .*RequestEntityTooLarge/.test(event)))
  expect(s.weights('v2')).toEqual([0])
  end()
  await s.until('moving', () => s.weight('v2') === 10)
})

test('to list what it has to see, a controller is not ready and says what it may not', {
  timeout: 120_000,
}, async () => {
  const blind = await openStage({ rbac: true })
  try {
    const controller = await blind.controller()
    const may = () => blind.logs.map((line) => JSON.stringify(line)).join('\n')
    const end = Date.now() + 60_000
    while (!may().includes('sluice may not list pods in the whole cluster') && Date.now() < end)
      await new Promise((resolve) => setTimeout(resolve, 50))
    expect(may()).toContain('sluice may not list pods in the whole cluster')
    expect(may()).toContain('sluice may not list rollouts.sluice.dev in the whole cluster')
    const ready = await fetch(`${controller.url}/readyz`)
    expect(ready.status).toBe(503)
    expect(await ready.text()).toContain('rollouts.sluice.dev')
  } finally {
    await blind.stop()
  }
})

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { fieldAt } from '../../../src/kube/field.ts'
import type { KubeObject } from '../../../src/kube/object.ts'
import { ApiError } from '../../../src/sandbox/apiserver/index.ts'
import { DEPLOYMENTS, type HandsWorld, HPAS, PODS, type Scene, startWorld } from './hands-world.ts'

const next = 'registry.example/web:2'
let world: HandsWorld
beforeAll(async () => {
  world = await startWorld()
})
afterAll(() => world.stop())

/** A scene whose Deployment is labelled and has a new template latched. */
async function latchedScene(over: Parameters<HandsWorld['scene']>[0] = {}): Promise<Scene> {
  const s = world.scene(over)
  await s.until('web runs', () => s.running().length === (over.replicas ?? 2))
  expect(await s.act({ kind: 'adopt', pause: false })).toEqual({ done: true })
  s.image(next)
  expect(fieldAt(s.user(), 'spec', 'paused')).toBe(true)
  return s
}
const scaled = (s: Scene, replicas: number) => s.act({ kind: 'scaleCanary', revision: s.desired(), replicas })
const spec = (object: KubeObject | undefined, ...path: (string | number)[]) => fieldAt(object, 'spec', ...path)
const bystanders = (s: Scene) => {
  const { managedFields: _, resourceVersion: __, ...metadata } = s.user().metadata
  return { ...s.user(), metadata, status: undefined }
}

describe('the canary Deployment', () => {
  test('is the user’s in everything but name, labels of its pods, and how many there are', async () => {
    const s = await latchedScene({
      spec: {
        strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 3, maxUnavailable: 0 } },
        minReadySeconds: 0,
        progressDeadlineSeconds: 77,
        revisionHistoryLimit: 5,
      },
      container: {
        resources: { requests: { cpu: '10m' } },
        env: [
          { name: 'A', value: '1' },
          { name: 'A', value: '2' },
        ],
        readinessProbe: undefined,
        ports: [
          { containerPort: 80, protocol: 'TCP' },
          { containerPort: 80, protocol: 'UDP' },
        ],
      },
    })
    const before = bystanders(s)
    expect(await scaled(s, 1)).toEqual({ done: true })
    const canary = s.canary()
    const template = spec(s.user(), 'template')
    expect(canary?.spec).toEqual({
      ...(s.user().spec as object),
      paused: undefined,
      replicas: 1,
      revisionHistoryLimit: 1,
      selector: { matchLabels: { track: 'canary', 'sluice.dev/canary': 'web' } },
      template: {
        ...(template as object),
        metadata: { labels: { app: 'web', track: 'canary', 'sluice.dev/canary': 'web' } },
      },
    })
    expect(canary?.metadata.labels).toEqual({
      'sluice.dev/canary-of': 'web',
      'sluice.dev/rollout-name': 'web',
      'app.kubernetes.io/managed-by': 'sluice',
    })
    expect(Object.keys(canary?.metadata.annotations ?? {}).filter((key) => !key.startsWith('deployment.'))).toEqual([
      'sluice.dev/revision',
      'sluice.dev/replicas',
      'sluice.dev/template-hash',
    ])
    expect(canary?.metadata.ownerReferences).toBeUndefined()
    expect(bystanders(s)).toEqual(before)
    await s.until('the canary runs', () => s.running('web-canary').length === 1)
    expect(s.running('web-canary')).toEqual([next])
    expect(s.running()).toEqual(['registry.example/web:1', 'registry.example/web:1'])
  })

  test('costs one request when it is there, and none of them a write', async () => {
    const s = await latchedScene()
    await scaled(s, 2)
    expect(await world.requests(() => scaled(s, 2))).toEqual(['get deployments web-canary'])
    expect(await world.requests(() => scaled(s, 1))).toEqual(['get deployments web-canary'])
  })

  test('gets more pods for a greater share, and keeps them', async () => {
    const s = await latchedScene()
    await scaled(s, 1)
    await scaled(s, 3)
    expect(spec(s.canary(), 'replicas')).toBe(3)
    await s.until('three run', () => s.running('web-canary').length === 3)
  })

  test('that somebody edited is put right, added fields included, without losing a pod it does not have to', async () => {
    const s = await latchedScene()
    await scaled(s, 1)
    s.edit(DEPLOYMENTS, 'web-canary', {
      spec: {
        paused: true,
        template: {
          metadata: { annotations: { debug: 'yes' } },
          spec: { containers: [{ name: 'web', image: 'evil', env: [{ name: 'X', value: 'y' }] }], hostNetwork: true },
        },
      },
    })
    expect(await scaled(s, 1)).toEqual({ done: true })
    const made = spec(s.canary(), 'template', 'spec')
    expect(made).toEqual(spec(s.user(), 'template', 'spec'))
    expect(spec(s.canary(), 'template', 'metadata', 'annotations')).toBeUndefined()
    expect(spec(s.canary(), 'paused') ?? false).toBe(false)
    await s.until('it runs what it should', () => s.running('web-canary').join() === next)
  })

  test('that somebody scaled down is scaled up again', async () => {
    const s = await latchedScene()
    await scaled(s, 2)
    s.edit(DEPLOYMENTS, 'web-canary', { spec: { replicas: 0 } })
    await scaled(s, 2)
    expect(spec(s.canary(), 'replicas')).toBe(2)
  })

  test('becomes the next revision, with no more pods than are asked for', async () => {
    const s = await latchedScene()
    await scaled(s, 3)
    s.image('registry.example/web:3')
    expect(await scaled(s, 1)).toEqual({ done: true })
    expect(s.canary()?.metadata.annotations?.['sluice.dev/revision']).toBe(s.desired().revision)
    expect(spec(s.canary(), 'replicas')).toBe(1)
    await s.until('it runs', () => s.running('web-canary').join() === 'registry.example/web:3')
  })

  test('is not made of a template that is another by now', async () => {
    const s = await latchedScene()
    const revision = s.desired()
    s.image('registry.example/web:3')
    expect(await s.act({ kind: 'scaleCanary', revision, replicas: 1 })).toEqual({ done: false })
    expect(s.canary()).toBeUndefined()
  })

  test('is made of the same content after a restart annotation', async () => {
    const s = await latchedScene()
    const revision = s.desired()
    s.edit(DEPLOYMENTS, 'web', {
      spec: { template: { metadata: { annotations: { 'kubectl.kubernetes.io/restartedAt': 'now' } } } },
    })
    expect(await s.act({ kind: 'scaleCanary', revision, replicas: 1 })).toEqual({ done: true })
  })

  test('is made anew when the canary subset has other labels', async () => {
    const s = await latchedScene()
    await scaled(s, 1)
    const old = s.canary()?.metadata.uid
    s.edit({ group: 'networking.istio.io', plural: 'destinationrules' }, 'web', {
      spec: {
        subsets: [
          { name: 'stable', labels: { track: 'stable' } },
          { name: 'canary', labels: { track: 'trial' } },
        ],
      },
    })
    await s.until('it is made anew', () => {
      void scaled(s, 1)
      return s.canary() !== undefined && s.canary()?.metadata.uid !== old
    })
    expect(spec(s.canary(), 'selector', 'matchLabels', 'track')).toBe('trial')
    await s.until('the old pods go', () => s.list(PODS).every((pod) => pod.metadata.labels?.track !== 'canary'))
  })

  test('carries the labels of its Service where traffic is split between Services', async () => {
    const s = await latchedScene({ services: true })
    expect(await scaled(s, 1)).toEqual({ done: true })
    expect(spec(s.canary(), 'selector')).toEqual({
      matchLabels: { app: 'web', track: 'canary', 'sluice.dev/canary': 'web' },
    })
  })

  test('that a webhook changes is what the webhook made of it', async () => {
    const s = await latchedScene()
    const stop = world.api.admission.addMutating(({ type, object }) => {
      if (type.plural !== 'deployments' || object?.metadata.name !== 'web-canary') return
      const template = fieldAt(object, 'spec', 'template', 'metadata') as { annotations?: Record<string, string> }
      template.annotations = { ...template.annotations, injected: 'yes' }
    })
    expect(await scaled(s, 1)).toEqual({ done: true })
    const generation = s.canary()?.metadata.generation
    expect(await world.requests(() => scaled(s, 1))).toEqual(['get deployments web-canary'])
    stop()
    expect(s.canary()?.metadata.generation).toBe(generation)
  })

  test('is not made over a Deployment of somebody else', async () => {
    const s = await latchedScene()
    const theirs = {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'web-canary' },
      spec: {
        selector: { matchLabels: { app: 'other' } },
        template: { metadata: { labels: { app: 'other' } }, spec: { containers: [{ name: 'x', image: 'x:1' }] } },
      },
    }
    s.create(DEPLOYMENTS, theirs)
    const result = await scaled(s, 1)
    expect(result).toMatchObject({ done: false, problem: { reason: 'CanaryNameTaken' } })
    expect(await s.act({ kind: 'removeCanary' })).toEqual({ done: true })
    expect(fieldAt(s.canary(), 'spec', 'template', 'spec', 'containers', 0, 'image')).toBe('x:1')
  })

  test('that the API server refuses is a problem in its words', async () => {
    const s = await latchedScene()
    const fault = world.api.faults.add({
      match: ({ verb, name, namespace }) => verb === 'create' && namespace === s.namespace && name === undefined,
      error: 422,
      count: 1,
    })
    expect(await scaled(s, 1)).toMatchObject({
      done: false,
      problem: { reason: 'CanaryRefused', message: expect.stringContaining('the canary Deployment was not made') },
    })
    fault()
    expect(await scaled(s, 1)).toEqual({ done: true })
  })
})

describe('removing the canary', () => {
  test('takes its pods away and nothing else, and costs one request afterwards', async () => {
    const s = await latchedScene()
    await scaled(s, 1)
    await s.until('it runs', () => s.running('web-canary').length === 1)
    const before = bystanders(s)
    expect(await s.act({ kind: 'removeCanary' })).toEqual({ done: true })
    await s.until('its pods go', () => s.list(PODS).every((pod) => pod.metadata.labels?.track === 'stable'))
    expect(s.canary()).toBeUndefined()
    expect(bystanders(s)).toEqual(before)
    expect(await world.requests(() => s.act({ kind: 'removeCanary' }))).toEqual(['get deployments web-canary'])
  })
})

describe('with trouble on the way', () => {
  const mine = (s: Scene) => (target: { namespace: string | undefined }) => target.namespace === s.namespace
  test.each([
    ['409', { error: 409 }],
    ['429', { error: 429 }],
    ['500', { error: 500 }],
    ['a cut connection', { reset: true }],
    ['an answer that is lost', { resetAfter: true }],
    ['a stall', { stall: true }],
  ])('%s at every request in turn, the canary is made all the same, once', async (_, fault) => {
    const s = await latchedScene({ selector: { track: 'stable' } })
    autoscaled(s)
    for (let spoiled = 0; spoiled < 8; spoiled++) {
      let seen = 0
      const clear = world.api.faults.add({ match: (t) => mine(s)(t) && seen++ === spoiled, ...fault })
      const result = await scaled(s, 2)
      clear()
      if (!result.done && result.problem) expect(['ApiUnreachable', 'CanaryRefused']).toContain(result.problem.reason)
    }
    expect(await scaled(s, 2)).toEqual({ done: true })
    expect(spec(s.canary(), 'replicas')).toBe(2)
    expect(s.list(DEPLOYMENTS).map(({ metadata }) => metadata.name)).toEqual(['web', 'web-canary'])
    expect(await world.requests(() => scaled(s, 2))).toEqual(['get deployments web-canary'])
  })

  test('a process that does not lead writes nothing', async () => {
    const s = await latchedScene()
    world.lead(false)
    expect(await scaled(s, 1)).toEqual({ done: false })
    expect(await s.act({ kind: 'resume', resourceVersion: s.user().metadata.resourceVersion ?? '' })).toEqual({
      done: false,
    })
    world.lead(true)
    expect(s.canary()).toBeUndefined()
    expect(spec(s.user(), 'paused')).toBe(true)
  })

  test('a missing permission is named, a quota is not taken for one', async () => {
    const s = await latchedScene()
    const refuse = (message: string) =>
      world.api.admission.addValidating(({ type, operation, namespace }) => {
        if (type.plural !== 'deployments' || operation !== 'CREATE' || namespace !== s.namespace) return
        throw forbidden(message)
      })
    const stop = refuse('exceeded quota: small, requested: count/deployments.apps=1')
    expect(await scaled(s, 1)).toMatchObject({
      problem: { reason: 'CanaryRefused', message: expect.stringContaining('exceeded quota: small') },
    })
    stop()
    const again = refuse('User "x" cannot create resource "deployments" in API group "apps" in the namespace "shop"')
    expect(await scaled(s, 1)).toMatchObject({
      problem: { reason: 'Forbidden', message: expect.stringContaining('x may not create deployments.apps') },
    })
    again()
  })
})

function forbidden(message: string): Error {
  return new ApiError(403, 'Forbidden', `deployments.apps "web-canary" is forbidden: ${message}`)
}

function autoscaled(s: Scene): void {
  s.create(HPAS, {
    apiVersion: 'autoscaling/v2',
    kind: 'HorizontalPodAutoscaler',
    metadata: { name: 'web' },
    spec: {
      scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' },
      minReplicas: 1,
      maxReplicas: 4,
    },
  })
}

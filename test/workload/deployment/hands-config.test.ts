import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { RevisionRecord } from '../../../src/api/status.ts'
import { fieldAt } from '../../../src/kube/field.ts'
import { deploymentRevision, templateContent, withConfig } from '../../../src/plan/revision.ts'
import { type HandsWorld, REPLICA_SETS, type Scene, startWorld } from './hands-world.ts'

const CONFIG = 'sluice.dev/config'
const [old, fresh] = ['aaaaaaaaaa', 'bbbbbbbbbb'] as const
const image = 'registry.example/web:1'
let world: HandsWorld
beforeAll(async () => {
  world = await startWorld()
})
afterAll(() => world.stop())

const version = (s: Scene) => s.user().metadata.resourceVersion ?? ''
const carried = (object: unknown) => fieldAt(object, 'spec', 'template', 'metadata', 'annotations', CONFIG)
const sets = (s: Scene) => s.list(REPLICA_SETS).map((set) => [carried(set), fieldAt(set, 'spec', 'replicas')])

async function calm(s: Scene): Promise<void> {
  for (let before = ''; before !== version(s); await new Promise((resolve) => setTimeout(resolve, 30)))
    before = version(s)
}

/** What the template is together with this configuration. */
function configured(s: Scene, hash: string): RevisionRecord {
  const { uid = '', generation = 0 } = s.user().metadata
  const content = withConfig(templateContent(fieldAt(s.user(), 'spec', 'template')), { hash, objects: {} })
  return deploymentRevision('web', content, { name: 'web-canary', uid, generation })
}

async function adopted(): Promise<Scene> {
  const s = world.scene()
  await s.until('up', () => s.running().length === 2)
  await s.act({ kind: 'adopt', pause: false })
  await calm(s)
  return s
}

async function takesOver(s: Scene, config: string): Promise<void> {
  await calm(s)
  expect(await s.act({ kind: 'resume', resourceVersion: version(s), config })).toEqual({ done: true })
  await s.until('rolled', () =>
    s.list(REPLICA_SETS).some((set) => carried(set) === config && fieldAt(set, 'status', 'readyReplicas') === 2),
  )
  await calm(s)
}

describe('configuration', () => {
  test('makes the Deployment roll the same template, in the request that resumes it', async () => {
    const s = await adopted()
    const requests = await world.requests(() => takesOver(s, fresh))
    expect(requests.filter((request) => request.startsWith('patch deployments'))).toHaveLength(1)
    expect(carried(s.user())).toBe(fresh)
    expect(fieldAt(s.user(), 'spec', 'paused')).toBeUndefined()
    await s.until('one left', () => s.running().length === 2)
    expect(sets(s)).toContainEqual([undefined, 0])
    expect(sets(s)).toContainEqual([fresh, 2])
  })

  test('comes with a latched template, and never with one that was written since', async () => {
    const s = await adopted()
    s.image('registry.example/web:2')
    const looked = version(s)
    s.image('registry.example/web:3')
    expect(await s.act({ kind: 'resume', resourceVersion: looked, config: fresh })).toEqual({ done: false })
    expect(carried(s.user())).toBeUndefined()
    expect(fieldAt(s.user(), 'spec', 'paused')).toBe(true)
    await takesOver(s, fresh)
    expect(s.running()).toEqual(['registry.example/web:3', 'registry.example/web:3'])
  })

  test('is the annotation of the canary pods, and another one makes other pods', async () => {
    const s = await adopted()
    const [a, b] = [configured(s, old), configured(s, fresh)]
    expect(await s.act({ kind: 'scaleCanary', revision: a, replicas: 1 })).toEqual({ done: true })
    expect(carried(s.canary())).toBe(old)
    expect(carried(s.user())).toBeUndefined()
    await s.until('canary up', () => s.running('web-canary').length === 1)
    expect(await world.requests(() => s.act({ kind: 'scaleCanary', revision: a, replicas: 1 }))).toEqual([
      'get deployments web-canary',
    ])
    expect(await s.act({ kind: 'scaleCanary', revision: b, replicas: 1 })).toEqual({ done: true })
    expect(carried(s.canary())).toBe(fresh)
  })

  test('of the pods before comes back with their ReplicaSet, although both templates are the same', async () => {
    const s = await adopted()
    const before = configured(s, old)
    await takesOver(s, fresh)
    expect(await s.act({ kind: 'restoreTemplate', to: before })).toEqual({ done: true })
    expect(carried(s.user())).toBeUndefined()
    await s.until('back', () => sets(s).some(([config, pods]) => config === undefined && pods === 2))
    await calm(s)
    expect(await world.requests(() => s.act({ kind: 'restoreTemplate', to: before }))).toEqual(['get deployments web'])
    expect(s.running()).toEqual([image, image])
  })
})

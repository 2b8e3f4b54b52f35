import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { RevisionRecord } from '../../../src/api/status.ts'
import { fieldAt } from '../../../src/kube/field.ts'
import { DEPLOYMENTS, type HandsWorld, REPLICA_SETS, type Scene, startWorld } from './hands-world.ts'

const [first, next, third] = [1, 2, 3].map((tag) => `registry.example/web:${tag}`) as [string, string, string]
let world: HandsWorld
beforeAll(async () => {
  world = await startWorld()
})
afterAll(() => world.stop())

const spec = (s: Scene, ...path: string[]) => fieldAt(s.user(), 'spec', ...path)
const isPaused = (s: Scene) => spec(s, 'paused') === true
const version = (s: Scene) => s.user().metadata.resourceVersion ?? ''
const runs = (s: Scene, image: string) =>
  s.until(`runs ${image}`, () => s.running().length === 2 && s.running().every((each) => each === image))
const calm = async (s: Scene) => {
  for (let before = ''; before !== version(s); await new Promise((resolve) => setTimeout(resolve, 30)))
    before = version(s)
}

/** Nobody else writes for a moment, as a look that follows the last change would find it. */
async function resumed(s: Scene): Promise<void> {
  await calm(s)
  expect(await s.act({ kind: 'resume', resourceVersion: version(s) })).toEqual({ done: true })
}

async function adopted(over: Parameters<HandsWorld['scene']>[0] = {}): Promise<{ s: Scene; stable: RevisionRecord }> {
  const s = world.scene(over)
  await runs(s, first)
  await calm(s)
  const stable = s.desired()
  expect(await s.act({ kind: 'adopt', pause: over.latch === 'Pause' })).toEqual({ done: true })
  return { s, stable }
}

describe('adopting a Deployment', () => {
  test('adds the label and touches nothing else; no pod restarts', async () => {
    const s = world.scene()
    await runs(s, first)
    await calm(s)
    const before = s.user()
    await s.act({ kind: 'adopt', pause: false })
    const after = s.user()
    expect(after.spec).toEqual(before.spec)
    expect(after.metadata.labels).toEqual({ ...before.metadata.labels, 'sluice.dev/rollout': 'web' })
    expect(after.metadata.annotations).toEqual(before.metadata.annotations)
    expect(after.metadata.generation).toBe(before.metadata.generation)
    expect(await world.requests(() => s.act({ kind: 'adopt', pause: false }))).toEqual(['get deployments web'])
  })

  test('pauses it where that is the latch, so that a new template does not roll without any policy', async () => {
    const { s } = await adopted({ latch: 'Pause' })
    expect(isPaused(s)).toBe(true)
    s.image(next)
    await calm(s)
    expect(s.running()).toEqual([first, first])
    expect(await world.requests(() => s.act({ kind: 'adopt', pause: true }))).toEqual(['get deployments web'])
  })

  test('of a Deployment that is gone is left to a new look', async () => {
    const s = world.scene()
    world.api.storage.remove(DEPLOYMENTS, { namespace: s.namespace, name: 'web' })
    expect(await s.act({ kind: 'adopt', pause: false })).toEqual({ done: false })
  })
})

describe('resuming', () => {
  test('lets the latched template roll', async () => {
    const { s } = await adopted()
    s.image(next)
    await resumed(s)
    await runs(s, next)
    expect(isPaused(s)).toBe(false)
  })

  test('never lets a newer template roll than the one that was looked at', async () => {
    const { s } = await adopted()
    s.image(next)
    const looked = version(s)
    s.image(third)
    expect(await s.act({ kind: 'resume', resourceVersion: looked })).toEqual({ done: false })
    expect(isPaused(s)).toBe(true)
    await calm(s)
    expect(s.running()).toEqual([first, first])
  })

  test('is one request, done or not', async () => {
    const { s } = await adopted()
    s.image(next)
    await calm(s)
    const resourceVersion = version(s)
    const requests = () => world.requests(() => s.act({ kind: 'resume', resourceVersion }))
    expect(await requests()).toEqual(['patch deployments web'])
    expect(await requests()).toEqual(['patch deployments web'])
  })

  test('that is latched again says which user the policy has to exempt, and is remembered', async () => {
    const strict = await startWorld({ exempt: 'system:serviceaccount:elsewhere:sluice' })
    const s = strict.scene()
    await runs(s, first)
    await s.act({ kind: 'adopt', pause: false })
    s.image(next)
    await calm(s)
    const result = await s.act({ kind: 'resume', resourceVersion: version(s) })
    expect(result).toMatchObject({
      done: false,
      problem: {
        reason: 'LatchMissing',
        message: expect.stringContaining('system:serviceaccount:sluice-system:sluice'),
      },
    })
    expect(strict.latch.of(s.user().metadata.uid ?? '')).toMatchObject({ state: 'Missing' })
    expect(isPaused(s)).toBe(true)
    await strict.stop()
  })
})

describe('putting a template back', () => {
  test('does what kubectl rollout undo does', async () => {
    const { s, stable } = await adopted()
    const before = spec(s, 'template')
    s.image(next)
    await resumed(s)
    await runs(s, next)
    expect(await s.act({ kind: 'restoreTemplate', to: stable })).toEqual({ done: true })
    expect(spec(s, 'template')).toEqual(before)
    await runs(s, first)
    const sets = s.list(REPLICA_SETS).filter((set) => fieldAt(set, 'spec', 'replicas') !== 0)
    expect(sets).toHaveLength(1)
    expect(await world.requests(() => s.act({ kind: 'restoreTemplate', to: stable }))).toEqual(['get deployments web'])
  })

  test('stops a roll in its middle', async () => {
    const { s, stable } = await adopted({ spec: { minReadySeconds: 1 } })
    s.image(next)
    await resumed(s)
    await s.until('the roll has begun', () => s.running().includes(next))
    expect(await s.act({ kind: 'restoreTemplate', to: stable })).toEqual({ done: true })
    await runs(s, first)
  })

  test('wins over a newer template that waits, latched, in the Deployment', async () => {
    const { s, stable } = await adopted()
    s.image(next)
    await resumed(s)
    await runs(s, next)
    s.image(third)
    await s.act({ kind: 'restoreTemplate', to: stable })
    await runs(s, first)
    expect(isPaused(s)).toBe(false)
  })

  test('leaves annotations alone, so that an old ReplicaSet brings no broken glass back', async () => {
    const s = world.scene()
    s.edit(DEPLOYMENTS, 'web', { metadata: { annotations: { 'sluice.dev/break-glass': 'bootstrap' } } })
    await runs(s, first)
    await calm(s)
    const stable = s.desired()
    s.edit(DEPLOYMENTS, 'web', { metadata: { annotations: { 'sluice.dev/break-glass': null, note: 'mine' } } })
    await s.act({ kind: 'adopt', pause: false })
    s.image(next)
    await resumed(s)
    await runs(s, next)
    await s.act({ kind: 'restoreTemplate', to: stable })
    expect(s.user().metadata.annotations).toMatchObject({ note: 'mine' })
    expect(s.user().metadata.annotations).not.toHaveProperty('sluice.dev/break-glass')
  })

  test('of which no ReplicaSet is left says where it is to be found', async () => {
    const { s } = await adopted()
    const to = { ...s.desired(), hash: '0123456789', revision: 'gone-0123456789' }
    expect(await s.act({ kind: 'restoreTemplate', to })).toMatchObject({
      done: false,
      problem: { reason: 'TemplateGone', message: expect.stringContaining('gone-0123456789') },
    })
  })
})

describe('giving the Deployment back', () => {
  test('takes the label away and nothing else', async () => {
    const { s } = await adopted()
    const before = s.user()
    expect(await s.act({ kind: 'release', resume: false })).toEqual({ done: true })
    expect(s.user().spec).toEqual(before.spec)
    expect(s.user().metadata.labels).toEqual({ 'app.kubernetes.io/instance': 'shop' })
    expect(await world.requests(() => s.act({ kind: 'release', resume: false }))).toEqual(['get deployments web'])
  })

  test('resumes it in the same write when its template is stable', async () => {
    const { s, stable } = await adopted({ latch: 'Pause' })
    s.target.stable = stable
    expect(await s.act({ kind: 'release', resume: true })).toEqual({ done: true })
    expect(isPaused(s)).toBe(false)
    expect(s.user().metadata.labels).not.toHaveProperty('sluice.dev/rollout')
  })

  test('does not resume a template that came in after the decision', async () => {
    const { s, stable } = await adopted()
    s.target.stable = stable
    s.image(next)
    expect(await s.act({ kind: 'release', resume: true })).toEqual({ done: false })
    expect(isPaused(s)).toBe(true)
    expect(s.user().metadata.labels).toHaveProperty('sluice.dev/rollout')
    expect(await s.act({ kind: 'release', resume: false })).toEqual({ done: true })
    await calm(s)
    expect(s.running()).toEqual([first, first])
  })

  test('leaves the label of another Rollout where it is', async () => {
    const { s } = await adopted()
    s.edit(DEPLOYMENTS, 'web', { metadata: { labels: { 'sluice.dev/rollout': 'other' } } })
    expect(await s.act({ kind: 'release', resume: false })).toEqual({ done: true })
    expect(s.user().metadata.labels).toHaveProperty('sluice.dev/rollout', 'other')
  })
})

describe('with trouble on the way', () => {
  const faults: [string, object][] = [
    ['409', { error: 409 }],
    ['500', { error: 500 }],
    ['a cut connection', { reset: true }],
    ['an answer that is lost', { resetAfter: true }],
    ['a stall', { stall: true }],
  ]
  test.each(faults)(
    '%s at every request in turn, a template comes back and the Deployment is given back',
    async (_, fault) => {
      const { s, stable } = await adopted()
      s.target.stable = stable
      s.image(next)
      const spoil = async (effect: Parameters<Scene['act']>[0]) => {
        for (let spoiled = 0; spoiled < 3; spoiled++) {
          let seen = 0
          const clear = world.api.faults.add({
            match: ({ namespace }) => namespace === s.namespace && seen++ === spoiled,
            ...fault,
          })
          await s.act(effect)
          clear()
        }
        await s.act(effect)
      }
      await resumed(s)
      await spoil({ kind: 'restoreTemplate', to: stable })
      await runs(s, first)
      await spoil({ kind: 'release', resume: true })
      expect(s.user().metadata.labels).not.toHaveProperty('sluice.dev/rollout')
      await spoil({ kind: 'adopt', pause: true })
      expect(s.user().metadata.labels).toHaveProperty('sluice.dev/rollout', 'web')
      expect(isPaused(s)).toBe(true)
    },
  )
})

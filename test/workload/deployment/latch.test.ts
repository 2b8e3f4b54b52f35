import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type HandsWorld, type Scene, startWorld } from './hands-world.ts'

let world: HandsWorld
beforeAll(async () => {
  world = await startWorld()
})
afterAll(() => world.stop())

const stateOf = (w: HandsWorld, s: Scene) => w.latch.of(s.user().metadata.uid ?? '')
const prove = (s: Scene) => s.act({ kind: 'proveLatch' })

describe('the latch', () => {
  test('is unknown before it was tried', () => {
    expect(stateOf(world, world.scene())).toEqual({ state: 'Unknown' })
  })

  test('is proven by dry runs, which change nothing, and wake the Rollout', async () => {
    const s = world.scene()
    await s.until('it runs', () => s.running().length === 2)
    const { generation, labels, annotations } = s.user().metadata
    const told = world.answered.length
    const before = Date.now()
    const requests = await world.requests(async () => expect(await prove(s)).toEqual({ done: true }))
    expect(requests.filter((each) => each.startsWith('patch deployments'))).toHaveLength(2)
    const proof = stateOf(world, s)
    expect(proof).toMatchObject({ state: 'Proven' })
    expect(proof.state === 'Proven' ? proof.at : 0).toBeGreaterThanOrEqual(before)
    expect(world.answered.slice(told)).toEqual([s.target.key])
    expect(s.user().metadata).toMatchObject({ generation, labels, annotations })
    expect(s.user().metadata.labels).not.toHaveProperty('sluice.dev/rollout')
  })

  test('is proven while a template is latched, and while the glass is broken', async () => {
    const s = world.scene()
    await s.act({ kind: 'adopt', pause: false })
    s.image('registry.example/web:2')
    expect(await prove(s)).toEqual({ done: true })
    s.edit({ group: 'apps', plural: 'deployments' }, 'web', {
      metadata: { annotations: { 'sluice.dev/break-glass': 'now' } },
    })
    await prove(s)
    expect(stateOf(world, s)).toMatchObject({ state: 'Proven' })
  })

  test('is tried once at a time', async () => {
    const s = world.scene()
    const requests = await world.requests(() => Promise.all([prove(s), prove(s), prove(s)]))
    const mine = requests.filter((each) => each.startsWith('patch deployments'))
    expect(mine).toHaveLength(2)
  })

  test.each([
    ['a refusal', { error: 500 }],
    ['a cut connection', { reset: true }],
    ['a stall', { stall: true }],
  ])('that could not be tried because of %s is as it was, and tried again', async (_, fault) => {
    const s = world.scene()
    const clear = world.api.faults.add({ match: ({ namespace }) => namespace === s.namespace, ...fault })
    expect(await prove(s)).toMatchObject({ done: false, problem: { reason: 'ApiUnreachable' } })
    expect(stateOf(world, s)).toEqual({ state: 'Unknown' })
    clear()
    await prove(s)
    expect(stateOf(world, s)).toMatchObject({ state: 'Proven' })
  })

  test('is forgotten with the Deployment', async () => {
    const s = world.scene()
    await prove(s)
    const { uid = '' } = s.user().metadata
    world.latch.forget(uid)
    expect(world.latch.of(uid)).toEqual({ state: 'Unknown' })
  })
})

test('without the policy it is missing, and the message says what would happen', async () => {
  const bare = await startWorld({ latch: false })
  const s = bare.scene()
  expect(await prove(s)).toEqual({ done: true })
  expect(stateOf(bare, s)).toMatchObject({
    state: 'Missing',
    message: expect.stringContaining(`no admission policy latches Deployment ${s.namespace}/web`),
  })
  expect(bare.answered).toEqual([s.target.key])
  await bare.stop()
})

test('a policy that exempts another user than Sluice is missing before anything hangs on it', async () => {
  const strict = await startWorld({ exempt: 'system:serviceaccount:elsewhere:sluice' })
  const s = strict.scene()
  await prove(s)
  expect(stateOf(strict, s)).toMatchObject({
    state: 'Missing',
    message: expect.stringContaining(
      'does not exempt the user that Sluice runs as, system:serviceaccount:sluice-system:sluice',
    ),
  })
  await strict.stop()
})

import { expect, test } from 'vitest'
import { World } from './world.ts'

test('a good release climbs 10, 50, 100 in this order and is stable then', () => {
  const world = new World()
  world.settle()
  expect(world.status).toMatchObject({ phase: 'Healthy', stable: { name: 'v1' } })
  world.desire('v2')
  world.pass(10 * 60_000)
  expect(world.weightsOf('v2')).toEqual([10, 50, 100])
  expect(world.status).toMatchObject({ phase: 'Healthy', stable: { name: 'v2' }, lastOutcome: { result: 'Promoted' } })
  expect(world.log.map((c) => c.kind)).toEqual(['step', 'step', 'step', 'promote'])
})

test('each weight is held at least as long as its hold', () => {
  const world = new World()
  world.settle()
  world.desire('v2')
  world.pass(10 * 60_000)
  const [ten, fifty, hundred] = world.changes
  expect(fifty!.at - ten!.at).toBeGreaterThanOrEqual(60_000)
  expect(hundred!.at - fifty!.at).toBeGreaterThanOrEqual(60_000)
})

test('a breach puts the weight to 0, reverts Git and keeps the revision out', () => {
  const world = new World()
  world.settle()
  world.breaching.add('v2')
  world.desire('v2')
  world.pass(5 * 60_000)
  expect(world.weightsOf('v2')).toEqual([10, 0])
  expect(world.spec.workload.subsets?.desired).toBe('v1')
  expect(world.status).toMatchObject({
    phase: 'Healthy',
    knownBad: [{ name: 'v2' }],
    lastOutcome: { result: 'RolledBack', reason: 'Breach.success-rate' },
  })
  world.desire('v2')
  world.pass(5 * 60_000)
  expect(world.status).toMatchObject({ phase: 'RolledBack' })
  expect(world.status.conditions).toContainEqual(
    expect.objectContaining({ type: 'Stalled', status: 'True', reason: 'KnownBad' }),
  )
  expect(world.weightsOf('v2')).toEqual([10, 0])
})

test('waits for approval before the step that asks for it, and moves when it is given', () => {
  const world = new World({
    steps: [
      { weight: 10, hold: '1m' },
      { weight: 50, hold: '1m', approval: { from: ['user:dana'] } },
      { weight: 100, hold: '1m' },
    ],
  })
  world.settle()
  world.desire('v2')
  world.pass(5 * 60_000)
  expect(world.status).toMatchObject({ phase: 'AwaitingApproval', step: { weight: 10 } })
  world.approve()
  world.pass(5 * 60_000)
  expect(world.weightsOf('v2')).toEqual([10, 50, 100])
  expect(world.status.phase).toBe('Healthy')
})

import { afterAll, beforeAll, expect, test } from 'vitest'
import { listAt } from '../../src/kube/field.ts'
import { openStage, type Stage } from './stage.ts'

let stage: Stage
beforeAll(async () => {
  stage = await openStage()
}, 60_000)
afterAll(() => stage.stop(), 60_000)

test('of two controllers one acts; when it goes, the other goes on in the middle of a step', {
  timeout: 240_000,
}, async () => {
  const elected = { leaderElection: true, leaseNamespace: 'default' }
  const first = await stage.controller({ ...elected, identity: 'first' })
  await first.synced
  await using s = await stage.scene('relay', {
    rollout: {
      steps: [
        { weight: 20, hold: '3s' },
        { weight: 60, hold: '1s' },
        { weight: 100, hold: '1s' },
      ],
    },
  })
  const second = await stage.controller({ ...elected, identity: 'second' })
  await second.synced
  await s.desire('v2')
  await s.until('at 20 %', (status) => status.step?.weight === 20)
  await first.stop()
  await s.until('promoted', (status) => status.lastOutcome?.result === 'Promoted')
  expect(s.weights('v2')).toEqual([0, 20, 60, 100])
  expect(s.status()).toMatchObject({ attempt: 1, stable: { name: 'v2' } })
  // Every weight was written once, whoever wrote it.
  const writes = s.routes().map((route) => listAt(route, 'spec', 'http').length)
  expect(writes.length).toBe(4)
})

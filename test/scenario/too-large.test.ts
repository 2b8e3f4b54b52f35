import { afterAll, beforeAll, expect, test } from 'vitest'
import { controllersRequests, openStage, type Stage } from './stage.ts'

const steps = [{ weight: 10, hold: '10m' }, { weight: 100 }]

let stage: Stage
beforeAll(async () => {
  stage = await openStage()
  const controller = await stage.controller()
  await controller.synced
}, 60_000)
afterAll(() => stage.stop(), 60_000)

test('traffic goes back although the status has become larger than the API server takes, and the end is told when it fits again', {
  timeout: 240_000,
}, async () => {
  await using s = await stage.scene('too-large-to-say', { rollout: { steps } })
  await s.desire('v2')
  await s.until('at 10 %', (status) => s.weight('v2') === 10 && status.step?.weight === 10)
  const end = stage.sandbox.api.faults.add({
    ...controllersRequests('too-large-to-say', 'update', 'rollouts', 'status'),
    error: 413,
  })
  s.behave('v2', { 'error-rate': '1' })
  await s.until('back', () => s.weight('v2') === 0)
  await s.until('told', () => s.events().some((event) => /^StatusNotWritten: .*RequestEntityTooLarge/.test(event)))
  expect(s.status().phase).not.toBe('RolledBack')
  end()
  await s.until('recorded', (status) => status.phase === 'RolledBack')
  expect(s.weights('v2')).toEqual([0, 10, 0])
  expect(s.status().lastOutcome).toMatchObject({ result: 'RolledBack', reason: 'Breach.success-rate' })
})

test('traffic goes back although no event is taken', { timeout: 240_000 }, async () => {
  await using s = await stage.scene('no-event-fits', { rollout: { steps } })
  await s.desire('v2')
  await s.until('at 10 %', () => s.weight('v2') === 10)
  const end = stage.sandbox.api.faults.add({
    ...controllersRequests('no-event-fits', 'create', 'events'),
    error: 413,
  })
  s.behave('v2', { 'error-rate': '1' })
  await s.until('rolled back', (status) => status.phase === 'RolledBack')
  expect(s.weights('v2')).toEqual([0, 10, 0])
  end()
})

test('a route that has become too large to be written is tried until it can be, and the message says what is in the way', {
  timeout: 240_000,
}, async () => {
  await using s = await stage.scene('too-large-a-route', { rollout: { steps } })
  await s.desire('v2')
  await s.until('at 10 %', () => s.weight('v2') === 10)
  const end = stage.sandbox.api.faults.add({
    ...controllersRequests('too-large-a-route', 'patch', 'virtualservices'),
    error: 413,
  })
  s.behave('v2', { 'error-rate': '1' })
  await s.until('said', (status) => /were not written.*RequestEntityTooLarge/.test(status.message ?? ''))
  expect(s.weight('v2')).toBe(10)
  end()
  await s.until('rolled back', (status) => status.phase === 'RolledBack')
  expect(s.weights('v2')).toEqual([0, 10, 0])
})

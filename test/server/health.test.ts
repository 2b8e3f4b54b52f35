import { expect, test } from 'vitest'
import { createHealth, type HealthConfig } from '../../src/server/health.ts'

function at(now: number, over: Partial<HealthConfig> = {}) {
  return createHealth({
    runtime: { monotonic: () => now },
    lastActivity: () => 0,
    stuckAfterMs: 60_000,
    unsynced: () => [],
    leadership: () => 'leader',
    ...over,
  })
}

test('alive while the main loop goes round, not when it is stuck', () => {
  expect(at(60_000).live().ok).toBe(true)
  expect(at(90_000).live()).toEqual({ ok: false, message: 'the main loop has been stuck for 90 s' })
})

test('a stuck loop is no reason to be unready, and unread caches are no reason to be restarted', () => {
  expect(at(90_000).ready().ok).toBe(true)
  expect(at(0, { unsynced: () => ['rollouts'] }).live().ok).toBe(true)
})

test('ready as leader and as standby once the caches are read; not while leaving', () => {
  expect(at(0).ready()).toEqual({ ok: true, message: 'leading' })
  expect(at(0, { leadership: () => 'standby' }).ready()).toEqual({ ok: true, message: 'standing by' })
  expect(at(0, { leadership: () => 'lost' }).ready().ok).toBe(false)
  expect(at(0, { unsynced: () => ['rollouts', 'pods'] }).ready().message).toBe('still reading rollouts, pods')
})

import { join } from 'node:path'
import pino from 'pino'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { controllerConfig } from '../../src/config.ts'
import { type Controller, startController } from '../../src/controller/manager.ts'
import { loadKubeconfig } from '../../src/kube/kubeconfig.ts'
import { systemRuntime } from '../../src/runtime.ts'
import { openStage, refs, type Stage } from './stage.ts'

let stage: Stage
beforeAll(async () => {
  stage = await openStage()
  const metadata = { name: 'sluice-system' }
  stage.sandbox.api.storage.create(refs.namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata })
}, 60_000)
afterAll(() => stage.stop(), 60_000)

let n = 0

/** A controller on a machine whose clock is wrong by so much; everything else has the right time. */
async function controllerOff(byMs: number | (() => number)): Promise<Controller> {
  const off = typeof byMs === 'number' ? () => byMs : byMs
  const runtime = { ...systemRuntime, now: () => systemRuntime.now() + off() }
  const { controllerKubeconfig: kubeconfig, prometheus } = stage.sandbox
  const flags = {
    kubeconfig,
    prometheus: prometheus.url,
    listen: '127.0.0.1:0',
    workDir: join(stage.dir, `clock-${++n}`),
    leaderElect: true,
  }
  const config = { ...controllerConfig(flags, {}), leaseMs: 3_000, identity: `clock-${n}`, checkpointMs: 1_000 }
  const connection = await loadKubeconfig({ path: kubeconfig, env: {}, runtime })
  return startController(config, { connection, runtime, log: pino({ level: 'silent' }) })
}

/** Hands the lease over: the next one runs before the last one stops. */
async function handOver(from: Controller, byMs: number): Promise<Controller> {
  const next = await controllerOff(byMs)
  await from.stop()
  return next
}

describe('a leader whose clock is wrong takes over mid-step', { timeout: 240_000 }, () => {
  test('by a few seconds, before or behind, and the rollout goes its way all the same', async () => {
    let leader = await controllerOff(0)
    await using s = await stage.scene('seconds')
    await s.desire('v2')
    await s.until('at 10 %', ({ step }) => step?.index === 1)
    leader = await handOver(leader, 4_000)
    await s.until('at 50 %', ({ step }) => step?.index === 2)
    leader = await handOver(leader, -4_000)
    await s.until('promoted', ({ lastOutcome }) => lastOutcome?.result === 'Promoted')
    await leader.stop()
    expect(s.weights('v2')).toEqual([0, 10, 50, 100])
    expect(s.status().attempt).toBe(1)
  })

  test('by an hour, before or behind, and nothing moves until the time is right again', async () => {
    let leader = await controllerOff(0)
    await using s = await stage.scene('hours')
    await s.desire('v2')
    await s.until('at 10 %', ({ step }) => step?.index === 1)
    for (const byMs of [3_600_000, -3_600_000]) {
      leader = await handOver(leader, byMs)
      // Its Prometheus has nothing at what it takes for now.
      await s.until('held', ({ message }) => /^holds at 10%: success-rate: /.test(message ?? ''))
      await s.stays('at 10 %', () => s.weight('v2') === 10, 2_000)
    }
    leader = await handOver(leader, 0)
    await s.until('promoted', ({ lastOutcome }) => lastOutcome?.result === 'Promoted')
    await leader.stop()
    expect(s.weights('v2')).toEqual([0, 10, 50, 100])
  })
})

test('a Rollout that is deleted waits for Git for ten minutes, and says then what Git still holds', {
  timeout: 240_000,
}, async () => {
  let passed = 0
  const controller = await controllerOff(() => passed)
  await using s = await stage.scene('left-behind', {
    git: { interval: '1h' },
    rollout: { steps: [{ weight: 50, hold: '10m' }, { weight: 100 }] },
  })
  const { storage } = stage.sandbox.api
  const key = { namespace: 'left-behind', name: 'config' }
  await s.desire('v2')
  // The source looks once an hour: it is told to look now.
  storage.patchMerge(refs.sources, key, { spec: { interval: '59m' } })
  await s.until('at 50 %', ({ step }) => step?.weight === 50)
  s.remote.faults.down = true
  storage.remove(refs.rollouts, { namespace: 'left-behind', name: 'my-app' })
  await s.until('back at 0', () => s.weight('v2') === 0)
  passed = 9 * 60_000
  await s.stays('waiting for Git', () => s.rollout() !== undefined, 3_000)
  passed = 10 * 60_000
  await s.until('gone', () => s.rollout() === undefined)
  expect(s.weights('v2')).toEqual([0, 50, 0])
  await s.until('told', () => s.events().some((event) => event.startsWith('GitLeftBehind')))
  expect((await s.commits()).at(-1)).toBe('my-app: 0% → 50% (left-behind)')
  await controller.stop()
})

import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Controller } from '../../src/controller/manager.ts'
import type { RequestRecord } from '../../src/sandbox/apiserver/index.ts'
import { CONTROLLER_USER } from '../../src/sandbox/sandbox.ts'
import { openStage, type Stage } from './stage.ts'

let stage: Stage
let controller: Controller
beforeAll(async () => {
  stage = await openStage()
  controller = await stage.controller({ checkpointMs: 60_000 })
  await controller.synced
}, 60_000)
afterAll(() => stage.stop(), 60_000)

/** Requests of the controller other than the watches that are always open. */
function listen(): { seen: RequestRecord[]; stop(): void } {
  const seen: RequestRecord[] = []
  const stop = stage.sandbox.api.onRequest((record) => {
    if (record.user === CONTROLLER_USER && record.verb !== 'watch') seen.push(record)
  })
  return { seen, stop }
}

async function metric(name: string): Promise<number> {
  const text = await (await fetch(`${controller.url}/metrics`)).text()
  const values = text.split('\n').filter((line) => line.startsWith(name) && !line.startsWith('#'))
  return values.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
}

describe('what is quiet costs nothing', { timeout: 240_000 }, () => {
  test('idle Rollouts make no requests, neither to the API server nor to Prometheus', async () => {
    await using first = await stage.scene('idle-1', { rate: 0 })
    await using second = await stage.scene('idle-2', { rate: 20 })
    await using third = await stage.scene('idle-3', { rate: 0, rollout: { desired: 'v1' } })
    // The events of the adoption are still on their way.
    await first.until('told', () => [first, second, third].every((s) => s.events().length > 0))
    await sleep(500)
    const asked = await metric('sluice_prometheus_queries_total')
    const { seen, stop } = listen()
    await sleep(5_000)
    stop()
    expect(seen.map(({ verb, resource, namespace }) => `${verb} ${resource} ${namespace}`)).toEqual([])
    expect(await metric('sluice_prometheus_queries_total')).toBe(asked)
  })

  test('a step that is held writes no status while nothing but numbers changes', async () => {
    await using s = await stage.scene('held', { rollout: { steps: [{ weight: 20, hold: '10m' }, { weight: 100 }] } })
    await s.desire('v2')
    await s.until('passing', (status) => status.step?.index === 1 && status.analysis?.[0]?.verdict === 'Pass')
    await sleep(1_500)
    const { seen, stop } = listen()
    await sleep(6_000)
    stop()
    expect(await metric('sluice_prometheus_queries_total')).toBeGreaterThan(0)
    expect(seen.filter(({ verb }) => verb !== 'get').map(({ verb, resource }) => `${verb} ${resource}`)).toEqual([])
  })

  test('a controller that is stopped in the middle of its work ends soon, and leaves nothing undone that was recorded', async () => {
    await using s = await stage.scene('stopping', {
      rollout: {
        steps: [
          { weight: 50, hold: '1s' },
          { weight: 100, hold: '1s' },
        ],
      },
    })
    await s.desire('v2')
    await s.until('at 50 %', (status) => status.step?.weight === 50)
    stage.sandbox.api.faults.add({
      user: CONTROLLER_USER,
      match: ({ namespace, verb }) => namespace === 'stopping' && verb !== 'watch',
      stall: true,
    })
    s.behave('v2', { 'error-rate': '1' })
    await sleep(1_500)
    const began = performance.now()
    await controller.stop()
    // Far below what a kubelet waits (30 s); requests that hang are given up.
    expect(performance.now() - began).toBeLessThan(20_000)
    stage.sandbox.api.faults.clear()
    controller = await stage.controller()
    await s.until('rolled back', (status) => status.phase === 'RolledBack')
    expect(s.weights('v2')).toEqual([0, 50, 0])
  })
})

import { expect, test } from 'vitest'
import { createAnalyst } from '../../src/analysis/analyst.ts'
import { createAnalysisFeed } from '../../src/controller/feed.ts'
import { giveBackMemory } from '../../src/controller/memory.ts'
import { createMetrics } from '../../src/server/metrics.ts'
import { createWorld } from '../analysis/mesh-world.ts'
import { World } from '../plan/world.ts'
import { simulatedRuntime } from '../sandbox/prometheus/simulated-runtime.ts'

const MINUTE = 60_000
/** Time between two looks, and between two scrapes. */
const EVERY = 2 * MINUTE
const DAYS = 7

function heap(): number {
  giveBackMemory()
  return process.memoryUsage().heapUsed
}

test('a week of releases leaves no more in status than a day of them', { timeout: 120_000 }, () => {
  const world = new World()
  world.settle()
  const largest: number[] = []
  let serving = 'v1'
  for (let day = 0; day < DAYS; day++) {
    let size = 0
    world.onStatus = (status) => {
      size = Math.max(size, JSON.stringify(status).length)
    }
    for (let n = 0; n < 24; n++) {
      const next = serving === 'v1' ? 'v2' : 'v1'
      const bad = n % 4 === 3
      world.contents[next] = `day ${day}, release ${String(n).padStart(2, '0')}`
      if (bad) world.breaching.add(next)
      world.desire(next)
      world.pass(6 * MINUTE)
      world.breaching.delete(next)
      expect(world.status.phase).toBe('Healthy')
      expect(world.status.lastOutcome?.result).toBe(bad ? 'RolledBack' : 'Promoted')
      if (!bad) serving = next
      world.advance(54 * MINUTE)
    }
    largest.push(size)
  }
  // Known bad are remembered up to 20, and there are 6 a day: from the fourth day on it is as large as it gets.
  expect(largest.at(-1)).toBeLessThanOrEqual(largest[3]! + 64)
  expect(largest.at(-1)).toBeLessThan(32_768)
})

test('a week of looks at Rollouts that come and go leaves neither memory nor series of metrics behind', {
  timeout: 120_000,
}, async () => {
  const mesh = createWorld({ scrape: EVERY })
  const runtime = simulatedRuntime(mesh.now())
  const metrics = createMetrics()
  const analyst = createAnalyst({
    prometheusFor: async () => ({ ok: true, value: mesh.prometheus }),
    runtime,
  })
  let looks = 0
  const feed = createAnalysisFeed({
    analyst,
    runtime,
    onLook: (key) => {
      looks++
      metrics.rollout(key, { phase: 'Progressing', weight: 10, step: 1, pending: 0 })
      metrics.verdict('Undecided', 'successRate')
    },
    onError: (_, error) => {
      throw error
    },
  })
  // Pods live for a day under names of their own, as Deployments have it.
  let pod = mesh.process('pod-0', { offset: 0 })
  const started = new Map<string, number>()
  let counted = 0
  const days: { heap: number; series: number }[] = []
  for (let day = 0; day < DAYS; day++) {
    pod.alive = false
    pod = mesh.process(`pod-${day + 1}`, { offset: 0 })
    for (let at = 0; at < 24 * 60; at += EVERY / MINUTE) {
      const rollouts = [0, 1, 2, 3].map((n) => {
        const name = `app-${day}-${Math.floor(at / 30)}-${n}`
        const key = `shop/${name}`
        const startedAt = started.get(key) ?? runtime.now()
        started.set(key, startedAt)
        const more = { key, name, attempt: `${name}/1`, startedAt }
        return { key, request: mesh.request({ interval: '120s', maxSampleAge: '5m' }, more) }
      })
      if (at % 30 < 20) for (const { key, request } of rollouts) feed.follow(key, request)
      mesh.serve(pod, 'checkout-v1', 900)
      mesh.serve(pod, 'checkout-v2', 100)
      await mesh.run(EVERY / 1_000)
      // A look takes several turns of the event loop, and no time.
      for (const ms of [EVERY, ...Array.from({ length: 12 }, () => 0)]) await runtime.advance(ms)
      if (at % 30 < 20) continue
      for (const { key, request } of rollouts) {
        counted += feed.latest(key, request, runtime.now()).slis[0]?.good ?? 0
        feed.forget(key)
        metrics.rollout(key, { phase: 'Healthy', weight: 0, step: 0, pending: 0 })
        metrics.outcome('Promoted')
        // And then it is deleted.
        if (at % 30 >= 26) metrics.forgetRollout(key)
      }
    }
    started.clear()
    mesh.queries.length = 0
    const { body } = await metrics.render()
    days.push({ heap: heap(), series: body.split('\n').filter((line) => line && !line.startsWith('#')).length })
  }
  feed.stop()
  expect(looks).toBeGreaterThan(DAYS * 48 * 4 * 8)
  expect(counted).toBeGreaterThan(DAYS * 48 * 4 * 500)
  expect(days.map(({ series }) => series)).toEqual(days.map(() => days[0]?.series))
  // From the third day on: the simulated Prometheus itself keeps a day. What one forgotten rollout leaves makes nearly 1 MB a day.
  expect(days.at(-1)!.heap - days[2]!.heap).toBeLessThan(1_500_000)
})

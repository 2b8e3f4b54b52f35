import { describe, expect, test } from 'vitest'
import { createMatcher } from '../../../src/sandbox/prometheus/matcher.ts'
import { evaluate } from '../../../src/sandbox/prometheus/promql/evaluate.ts'
import { startScraper } from '../../../src/sandbox/prometheus/scraper.ts'
import { Store } from '../../../src/sandbox/prometheus/store.ts'
import type { Target } from '../../../src/sandbox/prometheus/target.ts'
import { simulatedRuntime } from './simulated-runtime.ts'

const startMs = 1_700_000_000_000 // a multiple of 10 s
const intervalMs = 10_000

function setUp(targets: Target[], retentionMs?: number) {
  const runtime = simulatedRuntime(startMs + 1)
  const store = new Store(retentionMs)
  const world = { targets, stopped: false }
  const scraper = startScraper({
    targets: () => world.targets,
    intervalMs,
    store,
    runtime,
    isStopped: () => world.stopped,
  })
  const times = (name: string) => {
    const [series] = store.select([createMatcher('__name__', '=', name)])
    return series ? [...series.range(0, Number.MAX_SAFE_INTEGER).times].map((t) => t - startMs) : []
  }
  const query = (expr: string, afterMs: number) => {
    const result = evaluate(expr, store, { timeMs: startMs + afterMs })
    return result.type === 'vector' ? result.samples.map(({ value }) => value) : []
  }
  return { runtime, store, world, scraper, times, query }
}

const pod = (read: () => string | Promise<string>, instance = 'a'): Target => ({
  job: 'pods',
  instance,
  labels: { pod: `pod-${instance}` },
  offsetMs: 2000,
  read,
})

describe('a scraper in simulated time', () => {
  test('samples each target at its own aligned offset', async () => {
    const { runtime, scraper, times } = setUp([
      pod(() => 'x 1\n'),
      { job: 'pods', instance: 'b', labels: {}, offsetMs: 7500, read: () => 'y 1\n' },
    ])
    await runtime.advance(30_000)
    expect(times('x')).toEqual([2000, 12_000, 22_000])
    expect(times('y')).toEqual([7500, 17_500, 27_500])
    await scraper.stop()
  })

  test('spreads targets without an offset over the interval, each at a constant phase', async () => {
    const targets = Array.from(
      { length: 20 },
      (_, i): Target => ({
        job: 'pods',
        instance: `10.0.0.${i}`,
        labels: {},
        read: () => `x${i} 1\n`,
      }),
    )
    const { runtime, scraper, times } = setUp(targets)
    await runtime.advance(40_000)
    const phases = new Set<number>()
    for (let i = 0; i < 20; i++) {
      const seen = times(`x${i}`)
      expect(seen.length).toBeGreaterThanOrEqual(3)
      expect(new Set(seen.map((t) => t % intervalMs)).size).toBe(1)
      phases.add(seen[0]! % intervalMs)
    }
    expect(phases.size).toBeGreaterThan(10)
    await scraper.stop()
  })

  test('renames scraped labels that conflict with the target, unless it honors them', async () => {
    const { runtime, store, scraper } = setUp([
      pod(() => 'x{job="mine",pod=""} 1\n'),
      { ...pod(() => 'y{job="mine"} 1\n', 'b'), honorLabels: true },
    ])
    await runtime.advance(10_000)
    const labelsOf = (name: string) => store.select([createMatcher('__name__', '=', name)])[0]!.labels.toRecord()
    expect(labelsOf('x')).toEqual({ __name__: 'x', job: 'pods', exported_job: 'mine', instance: 'a', pod: 'pod-a' })
    expect(labelsOf('y')).toEqual({ __name__: 'y', job: 'mine', instance: 'b', pod: 'pod-b' })
    await scraper.stop()
  })

  test('ends the series of a vanished target at the scrape that did not happen, once two intervals are past', async () => {
    const { runtime, world, scraper, query } = setUp([pod(() => 'x 1\n')])
    await runtime.advance(15_000)
    world.targets = []
    await runtime.advance(17_900) // 32.9 s; the missed scrapes were at 22 s and 32 s
    expect(query('x', 32_000)).toEqual([1])
    await runtime.advance(3000)
    expect(query('x', 21_999)).toEqual([1])
    expect(query('x', 22_000)).toEqual([])
    expect(query('up', 22_000)).toEqual([])
    expect(query('x', 50_000)).toEqual([])
    await scraper.stop()
  })

  test('leaves no gap when a target is re-created within two intervals', async () => {
    const target = pod(() => 'x 1\n')
    const { runtime, world, scraper, query, times } = setUp([target])
    await runtime.advance(15_000)
    world.targets = []
    await runtime.advance(5000)
    world.targets = [target]
    await runtime.advance(30_000)
    expect(times('x')).toEqual([2000, 12_000, 22_000, 32_000, 42_000])
    for (const at of [22_000, 30_000, 45_000]) expect(query('x', at)).toEqual([1])
    await scraper.stop()
  })

  test('reports a target that does not answer in time as down and keeps scraping the others', async () => {
    const { runtime, scraper, query } = setUp([pod(() => new Promise<string>(() => {})), pod(() => 'x 1\n', 'b')])
    await runtime.advance(31_000)
    expect(query('up{instance="a"}', 30_000)).toEqual([0])
    expect(query('count_over_time(x[1m])', 30_000)).toEqual([3])
    expect(scraper.active()[0]!.status).toMatchObject({ health: 'down', lastError: 'no answer within 10000 ms' })
    await scraper.stop()
  })

  test('fails as a whole at a bad line: the series before it go on, the others end', async () => {
    let body = 'x 1\ny 1\n'
    const { runtime, scraper, query, times } = setUp([pod(() => body)])
    await runtime.advance(10_000)
    body = 'x 2\ny two\n'
    await runtime.advance(10_000)
    expect(query('up', 20_000)).toEqual([0])
    expect(query('x', 20_000)).toEqual([1])
    expect(times('x')).toEqual([2000])
    expect(query('y', 20_000)).toEqual([])
    expect(scraper.active()[0]!.status.lastError).toBe('line 2: expected a value and an optional timestamp after y')
    await scraper.stop()
  })

  test('lets samples grow old while it is stopped, and marks nothing stale', async () => {
    const { runtime, world, scraper, query } = setUp([pod(() => 'x 1\n')])
    await runtime.advance(15_000)
    world.stopped = true
    await runtime.advance(400_000)
    expect(query('x', 12_000 + 300_000)).toEqual([1])
    expect(query('timestamp(x)', 300_000)).toEqual([(startMs + 12_000) / 1000])
    expect(query('x', 12_001 + 300_000)).toEqual([])
    world.stopped = false
    await runtime.advance(20_000)
    expect(query('x', 425_000)).toEqual([1])
    await scraper.stop()
  })

  test('forgets samples past the retention and series without samples', async () => {
    const { runtime, world, store, scraper, times } = setUp([pod(() => 'x 1\n'), pod(() => 'y 1\n', 'b')], 60_000)
    await runtime.advance(50_000)
    world.targets = world.targets.slice(0, 1)
    await runtime.advance(600_000)
    expect(times('x').length).toBeLessThanOrEqual(7)
    expect(store.seriesCount).toBe(6)
    expect(store.labelValues('instance')).toEqual(['a'])
    await scraper.stop()
  })
})

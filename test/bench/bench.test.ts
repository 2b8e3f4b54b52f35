import { describe, expect, test } from 'vitest'
import { measureFleet } from '../../bench/cluster/fleet.ts'
import { boundOf, bucketsOf, shareWithin } from '../../bench/cluster/histogram.ts'
import { measureIdle } from '../../bench/cluster/idle.ts'
import { compareRules } from '../../bench/mesh/compare-rules.ts'
import { countQueries } from '../../bench/mesh/queries.ts'
import { renderTable } from '../../bench/table.ts'

describe('the analysis asks Prometheus', () => {
  test('as often for a hundred rollouts as for one: once per kind of SLI and interval', async () => {
    const counts = []
    for (const thresholds of [[], ['500ms']]) {
      for (const rollouts of [1, 10, 100]) counts.push(await countQueries({ rollouts, thresholds, intervals: 2 }))
    }
    expect(
      counts.map(({ rollouts, kinds, perInterval, answered }) => [rollouts, kinds, perInterval, answered]),
    ).toEqual([
      [1, 1, 1, 1],
      [10, 1, 1, 10],
      [100, 1, 1, 100],
      [1, 2, 2, 1],
      [10, 2, 2, 10],
      [100, 2, 2, 100],
    ])
  })
})

describe('of the bad requests that five failed checks of a minute let through', () => {
  test('the analysis lets through at most a tenth at 20 % errors', async () => {
    const act = { sickRate: 0.2, healthySeconds: 60, sickSeconds: 600, plays: 30 }
    const { judge, fiveFailures } = await compareRules(act, 1)
    expect(judge).toMatchObject({ missed: 0, early: 0 })
    expect(judge.bad / fiveFailures.bad).toBeLessThanOrEqual(0.1)
  })

  test('the analysis lets through at most a tenth at 20 % errors after hours of health', async () => {
    const act = { sickRate: 0.2, healthySeconds: 3 * 3_600, sickSeconds: 600, plays: 10 }
    const { judge, fiveFailures } = await compareRules(act, 2)
    expect(judge).toMatchObject({ missed: 0, early: 0 })
    expect(judge.bad / fiveFailures.bad).toBeLessThanOrEqual(0.1)
  })
})

describe('a controller with nothing to do', () => {
  test('asks neither the API server nor Prometheus, and a restart writes nothing', async () => {
    const { adoption, restart, healthy } = await measureIdle({ rollouts: 10, idleSeconds: 1.5 })
    expect(healthy).toBe(10)
    expect(adoption).toMatchObject({ requests: 0, queries: 0 })
    expect(restart).toMatchObject({ requests: 0, queries: 0, writes: 0 })
    expect(adoption.writes).toBeGreaterThanOrEqual(10)
  }, 90_000)
})

describe('rollouts in flight under a controller of its own process', () => {
  test('are put back when their canary breaks, left alone when it does not, and share one query an interval and one reconcile each', async () => {
    const result = await measureFleet({ rollouts: 4, intervalSeconds: 1, errorRate: 0.2, seed: 1 })
    expect(result).toMatchObject({ broken: 3, putBack: 3, well: 1, kept: 1 })
    expect(result.busy.queriesPerMinute / 60).toBeLessThan(1.5)
    // Once per rollout and interval: the look wakes it, and no timer of its own besides.
    expect(result.busy.reconcilesPerMinute / 60 / 4).toBeLessThan(1.5)
  }, 90_000)
})

describe('what a bench prints', () => {
  test('fits a hundred columns, and breaks long names of columns instead of numbers', () => {
    const head = ['rule', ...Array.from({ length: 6 }, () => 'a rather long name of a column')]
    const text = renderTable({
      title: 'Widths',
      head,
      rows: [['threshold', ...Array.from({ length: 6 }, () => '123456')]],
    })
    expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThanOrEqual(100)
    expect(text).toContain('threshold')
    expect(
      text
        .split('\n')
        .at(-1)
        ?.match(/123456/g),
    ).toHaveLength(6)
  })

  test('reads quantiles off a histogram as the bound that so many observations keep', () => {
    const metrics = new Map([
      ['h_bucket{le="0.05"}', 99],
      ['h_bucket{le="0.01"}', 50],
      ['h_bucket{le="+Inf"}', 100],
      ['h_count', 100],
      ['other_bucket{le="0.01"}', 7],
    ])
    const buckets = bucketsOf(metrics, 'h')
    expect([boundOf(buckets, 0.5), boundOf(buckets, 0.99), shareWithin(buckets, 0.05)]).toEqual([0.01, 0.05, 0.99])
    expect(boundOf(bucketsOf(new Map(), 'h'), 0.5)).toBeNaN()
  })
})

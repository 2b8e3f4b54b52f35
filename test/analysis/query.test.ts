import { describe, expect, test } from 'vitest'
import { readSample } from '../../src/analysis/query.ts'
import type { SliObservation } from '../../src/plan/observation.ts'
import { createWorld } from './mesh-world.ts'

const answer = (...values: number[]) => ({
  ok: true as const,
  warnings: [],
  value: values.map((value) => ({ labels: {}, at: 100_000, value })),
})

describe('one number, or the reason why there is none', () => {
  test('the number is as old as the selector that was scraped longest ago', () => {
    expect(readSample(answer(7), answer(95, 90), 100_000, 45_000)).toEqual({
      answer: 'Fresh',
      value: 7,
      newestAt: 90_000,
    })
  })

  test.each([
    ['nothing', answer(), answer(95), 'NoData', 'answered no series'],
    ['undated', answer(7), answer(), 'NoData', 'answered no series'],
    ['NaN', answer(Number.NaN), answer(95), 'NoData', 'answered NaN'],
    ['Inf', answer(Number.POSITIVE_INFINITY), answer(95), 'NoData', 'answered Infinity'],
    ['stale', answer(7), answer(95, 10), 'NoData', '1m30s old, more than 45s'],
    ['two', answer(7, 8), answer(95), 'Error', 'answered 2 series, must be one: aggregate it'],
  ])('%s', (_, value, ages, expected, message) => {
    const sample = readSample(value, ages, 100_000, 45_000)
    expect(sample).toMatchObject({ answer: expected, problem: { message: expect.stringContaining(message) } })
  })
})

describe('in a rollout', () => {
  const analysis = {
    slis: [
      {
        name: 'depth',
        query: { promql: 'max(queue_depth{workload="${canary.workload}"})', max: 100, failureLimit: 3 },
      },
    ],
  }

  async function story(depths: (number | undefined)[], options: { looksPerScrape?: number; restartAt?: number } = {}) {
    const world = createWorld({ scrape: 15_000 * (options.looksPerScrape ?? 1) })
    const exporter = world.process('exporter', { offset: 0 })
    const set = (value: number | undefined) => {
      exporter.counters.clear()
      if (value === undefined) return
      const labels = { __name__: 'queue_depth', workload: 'checkout-v2' }
      exporter.counters.set('depth', { labels, value })
    }
    let analyst = world.analyst()
    const request = world.request({ ...analysis, maxSampleAge: '40s' })
    const seen: SliObservation[] = []
    for (const [i, depth] of depths.entries()) {
      set(depth)
      await world.run(15)
      if (i === options.restartAt) analyst = world.analyst()
      const checkpoints = { depth: seen.at(-1)?.checkpoint }
      seen.push((await analyst.look({ ...request, checkpoints }, world.now() + 600)).slis[0]!)
    }
    return seen
  }

  test('as many new samples outside the bounds as the limit are a breach, and it stays one', async () => {
    const seen = await story([50, 101, 102, 103, 50, 50])
    expect(seen.map((sli) => sli.verdict)).toEqual(['Pass', 'Undecided', 'Undecided', 'Breach', 'Breach', 'Breach'])
    expect(seen.at(-1)).toMatchObject({ observed: '103', objective: 'at most 100', good: 3, bad: 3 })
  })

  test('a good sample in between starts the count again', async () => {
    const seen = await story([101, 102, 100, 101, 102])
    expect(seen.at(-1)?.verdict).toBe('Undecided')
  })

  test('looking again at the same sample is no look', async () => {
    const seen = await story([101, 101, 101, 101], { looksPerScrape: 2 })
    expect(seen.map((sli) => sli.bad)).toEqual([0, 1, 1, 2])
    expect(seen.slice(1).every((sli) => sli.answer === 'Fresh')).toBe(true)
  })

  test('no data neither counts nor forgives', async () => {
    const seen = await story([101, 102, undefined, undefined, 103])
    expect(seen.map((sli) => sli.verdict)).toEqual(['Undecided', 'Undecided', 'NoData', 'NoData', 'Breach'])
  })

  test('the count survives a restart', async () => {
    const seen = await story([101, 102, 103], { restartAt: 2 })
    expect(seen.at(-1)?.verdict).toBe('Breach')
  })

  test('a query that can never answer is a problem of the analysis', async () => {
    const world = createWorld()
    const slis = [{ name: 'q', query: { promql: 'up{a="${nope}"}', max: 1 } }]
    const { problem, slis: seen } = await world.analyst().look(world.request({ slis }), world.now())
    expect(problem).toMatchObject({ reason: 'InvalidSpec', field: 'spec.analysis.slis[0].query.promql' })
    expect(seen[0]).toMatchObject({ answer: 'Error', verdict: 'Error' })
  })
})

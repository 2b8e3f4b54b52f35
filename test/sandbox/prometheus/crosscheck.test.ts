import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type SandboxPrometheus, startPrometheus } from '../../../src/sandbox/prometheus/server.ts'
import { type RealPrometheus, realPrometheusInstalled, startRealPrometheus } from '../../conformance/prometheus-real.ts'
import { ask, difference } from './answers.ts'
import { expression, pattern } from './expressions.ts'
import { approximateQueries, exactQueries } from './queries.ts'
import { epochMs, load, openMetrics, testData } from './samples.ts'

const epoch = epochMs / 1000

describe.skipIf(!(await realPrometheusInstalled()))('beside a real Prometheus with the same samples', () => {
  let real: RealPrometheus
  let ours: SandboxPrometheus

  beforeAll(async () => {
    const data = testData()
    real = await startRealPrometheus({ openMetrics: openMetrics(data) })
    ours = await startPrometheus({ targets: () => [], scrapeIntervalMs: 3_600_000 })
    load(ours.store, data)
  })
  afterAll(async () => {
    await ours?.stop()
    await real?.stop()
  })

  /** What the two disagree on at instants of every kind and over one range; empty when they agree. */
  async function disagreements(queries: readonly string[], tolerance: number): Promise<string[]> {
    const found: string[] = []
    for (const query of queries) {
      const instants = [0, 600.5, 1337.777, 1500, 2399, 2760].map(
        (s) => ['query', { query, time: String(epoch + s) }] as const,
      )
      const range = { query, start: String(epoch - 60.7), end: String(epoch + 2800), step: '67' }
      const differences = await Promise.all(
        [...instants, ['query_range', range] as const].map(async ([path, parameters]) => {
          const [theirs, own] = await Promise.all([ask(real.url, path, parameters), ask(ours.url, path, parameters)])
          const what = difference(theirs, own, tolerance)
          return what && `${path} ${JSON.stringify(parameters)}: ${what}`
        }),
      )
      found.push(...differences.filter((what) => what !== undefined))
    }
    return found
  }

  test('answers every construct of the table bit by bit', async () => {
    expect(await disagreements(exactQueries, 0)).toEqual([])
  })

  test('agrees within 1e-12 where the order of summation or the rounding of functions is open', async () => {
    expect(await disagreements(approximateQueries, 1e-12)).toEqual([])
  })

  test('orders the samples of sort, topk and bottomk alike', async () => {
    for (const query of [
      'sort(temperature)',
      'sort_desc(temperature)',
      'topk(2, temperature)',
      'bottomk(2, temperature)',
    ]) {
      const parameters = { query, time: String(epoch + 1600) }
      const [theirs, own] = await Promise.all([ask(real.url, 'query', parameters), ask(ours.url, 'query', parameters)])
      expect(own).toEqual(theirs)
    }
  })

  test('agrees on random regular expressions, unless it refuses them by name', async () => {
    await fc.assert(
      fc.asyncProperty(pattern, async (regex) => {
        const parameters = { query: `words{word=~${JSON.stringify(regex)}}`, time: String(epoch + 620) }
        const [theirs, own] = await Promise.all([
          ask(real.url, 'query', parameters),
          ask(ours.url, 'query', parameters),
        ])
        if ('error' in own && own.error.includes('supported here')) return
        expect(difference(theirs, own, 0)).toBeUndefined()
      }),
      { numRuns: 1000 },
    )
  })

  test('agrees on random expressions, unless it refuses them by name', async () => {
    const instants = fc.integer({ min: -30_000, max: 2_900_000 })
    await fc.assert(
      fc.asyncProperty(expression, instants, async (query, offsetMs) => {
        const time = String((epochMs + offsetMs) / 1000)
        const end = String((epochMs + offsetMs + 600_000) / 1000)
        for (const [path, parameters] of [
          ['query', { query, time }],
          ['query_range', { query, start: time, end, step: '41' }],
        ] as const) {
          const [theirs, own] = await Promise.all([ask(real.url, path, parameters), ask(ours.url, path, parameters)])
          if ('error' in own && own.error.includes('not supported here')) continue
          expect(difference(theirs, own, 1e-9)).toBeUndefined()
        }
      }),
      { numRuns: Number(process.env.CROSSCHECK_RUNS ?? 400) },
    )
  })
})

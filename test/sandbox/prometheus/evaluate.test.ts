import { describe, expect, test } from 'vitest'
import { QueryError } from '../../../src/sandbox/prometheus/promql/error.ts'
import { evaluate } from '../../../src/sandbox/prometheus/promql/evaluate.ts'
import { Store } from '../../../src/sandbox/prometheus/store.ts'
import { refusedQueries } from './queries.ts'

const t0 = 1_700_000_000_000

/** A store with one series per entry, sampled every 15 s from t0 on; `null` is a staleness marker. */
function storeOf(series: Record<string, (number | null)[]>): Store {
  const store = new Store()
  for (const [text, values] of Object.entries(series)) {
    const [name, pairs = ''] = text.split('{')
    const labels: Record<string, string> = { __name__: name! }
    for (const [, label, value] of pairs.matchAll(/(\w+)=(\w+)/g)) labels[label!] = value!
    values.forEach((value, i) => {
      if (value !== null) store.append(labels, t0 + i * 15_000, value)
      else
        for (const { labels: known } of store.select([]))
          if (known.get('__name__') === name) store.markStale(known, t0 + i * 15_000)
    })
  }
  return store
}

/** The answer at some seconds after t0 as `{labels} → value`. */
function at(store: Store, query: string, seconds: number): Record<string, number> {
  const result = evaluate(query, store, { timeMs: t0 + seconds * 1000 })
  if (result.type === 'scalar') return { scalar: result.value }
  if (result.type !== 'vector') throw new Error(`expected a vector, got a ${result.type}`)
  return Object.fromEntries(result.samples.map(({ labels, value }) => [String(labels), value]))
}

describe('staleness', () => {
  const store = storeOf({ 'x{a=b}': [1, 2, null, 4] })

  test('a marker ends the series until the next sample', () => {
    expect(at(store, 'x', 29.999)).toEqual({ '{__name__="x", a="b"}': 2 })
    expect(at(store, 'x', 30)).toEqual({})
    expect(at(store, 'x', 44.999)).toEqual({})
    expect(at(store, 'x', 45)).toEqual({ '{__name__="x", a="b"}': 4 })
  })

  test('a marker is not a sample of a range', () => {
    expect(at(store, 'count_over_time(x[1m])', 50)).toEqual({ '{a="b"}': 3 })
    expect(at(store, 'sum_over_time(x[1m])', 50)).toEqual({ '{a="b"}': 7 })
  })

  test('without a marker a sample counts for five minutes', () => {
    expect(at(store, 'x', 45 + 300)).toEqual({ '{__name__="x", a="b"}': 4 })
    expect(at(store, 'x', 45 + 300.001)).toEqual({})
  })
})

describe('counters', () => {
  test('a rate is extended to the edges of its window, but not below zero', () => {
    const store = storeOf({ x: [0, 15, 30, 45, 60] })
    expect(at(store, 'increase(x[60s])', 60)).toEqual({ '{}': 60 })
    expect(at(store, 'increase(x[60s])', 65)).toEqual({ '{}': 60 })
    // Born at 30 s with 30 already counted: extended backwards by half a sample distance only.
    const born = new Store()
    for (const s of [30, 45, 60]) born.append({ __name__: 'x' }, t0 + s * 1000, s)
    expect(at(born, 'increase(x[60s])', 60)).toEqual({ '{}': 37.5 })
    expect(at(born, 'rate(x[60s])', 60)).toEqual({ '{}': 0.625 })
    // One second before the first sample this counter was at zero: no further.
    const young = new Store()
    for (const s of [15, 30, 45, 60]) young.append({ __name__: 'x' }, t0 + s * 1000, s - 14)
    expect(at(young, 'increase(x[60s])', 60)['{}']).toBeCloseTo(46, 12)
    expect(at(young, 'delta(x[60s])', 60)['{}']).toBeCloseTo(60, 12)
  })

  test('a reset adds what was counted before it', () => {
    const store = storeOf({ x: [10, 20, 5, 15] })
    expect(at(store, 'resets(x[1m])', 45)).toEqual({ '{}': 1 })
    // 10 before the reset, 15 since it, over 45 s; extended to the whole minute.
    expect(at(store, 'increase(x[1m])', 45)['{}']).toBeCloseTo(25 * (60 / 45), 12)
    expect(at(store, 'irate(x[1m])', 30)['{}']).toBeCloseTo(5 / 15, 12)
  })

  test('one sample is no rate', () => {
    expect(at(storeOf({ x: [1, 2] }), 'rate(x[14s])', 15)).toEqual({})
  })
})

describe('matching', () => {
  const store = storeOf({ 'e{pod=a,code=bad}': [1], 'n{pod=a}': [4], 'n{pod=b}': [8], 'i{pod=a,v=one}': [1] })

  test('takes labels over from the one side with group_left', () => {
    expect(at(store, 'e * on (pod) group_left (v) i', 0)).toEqual({ '{code="bad", pod="a", v="one"}': 1 })
  })

  test('divides where both sides have the group and leaves out the rest', () => {
    expect(at(store, 'sum by (pod) (e) / on (pod) n', 0)).toEqual({ '{pod="a"}': 0.25 })
  })

  test('says which series stand in each other’s way', () => {
    expect(() => at(store, 'vector(1) + on () n', 0)).toThrow(
      'found duplicate series for the match group {} on the right hand-side of the operation: ' +
        '[{__name__="n", pod="b"}, {__name__="n", pod="a"}];many-to-many matching not allowed',
    )
    expect(() => at(store, 'n + on () vector(1)', 0)).toThrow('many-to-one matching must be explicit')
  })
})

describe('range queries', () => {
  test('give every series its own steps, in the order of labels', () => {
    const store = storeOf({ 'x{a=z}': [1, null], 'x{a=c}': [5, 6] })
    const result = evaluate('x + 0', store, { startMs: t0, endMs: t0 + 30_000, stepMs: 15_000 })
    if (result.type !== 'matrix') throw new Error('expected a matrix')
    expect(
      result.series.map(({ labels, times, values }) => [String(labels), times.map((t) => t - t0), values]),
    ).toEqual([
      ['{a="c"}', [0, 15_000, 30_000], [5, 6, 6]],
      ['{a="z"}', [0], [1]],
    ])
  })

  test('agree with an instant query at every step', () => {
    const store = storeOf({ 'x{a=b}': [1, 5, 2, 9, 9, 10, 3], 'x{a=c}': [0, 0, 4] })
    const query = 'sum by (a) (rate(x[40s])) > 0 or max_over_time(x[20s:5s] offset 10s)'
    const range = evaluate(query, store, { startMs: t0, endMs: t0 + 120_000, stepMs: 7000 })
    if (range.type !== 'matrix') throw new Error('expected a matrix')
    for (let timeMs = t0; timeMs <= t0 + 120_000; timeMs += 7000) {
      const step = range.series.flatMap(({ labels, times, values }) => {
        const i = times.indexOf(timeMs)
        return i < 0 ? [] : [[String(labels), values[i]]]
      })
      expect(Object.fromEntries(step)).toEqual(at(store, query, (timeMs - t0) / 1000))
    }
  })
})

describe('what is not supported', () => {
  test('a subquery with too many steps is refused before it holds up the process', () => {
    expect(() => at(new Store(), 'sum_over_time(x[10y:1ms])', 0)).toThrow('too many samples')
  })

  test.each(refusedQueries)('%s is refused by name, not answered', (query) => {
    const refusal = (() => {
      try {
        return evaluate(query, storeOf({ 'odd{kind=nan}': [Number.NaN] }), { timeMs: t0 })
      } catch (error) {
        return error
      }
    })()
    expect(refusal).toBeInstanceOf(QueryError)
    expect(String(refusal)).toMatch(/supported here|not a valid duration|bad number|unexpected|unknown function/)
  })

  test.each([
    ['nope(x)', '1:1: parse error: unknown function with name "nope"'],
    ['sum(x', '1:6: parse error: unexpected end of input'],
    ['x{a="b"} + \n rate(x)', 'expected type range vector in call to function "rate", got instant vector'],
    ['histogram_sum(x)', 'function "histogram_sum" is not supported here'],
    ['limitk(1, x)', 'aggregation "limitk" is not supported here'],
    ['{a=~".*"}', 'vector selector must contain at least one non-empty matcher'],
  ])('%j says %s', (query, message) => {
    expect(() => evaluate(query, new Store(), { timeMs: t0 })).toThrow(message)
  })
})

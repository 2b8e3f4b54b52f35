import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { baselineOf, type CounterSample, emptyLedger, incrementsSince, type Ledger } from '../../src/analysis/window.ts'

const sample = (series: string, value: number, target = 'pod'): CounterSample => ({
  series: `${target}/${series}`,
  family: `${target}/${series}`,
  target,
  value,
})

function read(...snapshots: CounterSample[][]): Record<string, number>[] {
  let ledger: Ledger = baselineOf(snapshots[0] ?? [])
  return snapshots.slice(1).map((samples) => {
    const increments = incrementsSince(ledger, samples)
    ledger = increments.ledger
    return Object.fromEntries(increments.events)
  })
}

describe('raw counters between two looks', () => {
  test('a counter that grew counts by what it grew', () => {
    expect(read([sample('ok', 10)], [sample('ok', 17)])).toEqual([{ 'pod/ok': 7 }])
  })

  test('a first failure that is already counted when it is first seen counts', () => {
    expect(read([sample('ok', 10)], [sample('ok', 12), sample('500', 4)])).toEqual([{ 'pod/ok': 2, 'pod/500': 4 }])
  })

  test('the baseline counts nothing', () => {
    expect(read([sample('ok', 1000), sample('500', 99)], [sample('ok', 1000), sample('500', 99)])).toEqual([{}])
  })

  test('a restart counts from zero, and never negative', () => {
    expect(read([sample('ok', 100)], [sample('ok', 3)], [sample('ok', 5)])).toEqual([{ 'pod/ok': 3 }, { 'pod/ok': 2 }])
  })

  test('a restart is seen from the process, so that failures which outgrew their old count are all counted', () => {
    expect(read([sample('ok', 100), sample('500', 2)], [sample('ok', 10), sample('500', 6)])).toEqual([
      { 'pod/ok': 10, 'pod/500': 6 },
    ])
  })

  test('a counter that a restarted process has not got yet counts from zero when it comes', () => {
    expect(
      read([sample('ok', 100), sample('500', 5)], [sample('ok', 10)], [sample('ok', 20), sample('500', 6)]),
    ).toEqual([{ 'pod/ok': 10 }, { 'pod/ok': 10, 'pod/500': 6 }])
  })

  test('one expired series of a process that lives on does not count the others twice', () => {
    expect(read([sample('ok', 100), sample('500', 5)], [sample('ok', 260), sample('500', 2)])).toEqual([
      { 'pod/ok': 160, 'pod/500': 2 },
    ])
  })

  test('a pod that vanished adds nothing and does not subtract', () => {
    expect(read([sample('ok', 5, 'a'), sample('ok', 9, 'b')], [sample('ok', 6, 'a')])).toEqual([{ 'a/ok': 1 }])
  })

  test('a pod that was away for a while counts once what it did meanwhile', () => {
    expect(read([sample('ok', 5)], [], [], [sample('ok', 25)])).toEqual([{}, {}, { 'pod/ok': 20 }])
  })

  test('NaN, infinity and negative values are as if absent', () => {
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, -1]) {
      expect(read([sample('ok', 5)], [sample('ok', value)], [sample('ok', 8)])).toEqual([{}, { 'pod/ok': 3 }])
    }
  })

  test('buckets of one histogram start anew together', () => {
    const bucket = (le: string, value: number): CounterSample => ({ series: le, family: 'h', target: 'p', value })
    expect(read([bucket('500', 9), bucket('+Inf', 10)], [bucket('500', 3), bucket('+Inf', 12)])).toEqual([
      { '500': 3, '+Inf': 12 },
    ])
  })
})

/**
 * Processes that serve, restart, come, go and miss scrapes. The truth is what each process did up to its last scrape in
 * each of its lives; a life that ends between scrapes takes its unseen events with it.
 */
const action = fc.record({
  pod: fc.integer({ min: 0, max: 3 }),
  kind: fc.constantFrom('serve', 'serve', 'serve', 'restart', 'vanish', 'appear', 'miss'),
  good: fc.nat(20),
  bad: fc.nat(5),
})

type Key = 'ok' | '500'
const keys = ['ok', '500'] as const

interface Pod {
  alive: boolean
  missed: boolean
  counters: Record<Key, number>
  /** Of this life, up to the last scrape. */
  scraped: Record<Key, number>
  /** The last value that was exposed, and whether it belongs to an earlier life. */
  exposed: Record<Key, { value: number; earlier: boolean }>
}

/** Whether a reader of the exposed values cannot know that this counter started anew. */
function restartIsHidden(pod: Pod, key: Key): boolean {
  const present = keys.filter((k) => pod.counters[k] > 0)
  const sum = (value: (k: Key) => number) => present.reduce((total, k) => total + value(k), 0)
  const { value, earlier } = pod.exposed[key]
  const seen = pod.counters[key] < value || sum((k) => pod.counters[k]) < sum((k) => pod.exposed[k].value)
  return earlier && value > 0 && !seen
}

function expose(pod: Pod) {
  const present = keys.filter((k) => pod.counters[k] > 0)
  for (const key of present) pod.exposed[key] = { value: pod.counters[key], earlier: false }
  if (present.length === 0) return
  for (const key of keys) if (!present.includes(key)) pod.exposed[key] = { value: 0, earlier: false }
}

function simulate(rounds: { pod: number; kind: string; good: number; bad: number }[][]) {
  const pods: Pod[] = Array.from({ length: 4 }, () => ({
    alive: false,
    missed: false,
    counters: { ok: 0, 500: 0 },
    scraped: { ok: 0, 500: 0 },
    exposed: { ok: { value: 0, earlier: false }, 500: { value: 0, earlier: false } },
  }))
  let ledger: Ledger = emptyLedger
  const counted = { ok: 0, 500: 0 }
  const truth = { ok: 0, 500: 0 }
  let hidden = false
  for (const round of rounds) {
    for (const { pod: index, kind, good, bad } of round) {
      const pod = pods[index]!
      if (kind === 'appear') pod.alive = true
      if (kind === 'vanish') pod.alive = false
      if (kind === 'miss') pod.missed = true
      if (kind === 'restart' && pod.alive) {
        pod.counters = { ok: 0, 500: 0 }
        pod.scraped = { ok: 0, 500: 0 }
        for (const key of keys) pod.exposed[key].earlier = true
      }
      if (kind === 'serve' && pod.alive) {
        pod.counters.ok += good
        pod.counters[500] += bad
      }
    }
    const samples: CounterSample[] = []
    pods.forEach((pod, index) => {
      if (pod.alive && !pod.missed) {
        for (const key of keys) {
          truth[key] += pod.counters[key] - pod.scraped[key]
          // A counter exists from its first event on, as Istio's do.
          if (pod.counters[key] > 0) {
            samples.push(sample(key, pod.counters[key], `pod-${index}`))
            hidden ||= restartIsHidden(pod, key)
          }
        }
        pod.scraped = { ...pod.counters }
        expose(pod)
      }
      pod.missed = false
    })
    const increments = incrementsSince(ledger, samples)
    ledger = increments.ledger
    for (const [series, events] of increments.events) {
      expect(events).toBeGreaterThan(0)
      counted[series.endsWith('ok') ? 'ok' : '500'] += events
    }
  }
  return { counted, truth, hidden }
}

test('windows sum to the true number of events whose scrape was seen', () => {
  fc.assert(
    fc.property(fc.array(fc.array(action, { maxLength: 8 }), { maxLength: 30 }), (rounds) => {
      const { counted, truth, hidden } = simulate(rounds)
      if (hidden) {
        // A restart that outgrew its past cannot be seen in the counters: fewer events, never more.
        expect(counted.ok).toBeLessThanOrEqual(truth.ok)
        expect(counted['500']).toBeLessThanOrEqual(truth['500'])
      } else {
        expect(counted).toEqual(truth)
      }
    }),
    { numRuns: 1000 },
  )
})

test('a counter that is gone while its process is there starts at zero when it returns', () => {
  const first = [sample('ok', 1), sample('500', 2)]
  expect(read(first, [sample('ok', 5)], [sample('ok', 5), sample('500', 1)])).toEqual([
    { 'pod/ok': 4 },
    { 'pod/500': 1 },
  ])
})

test('how the time is cut into windows does not change the sum', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(9), fc.boolean()), { minLength: 1, maxLength: 30 }), (steps) => {
      let value = 0
      let ledger = baselineOf([sample('ok', 0)])
      let sum = 0
      for (const [grown, look] of [...steps, [0, true] as const]) {
        value += grown
        if (!look) continue
        const increments = incrementsSince(ledger, [sample('ok', value)])
        ledger = increments.ledger
        for (const events of increments.events.values()) sum += events
      }
      expect(sum).toBe(value)
    }),
  )
})

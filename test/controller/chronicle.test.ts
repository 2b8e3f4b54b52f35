import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { RolloutStatus } from '../../src/api/status.ts'
import { createChronicle } from '../../src/controller/chronicle.ts'
import { MOST_POINTS, Series } from '../../src/controller/series.ts'
import type { SliObservation } from '../../src/plan/observation.ts'

const T0 = Date.parse('2026-03-02T10:00:00Z')
const iso = (ms: number) => new Date(T0 + ms).toISOString()
const revision = (name: string) => ({ revision: `${name}-abc`, name, hash: 'abc', format: 1, workloads: [] })
const sli = (good: number, bad: number, given: Partial<SliObservation> = {}): SliObservation => ({
  name: 'success-rate',
  kind: 'successRate',
  answer: 'Fresh',
  verdict: 'Undecided',
  good,
  bad,
  stepEvents: 0,
  stepWindows: 0,
  objective: '99.5 %',
  evidence: bad / 10,
  stable: { good: good * 9, bad: 0 },
  ...given,
})
const inFlight = (weight: number, given: Partial<RolloutStatus> = {}): RolloutStatus => ({
  attempt: 1,
  startedAt: iso(0),
  stable: revision('v1'),
  canary: revision('v2'),
  step: { index: weight > 0 ? 1 : 0, weight, since: iso(0) },
  ...given,
})

describe('the chronicle', () => {
  test('keeps nothing of a Rollout at rest', () => {
    const chronicle = createChronicle()
    chronicle.note('shop/app', { before: {}, after: { phase: 'Healthy', attempt: 3 }, slis: [], now: T0 })
    expect([chronicle.size(), chronicle.of('shop/app')]).toEqual([0, undefined])
  })

  test('tells weights, counts of both sides and what happened, up to a rollback', () => {
    const chronicle = createChronicle()
    const rest: RolloutStatus = { phase: 'Healthy', stable: revision('v1') }
    const told: [number, RolloutStatus, RolloutStatus, SliObservation[]][] = [
      [1_000, rest, inFlight(0), []],
      [2_000, inFlight(0), inFlight(10), [sli(0, 0)]],
      [3_000, inFlight(10), inFlight(10), [sli(50, 1)]],
      [
        4_000,
        inFlight(10),
        {
          phase: 'RolledBack',
          attempt: 1,
          stable: revision('v1'),
          lastOutcome: {
            revision: 'v2-abc',
            result: 'RolledBack',
            reason: 'Breach',
            message: 'too bad',
            at: iso(4_000),
          },
        },
        [sli(60, 30, { verdict: 'Breach' })],
      ],
    ]
    for (const [at, before, after, slis] of told) chronicle.note('shop/app', { before, after, slis, now: T0 + at })
    const course = chronicle.of('shop/app')!
    expect(course.weights.map(({ at, weight }) => [at - T0, weight])).toEqual([
      [0, 0],
      [2_000, 10],
      [4_000, 0],
    ])
    expect(course.slis.get('success-rate')!.map((p) => [p.at - T0, p.good, p.bad, p.stableGood, p.stableBad])).toEqual([
      [2_000, 0, 0, 0, 0],
      [3_000, 50, 1, 450, 0],
      [4_000, 60, 30, 540, 0],
    ])
    expect(course.happenings.map(({ kind, text }) => `${kind}: ${text}`)).toEqual([
      'Start: v2-abc is to replace v1-abc',
      'Weight: 0 % → 10 %',
      'Outcome: rolled back: too bad',
    ])
    expect(course.endedAt).toBe(T0 + 4_000)
  })

  test('a promoted canary keeps its weight, and the next attempt starts a new page', () => {
    const chronicle = createChronicle()
    chronicle.note('a/b', { before: {}, after: inFlight(100), slis: [], now: T0 })
    const promoted: RolloutStatus = {
      attempt: 1,
      stable: revision('v2'),
      lastOutcome: { revision: 'v2-abc', result: 'Promoted', reason: 'Passed', message: 'passed', at: iso(9) },
    }
    chronicle.note('a/b', { before: inFlight(100), after: promoted, slis: [], now: T0 + 9 })
    expect(chronicle.of('a/b')!.weights.at(-1)!.weight).toBe(100)
    chronicle.note('a/b', { before: promoted, after: inFlight(0, { attempt: 2 }), slis: [], now: T0 + 20 })
    expect(chronicle.of('a/b')!.attempt).toBe(2)
    expect(chronicle.of('a/b')!.endedAt).toBeUndefined()
  })

  test('goes on from the status after a restart, and says since when it has seen it', () => {
    const chronicle = createChronicle()
    const status = inFlight(50, {
      step: { index: 2, weight: 50, since: iso(60_000) },
      analysis: [{ name: 'success-rate', good: 900, bad: 2, objective: '99.5 %', verdict: 'Pass', evidence: 0.1 }],
    })
    chronicle.note('a/b', { before: status, after: status, slis: [], now: T0 + 90_000 })
    const course = chronicle.of('a/b')!
    expect(course.seenSince).toBe(T0 + 90_000)
    expect(course.weights).toEqual([
      { at: T0, weight: 0 },
      { at: T0 + 60_000, weight: 50 },
    ])
    expect(course.slis.get('success-rate')).toMatchObject([{ good: 900, bad: 2, stableGood: Number.NaN }])
  })

  test('an attempt that ended an hour ago is dropped when others are noted, and a deleted Rollout at once', () => {
    const chronicle = createChronicle()
    chronicle.note('a/old', { before: {}, after: inFlight(10), slis: [], now: T0 })
    chronicle.note('a/gone', { before: {}, after: inFlight(10), slis: [], now: T0 + 3_000_000 })
    chronicle.forget('a/gone')
    chronicle.note('a/new', { before: {}, after: inFlight(10), slis: [], now: T0 + 3_700_000 })
    expect([chronicle.of('a/old'), chronicle.of('a/gone'), chronicle.size()]).toEqual([undefined, undefined, 1])
  })

  test('who said yes, who asked, what was paused: everything people did is there', () => {
    const chronicle = createChronicle()
    const asked = inFlight(10, {
      approval: { name: 'q', step: 2, digest: 'd', state: 'Pending', since: iso(0) },
    })
    const moved = inFlight(50, {
      approval: { name: 'q', step: 2, digest: 'd', state: 'Consumed', by: ['user:dana'], since: iso(0) },
      step: { index: 2, weight: 50, since: iso(5), approvedBy: ['user:dana'] },
    })
    const paused = inFlight(50, {
      paused: { reason: 'Requested', message: 'lunch', at: iso(7) },
      lastRequest: { id: '1', verb: 'pause', by: 'user:lee', result: 'Done', message: 'paused', at: iso(7) },
    })
    const steps = [inFlight(10), asked, moved, paused, inFlight(50)]
    steps.forEach((after, i) => {
      chronicle.note('a/b', { before: i === 0 ? {} : steps[i - 1]!, after, slis: [], now: T0 + i })
    })
    expect(chronicle.of('a/b')!.happenings.map(({ kind, text }) => `${kind}: ${text}`)).toEqual([
      'Start: v2-abc is to replace v1-abc',
      'Weight: 0 % → 10 %',
      'Asked: people are asked about step 2',
      'Answered: approved by user:dana',
      'Weight: 10 % → 50 %',
      'Request: pause by user:lee: paused',
      'Paused: lunch',
      'Resumed: goes on',
    ])
  })
})

describe('a series', () => {
  test('never has more points than it may, keeps the first and the newest, and stays in order', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 60_000 }), { minLength: 1, maxLength: 1_500 }), (gaps) => {
        const series = new Series(T0)
        let at = T0
        gaps.forEach((gap, i) => {
          at += gap
          series.add({ at, good: i, bad: 0, stableGood: 0, stableBad: 0, evidence: 0 })
        })
        const points = series.points()
        expect(points.length).toBeLessThanOrEqual(MOST_POINTS)
        expect(points[0]!.good).toBe(0)
        expect(points.at(-1)!.good).toBe(gaps.length - 1)
        for (let i = 1; i < points.length; i++) expect(points[i]!.good).toBeGreaterThan(points[i - 1]!.good)
      }),
      { numRuns: 60 },
    )
  })

  test('a thousand equal looks are one point', () => {
    const series = new Series(T0)
    for (let i = 0; i < 1_000; i++) {
      series.add({ at: T0 + i * 15_000, good: 5, bad: 0, stableGood: 9, stableBad: 0, evidence: Number.NaN })
    }
    expect(series.points()).toHaveLength(1)
  })
})

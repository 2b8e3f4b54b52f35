import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  absoluteTest,
  advance,
  type Evidence,
  jointLogEvidence,
  logEvidence,
  noEvidence,
  onsetWeight,
  overdispersion,
  relativeTest,
  type Window,
} from '../../src/analysis/evidence.ts'

const window = (n: number, k: number, stableN = 0, stableK = 0): Window => ({
  start: 0,
  end: 15_000,
  canary: { n, k },
  stable: { n: stableN, k: stableK },
})

const evidenceOf = (windows: Window[], test = absoluteTest(99)) =>
  windows.reduce<Evidence>((evidence, next) => advance(evidence, next, test), noEvidence())

/** E[L_j] by summing over every outcome of n canary events. */
function expectedLikelihoods(n: number, p: number, phi = 1): number[] {
  const test = absoluteTest(99, phi)
  const sums = new Array<number>(test.points).fill(0)
  for (let k = 0; k <= n; k++) {
    const probability = Math.exp(logChoose(n, k) + k * Math.log(p) + (n - k) * Math.log1p(-p))
    test.logLikelihoods(window(n, k))!.forEach((logL, j) => {
      sums[j] = sums[j]! + probability * Math.exp(logL)
    })
  }
  return sums
}

function logChoose(n: number, k: number): number {
  let sum = 0
  for (let i = 1; i <= k; i++) sum += Math.log(n - k + i) - Math.log(i)
  return sum
}

describe('the absolute test', () => {
  test('is a fair bet exactly on the objective, and a losing one within it', () => {
    for (const expected of expectedLikelihoods(60, 0.01)) expect(expected).toBeCloseTo(1, 9)
    for (const expected of expectedLikelihoods(60, 0.004)) expect(expected).toBeLessThan(1)
    for (const expected of expectedLikelihoods(60, 0.01, 2)) expect(expected).toBeLessThanOrEqual(1)
  })

  test('spends no more than one unit of prior over all onsets', () => {
    let sum = 0
    for (let t = 1; t <= 1_000_000; t++) sum += onsetWeight(t)
    // The tail beyond T is about C/ln T.
    expect(sum + 0.56 / Math.log(1_000_000)).toBeLessThanOrEqual(1)
    expect(sum).toBeGreaterThan(0.9)
  })

  test('the first window is worth half its likelihood', () => {
    const test99 = absoluteTest(99)
    const likelihoods = test99.logLikelihoods(window(100, 10))!
    const mean = likelihoods.reduce((sum, logL) => sum + 0.5 * Math.exp(logL), 0) / likelihoods.length
    expect(logEvidence(evidenceOf([window(100, 10)]))).toBeCloseTo(Math.log(mean), 9)
  })

  test('a window without canary events changes nothing', () => {
    const before = evidenceOf([window(100, 3)])
    expect(advance(before, window(0, 0, 500, 500), absoluteTest(99))).toEqual(before)
  })

  test('a healthy day hides nothing: 20 % errors are seen within two windows', () => {
    const healthy = evidenceOf(Array.from({ length: 5760 }, () => window(150, 0)))
    const first = advance(healthy, window(150, 30), absoluteTest(99))
    expect(logEvidence(first)).toBeGreaterThan(Math.log(2 / 0.01))
  })

  test('more bad events never mean less evidence', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 1, max: 300 }), fc.nat(300)), { minLength: 1, maxLength: 20 }),
        fc.nat(19),
        (counts, at) => {
          const windows = counts.map(([n, k]) => window(n, Math.min(n, k)))
          const worse = windows.map((w, i) =>
            i === at % windows.length && w.canary.k < w.canary.n ? window(w.canary.n, w.canary.k + 1) : w,
          )
          expect(logEvidence(evidenceOf(worse))).toBeGreaterThanOrEqual(logEvidence(evidenceOf(windows)) - 1e-9)
        },
      ),
    )
  })

  test('stays finite whatever comes', () => {
    const evidence = evidenceOf([window(1e9, 1e9), window(1e9, 0), window(1, 1)])
    expect(Number.isFinite(logEvidence(evidence))).toBe(true)
  })

  test.each([5, 14, 50, 99.999])('works for an objective of %s %%', (objective) => {
    const test = absoluteTest(objective)
    const bad = evidenceOf([window(1000, 1000)], test)
    const fine = evidenceOf([window(1000, 0)], test)
    expect(logEvidence(bad)).toBeGreaterThan(logEvidence(fine))
    expect(Number.isFinite(logEvidence(bad))).toBe(true)
  })
})

describe('the relative test', () => {
  test('is at most a fair bet while the canary is no worse than the ratio allows', () => {
    // Proof in the notes of the formula: the exponent (θ−θ0)/(wθ+1−w)·(n_c·n_s/N)·(p_c/θ0 − p_s) is at most 0.
    fc.assert(
      fc.property(
        fc.double({ min: 1, max: 3, noNaN: true }),
        fc.integer({ min: 1, max: 200 }),
        fc.integer({ min: 1, max: 2000 }),
        fc.double({ min: 0.0001, max: 0.3, noNaN: true }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (ratio, canary, stable, share, part) => {
          const likelihood = relativeTest(ratio)
          const one = likelihood.logLikelihoods(window(canary, 1, stable, 0))!
          const other = likelihood.logLikelihoods(window(canary, 0, stable, 1))!
          const canaryShare = part * ratio * share
          one.forEach((logA, j) => {
            const exponent = canary * canaryShare * (Math.exp(logA) - 1) + stable * share * (Math.exp(other[j]!) - 1)
            expect(exponent).toBeLessThanOrEqual(1e-9)
          })
        },
      ),
    )
  })

  test('needs both sides', () => {
    expect(relativeTest(1.25).logLikelihoods(window(100, 5))).toBeUndefined()
    expect(relativeTest(1.25).logLikelihoods(window(0, 0, 100, 5))).toBeUndefined()
  })

  test('a shared shock is no evidence against the canary', () => {
    const shock = Array.from({ length: 20 }, () => window(100, 30, 900, 270))
    expect(logEvidence(evidenceOf(shock, relativeTest(1.25)))).toBeLessThan(0)
    const alone = Array.from({ length: 20 }, () => window(100, 30, 900, 9))
    expect(logEvidence(evidenceOf(alone, relativeTest(1.25)))).toBeGreaterThan(Math.log(100))
  })

  test('twice almost nothing stays below the floor', () => {
    const tiny = Array.from({ length: 60 }, () => window(1000, 2, 9000, 1))
    const relative = evidenceOf(tiny, relativeTest(1.25))
    const floor = evidenceOf(tiny, absoluteTest(99))
    expect(logEvidence(relative)).toBeGreaterThan(Math.log(100))
    expect(jointLogEvidence([relative, floor])).toBeLessThan(0)
  })
})

describe('overdispersion', () => {
  test('is 1 without enough to estimate from', () => {
    expect(overdispersion([])).toBe(1)
    expect(overdispersion(Array.from({ length: 99 }, () => window(50, 10, 50, 0)))).toBe(1)
  })

  test('sees failures that come in bursts on one side', () => {
    const bursts = Array.from({ length: 200 }, (_, i) => (i % 2 ? window(50, 10, 50, 0) : window(50, 0, 50, 10)))
    expect(overdispersion(bursts)).toBeCloseTo(12, 6)
  })
})

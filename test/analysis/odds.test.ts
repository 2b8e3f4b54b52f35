import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { binomial, mean, quantile, seeded } from '../../bench/judge-random.ts'
import {
  compared,
  estimatedPhi,
  healthyPast,
  judgedRollout,
  plainProduct,
  thresholdRule,
  untilBreach,
} from '../../bench/judge-simulation.ts'
import { advance } from '../../src/analysis/evidence.ts'

const RUNS = 200

/** So many breaches among RUNS honest canaries happen by chance with probability below 1e-6 when each has at most 1 %. */
const ALLOWED = 13

describe('I14: honest odds', () => {
  test('a canary inside its objective is rolled back with probability at most alpha, however it is looked at', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(90, 99, 99.5),
        fc.double({ min: 0.2, max: 1, noNaN: true }),
        fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 6 }),
        fc.integer(),
        (objective, share, sizes, seed) => {
          const random = seeded(seed)
          const errorRate = (share * (100 - objective)) / 100
          let breaches = 0
          for (let run = 0; run < RUNS; run++) {
            const outcome = untilBreach(random, {
              objective,
              windows: 120,
              size: (window) => sizes[window % sizes.length]!,
              errorRate: () => errorRate,
            })
            if (outcome.breached) breaches++
          }
          expect(breaches).toBeLessThanOrEqual(ALLOWED)
        },
      ),
      { numRuns: 12 },
    )
  })

  test('the comparison keeps the same promise while the baseline drifts and the split changes', () => {
    const random = seeded(7)
    let breaches = 0
    for (let run = 0; run < RUNS; run++) {
      const outcome = compared(random, {
        stableRate: 0.005 + 0.05 * random(),
        canaryRate: 0.005,
        split: 0.05 + 0.4 * random(),
        maxRatio: 1,
        look: 40,
        looks: 150,
        move: advance,
      })
      if (outcome.breached) breaches++
    }
    expect(breaches).toBeLessThanOrEqual(ALLOWED)
  })

  test('failures in bursts break it without φ and not with the φ estimated from stable', () => {
    const bursty = { stableRate: 0.01, canaryRate: 0.01, split: 0.1, maxRatio: 1, look: 50, looks: 300, burst: 10 }
    const breaches = (phi: (random: () => number) => number) => {
      const random = seeded(3)
      return Array.from({ length: 100 }, () => compared(random, { ...bursty, phi: phi(random) })).filter(
        (outcome) => outcome.breached,
      ).length
    }
    expect(breaches(() => 1)).toBeGreaterThan(20)
    expect(breaches((random) => estimatedPhi(random, bursty, 400))).toBeLessThanOrEqual(7)
  })
})

describe('detection', () => {
  const sick = (errorRate: number, past: number) => {
    const random = seeded(11)
    const size = () => 150
    return Array.from({ length: 50 }, () => {
      const before = healthyPast(random, { objective: 99.5, windows: past, size, errorRate: () => 0.001 })
      return untilBreach(random, { objective: 99.5, windows: 500, size, errorRate: () => errorRate, ...before })
    }).map((outcome) => outcome.windows)
  }

  test('20 % errors are seen in the first window, at once or after a healthy day', () => {
    expect(quantile(sick(0.2, 0), 1)).toBe(1)
    expect(quantile(sick(0.2, 1000), 0.9)).toBe(1)
  })

  test('5 % errors are seen within three windows, also after hours of health', () => {
    expect(quantile(sick(0.05, 0), 0.9)).toBeLessThanOrEqual(3)
    expect(quantile(sick(0.05, 1000), 0.5)).toBeLessThanOrEqual(3)
  })

  test('the plain product would be blinded by the same past', () => {
    const random = seeded(5)
    const course = { objective: 99.5, size: () => 150, move: plainProduct }
    const past = healthyPast(random, { ...course, windows: 1000, errorRate: () => 0.001 })
    expect(untilBreach(random, { ...course, ...past, windows: 500, errorRate: () => 0.2 }).windows).toBeGreaterThan(10)
  })

  test('at most a tenth of the bad requests that five failed minutes let through', () => {
    const random = seeded(2)
    const story = { errorRate: 0.2, objective: 99, rps: 100 }
    const bad = (run: () => { bad: number }) => mean(Array.from({ length: 50 }, () => run().bad))
    const judged = bad(() => judgedRollout(random, story, 15))
    expect(judged).toBeLessThan(bad(() => thresholdRule(random, story, 5)) / 10)
  })
})

test('the simulation draws from the binomial distribution', () => {
  const random = seeded(1)
  for (const [n, p] of [
    [50, 0.01],
    [200, 0.3],
    [200, 0.9],
  ] as const) {
    const draws = Array.from({ length: 20_000 }, () => binomial(random, n, p))
    const average = mean(draws)
    const variance = mean(draws.map((draw) => (draw - average) ** 2))
    expect(Math.abs(average - n * p)).toBeLessThan(5 * Math.sqrt((n * p * (1 - p)) / draws.length))
    expect(variance / (n * p * (1 - p))).toBeGreaterThan(0.94)
    expect(variance / (n * p * (1 - p))).toBeLessThan(1.06)
  }
})

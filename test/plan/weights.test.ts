import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { percentOf, pointsFor, sameWeight } from '../../src/plan/weights.ts'

const weight = fc.double({ min: 0, max: 100, noNaN: true })
const sum = fc.integer({ min: 1, max: 2_147_483_647 })

describe('pointsFor', () => {
  test('splits a pair of 100 exactly', () => {
    expect(pointsFor(10, 100)).toEqual({ ok: true, stable: 90, canary: 10 })
    expect(pointsFor(0, 100)).toEqual({ ok: true, stable: 100, canary: 0 })
    expect(pointsFor(100, 100)).toEqual({ ok: true, stable: 0, canary: 100 })
  })

  test('gives a small step at least one point and leaves stable at least one', () => {
    expect(pointsFor(0.2, 100)).toEqual({ ok: true, stable: 99, canary: 1 })
    expect(pointsFor(99.9, 100)).toEqual({ ok: true, stable: 1, canary: 99 })
  })

  test('refuses a pair too coarse for the step, naming the nearest weight', () => {
    expect(pointsFor(10, 3)).toMatchObject({
      ok: false,
      problem: { reason: 'WeightsTooCoarse', message: expect.stringContaining('33.33 %') },
    })
    expect(pointsFor(99.5, 1)).toMatchObject({ ok: false, problem: { reason: 'WeightsTooCoarse' } })
  })

  test('can always retreat and always finish, however coarse the pair', () => {
    fc.assert(
      fc.property(sum, (sum) => {
        expect(pointsFor(0, sum)).toEqual({ ok: true, stable: sum, canary: 0 })
        expect(pointsFor(100, sum)).toEqual({ ok: true, stable: 0, canary: sum })
      }),
    )
  })

  test('refuses a pair without points', () => {
    for (const none of [0, -1, Number.NaN, 0.5]) {
      expect(pointsFor(10, none)).toMatchObject({ ok: false, problem: { reason: 'WeightsZero' } })
    }
  })

  test('throws for a weight that is no percentage', () => {
    for (const wrong of [-1, 101, Number.NaN]) expect(() => pointsFor(wrong, 100)).toThrow(RangeError)
  })

  test('keeps the sum, stays within one percentage point, and never empties a side that has a share', () => {
    fc.assert(
      fc.property(weight, sum, (weight, sum) => {
        const points = pointsFor(weight, sum)
        if (!points.ok) {
          expect(points.problem.reason).toBe('WeightsTooCoarse')
          return
        }
        expect(points.stable + points.canary).toBe(sum)
        expect(Number.isInteger(points.canary)).toBe(true)
        expect(points.stable).toBeGreaterThanOrEqual(weight < 100 ? 1 : 0)
        expect(points.canary).toBeGreaterThanOrEqual(weight > 0 ? 1 : 0)
        expect(Math.abs(percentOf(points.canary, sum) - weight)).toBeLessThanOrEqual(1 + 1e-6)
      }),
      { numRuns: 500 },
    )
  })

  test('never refuses a whole percentage of a pair of 100 or a multiple', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 100 }), fc.integer({ min: 1, max: 1000 }), (weight, times) => {
        expect(pointsFor(weight, 100 * times)).toMatchObject({ ok: true, canary: weight * times })
      }),
    )
  })
})

describe('percentOf', () => {
  test('is turned back into the same points', () => {
    fc.assert(
      fc.property(
        sum.chain((sum) => fc.tuple(fc.integer({ min: 0, max: sum }), fc.constant(sum))),
        ([canary, sum]) => {
          expect(pointsFor(percentOf(canary, sum), sum)).toEqual({ ok: true, stable: sum - canary, canary })
        },
      ),
      { numRuns: 1000 },
    )
  })

  test('is 0 for a pair without points', () => {
    expect(percentOf(0, 0)).toBe(0)
  })
})

describe('sameWeight', () => {
  test('knows a weight again that had to be rounded when it was written', () => {
    expect(sameWeight(33, 100 / 3, 3)).toBe(true)
    expect(sameWeight(10, 10.4, 100)).toBe(true)
    expect(sameWeight(10, 11, 100)).toBe(false)
    expect(sameWeight(0, 0.4, 100)).toBe(false)
    expect(sameWeight(50, 100 / 3, 3)).toBe(false)
  })
})

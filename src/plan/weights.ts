import type { Problem } from '../errors.ts'

/** The points of the owned pair, or why the wanted percentage cannot be written with them. */
export type Points = { ok: true; stable: number; canary: number } | { ok: false; problem: Problem }

/** How far, in percentage points, a written weight may be from the wanted one. */
const TOLERANCE = 1

/** Rounding noise of a percentage that was itself computed from points. */
const EPSILON = 1e-9

/**
 * Splits `sum` points, the sum of the owned pair, so that the canary gets `weightPercent` of them. The sum is kept (I1);
 * a weight above 0 is at least 1 point and one below 100 leaves stable at least 1 point.
 * More than one percentage point off is `WeightsTooCoarse`; nothing to split is `WeightsZero`.
 * Throws RangeError for a weight outside 0..100: that is a bug of the caller.
 */
export function pointsFor(weightPercent: number, sum: number): Points {
  if (!(weightPercent >= 0 && weightPercent <= 100)) throw new RangeError(`weight ${weightPercent} is not in 0..100`)
  if (!(Number.isSafeInteger(sum) && sum > 0)) {
    return { ok: false, problem: { reason: 'WeightsZero', message: `the two weights sum to ${sum}` } }
  }
  if (weightPercent === 0) return { ok: true, stable: sum, canary: 0 }
  if (weightPercent === 100) return { ok: true, stable: 0, canary: sum }
  const canary = Math.min(Math.max(Math.round((weightPercent * sum) / 100), 1), sum - 1)
  const nearest = percentOf(canary, sum)
  if (canary < 1 || Math.abs(nearest - weightPercent) > TOLERANCE + EPSILON) {
    return { ok: false, problem: tooCoarse(weightPercent, sum, canary < 1 ? 100 : nearest) }
  }
  return { ok: true, stable: sum - canary, canary }
}

/** The canary's share of the pair in percent, 0..100; 0 when the pair has no points. `pointsFor` turns it back into the same points. */
export function percentOf(canaryPoints: number, sum: number): number {
  return sum > 0 ? (canaryPoints * 100) / sum : 0
}

/** Whether two percentages are the same points of a pair that sums to `sum`: a written 33 % may be read back as 33.33 %. */
export function sameWeight(a: number, b: number, sum: number): boolean {
  if (a === b) return true
  const [x, y] = [pointsFor(a, sum), pointsFor(b, sum)]
  return x.ok && y.ok && x.canary === y.canary
}

function tooCoarse(wanted: number, sum: number, nearest: number): Problem {
  return {
    reason: 'WeightsTooCoarse',
    message: `the two weights sum to ${sum}, with which ${shown(wanted)} % cannot be written (the nearest is ${shown(nearest)} %)`,
  }
}

function shown(percent: number): string {
  return String(Math.round(percent * 100) / 100)
}

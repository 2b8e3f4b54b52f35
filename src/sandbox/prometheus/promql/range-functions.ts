import { goMax, type KahanSum, kahanAdd, quantile } from './arithmetic.ts'
import { counterFunctions } from './counter-functions.ts'
import type { RangeFunction, Window } from './window.ts'

/** The functions over a range vector, by name; each sees only non-empty windows. `absent_over_time` is not one of them. */
export const rangeFunctions: Readonly<Record<string, RangeFunction>> = {
  ...counterFunctions,
  avg_over_time: average,
  sum_over_time: (w) => {
    const total: KahanSum = { sum: 0, compensation: 0 }
    for (let i = w.from; i < w.to; i++) kahanAdd(total, w.values[i]!)
    return isInfinite(total.sum) ? total.sum : total.sum + total.compensation
  },
  count_over_time: (w) => w.to - w.from,
  last_over_time: (w) => w.values[w.to - 1],
  present_over_time: () => 1,
  max_over_time: (w) => {
    let max = w.values[w.from]!
    for (let i = w.from; i < w.to; i++) if (w.values[i]! > max || Number.isNaN(max)) max = w.values[i]!
    return max
  },
  min_over_time: (w) => {
    let min = w.values[w.from]!
    for (let i = w.from; i < w.to; i++) if (w.values[i]! < min || Number.isNaN(min)) min = w.values[i]!
    return min
  },
  stdvar_over_time: variance,
  stddev_over_time: (w) => Math.sqrt(variance(w)),
  quantile_over_time: (w, q) => quantile(q, [...w.values.subarray(w.from, w.to)]),
  deriv: (w) => {
    if (w.to - w.from < 2) return undefined
    return linearRegression(w, w.times[w.from]!).slope
  },
  predict_linear: (w, seconds) => {
    if (w.to - w.from < 2) return undefined
    const { slope, intercept } = linearRegression(w, w.evaluatedAtMs)
    return slope * seconds + intercept
  },
}

function isInfinite(value: number): boolean {
  return goMax(value, -value) === Number.POSITIVE_INFINITY
}

/** A running mean that neither overflows nor turns infinities of one sign into NaN. */
function average(w: Window): number {
  const mean: KahanSum = { sum: 0, compensation: 0 }
  let count = 0
  for (let i = w.from; i < w.to; i++) {
    const value = w.values[i]!
    count++
    if (isInfinite(mean.sum)) {
      if (isInfinite(value) && mean.sum > 0 === value > 0) continue
      if (Number.isFinite(value)) continue
    }
    kahanAdd(mean, value / count - mean.sum / count)
  }
  return isInfinite(mean.sum) ? mean.sum : mean.sum + mean.compensation
}

/** Welford's population variance, compensated. */
function variance(w: Window): number {
  const mean: KahanSum = { sum: 0, compensation: 0 }
  const squares: KahanSum = { sum: 0, compensation: 0 }
  let count = 0
  for (let i = w.from; i < w.to; i++) {
    const value = w.values[i]!
    count++
    const delta = value - (mean.sum + mean.compensation)
    kahanAdd(mean, delta / count)
    kahanAdd(squares, delta * (value - (mean.sum + mean.compensation)))
  }
  return (squares.sum + squares.compensation) / count
}

/** Least squares over seconds since `originMs`; a constant series has slope 0 exactly. */
function linearRegression(w: Window, originMs: number): { slope: number; intercept: number } {
  const x: KahanSum = { sum: 0, compensation: 0 }
  const y: KahanSum = { sum: 0, compensation: 0 }
  const xy: KahanSum = { sum: 0, compensation: 0 }
  const xx: KahanSum = { sum: 0, compensation: 0 }
  const first = w.values[w.from]!
  let constant = true
  for (let i = w.from; i < w.to; i++) {
    const value = w.values[i]!
    const seconds = (w.times[i]! - originMs) / 1000
    if (i > w.from && value !== first) constant = false
    kahanAdd(x, seconds)
    kahanAdd(y, value)
    kahanAdd(xy, seconds * value)
    kahanAdd(xx, seconds * seconds)
  }
  if (constant) {
    return isInfinite(first) ? { slope: Number.NaN, intercept: Number.NaN } : { slope: 0, intercept: first }
  }
  const n = w.to - w.from
  const [sx, sy, sxy, sxx] = [x, y, xy, xx].map((k) => k.sum + k.compensation) as [number, number, number, number]
  const slope = (sxy - (sx * sy) / n) / (sxx - (sx * sx) / n)
  return { slope, intercept: sy / n - (slope * sx) / n }
}

import type { RangeFunction, Window } from './window.ts'

/** The functions about change over a range: rate and its family, resets, changes. */
export const counterFunctions: Readonly<Record<string, RangeFunction>> = {
  rate: (w) => extrapolated(w, true, true),
  increase: (w) => extrapolated(w, true, false),
  delta: (w) => extrapolated(w, false, false),
  irate: (w) => lastChange(w, true),
  idelta: (w) => lastChange(w, false),
  resets: (w) => countPairs(w, (previous, current) => current < previous),
  changes: (w) =>
    countPairs(w, (previous, current) => current !== previous && !(Number.isNaN(current) && Number.isNaN(previous))),
}

/**
 * The change over a window, extended to the window's edges where the samples come close to them (within 1.1 average
 * sample distances) and by half a distance otherwise; a counter is not extended below zero.
 * https://prometheus.io/docs/prometheus/latest/querying/functions/#rate
 */
function extrapolated(w: Window, isCounter: boolean, perSecond: boolean): number | undefined {
  const count = w.to - w.from
  if (count < 2) return undefined
  const first = w.values[w.from]!
  const firstMs = w.times[w.from]!
  const lastMs = w.times[w.to - 1]!
  let change = w.values[w.to - 1]! - first
  if (isCounter) {
    for (let i = w.from + 1; i < w.to; i++) if (w.values[i]! < w.values[i - 1]!) change += w.values[i - 1]!
  }
  let toStart = (firstMs - w.startMs) / 1000
  const toEnd = (w.endMs - lastMs) / 1000
  const sampled = (lastMs - firstMs) / 1000
  const distance = sampled / (count - 1)
  if (isCounter && change > 0 && first >= 0) {
    const toZero = sampled * (first / change)
    if (toZero < toStart) toStart = toZero
  }
  const threshold = distance * 1.1
  let covered = sampled
  covered += toStart < threshold ? toStart : distance / 2
  covered += toEnd < threshold ? toEnd : distance / 2
  let factor = covered / sampled
  if (perSecond) factor /= w.rangeMs / 1000
  return change * factor
}

function lastChange(w: Window, isRate: boolean): number | undefined {
  if (w.to - w.from < 2) return undefined
  const last = w.values[w.to - 1]!
  const previous = w.values[w.to - 2]!
  const change = isRate && last < previous ? last : last - previous
  return isRate ? change / ((w.times[w.to - 1]! - w.times[w.to - 2]!) / 1000) : change
}

function countPairs(w: Window, counts: (previous: number, current: number) => boolean): number {
  let total = 0
  for (let i = w.from + 1; i < w.to; i++) if (counts(w.values[i - 1]!, w.values[i]!)) total++
  return total
}

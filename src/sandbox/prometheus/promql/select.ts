import type { Labels } from '../labels.ts'
import type { Store } from '../store.ts'
import type { MatrixSelector, TimeModifiers, VectorSelector } from './ast.ts'
import { instantAt, type QueryBounds, referenceTime, type Timeline } from './timeline.ts'
import type { Matrix, StepSeries } from './value.ts'
import type { Window } from './window.ts'

/** One series with all the samples that the windows of a timeline can reach. */
export interface RangeSeries {
  labels: Labels
  times: Float64Array
  values: Float64Array
}

/** The range vector an expression stands for, and how its windows lie in time. */
export interface RangeVector {
  series: RangeSeries[]
  rangeMs: number
  modifiers: TimeModifiers
}

/** Reads an instant selector at every instant of the timeline; the answer holds values, or the samples' own times in seconds. */
export function selectInstants(
  store: Store,
  selector: VectorSelector,
  timeline: Timeline,
  bounds: QueryBounds,
  read: 'value' | 'timestamp' = 'value',
): Matrix {
  const matrix: Matrix = []
  for (const stored of store.select(selector.matchers)) {
    let series: StepSeries | undefined
    for (let step = 0; step < timeline.count; step++) {
      const at = referenceTime(selector, instantAt(timeline, step), bounds)
      const sample = stored.latest(at, bounds.lookbackMs)
      if (!sample) continue
      series ??= { labels: stored.labels, values: new Array<number | undefined>(timeline.count) }
      series.values[step] = read === 'value' ? sample.value : sample.timeMs / 1000
    }
    if (series) matrix.push(series)
  }
  return matrix
}

/** Reads the samples a range selector needs for the whole timeline. */
export function selectRange(
  store: Store,
  selector: MatrixSelector,
  timeline: Timeline,
  bounds: QueryBounds,
): RangeVector {
  const { vector, rangeMs } = selector
  const first = referenceTime(vector, timeline.startMs, bounds)
  const last = referenceTime(vector, instantAt(timeline, timeline.count - 1), bounds)
  const series: RangeSeries[] = []
  for (const stored of store.select(vector.matchers)) {
    const { times, values } = stored.range(first - rangeMs, last)
    if (times.length > 0) series.push({ labels: stored.labels, times, values })
  }
  return { series, rangeMs, modifiers: vector }
}

/** Calls `visit` with each non-empty window of one series; a window includes both of its ends, as in Prometheus 2. */
export function forEachWindow(
  series: RangeSeries,
  range: RangeVector,
  timeline: Timeline,
  bounds: QueryBounds,
  visit: (window: Window, step: number) => void,
): void {
  const { times, values } = series
  let from = 0
  let to = 0
  for (let step = 0; step < timeline.count; step++) {
    const evaluatedAtMs = instantAt(timeline, step)
    const endMs = referenceTime(range.modifiers, evaluatedAtMs, bounds)
    const startMs = endMs - range.rangeMs
    while (to < times.length && times[to]! <= endMs) to++
    while (from < to && times[from]! < startMs) from++
    if (from === to) continue
    visit({ times, values, from, to, startMs, endMs, rangeMs: range.rangeMs, evaluatedAtMs }, step)
  }
}

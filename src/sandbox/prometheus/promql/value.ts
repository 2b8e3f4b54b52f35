import { compareLabels, type Labels } from '../labels.ts'
import { executionError } from './error.ts'
import { instantAt, type Timeline } from './timeline.ts'

/** One element of an instant vector. */
export interface Sample {
  labels: Labels
  value: number
}

export type Vector = Sample[]

/** A series over a timeline: `values[i]` belongs to the timeline's instant i; `undefined` where it has no value. */
export interface StepSeries {
  labels: Labels
  values: (number | undefined)[]
}

export type Matrix = StepSeries[]

/** The elements that have a value at one step, in the matrix's order. */
export function vectorAt(matrix: Matrix, step: number): Vector {
  const vector: Vector = []
  for (const { labels, values } of matrix) {
    const value = values[step]
    if (value !== undefined) vector.push({ labels, value })
  }
  return vector
}

/** Applies an operator at every instant and joins the answers to series; refuses answers with equal label sets. */
export function overSteps(timeline: Timeline, at: (step: number, timeMs: number) => Vector): Matrix {
  if (timeline.count === 1) {
    return assertDistinct(at(0, timeline.startMs).map(({ labels, value }) => ({ labels, values: [value] })))
  }
  const joined = new Map<string, StepSeries>()
  for (let step = 0; step < timeline.count; step++) {
    const vector = at(step, instantAt(timeline, step))
    const seen = new Set<string>()
    for (const { labels, value } of vector) {
      if (seen.has(labels.key)) throw sameLabelset()
      seen.add(labels.key)
      let series = joined.get(labels.key)
      if (!series) {
        series = { labels, values: new Array<number | undefined>(timeline.count) }
        joined.set(labels.key, series)
      }
      series.values[step] = value
    }
  }
  return [...joined.values()]
}

/** Refuses a matrix in which two series became equal, for instance by losing their metric name. */
export function assertDistinct(matrix: Matrix): Matrix {
  const seen = new Set<string>()
  for (const { labels } of matrix) {
    if (seen.has(labels.key)) throw sameLabelset()
    seen.add(labels.key)
  }
  return matrix
}

function sameLabelset() {
  return executionError('vector cannot contain metrics with the same labelset')
}

export function sortByLabels<T extends { labels: Labels }>(series: T[]): T[] {
  return series.sort((a, b) => compareLabels(a.labels, b.labels))
}

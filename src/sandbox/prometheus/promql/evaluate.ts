import type { Labels } from '../labels.ts'
import type { Store } from '../store.ts'
import type { Expr } from './ast.ts'
import { unwrap } from './ast.ts'
import { typeOf } from './check.ts'
import { Engine } from './engine.ts'
import { QueryError } from './error.ts'
import { parsePromql } from './parse.ts'
import { instantAt, type QueryBounds, referenceTime, type Timeline, timelineOf } from './timeline.ts'
import { type Sample, sortByLabels } from './value.ts'

/** When to evaluate: at one instant, or from start to end (both included) at every step. Whole milliseconds. */
export type QueryTime = { timeMs: number } | { startMs: number; endMs: number; stepMs: number }

export interface EngineOptions {
  /** How old a sample an instant selector still answers with; 5 minutes by default. */
  lookbackMs?: number
  /** Step of subqueries that name none; 1 minute by default. */
  evaluationIntervalMs?: number
}

/** A series of an answer: parallel arrays of milliseconds and values. */
export interface ResultSeries {
  labels: Labels
  times: number[]
  values: number[]
}

/** An answer; `matrix` is what range queries give, and instant queries of a bare range selector. */
export type QueryResult =
  | { type: 'scalar'; timeMs: number; value: number }
  | { type: 'string'; timeMs: number; value: string }
  | { type: 'vector'; timeMs: number; samples: Sample[] }
  | { type: 'matrix'; series: ResultSeries[] }

/**
 * Answers a PromQL query from a store, as Prometheus 2.42 would.
 * Throws `QueryError`: bad_data for what is not (supported) PromQL, execution for what has no defined answer.
 */
export function evaluate(
  query: string | Expr,
  store: Store,
  time: QueryTime,
  options: EngineOptions = {},
): QueryResult {
  const expr = typeof query === 'string' ? parsePromql(query) : query
  const instant = 'timeMs' in time
  const bounds: QueryBounds = {
    startMs: instant ? time.timeMs : time.startMs,
    endMs: instant ? time.timeMs : time.endMs,
    lookbackMs: options.lookbackMs ?? 300_000,
    defaultStepMs: options.evaluationIntervalMs ?? 60_000,
  }
  const engine = new Engine(store, bounds)
  if (instant) return evaluateInstant(engine, expr, time.timeMs)
  const type = typeOf(expr)
  if (type !== 'scalar' && type !== 'vector') {
    throw new QueryError(
      'bad_data',
      `invalid expression type "${type === 'matrix' ? 'range vector' : type}" for range query, must be Scalar or instant Vector`,
    )
  }
  const timeline = timelineOf(time.startMs, time.endMs, time.stepMs)
  const series = engine.evaluate(expr, timeline).map(({ labels, values }) => compact(labels, values, timeline))
  return { type: 'matrix', series: sortByLabels(series.filter(({ times }) => times.length > 0)) }
}

function evaluateInstant(engine: Engine, expr: Expr, timeMs: number): QueryResult {
  const timeline: Timeline = { startMs: timeMs, stepMs: 1, count: 1 }
  const type = typeOf(expr)
  const inner = unwrap(expr)
  if (inner.kind === 'string') return { type: 'string', timeMs, value: inner.value }
  if (type === 'scalar') return { type: 'scalar', timeMs, value: engine.scalars(expr, timeline)[0]! }
  if (type === 'vector') {
    const samples = engine.evaluate(expr, timeline).flatMap(({ labels, values }) => {
      const value = values[0]
      return value === undefined ? [] : [{ labels, value }]
    })
    return { type: 'vector', timeMs, samples }
  }
  const range = engine.range(inner, timeline)
  const end = referenceTime(range.modifiers, timeMs, engine.bounds)
  const series = range.series.map(({ labels, times, values }) => {
    const inside = (at: number) => at >= end - range.rangeMs && at <= end
    return {
      labels,
      times: [...times].filter(inside),
      values: [...values].filter((_, i) => inside(times[i]!)),
    }
  })
  return { type: 'matrix', series: sortByLabels(series) }
}

function compact(labels: Labels, values: readonly (number | undefined)[], timeline: Timeline): ResultSeries {
  const series: ResultSeries = { labels, times: [], values: [] }
  for (let step = 0; step < timeline.count; step++) {
    const value = values[step]
    if (value === undefined) continue
    series.times.push(instantAt(timeline, step))
    series.values.push(value)
  }
  return series
}

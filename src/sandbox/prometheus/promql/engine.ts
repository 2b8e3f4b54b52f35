import { Labels } from '../labels.ts'
import type { Store } from '../store.ts'
import { aggregate } from './aggregate.ts'
import type { Aggregate, Binary, Expr, Subquery, Unary } from './ast.ts'
import { scalarBinary, vectorBinary, vectorScalarBinary } from './binary.ts'
import { call } from './call.ts'
import { typeOf } from './check.ts'
import { executionError } from './error.ts'
import { type RangeVector, selectInstants, selectRange } from './select.ts'
import { instantAt, type QueryBounds, referenceTime, type Timeline, timelineOf } from './timeline.ts'
import { usesAt, variesByStep } from './unsettled.ts'
import { assertDistinct, type Matrix, overSteps, type StepSeries, vectorAt } from './value.ts'

/** One subquery may not hold up the process for minutes; Prometheus limits its samples for the same reason. */
const mostSubquerySteps = 1_000_000

/** Evaluates a checked scalar or instant-vector expression over a timeline, after the engine of Prometheus 2.42. */
export class Engine {
  readonly store: Store
  readonly bounds: QueryBounds

  constructor(store: Store, bounds: QueryBounds) {
    this.store = store
    this.bounds = bounds
  }

  /** One value per instant. A scalar is a single series without labels and without gaps. */
  evaluate(expr: Expr, timeline: Timeline): Matrix {
    // Prometheus evaluates what is fixed by @ once, even for a subquery without a single step: it may fail.
    if (timeline.count === 0 && typeOf(expr) === 'vector' && usesAt(expr) && !variesByStep(expr)) {
      this.evaluate(expr, { ...timeline, count: 1 })
      return []
    }
    switch (expr.kind) {
      case 'number':
        return [scalarSeries(timeline, () => expr.value)]
      case 'paren':
        return this.evaluate(expr.expr, timeline)
      case 'vector':
        return selectInstants(this.store, expr, timeline, this.bounds)
      case 'unary':
        return this.#unary(expr, timeline)
      case 'binary':
        return this.#binary(expr, timeline)
      case 'aggregate':
        return this.#aggregate(expr, timeline)
      case 'call':
        return call(this, expr, timeline)
      case 'string':
      case 'matrix':
      case 'subquery':
        throw new Error(`a ${expr.kind} has no value per instant`)
    }
  }

  /** The values of a scalar expression, one per instant. */
  scalars(expr: Expr, timeline: Timeline): number[] {
    return this.evaluate(expr, timeline)[0]!.values as number[]
  }

  /** The range vector of a matrix selector or subquery. */
  range(expr: Expr, timeline: Timeline): RangeVector {
    if (expr.kind === 'matrix') return selectRange(this.store, expr, timeline, this.bounds)
    if (expr.kind === 'subquery') return this.#subquery(expr, timeline)
    throw new Error(`a ${expr.kind} is not a range vector`)
  }

  /** Evaluates the inner expression at every multiple of the step that some window of the timeline can reach. */
  #subquery(subquery: Subquery, timeline: Timeline): RangeVector {
    const stepMs = subquery.stepMs ?? this.bounds.defaultStepMs
    const first = referenceTime(subquery, timeline.startMs, this.bounds) - subquery.rangeMs
    const last = referenceTime(subquery, instantAt(timeline, timeline.count - 1), this.bounds)
    const inner = timelineOf(Math.ceil(first / stepMs) * stepMs, last, stepMs)
    if (inner.count > mostSubquerySteps) {
      throw executionError('query processing would load too many samples into memory in query execution')
    }
    const series = this.evaluate(subquery.expr, inner).map(({ labels, values }) => {
      const times: number[] = []
      const present: number[] = []
      for (let step = 0; step < inner.count; step++) {
        const value = values[step]
        if (value === undefined) continue
        times.push(instantAt(inner, step))
        present.push(value)
      }
      return { labels, times: Float64Array.from(times), values: Float64Array.from(present) }
    })
    return { series, rangeMs: subquery.rangeMs, modifiers: subquery }
  }

  #unary({ op, expr }: Unary, timeline: Timeline): Matrix {
    const operand = this.evaluate(expr, timeline)
    if (op === '+') return operand
    return assertDistinct(
      operand.map(({ labels, values }) => ({
        labels: labels.nameless,
        values: values.map((value) => (value === undefined ? undefined : -value)),
      })),
    )
  }

  #binary({ op, lhs, rhs, bool, matching }: Binary, timeline: Timeline): Matrix {
    const leftIsScalar = typeOf(lhs) === 'scalar'
    const rightIsScalar = typeOf(rhs) === 'scalar'
    const left = this.evaluate(lhs, timeline)
    const right = this.evaluate(rhs, timeline)
    const scalarAt = (matrix: Matrix, step: number) => matrix[0]!.values[step]!
    if (leftIsScalar && rightIsScalar) {
      return [scalarSeries(timeline, (step) => scalarBinary(op, scalarAt(left, step), scalarAt(right, step)))]
    }
    return overSteps(timeline, (step) => {
      if (leftIsScalar) return vectorScalarBinary(op, vectorAt(right, step), scalarAt(left, step), true, bool)
      if (rightIsScalar) return vectorScalarBinary(op, vectorAt(left, step), scalarAt(right, step), false, bool)
      return vectorBinary(op, vectorAt(left, step), vectorAt(right, step), matching, bool)
    })
  }

  #aggregate({ op, expr, param, grouping, without }: Aggregate, timeline: Timeline): Matrix {
    const operand = this.evaluate(expr, timeline)
    const parameterAt = this.#parameter(param, timeline)
    return overSteps(timeline, (step) =>
      aggregate(op, vectorAt(operand, step), { labels: grouping, without }, parameterAt(step)),
    )
  }

  #parameter(param: Expr | undefined, timeline: Timeline): (step: number) => number | string {
    if (!param) return () => 0
    if (param.kind === 'string') return () => param.value
    const values = this.scalars(param, timeline)
    return (step) => values[step]!
  }
}

export function scalarSeries(
  timeline: Timeline,
  at: (step: number) => number,
  labels: Labels = Labels.empty,
): StepSeries {
  return { labels, values: Array.from({ length: timeline.count }, (_, step) => at(step)) }
}

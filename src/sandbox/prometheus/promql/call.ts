import { Labels } from '../labels.ts'
import type { Call, Expr } from './ast.ts'
import { unwrap } from './ast.ts'
import { type Engine, scalarSeries } from './engine.ts'
import { histogramQuantile } from './histogram.ts'
import { clamp, dateFunctions, dateOf, mapSamples, sampleFunctions, sortSamples } from './instant-functions.ts'
import { labelJoin, labelReplace } from './label-functions.ts'
import { rangeFunctions } from './range-functions.ts'
import { forEachWindow, selectInstants } from './select.ts'
import { signatures } from './signatures.ts'
import { instantAt, type Timeline } from './timeline.ts'
import { assertDistinct, type Matrix, overSteps, vectorAt } from './value.ts'

/** Evaluates a function call over a timeline. */
export function call(engine: Engine, { name, args }: Call, timeline: Timeline): Matrix {
  if (name === 'absent_over_time') return absentOverTime(engine, unwrap(args[0]!), timeline)
  if (Object.hasOwn(rangeFunctions, name)) return overRange(engine, name, args, timeline)
  if (signatures[name]!.returns === 'scalar') return [scalarFunction(engine, name, args, timeline)]
  if (name === 'vector') return engine.evaluate(args[0]!, timeline)
  if (name === 'timestamp') return timestamps(engine, args[0]!, timeline)
  if (name === 'label_replace' || name === 'label_join') return relabel(engine, name, args, timeline)
  if (name === 'histogram_quantile') {
    const q = engine.scalars(args[0]!, timeline)
    const buckets = engine.evaluate(args[1]!, timeline)
    return overSteps(timeline, (step) => histogramQuantile(q[step]!, vectorAt(buckets, step)))
  }
  if (Object.hasOwn(dateFunctions, name)) return datePart(engine, name, args[0], timeline)

  const operand = engine.evaluate(args[0]!, timeline)
  const parameters = args.slice(1).map((arg) => engine.scalars(arg, timeline))
  return overSteps(timeline, (step) => {
    const vector = vectorAt(operand, step)
    const given = parameters.map((values) => values[step]!)
    switch (name) {
      case 'absent':
        return vector.length > 0 ? [] : [{ labels: labelsOfAbsent(unwrap(args[0]!)), value: 1 }]
      case 'clamp':
        return clamp(vector, given[0]!, given[1]!)
      case 'sort':
        return sortSamples(vector, false)
      case 'sort_desc':
        return sortSamples(vector, true)
      default: {
        const map = sampleFunctions[name]!
        return mapSamples(vector, (value) => map(value, ...given))
      }
    }
  })
}

function scalarFunction(engine: Engine, name: string, args: Expr[], timeline: Timeline) {
  if (name === 'pi') return scalarSeries(timeline, () => Math.PI)
  if (name === 'time') return scalarSeries(timeline, (step) => instantAt(timeline, step) / 1000)
  const operand = engine.evaluate(args[0]!, timeline)
  return scalarSeries(timeline, (step) => {
    const vector = vectorAt(operand, step)
    return vector.length === 1 ? vector[0]!.value : Number.NaN
  })
}

function overRange(engine: Engine, name: string, args: Expr[], timeline: Timeline): Matrix {
  const apply = rangeFunctions[name]!
  const at = signatures[name]!.args.indexOf('matrix')
  const other = args[1 - at]
  const parameters = other ? engine.scalars(other, timeline) : []
  const range = engine.range(unwrap(args[at]!), timeline)
  const matrix: Matrix = []
  for (const series of range.series) {
    const values = new Array<number | undefined>(timeline.count)
    let any = false
    forEachWindow(series, range, timeline, engine.bounds, (window, step) => {
      const value = apply(window, parameters[step] ?? Number.NaN)
      if (value === undefined) return
      values[step] = value
      any = true
    })
    if (any) matrix.push({ labels: name === 'last_over_time' ? series.labels : series.labels.nameless, values })
  }
  return assertDistinct(matrix)
}

function absentOverTime(engine: Engine, arg: Expr, timeline: Timeline): Matrix {
  const range = engine.range(arg, timeline)
  const present = new Uint8Array(timeline.count)
  for (const series of range.series) {
    forEachWindow(series, range, timeline, engine.bounds, (_, step) => {
      present[step] = 1
    })
  }
  const values = Array.from(present, (seen) => (seen === 1 ? undefined : 1))
  return values.includes(1) ? [{ labels: labelsOfAbsent(arg), values }] : []
}

/** What is known of the labels of something absent: those its selector asks for by equality, once. */
function labelsOfAbsent(expr: Expr): Labels {
  const selector = expr.kind === 'matrix' ? expr.vector : expr
  if (selector.kind !== 'vector') return Labels.empty
  const known = new Map<string, string>()
  const seen = new Set<string>()
  for (const { name, type, value } of selector.matchers) {
    if (name === '__name__') continue
    if (type === '=' && !seen.has(name)) {
      known.set(name, value)
      seen.add(name)
    } else known.delete(name)
  }
  return Labels.from(known)
}

/** Of a selector, the times of the samples themselves; of anything else, the evaluation instant. */
function timestamps(engine: Engine, arg: Expr, timeline: Timeline): Matrix {
  const selector = unwrap(arg)
  const matrix =
    selector.kind === 'vector'
      ? selectInstants(engine.store, selector, timeline, engine.bounds, 'timestamp')
      : engine.evaluate(arg, timeline).map(({ labels, values }) => ({
          labels,
          values: values.map((value, step) => (value === undefined ? undefined : instantAt(timeline, step) / 1000)),
        }))
  return overSteps(timeline, (step) => mapSamples(vectorAt(matrix, step), (value) => value))
}

function relabel(engine: Engine, name: string, args: Expr[], timeline: Timeline): Matrix {
  const operand = engine.evaluate(args[0]!, timeline)
  const texts = args.slice(1).map(textOf)
  return overSteps(timeline, (step) => {
    const vector = vectorAt(operand, step)
    if (name === 'label_join') return labelJoin(vector, texts[0]!, texts[1]!, texts.slice(2))
    return labelReplace(vector, texts[0]!, texts[1]!, texts[2]!, texts[3]!)
  })
}

function datePart(engine: Engine, name: string, arg: Expr | undefined, timeline: Timeline): Matrix {
  const part = dateFunctions[name]!
  const operand = arg
    ? engine.evaluate(arg, timeline)
    : [scalarSeries(timeline, (step) => instantAt(timeline, step) / 1000)]
  return overSteps(timeline, (step) => mapSamples(vectorAt(operand, step), (value) => part(dateOf(name, value))))
}

function textOf(expr: Expr): string {
  const inner = unwrap(expr)
  if (inner.kind !== 'string') throw new Error(`a ${inner.kind} is not a string literal`)
  return inner.value
}

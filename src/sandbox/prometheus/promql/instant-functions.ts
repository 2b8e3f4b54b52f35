import { goMax, goMin, nanFirst } from './arithmetic.ts'
import { executionError } from './error.ts'
import type { Vector } from './value.ts'

type Mapping = (value: number, ...parameters: number[]) => number

/** Functions that map each sample's value and drop the metric name; further arguments are scalars. */
export const sampleFunctions: Readonly<Record<string, Mapping>> = {
  abs: Math.abs,
  acos: Math.acos,
  acosh: Math.acosh,
  asin: Math.asin,
  asinh: Math.asinh,
  atan: Math.atan,
  atanh: Math.atanh,
  ceil: Math.ceil,
  clamp_max: (value, max) => goMin(max!, value),
  clamp_min: (value, min) => goMax(min!, value),
  cos: Math.cos,
  cosh: Math.cosh,
  deg: (value) => (value * 180) / Math.PI,
  exp: Math.exp,
  floor: Math.floor,
  ln: Math.log,
  log10: Math.log10,
  log2: Math.log2,
  rad: (value) => (value * Math.PI) / 180,
  round: (value, nearest = 1) => {
    // Dividing by the inverse keeps e.g. round(x, 0.1) exact; this is Prometheus's order of operations.
    const inverse = 1 / nearest
    return Math.floor(value * inverse + 0.5) / inverse
  },
  sgn: (value) => (value < 0 ? -1 : value > 0 ? 1 : value),
  sin: Math.sin,
  sinh: Math.sinh,
  sqrt: Math.sqrt,
  tan: Math.tan,
  tanh: Math.tanh,
}

/** Functions of a sample's value read as seconds since the epoch, in UTC. */
export const dateFunctions: Readonly<Record<string, (date: Date) => number>> = {
  day_of_month: (date) => date.getUTCDate(),
  day_of_week: (date) => date.getUTCDay(),
  day_of_year: (date) => Math.floor((date.getTime() - Date.UTC(date.getUTCFullYear(), 0, 1)) / 86_400_000) + 1,
  days_in_month: (date) => new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 0)).getUTCDate(),
  hour: (date) => date.getUTCHours(),
  minute: (date) => date.getUTCMinutes(),
  month: (date) => date.getUTCMonth() + 1,
  year: (date) => date.getUTCFullYear(),
}

export function mapSamples(vector: Vector, map: (value: number) => number): Vector {
  return vector.map(({ labels, value }) => ({ labels: labels.nameless, value: map(value) }))
}

/** The date a value in seconds stands for; outside JavaScript's calendar Go's answer is an overflow, so it is refused. */
export function dateOf(name: string, seconds: number): Date {
  const date = new Date(Math.trunc(seconds) * 1000)
  if (Number.isNaN(date.getTime())) throw executionError(`${name}(): ${seconds} is not a time that is supported here`)
  return date
}

/** `clamp` has no result when its bounds cross. */
export function clamp(vector: Vector, min: number, max: number): Vector {
  return max < min ? [] : mapSamples(vector, (value) => goMax(min, goMin(max, value)))
}

/** Sorted by value; NaN comes last in either direction. */
export function sortSamples(vector: Vector, descending: boolean): Vector {
  return vector.toSorted((a, b) => {
    if (Number.isNaN(a.value) || Number.isNaN(b.value)) return nanFirst(b.value, a.value)
    return descending ? nanFirst(b.value, a.value) : nanFirst(a.value, b.value)
  })
}

import { byteOrder } from './labels.ts'
import type { Matcher } from './matcher.ts'
import { QueryError } from './promql/error.ts'
import { parseDuration } from './promql/literals.ts'
import { parsePromql } from './promql/parse.ts'

/** A request that Prometheus answers with 400 bad_data. */
export function badParameter(name: string, reason: string): QueryError {
  return new QueryError('bad_data', `invalid parameter "${name}": ${reason}`)
}

/** Reads a time given as seconds since the epoch or RFC 3339; the answer is whole milliseconds. */
export function timeParameter(parameters: URLSearchParams, name: string, fallbackMs?: number): number {
  const text = parameters.get(name) ?? ''
  if (text === '' && fallbackMs !== undefined) return fallbackMs
  const ms = parseTime(text)
  if (ms === undefined) throw badParameter(name, `cannot parse ${JSON.stringify(text)} to a valid timestamp`)
  return ms
}

function parseTime(text: string): number | undefined {
  if (/^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text)) {
    const seconds = Number(text)
    const whole = Math.trunc(seconds)
    return whole * 1000 + Math.round((seconds - whole) * 1000)
  }
  if (!/^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/.test(text)) return undefined
  const ms = Date.parse(text)
  return Number.isNaN(ms) ? undefined : ms
}

/** Reads a duration given as seconds or like `15s`; the answer is milliseconds. */
function durationParameter(parameters: URLSearchParams, name: string): number {
  const text = parameters.get(name) ?? ''
  const seconds = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text) ? Number(text) * 1000 : undefined
  const ms = seconds ?? parseDuration(text)
  if (ms === undefined) throw badParameter(name, `cannot parse ${JSON.stringify(text)} to a valid duration`)
  return ms
}

/** The bounds and step of a range query, checked as Prometheus checks them. */
export function rangeParameters(parameters: URLSearchParams): { startMs: number; endMs: number; stepMs: number } {
  const startMs = timeParameter(parameters, 'start')
  const endMs = timeParameter(parameters, 'end')
  if (endMs < startMs) throw badParameter('end', 'end timestamp must not be before start time')
  const stepMs = durationParameter(parameters, 'step')
  if (stepMs <= 0) {
    throw badParameter('step', 'zero or negative query resolution step widths are not accepted. Try a positive integer')
  }
  if (stepMs < 1) throw badParameter('step', 'a step below one millisecond is not supported here')
  if ((endMs - startMs) / stepMs > 11_000) {
    throw new QueryError(
      'bad_data',
      'exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)',
    )
  }
  return { startMs, endMs, stepMs: Math.floor(stepMs) }
}

/** The matcher sets of every `match[]` parameter. */
export function selectorParameters(parameters: URLSearchParams): Matcher[][] {
  return parameters.getAll('match[]').map((text) => {
    const expr = parseSelector(text)
    if (expr.kind !== 'vector' || expr.at !== undefined || expr.offsetMs !== undefined) {
      throw badParameter('match[]', `${JSON.stringify(text)} is not a series selector`)
    }
    return expr.matchers
  })
}

function parseSelector(text: string) {
  try {
    return parsePromql(text)
  } catch (error) {
    if (error instanceof QueryError) throw badParameter('match[]', error.message)
    throw error
  }
}

export function sortedUnique(values: Iterable<string>): string[] {
  return [...new Set(values)].sort(byteOrder)
}

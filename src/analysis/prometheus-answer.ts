import { z } from 'zod'
import type { Problem } from '../errors.ts'
import { isRecord } from '../kube/response.ts'

/** One series of an instant vector, or a scalar (no labels). */
export interface PromSample {
  labels: Record<string, string>
  /** Time of the evaluation, epoch ms; not the time of the scrape. */
  at: number
  /** May be NaN or infinite: kept as Prometheus said it. */
  value: number
}

/** One series of a range query. */
export interface PromSeries {
  labels: Record<string, string>
  /** Epoch ms and value. */
  points: [number, number][]
}

export type Answer<T> = { ok: true; value: T; warnings: string[] } | { ok: false; problem: Problem }

const envelope = z.object({
  status: z.enum(['success', 'error']),
  data: z.unknown().optional(),
  errorType: z.string().optional(),
  error: z.string().optional(),
  warnings: z.array(z.string()).optional(),
})

/**
 * What an HTTP answer says: its numbers, or why there are none. `secrets` are struck out of Prometheus's own words.
 */
export function interpret<T>(
  reply: { status: number; body: unknown },
  where: string,
  secrets: string[],
  read: (data: unknown) => T | undefined,
): Answer<T> {
  const parsed = envelope.safeParse(reply.body)
  if (!parsed.success) {
    if (reply.status === 401 || reply.status === 403) {
      return failed('PrometheusBadAnswer', `${where} answered HTTP ${reply.status}: the credentials are not accepted`)
    }
    const kind = typeof reply.body === 'string' && /^\s*</.test(reply.body) ? 'an HTML page' : 'no Prometheus answer'
    const status = reply.status === 200 ? '' : ` (HTTP ${reply.status})`
    return failed('PrometheusBadAnswer', `${where} answered ${kind}${status}`)
  }
  const { status, errorType, error, data, warnings = [] } = parsed.data
  if (status === 'error') {
    const message = redact(error ?? `HTTP ${reply.status}`, secrets)
    if (errorType === 'bad_data' || errorType === 'execution') {
      return failed('PrometheusQueryRefused', `${where} refused the query: ${message}`)
    }
    if (errorType === 'timeout' || errorType === 'canceled' || errorType === 'unavailable') {
      return failed('PrometheusUnreachable', `${where} gave up on the query: ${message}`)
    }
    return failed('PrometheusBadAnswer', `${where} answered HTTP ${reply.status}: ${message}`)
  }
  const value = read(data)
  if (value === undefined) {
    return failed('PrometheusBadAnswer', `${where} answered something else than numbers with labels`)
  }
  return { ok: true, value, warnings }
}

/**
 * The data of an instant query; nothing when it is neither a vector nor a scalar. An answer may hold tens of thousands of series:
 * they are checked where they are instead of being copied.
 */
export function readInstant(data: unknown): PromSample[] | undefined {
  const { resultType, result } = shape(data)
  if (resultType === 'scalar') return isPoint(result) ? [{ labels: {}, ...point(result) }] : undefined
  if (resultType !== 'vector' || !Array.isArray(result)) return undefined
  const samples: PromSample[] = []
  for (const series of result) {
    const { metric, value } = shape(series)
    if (!isLabels(metric) || !isPoint(value)) return undefined
    samples.push({ labels: metric, ...point(value) })
  }
  return samples
}

/** The data of a range query; nothing when it is no matrix. See `readInstant`. */
export function readRange(data: unknown): PromSeries[] | undefined {
  const { resultType, result } = shape(data)
  if (resultType !== 'matrix' || !Array.isArray(result)) return undefined
  const all: PromSeries[] = []
  for (const series of result) {
    const { metric, values } = shape(series)
    if (!isLabels(metric) || !Array.isArray(values) || !values.every(isPoint)) return undefined
    const points = values.map(point).map(({ at, value }): [number, number] => [at, value])
    all.push({ labels: metric, points })
  }
  return all
}

function shape(value: unknown): Record<string, unknown> {
  return isRecord(value) ? value : {}
}

function isLabels(value: unknown): value is Record<string, string> {
  if (!isRecord(value)) return false
  for (const name in value) if (typeof value[name] !== 'string') return false
  return true
}

function isPoint(value: unknown): value is [number, string] {
  return Array.isArray(value) && value.length === 2 && typeof value[0] === 'number' && typeof value[1] === 'string'
}

function point([seconds, text]: [number, string]): { at: number; value: number } {
  return { at: Math.round(seconds * 1000), value: parseNumber(text) }
}

/** Prometheus writes `+Inf`, `-Inf` and `NaN`; everything else is a decimal number. */
function parseNumber(text: string): number {
  if (text === '+Inf') return Number.POSITIVE_INFINITY
  if (text === '-Inf') return Number.NEGATIVE_INFINITY
  return text === '' ? Number.NaN : Number(text)
}

function redact(text: string, secrets: string[]): string {
  const clean = secrets.reduce((rest, secret) => rest.replaceAll(secret, '***'), text)
  return clean.length > 400 ? `${clean.slice(0, 400)}…` : clean
}

/** An answer that is a problem. */
export function failed<T>(reason: Problem['reason'], message: string): Answer<T> {
  return { ok: false, problem: { reason, message } }
}

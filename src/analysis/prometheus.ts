import { PrometheusDriver } from 'prometheus-query'
import { z } from 'zod'
import {
  type Answer,
  failed,
  interpret,
  type PromSample,
  type PromSeries,
  readInstant,
  readRange,
} from './prometheus-answer.ts'

/** A Prometheus HTTP API. Nothing the world does makes it throw; only an aborted `signal` does. */
export interface Prometheus {
  /** The base URL without credentials, for messages and as a key. */
  url: string
  instant(query: string, at: number, signal?: AbortSignal): Promise<Answer<PromSample[]>>
  range(query: string, span: TimeSpan, signal?: AbortSignal): Promise<Answer<PromSeries[]>>
}

/** Epoch ms, both ends included. */
export interface TimeSpan {
  start: number
  end: number
  step: number
}

export interface PrometheusOptions {
  /** Base of the HTTP API: what stands before /api/v1. */
  url: string
  credentials?: { token: string } | { username: string; password: string }
  /** Of one request, from connect to the last byte. */
  timeoutMs?: number
}

const DEFAULT_TIMEOUT_MS = 10_000
/** Longer queries go as a form: proxies cut URLs. Shorter ones stay GET, which read-only proxies allow. */
const LONGEST_URL_QUERY = 1_500

/**
 * A client over prometheus-query. The library does the HTTP; its answers are read raw, because it turns `+Inf` into NaN,
 * loses warnings and throws plain objects.
 */
export function createPrometheus(options: PrometheusOptions): Prometheus {
  const url = withoutCredentials(options.url)
  const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS
  const where = `Prometheus at ${url}`

  async function ask<T>(
    query: string,
    send: (driver: PrometheusDriver) => Promise<unknown>,
    read: (data: unknown) => T | undefined,
    signal?: AbortSignal,
  ): Promise<Answer<T>> {
    signal?.throwIfAborted()
    let reply: Reply | undefined
    const deadline = AbortSignal.timeout(timeoutMs)
    const driver = new PrometheusDriver({
      ...connection(options),
      timeout: timeoutMs,
      preferPost: query.length > LONGEST_URL_QUERY,
      requestInterceptor: {
        onFulfilled: (config) => ({ ...config, signal: signal ? AbortSignal.any([signal, deadline]) : deadline }),
      },
      responseInterceptor: {
        onFulfilled: (response) => {
          reply = { status: response.status, body: response.data }
          return { ...response, data: nothing }
        },
        onRejected: (failure: unknown) => {
          reply = readFailure(failure)
          throw failure
        },
      },
    })
    // The interceptors have seen the answer; the library is given none, because it would make objects of every sample.
    await send(driver).catch(() => undefined)
    signal?.throwIfAborted()
    if (reply === undefined) return failed('PrometheusUnreachable', `${where} could not be asked`)
    if ('code' in reply) {
      const timedOut = deadline.aborted || reply.code === 'ECONNABORTED' || reply.code === 'ETIMEDOUT'
      const reason = timedOut ? `did not answer within ${timeoutMs / 1000} s` : unreachable(reply)
      return failed('PrometheusUnreachable', `${where} ${reason}`)
    }
    return interpret(reply, where, secretsOf(options), read)
  }

  return {
    url,
    instant: (query, at, signal) =>
      ask(query, (driver) => driver.instantQuery(query, new Date(at), `${timeoutMs}ms`), readInstant, signal),
    range: (query, { start, end, step }, signal) =>
      ask(
        query,
        (driver) => driver.rangeQuery(query, new Date(start), new Date(end), step / 1000, `${timeoutMs}ms`),
        readRange,
        signal,
      ),
  }
}

const nothing = { status: 'success', data: { resultType: 'vector', result: [] } }

type Reply = { status: number; body: unknown } | { code: string; message: string }

function readFailure(failure: unknown): Reply {
  const shape = z.object({
    code: z.string().optional(),
    message: z.string().optional(),
    response: z.object({ status: z.number(), data: z.unknown() }).optional(),
  })
  // Errors carry these as own or inherited properties; an object literal lets zod see both.
  const { code, message, response } = Object(failure)
  const parsed = shape.safeParse({ code, message, response })
  if (!parsed.success) return { code: 'UNKNOWN', message: String(failure) }
  if (parsed.data.response) return { status: parsed.data.response.status, body: parsed.data.response.data }
  return { code: parsed.data.code ?? 'UNKNOWN', message: parsed.data.message ?? '' }
}

function connection({ url, credentials }: PrometheusOptions) {
  const parsed = new URL(url)
  const auth =
    credentials && 'username' in credentials
      ? { username: credentials.username, password: credentials.password }
      : parsed.username
        ? { username: decodeURIComponent(parsed.username), password: decodeURIComponent(parsed.password) }
        : undefined
  const headers = credentials && 'token' in credentials ? { Authorization: `Bearer ${credentials.token}` } : {}
  return { endpoint: withoutCredentials(url), headers, ...(auth && { auth }) }
}

function withoutCredentials(url: string): string {
  const parsed = new URL(url)
  parsed.username = ''
  parsed.password = ''
  parsed.search = ''
  parsed.hash = ''
  return parsed.href.replace(/\/+$/, '')
}

function secretsOf({ url, credentials }: PrometheusOptions): string[] {
  const fromUrl = decodeURIComponent(new URL(url).password)
  const given = credentials ? ('token' in credentials ? credentials.token : credentials.password) : ''
  return [fromUrl, given].filter((secret) => secret !== '')
}

function unreachable({ code, message }: { code: string; message: string }): string {
  const known: Record<string, string> = {
    ECONNREFUSED: 'refuses connections',
    ECONNRESET: 'reset the connection',
    ENOTFOUND: 'cannot be found by its name',
    EAI_AGAIN: 'cannot be found by its name',
  }
  if (known[code]) return known[code]
  if (/cert|ssl|tls/i.test(`${code} ${message}`)) return `has a certificate that is not accepted (${code})`
  return `cannot be reached (${code})`
}

import { type IncomingMessage, request as overHttp } from 'node:http'
import { request as overHttps } from 'node:https'
import { parseRetryAfter } from '../../notify/delivery-failed.ts'
import type { Runtime } from '../../runtime.ts'
import { ForgeFailure } from './forge.ts'

export interface ForgeHttpOptions {
  /** Base of the API, without a slash at its end. */
  base: string
  headers: Record<string, string>
  runtime: Runtime
  /** PEM of the authority that signed the certificate of the forge, where it is not a public one. */
  caCert?: string
  /** What must not appear in an error. */
  secrets?: string[]
  timeoutMs?: number
  signal?: AbortSignal
}

/** A JSON API: answers, or a ForgeFailure that says in one sentence why there is none. */
export interface ForgeHttp {
  /** `missing` is answered where the forge says 404, when given. */
  call(method: 'GET' | 'POST' | 'PATCH' | 'PUT', path: string, body?: unknown): Promise<unknown>
  /** GET where 404 is an answer. */
  look(path: string): Promise<unknown>
  /** All pages of a list. `path` has a query already. */
  all(path: string): Promise<unknown[]>
}

interface Answer {
  status: number
  headers: IncomingMessage['headers']
  text: string
}

const pageSize = 100
const pages = 20
const largest = 16 * 1024 * 1024

export function forgeHttp(options: ForgeHttpOptions): ForgeHttp {
  const { base, headers, runtime, caCert, secrets = [], timeoutMs = 20_000, signal } = options

  function exchange(method: string, url: URL, body: string | undefined): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const over = new AbortController()
      const done = new AbortController()
      const signals = signal ? [signal, over.signal] : [over.signal]
      const wait = runtime.sleep(timeoutMs, done.signal)
      wait.then(
        () => over.abort(new Error(`no answer within ${Math.round(timeoutMs / 1000)} s`)),
        () => undefined,
      )
      const fail = (error: unknown) => {
        done.abort()
        reject(over.signal.aborted ? over.signal.reason : error)
      }
      const send = url.protocol === 'https:' ? overHttps : overHttp
      const sent = send(url, {
        method,
        headers: { accept: 'application/json', 'user-agent': 'sluice', ...headers, ...lengthOf(body) },
        signal: AbortSignal.any(signals),
        ...(caCert === undefined ? {} : { ca: caCert }),
      })
      sent.on('error', fail)
      sent.on('response', (response) => {
        const chunks: Buffer[] = []
        let size = 0
        response.on('data', (chunk: Buffer) => {
          size += chunk.length
          if (size > largest) sent.destroy(new Error('its answer is too large'))
          chunks.push(chunk)
        })
        response.on('error', fail)
        response.on('end', () => {
          done.abort()
          const text = Buffer.concat(chunks).toString('utf8')
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text })
        })
      })
      sent.end(body)
    })
  }

  async function ask(method: string, path: string, body?: unknown): Promise<Answer> {
    const text = body === undefined ? undefined : JSON.stringify(body)
    let url = new URL(`${base}${path}`)
    for (let hops = 0; ; hops++) {
      let answer: Answer
      try {
        answer = await exchange(method, url, text)
      } catch (cause) {
        const said = cause instanceof Error ? cause.message : String(cause)
        throw unreachable(`${base} does not answer: ${scrubbed(said)}`, { cause })
      }
      const next = movedTo(answer, url)
      // A repository that was renamed; credentials go to no other place.
      if (next === undefined || next.origin !== url.origin || hops >= 3) return answer
      url = next
    }
  }

  function read(answer: Answer, method: string, path: string): unknown {
    const { status, text } = answer
    const where = `${method} ${path.replace(/\?.*$/, '')}`
    const isJson = /\bjson\b/.test(String(answer.headers['content-type'] ?? ''))
    const parsed = isJson ? parse(text) : undefined
    if (status >= 200 && status < 300) {
      if (status === 204 || text === '') return undefined
      if (parsed !== undefined) return parsed
      throw unreachable(
        `${base} answers ${where} with a page instead of its API; check spec.write.pullRequest.apiUrl`,
        {},
      )
    }
    const said = scrubbed(wordsOf(parsed)) || `status ${status}`
    const retryAfterMs = patience(answer, runtime.now())
    if (status === 429 || (status === 403 && (retryAfterMs !== undefined || /rate limit|abuse/i.test(said)))) {
      const asked = retryAfterMs ?? 60_000
      const seconds = Math.ceil(asked / 1000)
      throw unreachable(`${base} wants to be asked less often; asked again in ${seconds} s`, { retryAfterMs: asked })
    }
    if (status >= 500) throw unreachable(`${base} fails: ${where}: ${said}`, { retryAfterMs })
    if (status === 401) throw refused('ForgeAuth', `${base} does not take the token: ${said}`, true)
    if (status === 403) throw refused('ForgeAuth', `the token may not do ${where} at ${base}: ${said}`, true)
    if (status === 404)
      throw refused('ForgeAuth', `${base} knows no ${where}, or does not show it to this token: ${said}`, true)
    throw refused('ForgeRefused', `${base} refuses ${where}: ${said}`, false)
  }

  function scrubbed(text: string): string {
    let result = text.replace(/\s+/g, ' ').trim()
    for (const secret of secrets) if (secret.length > 2) result = result.replaceAll(secret, '***')
    return result.length > 300 ? `${result.slice(0, 297)}...` : result
  }

  return {
    call: async (method, path, body) => read(await ask(method, path, body), method, path),
    async look(path) {
      const answer = await ask('GET', path)
      return answer.status === 404 ? undefined : read(answer, 'GET', path)
    },
    async all(path) {
      const found: unknown[] = []
      for (let page = 1; page <= pages; page++) {
        const next = `${path}&per_page=${pageSize}&page=${page}`
        const items = read(await ask('GET', next), 'GET', path)
        if (!Array.isArray(items)) throw unreachable(`${base} answers GET ${path} with something that is no list`, {})
        found.push(...items)
        if (items.length < pageSize) break
      }
      return found
    },
  }
}

function lengthOf(body: string | undefined): Record<string, string> {
  if (body === undefined) return {}
  return { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(body)) }
}

function movedTo({ status, headers }: Answer, from: URL): URL | undefined {
  if (![301, 302, 307, 308].includes(status) || headers.location === undefined) return undefined
  return URL.canParse(headers.location, from.href) ? new URL(headers.location, from.href) : undefined
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** What an API says is wrong: `message`, `error`, and the details that GitHub and GitLab put beside them. */
function wordsOf(body: unknown): string {
  if (typeof body === 'string') return body
  if (Array.isArray(body)) return body.map(wordsOf).filter(Boolean).join('; ')
  if (body === null || typeof body !== 'object') return ''
  const { message, error, errors, error_description: description } = body as Record<string, unknown>
  const known = [message, error, description, errors].map(wordsOf).filter(Boolean)
  return known.length > 0 ? known.join(': ') : Object.values(body).map(wordsOf).filter(Boolean).join('; ')
}

/** Whatever a forge asks for, it is asked again after this, ms. */
const LONGEST_PATIENCE = 3_600_000

/** How long the forge asks to be left alone: Retry-After, or the reset of a limit that is used up. */
function patience({ headers }: Answer, now: number): number | undefined {
  const left = headers['x-ratelimit-remaining'] ?? headers['ratelimit-remaining']
  const reset = Number(headers['x-ratelimit-reset'] ?? headers['ratelimit-reset'])
  const asked = parseRetryAfter(headers['retry-after'], now) ?? (left === '0' ? reset * 1000 - now : Number.NaN)
  return Number.isFinite(asked) ? Math.min(LONGEST_PATIENCE, Math.max(1_000, asked)) : undefined
}

function unreachable(message: string, rest: { retryAfterMs?: number; cause?: unknown }): ForgeFailure {
  return new ForgeFailure({ reason: 'ForgeUnreachable', message }, { transient: true, ...rest })
}

function refused(reason: 'ForgeAuth' | 'ForgeRefused', message: string, transient: boolean): ForgeFailure {
  return new ForgeFailure({ reason, message }, { transient })
}

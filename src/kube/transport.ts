import http from 'node:http'
import https from 'node:https'
import type { ClientConfig } from './client.ts'
import type { Credentials, TlsMaterial } from './connection.ts'
import { asKubeError, KubeError } from './kube-error.ts'
import type { Resource } from './object.ts'
import { badResponse, errorFromStatus } from './response.ts'

/** What `onRequest` is told about every finished request, for metrics. */
export interface RequestInfo {
  /** get, list, watch, create, update, patch, apply or delete; the lower-case method for raw requests. */
  verb: string
  resource: Resource | undefined
  /** HTTP status, or 0 when no answer arrived. For a watch: the status it was accepted with. */
  status: number
  /** Until the answer was complete; for a watch, until it was accepted. */
  ms: number
}

export interface TransportRequest {
  verb: string
  method: string
  path: string
  /** What the request is about, for messages. */
  target: string
  timeoutMs: number
  resource?: Resource
  body?: unknown
  contentType?: string
  accept?: string
  signal?: AbortSignal
  impersonate?: { user: string; groups?: string[] }
  /** Answer 404 with undefined instead of throwing. */
  missing?: 'undefined'
  /** Answer with the text where the body is not JSON. */
  textAllowed?: boolean
}

export interface Transport {
  /** Sends, reads the whole answer and parses it. */
  json(request: TransportRequest): Promise<unknown>
  /** Sends and returns the answer as soon as its headers are in (200 only); the caller reads and destroys it. */
  stream(request: TransportRequest): Promise<http.IncomingMessage>
  close(): void
}

interface Attempt {
  response: http.IncomingMessage
  body: string
}

const abandoned = new Error('the request is over')

/**
 * One pool of kept-alive connections to the API server. Dead connections are found by TCP keep-alive within about
 * half a minute, and a request that times out closes every idle connection, so that the next one does not
 * meet another dead one.
 */
export function createTransport(config: ClientConfig): Transport {
  const { connection, runtime } = config
  const base = new URL(connection.server)
  const send = base.protocol === 'https:' ? https.request : http.request
  let pool: { agent: http.Agent; material: string } | undefined

  function agentFor(credentials: Credentials): http.Agent {
    if (credentials.agent) return credentials.agent
    const material = base.protocol === 'https:' ? describeTls(credentials.tls) : ''
    if (pool && pool.material === material) return pool.agent
    // Rotated certificates: what runs on the old connections finishes, nothing new starts on them.
    pool?.agent.destroy()
    // 45 s is below the idle timeout of API servers and of common load balancers, so that we close first.
    const options = { keepAlive: true, keepAliveMsecs: 15_000, timeout: 45_000, maxFreeSockets: 64 } as const
    const agent =
      base.protocol === 'https:' ? new https.Agent({ ...options, ...credentials.tls }) : new http.Agent(options)
    pool = { agent, material }
    return agent
  }

  function dropIdle(): void {
    for (const sockets of Object.values(pool?.agent.freeSockets ?? {}))
      for (const socket of sockets ?? []) socket.destroy()
  }

  /** One attempt. With `whole`, resolves after the body; otherwise with the headers. */
  async function attempt(request: TransportRequest, credentials: Credentials, whole: boolean): Promise<Attempt> {
    const { signal } = request
    signal?.throwIfAborted()
    const payload = request.body === undefined ? undefined : Buffer.from(JSON.stringify(request.body))
    const outgoing = send({
      protocol: base.protocol,
      hostname: base.hostname.replace(/^\[|\]$/g, ''),
      port: base.port,
      method: request.method,
      path: base.pathname.replace(/\/$/, '') + request.path,
      headers: headersFor(request, credentials, payload?.length, config.userAgent ?? 'sluice'),
      agent: agentFor(credentials),
    })
    const over = new AbortController()
    let timedOut = false
    const onAbort = () => outgoing.destroy()
    signal?.addEventListener('abort', onAbort, { once: true })
    runtime.sleep(request.timeoutMs, over.signal).then(
      () => {
        timedOut = true
        outgoing.destroy()
      },
      () => {},
    )
    try {
      return await new Promise<Attempt>((resolve, reject) => {
        outgoing.on('error', reject)
        outgoing.on('response', (response) => {
          if (!whole && response.statusCode === 200) return resolve({ response, body: '' })
          readText(response).then((body) => resolve({ response, body }), reject)
        })
        outgoing.end(payload)
      })
    } catch (error) {
      signal?.throwIfAborted()
      if (timedOut) dropIdle()
      throw lost(request, error, timedOut, outgoing.reusedSocket)
    } finally {
      over.abort(abandoned)
      signal?.removeEventListener('abort', onAbort)
    }
  }

  async function exchange(request: TransportRequest, whole: boolean): Promise<Attempt> {
    let readAgain = request.method === 'GET' || request.method === 'HEAD'
    let mayReauthenticate = true
    for (;;) {
      const start = runtime.monotonic()
      let status = 0
      try {
        const credentials = await connection.credentials()
        const result = await attempt(request, credentials, whole)
        status = result.response.statusCode ?? 0
        if (status !== 401 || !mayReauthenticate) return result
        mayReauthenticate = false
        connection.refresh(credentials)
      } catch (error) {
        if (!readAgain || !(error instanceof DeadSocketError)) throw error
        readAgain = false
      } finally {
        config.onRequest?.({
          verb: request.verb,
          resource: request.resource,
          status,
          ms: runtime.monotonic() - start,
        })
      }
    }
  }

  return {
    async json(request) {
      const { response, body } = await exchange(request, true)
      const status = response.statusCode ?? 0
      const parsed = parseJson(body)
      if (status >= 200 && status < 300) {
        if (parsed.ok) return parsed.value
        if (request.textAllowed) return body
        throw badResponse(request.target, 'the answer is not JSON')
      }
      // An API server answers a path it does not know (a CRD that is not installed) in Go's words; a proxy's page is no answer.
      const isApiServers = parsed.ok || body.trim() === '404 page not found'
      if (status === 404 && request.missing === 'undefined' && isApiServers) return undefined
      throw refusal(request, response, parsed.ok ? parsed.value : undefined)
    },

    async stream(request) {
      const { response, body } = await exchange(request, false)
      if (response.statusCode === 200) return response
      const parsed = parseJson(body)
      throw refusal(request, response, parsed.ok ? parsed.value : undefined)
    },

    close() {
      pool?.agent.destroy()
      pool = undefined
    },
  }
}

/** A pooled connection that the server had closed before it read the request. */
class DeadSocketError extends KubeError {}

function lost(request: TransportRequest, error: unknown, timedOut: boolean, reused: boolean): KubeError {
  const known = asKubeError(error)
  if (known) return known
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
  const refused = ['ECONNREFUSED', 'ENOTFOUND', 'EHOSTUNREACH', 'ENETUNREACH', 'EAI_AGAIN'].includes(code)
  // The codes of OpenSSL's verification and of Node's TLS layer, for example DEPTH_ZERO_SELF_SIGNED_CERT.
  const untrusted = /CERT|ALTNAME|SSL|TLS|ISSUER/.test(code)
  const write = request.method !== 'GET' && request.method !== 'HEAD'
  const action = `Kubernetes API, ${request.verb} ${request.target}`
  if (timedOut) {
    const message = `${action}: no answer within ${request.timeoutMs} ms`
    return new KubeError(message, { status: 0, reason: 'Timeout', ambiguous: write })
  }
  const what = error instanceof Error ? error.message : String(error)
  if (untrusted) {
    const hint = 'check certificate-authority, tls-server-name and the client certificate in the kubeconfig'
    return new KubeError(`${action}: no TLS connection (${code}); ${hint}`, {
      status: 0,
      reason: 'Untrusted',
      cause: error,
    })
  }
  const init = { status: 0, reason: refused ? 'Unreachable' : 'ConnectionLost', ambiguous: write && !refused }
  if (reused && !refused) return new DeadSocketError(`${action}: ${what}`, init)
  return new KubeError(`${action}: ${what}`, { ...init, cause: error })
}

function refusal(request: TransportRequest, response: http.IncomingMessage, body: unknown): KubeError {
  const action = `${request.verb} ${request.target}`
  return errorFromStatus(action, response.statusCode ?? 0, body, response.headers['retry-after'])
}

function headersFor(
  request: TransportRequest,
  credentials: Credentials,
  length: number | undefined,
  userAgent: string,
): http.OutgoingHttpHeaders {
  const headers: http.OutgoingHttpHeaders = {
    accept: request.accept ?? 'application/json',
    'user-agent': userAgent,
    ...credentials.headers,
  }
  if (length !== undefined) {
    headers['content-type'] = request.contentType
    headers['content-length'] = length
  }
  if (request.impersonate) {
    headers['impersonate-user'] = request.impersonate.user
    if (request.impersonate.groups) headers['impersonate-group'] = request.impersonate.groups
  }
  return headers
}

async function readText(response: http.IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk)
  return Buffer.concat(chunks).toString('utf8')
}

function parseJson(text: string): { ok: true; value: unknown } | { ok: false } {
  try {
    return { ok: true, value: JSON.parse(text) }
  } catch {
    return { ok: false }
  }
}

/** Two equal strings mean that connections made with one TLS material serve the other as well. */
function describeTls(tls: TlsMaterial): string {
  return JSON.stringify([
    tls.ca?.toString(),
    tls.cert?.toString(),
    tls.key?.toString(),
    tls.servername,
    tls.rejectUnauthorized,
  ])
}

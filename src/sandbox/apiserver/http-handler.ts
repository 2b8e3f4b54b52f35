import type { IncomingMessage, ServerResponse } from 'node:http'
import { authenticate } from './authentication.ts'
import {
  acceptsAggregated,
  aggregatedDiscovery,
  apiGroup,
  apiGroupList,
  apiResourceList,
  apiVersions,
  serverVersion,
} from './discovery.ts'
import { type Exchange, readBody, sendBytes, sendJson, sendStatus, sendText, statusOfError } from './exchange.ts'
import type { FaultTarget } from './faults.ts'
import { createSnapshots, handleGet, handleList, type Snapshots } from './list.ts'
import { createOpenApi, type OpenApi } from './openapi.ts'
import { authorizeRequest } from './request-authorization.ts'
import { versionOf } from './resource-type.ts'
import { handleReview } from './reviews.ts'
import { parseRoute, verbOf } from './route.ts'
import { handleScale } from './scale.ts'
import type { ResourceRequest, ServerParts } from './server-parts.ts'
import { ApiError, forbidden, methodNotAllowed } from './status.ts'
import { handleWatch } from './watch.ts'
import { handleCreate, handleDelete, handleDeleteCollection, handlePatch, handleUpdate } from './write.ts'

/** What was asked and answered, for tests that count requests. */
export interface RequestRecord extends FaultTarget {
  method: string
  fieldManager: string | undefined
  dryRun: boolean
  /** 0 when the connection was cut or left without an answer. */
  status: number
  /** Milliseconds until the answer was complete; for a watch, until its first byte. */
  ms: number
}

export interface HandlerOptions {
  onRequest(record: RequestRecord): void
  sleep(ms: number): Promise<void>
}

/** The request handler: authenticate, disturb, authorize, route. */
export function createHandler(parts: ServerParts, options: HandlerOptions) {
  const snapshots = createSnapshots()
  const openApi = createOpenApi(parts.registry)

  return async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const started = parts.runtime.monotonic()
    const url = urlOf(request)
    if (!url) {
      response.writeHead(400).end()
      return
    }
    const exchange: Exchange = {
      request,
      response,
      method: request.method ?? 'GET',
      path: url.pathname,
      query: url.searchParams,
      user: { username: '', groups: [] },
      userAgent: request.headers['user-agent'] ?? '',
      warnings: [],
    }
    const target = targetOf(exchange)
    try {
      const identity = authenticate(request.headers, parts.tokens, parts.anonymous)
      exchange.user = identity.user
      target.user = identity.user.username
      if (identity.user !== identity.actor) authorizeImpersonation(exchange, identity.actor.username, parts, identity)
      const decision = parts.faults.decide(target)
      if (decision.delayMs > 0) await options.sleep(decision.delayMs)
      if (decision.effect === 'stall') return
      if (decision.effect === 'reset') {
        request.socket.destroy()
        return
      }
      if (decision.effect === 'error') throw injected(decision.error, decision.retryAfter)
      const text = hasBody(exchange.method) ? await readBody(request) : Buffer.alloc(0)
      if (decision.effect === 'resetAfter') cutAfterwards(exchange)
      serve(exchange, parts, { openApi, snapshots, target, text })
    } catch (error) {
      sendStatus(exchange, statusOfError(error))
    } finally {
      options.onRequest({
        ...target,
        method: exchange.method,
        fieldManager: exchange.query.get('fieldManager') ?? undefined,
        dryRun: exchange.query.get('dryRun') === 'All',
        status: response.headersSent ? response.statusCode : 0,
        ms: parts.runtime.monotonic() - started,
      })
    }
  }
}

/** Undefined for a request target that is no path, or whose percent-encoding is broken. */
function urlOf(request: IncomingMessage): URL | undefined {
  try {
    const url = new URL(`http://sandbox${request.url ?? '/'}`)
    decodeURIComponent(url.pathname)
    return url
  } catch {
    return undefined
  }
}

function hasBody(method: string): boolean {
  return method !== 'GET' && method !== 'HEAD'
}

function targetOf({ method, path, query, userAgent }: Exchange): FaultTarget {
  const route = parseRoute(path)
  const base = { user: '', userAgent, path }
  if (!route) {
    return {
      ...base,
      verb: method.toLowerCase(),
      group: '',
      resource: '',
      subresource: undefined,
      namespace: undefined,
      name: undefined,
    }
  }
  const { group, plural, subresource, namespace, name } = route
  return { ...base, verb: verbOf(method, route, isWatch(query)), group, resource: plural, subresource, namespace, name }
}

function isWatch(query: URLSearchParams): boolean {
  return ['true', '1'].includes(query.get('watch') ?? '')
}

/** The write happens, and the client never hears of it. */
function cutAfterwards({ request, response }: Exchange): void {
  response.end = () => {
    request.socket.destroy()
    return response
  }
}

const reasons: Record<number, string> = {
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  409: 'Conflict',
  410: 'Expired',
  413: 'RequestEntityTooLarge',
  422: 'Invalid',
  429: 'TooManyRequests',
  500: 'InternalError',
  503: 'ServiceUnavailable',
  504: 'Timeout',
}

function injected(code: number, retryAfter: number | undefined): ApiError {
  const details = retryAfter === undefined ? undefined : { retryAfterSeconds: retryAfter }
  return new ApiError(code, reasons[code] ?? 'InternalError', `injected fault: ${code}`, details)
}

interface Serving {
  openApi: OpenApi
  snapshots: Snapshots
  target: FaultTarget
  text: Buffer
}

function serve(exchange: Exchange, parts: ServerParts, serving: Serving): void {
  const route = parseRoute(exchange.path)
  if (!route) {
    servePath(exchange, parts, serving.openApi)
    return
  }
  const type = parts.registry.find(route)
  const version = type && versionOf(type, route.version)
  if (!type || !version?.served || (route.namespace !== undefined && !type.namespaced)) {
    sendNoSuchPath(exchange, parts)
    return
  }
  const watch = isWatch(exchange.query)
  const request: ResourceRequest = { ...exchange, route, type, verb: verbOf(exchange.method, route, watch) }
  authorizeRequest(request, parts, request.verb)
  if (version.deprecationWarning) request.warnings.push(version.deprecationWarning)
  serveResource(request, parts, serving)
}

function serveResource(request: ResourceRequest, parts: ServerParts, { snapshots, target, text }: Serving): void {
  const { type, route, verb } = request
  if (type.virtual) {
    if (verb !== 'create') throw methodNotAllowed(type)
    handleReview(request, parts, text)
    return
  }
  const version = versionOf(type, route.version)
  if (route.subresource === 'scale' && version?.scale) {
    handleScale(request, parts, version.scale, text)
    return
  }
  if (route.subresource === 'eviction' && type.plural === 'pods') {
    handleDelete(request, parts, Buffer.alloc(0))
    return
  }
  const isStatus = route.subresource === 'status' && version?.statusSubresource
  if (route.subresource !== undefined && !isStatus) throw noSuchPath()
  if (type.namespaced && route.namespace === undefined && !['list', 'watch'].includes(verb))
    throw methodNotAllowed(type)
  const wantsName = verb === 'update' || verb === 'patch'
  if (route.name === undefined ? wantsName : verb === 'create') throw methodNotAllowed(type)
  const handlers: Record<string, () => void> = {
    get: () => handleGet(request, parts),
    list: () => handleList(request, parts, snapshots),
    watch: () => handleWatch(request, parts, target),
    create: () => handleCreate(request, parts, text),
    update: () => handleUpdate(request, parts, text),
    patch: () => handlePatch(request, parts, text),
    delete: () => handleDelete(request, parts, text),
    deletecollection: () => handleDeleteCollection(request, parts, text, snapshots),
  }
  handlers[verb]?.()
}

function authorizeImpersonation(
  exchange: Exchange,
  actor: string,
  parts: ServerParts,
  identity: ReturnType<typeof authenticate>,
): void {
  const { username } = exchange.user
  const account = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(username)
  const attributes = account
    ? {
        verb: 'impersonate',
        group: '',
        resource: 'serviceaccounts',
        namespace: account[1] ?? '',
        name: account[2] ?? '',
      }
    : { verb: 'impersonate', group: '', resource: 'users', name: username }
  if (parts.authorizer.authorize(identity.actor, attributes).allowed) return
  const named = { group: '', plural: attributes.resource, kind: '' }
  throw forbidden(
    named,
    attributes.name,
    `User "${actor}" cannot impersonate resource "${attributes.resource}" in API group "" at the cluster scope`,
  )
}

function noSuchPath(): ApiError {
  return new ApiError(404, 'NotFound', 'the server could not find the requested resource', {})
}

/** Where no built-in group is in charge of the path, the real server's answer is plain text rather than a Status. */
function sendNoSuchPath(exchange: Exchange, { registry }: Pick<ServerParts, 'registry'>): void {
  const [root, group = ''] = exchange.path.split('/').filter((part) => part !== '')
  const asked = root === 'api' ? '' : group
  const builtin = (root === 'api' || root === 'apis') && registry.all().some((t) => t.builtin && t.group === asked)
  if (builtin) throw noSuchPath()
  sendText(exchange, 404, '404 page not found\n', 'text/plain; charset=utf-8')
}

function servePath(exchange: Exchange, { registry }: ServerParts, openApi: OpenApi): void {
  const { path } = exchange
  const aggregated = acceptsAggregated(exchange.request.headers.accept)
  const parts = path.split('/').filter((part) => part !== '')
  const [root, group = '', version = ''] = parts
  if (root === 'healthz' || root === 'readyz' || root === 'livez') {
    sendText(exchange, 200, 'ok', 'text/plain')
    return
  }
  if ((root === 'api' || root === 'apis') && parts.length === 1 && aggregated) {
    const type = `application/json;g=apidiscovery.k8s.io;v=${aggregated.split('/')[1]};as=APIGroupDiscoveryList`
    sendText(exchange, 200, JSON.stringify(aggregatedDiscovery(registry, root === 'api', aggregated)), type)
    return
  }
  if (path === '/openapi/v2' && (exchange.request.headers.accept ?? '').startsWith(v2Protobuf)) {
    sendBytes(exchange, 200, emptyV2Document(), 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf')
    return
  }
  const answers: Record<string, () => unknown> = {
    version: () => serverVersion,
    api: () =>
      parts.length === 1 ? apiVersions(exchange.request.headers.host ?? '') : apiResourceList(registry, '', group),
    apis: () => {
      if (parts.length === 1) return apiGroupList(registry)
      return parts.length === 2 ? apiGroup(registry, group) : apiResourceList(registry, group, version)
    },
    openapi: () => openApiAnswer(parts, openApi),
  }
  const roots = { paths: ['/api', '/apis', '/healthz', '/livez', '/openapi/v2', '/openapi/v3', '/readyz', '/version'] }
  const answer = root === undefined ? roots : answers[root]?.()
  if (answer === undefined) sendNoSuchPath(exchange, { registry })
  else sendJson(exchange, 200, answer)
}

/** kubectl falls back to the v2 document in protobuf for kinds that v3 has no path for (List), and takes nothing else for it. */
const v2Protobuf = 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf'

/** A v2 document (gnostic's `openapi.v2.Document`) that knows no kinds: what it does not know kubectl leaves to the server. */
function emptyV2Document(): Buffer {
  const field = (number: number, ...content: (string | Buffer)[]): Buffer => {
    const bytes = Buffer.concat(content.map((part) => Buffer.from(part)))
    return Buffer.concat([Buffer.from([(number << 3) | 2, bytes.length]), bytes])
  }
  const info = field(2, field(1, 'Kubernetes'), field(2, String(serverVersion.gitVersion)))
  return Buffer.concat([field(1, '2.0'), info, field(8), field(9)])
}

function openApiAnswer(parts: string[], openApi: OpenApi) {
  if (parts[1] === 'v2') return openApi.v2()
  if (parts[1] !== 'v3') return undefined
  return parts.length === 2 ? openApi.index() : openApi.document(parts.slice(2).join('/'))
}

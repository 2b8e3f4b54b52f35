import { randomUUID } from 'node:crypto'
import type { KubeObject } from '../../kube/object.ts'
import { negotiate, partialMetadata } from './encoding.ts'
import { sendJson, sendText } from './exchange.ts'
import { parseFieldSelector } from './field-selector.ts'
import { type LabelSelector, parseLabelSelector } from './label-selector.ts'
import { inVersion } from './request-context.ts'
import { apiVersionIn, type ResourceType } from './resource-type.ts'
import type { ResourceRequest, ServerParts } from './server-parts.ts'
import { ApiError, badRequest, expired, fieldForbidden, invalid, notFound } from './status.ts'
import { type TableOptions, tableOf } from './table.ts'

/** Lists that are being read page by page keep the objects of their first page's moment. */
export interface Snapshots {
  keep(rest: readonly KubeObject[], resourceVersion: string): string
  take(token: string): { rest: readonly KubeObject[]; resourceVersion: string } | undefined
}

/** @param limit snapshots kept; the oldest goes first, and its token is answered 410 */
export function createSnapshots(limit = 64): Snapshots {
  const kept = new Map<string, { rest: readonly KubeObject[]; resourceVersion: string }>()
  return {
    keep(rest, resourceVersion) {
      const token = Buffer.from(JSON.stringify({ v: 'meta.k8s.io/v1', rv: resourceVersion, start: randomUUID() }))
      const text = token.toString('base64url')
      kept.set(text, { rest, resourceVersion })
      const oldest = kept.keys().next().value
      if (kept.size > limit && oldest !== undefined) kept.delete(oldest)
      return text
    },
    take: (token) => kept.get(token),
  }
}

/** Which objects a list, watch or deletecollection means. */
export interface Selection {
  selects(object: KubeObject): boolean
}

export function selectionOf(request: ResourceRequest): Selection {
  const labels = request.query.get('labelSelector')
  const fields = request.query.get('fieldSelector')
  const byLabel: LabelSelector = labels ? parseLabelSelector(labels) : () => true
  const byField = fields ? parseFieldSelector(fields, request.type, request.route.version) : () => true
  const { namespace, name } = request.route
  return {
    selects: (object) =>
      (namespace === undefined || object.metadata.namespace === namespace) &&
      (name === undefined || object.metadata.name === name) &&
      byLabel(object.metadata.labels ?? {}) &&
      byField(request.type.alias ? request.type.alias.show(object) : object),
  }
}

export function handleGet(request: ResourceRequest, parts: ServerParts): void {
  const { type, route } = request
  const name = route.name ?? ''
  const object = parts.store.get(type.alias?.of ?? type, { namespace: route.namespace, name })
  if (!object) throw notFound(type, name)
  sendObject(request, parts, 200, object)
}

/** Sends one object in the form the client asked for. */
export function sendObject(request: ResourceRequest, parts: ServerParts, code: number, object: KubeObject): void {
  const { type, route } = request
  const format = negotiate(request.request.headers.accept)
  if (!format) throw notAcceptable()
  if (format.kind === 'object') {
    sendText(request, code, parts.encoder.encode(type, route.version, object))
  } else if (format.kind === 'metadata') sendJson(request, code, partialMetadata(object, format.apiVersion))
  else {
    sendJson(
      request,
      code,
      tableOf(type, [object], {
        ...tableOptions(request, parts, format.apiVersion),
        metadata: { resourceVersion: object.metadata.resourceVersion },
      }),
    )
  }
}

export function tableOptions(
  request: ResourceRequest,
  parts: ServerParts,
  apiVersion: string,
): Omit<TableOptions, 'metadata'> {
  const wanted = request.query.get('includeObject')
  return {
    apiVersion,
    version: request.route.version,
    includeObject: wanted === 'None' || wanted === 'Object' ? wanted : 'Metadata',
    now: parts.runtime.now(),
  }
}

export function notAcceptable(): ApiError {
  return new ApiError(
    406,
    'NotAcceptable',
    'only the following media types are accepted: application/json, application/json;as=Table;g=meta.k8s.io;v=v1, application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1',
  )
}

export function handleList(request: ResourceRequest, parts: ServerParts, snapshots: Snapshots): void {
  const { query } = request
  const selection = selectionOf(request)
  const token = query.get('continue')
  const limit = Number(query.get('limit') ?? 0)
  if (!Number.isInteger(limit)) throw badRequest(`limit: Invalid value: ${query.get('limit')}`)
  const { all, resourceVersion } = token ? continued(token, snapshots) : current(request, parts)
  const selected = token ? all : all.filter((object) => selection.selects(object))
  const page = limit > 0 ? selected.slice(0, limit) : selected
  const rest = selected.slice(page.length)
  const metadata: Record<string, unknown> = { resourceVersion }
  if (rest.length > 0) {
    metadata.continue = snapshots.keep(rest, resourceVersion)
    if (!query.get('labelSelector') && !query.get('fieldSelector')) metadata.remainingItemCount = rest.length
  }
  sendList(request, parts, page, metadata)
}

function continued(token: string, snapshots: Snapshots) {
  const found = snapshots.take(token)
  if (!found) {
    throw expired(
      'The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.',
    )
  }
  return { all: found.rest, resourceVersion: found.resourceVersion }
}

const listOptions = { group: 'meta.k8s.io', plural: '', kind: 'ListOptions' }

function current({ type, route, query }: ResourceRequest, { store }: ServerParts) {
  const now = store.resourceVersion()
  const asked = query.get('resourceVersion') ?? ''
  const match = query.get('resourceVersionMatch')
  const wanted = Number(asked)
  if (asked !== '' && !(Number.isInteger(wanted) && wanted >= 0)) {
    throw badRequest(`resourceVersion: Invalid value: ${JSON.stringify(asked)}: strconv.ParseUint: invalid syntax`)
  }
  if (match && asked === '') {
    const why = 'resourceVersionMatch is forbidden unless resourceVersion is provided'
    throw invalid(listOptions, '', [fieldForbidden('resourceVersionMatch', why)])
  }
  if (wanted > now) {
    throw new ApiError(504, 'Timeout', `Too large resource version: ${wanted}, current: ${now}`, {
      retryAfterSeconds: 1,
      causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version', field: '' }],
    })
  }
  const ref = type.alias?.of ?? type
  if (match === 'Exact' && wanted > 0 && wanted < now) {
    const since = store.since(ref, wanted)
    if (!Array.isArray(since) || since.length > 0)
      throw expired('The resourceVersion for the provided list is too old.')
  }
  const resourceVersion = match === 'Exact' && wanted > 0 ? asked : String(now)
  return { all: store.list(ref, route.namespace), resourceVersion }
}

function sendList(
  request: ResourceRequest,
  parts: ServerParts,
  page: readonly KubeObject[],
  metadata: Record<string, unknown>,
): void {
  const { type, route } = request
  const format = negotiate(request.request.headers.accept)
  if (!format) throw notAcceptable()
  if (format.kind === 'table') {
    sendJson(request, 200, tableOf(type, page, { ...tableOptions(request, parts, format.apiVersion), metadata }))
    return
  }
  if (format.kind === 'metadata') {
    const items = page.map((object) => partialMetadata(object, format.apiVersion))
    sendJson(request, 200, { kind: 'PartialObjectMetadataList', apiVersion: format.apiVersion, metadata, items })
    return
  }
  const items = page.map((object) => listItem(type, route.version, object, parts))
  const head = JSON.stringify({ kind: type.listKind, apiVersion: apiVersionIn(type, route.version), metadata })
  sendText(request, 200, `${head.slice(0, -1)},"items":[${items.join(',')}]}`)
}

/** Items of a built-in list say neither apiVersion nor kind; those of a custom resource do. */
function listItem(type: ResourceType, version: string, object: KubeObject, parts: ServerParts): string {
  if (!type.builtin) return parts.encoder.encode(type, version, object)
  const { apiVersion: _, kind: __, ...rest } = inVersion(type, object, version)
  return JSON.stringify(rest)
}

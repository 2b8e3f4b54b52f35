import type { KubeObject } from '../../kube/object.ts'
import { handleApply } from './apply-request.ts'
import { decode, invalidPatch } from './decode.ts'
import type { DeleteOptions } from './deletion.ts'
import { parseBody, sendJson, sendText } from './exchange.ts'
import { clone, isObject, type Json } from './json.ts'
import { jsonPatch } from './json-patch.ts'
import { handleList, type Snapshots, selectionOf, sendObject } from './list.ts'
import { applySchema } from './managed-fields.ts'
import { mergePatch } from './merge-patch.ts'
import { checkName } from './names.ts'
import { patchTypes, unsupportedPatch } from './patch-types.ts'
import { authorizeRequest } from './request-authorization.ts'
import { inVersion, type WriteContext } from './request-context.ts'
import { apiVersionIn, type ResourceType, storedVersion, versionOf } from './resource-type.ts'
import type { ResourceRequest, ServerParts } from './server-parts.ts'
import { badRequest, conflict, fieldInvalid, fieldNotSupported, invalid, type StatusBody } from './status.ts'
import { strategicPatch } from './strategic-patch.ts'
import { writeContext } from './write-context.ts'

/** Reads a body as an object of the requested kind, or refuses it. */
export function objectBody(request: ResourceRequest, text: Buffer): KubeObject {
  const { type, route } = request
  const body = parseBody(text, request.request.headers['content-type'])
  if (!isObject(body)) throw badRequest('the body of the request must be an object of the API')
  const apiVersion = apiVersionIn(type, route.version)
  if (body.apiVersion !== undefined && body.apiVersion !== '' && body.apiVersion !== apiVersion) {
    throw badRequest(
      `the API version in the data (${String(body.apiVersion)}) does not match the expected API version (${apiVersion})`,
    )
  }
  if (body.kind !== undefined && body.kind !== '' && body.kind !== type.kind) {
    throw badRequest(
      `${type.kind} in version ${JSON.stringify(route.version)} cannot be handled as a ${type.kind}: the kind in the data (${String(body.kind)}) does not match the expected kind (${type.kind})`,
    )
  }
  const metadata = isObject(body.metadata) ? body.metadata : {}
  return { ...body, apiVersion, kind: type.kind, metadata: { ...metadata, name: String(metadata.name ?? '') } }
}

export function handleCreate(request: ResourceRequest, parts: ServerParts, text: Buffer): void {
  const body = objectBody(request, text)
  checkNamespace(request, body)
  const context = writeContext(request)
  sendObject(request, parts, 201, parts.pipeline.create(request.type, request.route.namespace, body, context))
}

/** Refuses an object that names another namespace than the request. */
export function checkNamespace({ route, type }: ResourceRequest, body: KubeObject): void {
  const { namespace } = body.metadata
  if (type.namespaced && namespace && namespace !== route.namespace) {
    throw badRequest(`the namespace of the provided object does not match the namespace sent on the request`)
  }
}

export function handleUpdate(request: ResourceRequest, parts: ServerParts, text: Buffer): void {
  const body = objectBody(request, text)
  checkNamespace(request, body)
  const { type, route } = request
  const key = { namespace: route.namespace, name: route.name ?? '' }
  checkName(body.metadata.name, key.name)
  const context = writeContext(request)
  const isNew = !parts.store.get(type.alias?.of ?? type, key)
  // As upstream, what cannot be read is refused before what is not there.
  if (isNew) {
    const version = versionOf(type, route.version) ?? storedVersion(type)
    decode(type, version, clone(body), undefined, { ...context, warnings: [] })
  }
  if (isNew && type.createOnUpdate && route.subresource === undefined) createByUpdate(request, parts, body, context)
  else
    sendObject(
      request,
      parts,
      200,
      parts.pipeline.update(type, key, context, () => body),
    )
}

/** As upstream, a few kinds come into being by a PUT, whatever resourceVersion it carries; it needs the verb create, too. */
function createByUpdate(request: ResourceRequest, parts: ServerParts, body: KubeObject, context: WriteContext): void {
  const { type, route } = request
  const { uid, resourceVersion: _, ...metadata } = body.metadata
  if (uid) {
    throw conflict(type, body.metadata.name, `Precondition failed: UID in precondition: ${uid}, UID in object meta: `)
  }
  const created = parts.pipeline.create(
    type,
    route.namespace,
    { ...body, metadata },
    { ...context, authorizeCreate: () => authorizeRequest(request, parts, 'create') },
  )
  sendObject(request, parts, 201, created)
}

export function handlePatch(request: ResourceRequest, parts: ServerParts, text: Buffer): void {
  const media = (request.request.headers['content-type'] ?? '').split(';')[0]?.trim()
  const context = { ...writeContext(request), patched: true }
  const { type, route } = request
  const key = { namespace: route.namespace, name: route.name ?? '' }
  if (media === 'application/apply-patch+yaml') {
    handleApply(request, parts, text, { ...context, patched: false })
    return
  }
  if (!patchTypes(type.builtin).includes(media ?? '')) throw unsupportedPatch(type.builtin)
  const patch = parseBody(text, 'application/json')
  const version = versionOf(type, route.version) ?? storedVersion(type)
  const patched = parts.pipeline.update(type, key, context, (live) => {
    const before = clone(inVersion(type, live, route.version))
    if (media === 'application/json-patch+json') return asPatched(type, before, jsonPatch(before, patch))
    if (!isObject(patch)) throw badRequest('error decoding patch: a merge patch must be an object')
    if (media === 'application/merge-patch+json') return asPatched(type, before, mergePatch(before, patch))
    return asPatched(type, before, strategicPatch(before, patch, applySchema(version)))
  })
  sendObject(request, parts, 200, patched)
}

/** The outcome of a patch, if it still is an object of its kind and the same one. */
function asPatched(type: ResourceType, before: KubeObject, value: unknown): KubeObject {
  if (!isObject(value) || !isObject(value.metadata)) throw invalidPatch('metadata must be an object')
  const { apiVersion, kind, metadata } = value
  for (const field of ['apiVersion', 'kind'] as const) {
    if (value[field] === before[field]) continue
    const why = `must be ${before[field]}`
    if (type.builtin) throw invalidPatch(`${field} ${why}`)
    throw invalid({ ...type, kind: String(kind) }, before.metadata.name, [fieldInvalid(field, value[field], why)])
  }
  const { uid } = before.metadata
  if (metadata.uid !== undefined && metadata.uid !== '' && metadata.uid !== uid) {
    throw invalid(type, before.metadata.name, [fieldInvalid('metadata.uid', metadata.uid, 'field is immutable')])
  }
  return {
    ...value,
    apiVersion: String(apiVersion),
    kind: String(kind),
    metadata: { ...metadata, name: String(metadata.name ?? '') },
  }
}

/** DeleteOptions from the body, or from the query as the real server also takes them. */
function deleteOptions(request: ResourceRequest, text: Buffer): { options: DeleteOptions; dryRun: boolean } {
  const body = parseBody(text, request.request.headers['content-type'])
  const given: Json = isObject(body) ? body : {}
  const { query } = request
  const policy = given.propagationPolicy ?? query.get('propagationPolicy') ?? undefined
  const orphan = given.orphanDependents
  const grace = given.gracePeriodSeconds ?? query.get('gracePeriodSeconds') ?? undefined
  const preconditions = isObject(given.preconditions) ? given.preconditions : {}
  const options: DeleteOptions = { propagationPolicy: orphan === true ? 'Orphan' : policyOf(policy) }
  if (grace !== undefined) options.gracePeriodSeconds = Number(grace)
  options.preconditions = {}
  if (typeof preconditions.uid === 'string') options.preconditions.uid = preconditions.uid
  if (typeof preconditions.resourceVersion === 'string') {
    options.preconditions.resourceVersion = preconditions.resourceVersion
  }
  const dryRun = (Array.isArray(given.dryRun) && given.dryRun.includes('All')) || query.get('dryRun') === 'All'
  return { options, dryRun }
}

function policyOf(value: unknown): 'Background' | 'Foreground' | 'Orphan' {
  if (value === undefined || value === '') return 'Background'
  if (value === 'Background' || value === 'Foreground' || value === 'Orphan') return value
  const supported = ['Foreground', 'Background', 'Orphan', 'nil']
  const kind = { group: 'meta.k8s.io', plural: '', kind: 'DeleteOptions' }
  throw invalid(kind, '', [fieldNotSupported('propagationPolicy', value, supported)])
}

export function handleDelete(request: ResourceRequest, parts: ServerParts, text: Buffer): void {
  const { type, route } = request
  const { options, dryRun } = deleteOptions(request, text)
  const key = { namespace: route.namespace, name: route.name ?? '' }
  const context = { ...writeContext(request), dryRun }
  const left = parts.pipeline.remove(type, key, context, options)
  const remains = parts.store.get(type.alias?.of ?? type, key)
  const stays = dryRun ? left.metadata.deletionTimestamp !== undefined : remains !== undefined
  if (stays) sendObject(request, parts, 200, left)
  else sendJson(request, 200, deleted(request, left))
}

function deleted({ type }: ResourceRequest, object: KubeObject): StatusBody {
  const { name, uid } = object.metadata
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Success',
    details: { name, ...(type.group ? { group: type.group } : {}), kind: type.plural, ...(uid ? { uid } : {}) },
  }
}

export function handleDeleteCollection(
  request: ResourceRequest,
  parts: ServerParts,
  text: Buffer,
  snapshots: Snapshots,
): void {
  const { type, route } = request
  const { options, dryRun } = deleteOptions(request, text)
  const selection = selectionOf(request)
  const ref = type.alias?.of ?? type
  const chosen = parts.store.list(ref, route.namespace).filter((object) => selection.selects(object))
  const body = JSON.stringify({
    kind: type.listKind,
    apiVersion: apiVersionIn(type, route.version),
    metadata: { resourceVersion: String(parts.store.resourceVersion()) },
    items: chosen.map((object) => inVersion(type, object, route.version)),
  })
  if (chosen.length === 0) {
    handleList(request, parts, snapshots)
    return
  }
  for (const object of chosen) {
    parts.pipeline.remove(
      type,
      object.metadata,
      { ...writeContext(request), dryRun },
      { ...options, preconditions: {} },
    )
  }
  sendText(request, 200, body)
}

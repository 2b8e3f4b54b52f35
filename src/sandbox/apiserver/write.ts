import type { KubeObject } from '../../kube/object.ts'
import { applyConfiguration } from './apply-patch.ts'
import type { DeleteOptions } from './deletion.ts'
import { parseBody, sendJson, sendText } from './exchange.ts'
import { clone, isObject, type Json } from './json.ts'
import { jsonPatch } from './json-patch.ts'
import { handleList, type Snapshots, selectionOf, sendObject } from './list.ts'
import { applySchema } from './managed-fields.ts'
import { mergePatch } from './merge-patch.ts'
import { timestamp } from './pipeline.ts'
import { inVersion, type WriteContext } from './request-context.ts'
import { apiVersionIn, storedVersion, versionOf } from './resource-type.ts'
import type { ResourceRequest, ServerParts } from './server-parts.ts'
import {
  ApiError,
  badRequest,
  fieldNotSupported,
  fieldRequired,
  forbidden,
  invalid,
  type StatusBody,
} from './status.ts'
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

function checkNamespace({ route, type }: ResourceRequest, body: KubeObject): void {
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
  sendObject(
    request,
    parts,
    200,
    parts.pipeline.update(type, key, writeContext(request), () => body),
  )
}

export function handlePatch(request: ResourceRequest, parts: ServerParts, text: Buffer): void {
  const media = (request.request.headers['content-type'] ?? '').split(';')[0]?.trim()
  const context = writeContext(request)
  const { type, route } = request
  const key = { namespace: route.namespace, name: route.name ?? '' }
  if (media === 'application/apply-patch+yaml') {
    handleApply(request, parts, text, context)
    return
  }
  if (!patchTypes(type.builtin).includes(media ?? '')) throw unsupportedPatch(type.builtin)
  const patch = parseBody(text, 'application/json')
  const version = versionOf(type, route.version) ?? storedVersion(type)
  const patched = parts.pipeline.update(type, key, context, (live) => {
    const before = clone(inVersion(type, live, route.version))
    if (media === 'application/json-patch+json') return asObject(jsonPatch(before, patch))
    if (!isObject(patch)) throw badRequest('a merge patch must be an object')
    if (media === 'application/merge-patch+json') return mergePatch(before, patch)
    return asObject(strategicPatch(before, patch, applySchema(version)))
  })
  sendObject(request, parts, 200, patched)
}

function patchTypes(builtin: boolean): string[] {
  const types = ['application/json-patch+json', 'application/merge-patch+json']
  if (builtin) types.push('application/strategic-merge-patch+json')
  return [...types, 'application/apply-patch+yaml']
}

function unsupportedPatch(builtin: boolean): ApiError {
  return new ApiError(
    415,
    'UnsupportedMediaType',
    `the body of the request was in an unknown format - accepted media types include: ${patchTypes(builtin).join(', ')}`,
  )
}

function asObject(value: unknown): KubeObject {
  if (!isObject(value) || !isObject(value.metadata)) throw badRequest('the patch leaves no object with metadata')
  const { apiVersion, kind, metadata } = value
  return {
    ...value,
    apiVersion: String(apiVersion),
    kind: String(kind),
    metadata: { ...metadata, name: String(metadata.name ?? '') },
  }
}

function handleApply(request: ResourceRequest, parts: ServerParts, text: Buffer, context: WriteContext): void {
  const { type, route, query } = request
  if (!query.get('fieldManager')) {
    const options = { group: 'meta.k8s.io', plural: '', kind: 'PatchOptions' }
    throw invalid(options, '', [fieldRequired('fieldManager', 'is required for apply patch')])
  }
  const name = route.name ?? ''
  const raw = parseBody(text, 'application/yaml')
  if (!isObject(raw)) throw badRequest('an apply configuration must be an object')
  const expected = apiVersionIn(type, route.version)
  if (raw.apiVersion !== expected || raw.kind !== type.kind) {
    throw badRequest(
      `invalid object type: ${String(raw.apiVersion)}, Kind=${String(raw.kind)}; expected ${expected}, Kind=${type.kind}`,
    )
  }
  const metadata = isObject(raw.metadata) ? raw.metadata : {}
  if (metadata.name !== undefined && metadata.name !== name) {
    throw badRequest(`the name of the object (${String(metadata.name)}) does not match the name on the URL (${name})`)
  }
  const config: KubeObject = { ...raw, apiVersion: expected, kind: type.kind, metadata: { ...metadata, name } }
  checkNamespace(request, config)
  const version = versionOf(type, route.version) ?? storedVersion(type)
  const apply = { config, force: query.get('force') === 'true', now: timestamp(parts.runtime) }
  const key = { namespace: route.namespace, name }
  if (!parts.store.get(type.alias?.of ?? type, key)) {
    if (config.metadata.uid)
      throw new ApiError(
        409,
        'Conflict',
        `uid mismatch: the provided object specified uid ${config.metadata.uid}, and no existing object was found`,
      )
    // As upstream, applying what does not exist needs the permission to create it.
    const attributes = { verb: 'create', group: type.group, resource: type.plural, name }
    const allowed = parts.authorizer.authorize(request.user, {
      ...attributes,
      ...(route.namespace ? { namespace: route.namespace } : {}),
    })
    if (!allowed.allowed) {
      const why = `User "${request.user.username}" cannot create resource "${type.plural}" in API group "${type.group}"`
      throw forbidden(type, name, why)
    }
    const created = applyConfiguration(type, version, undefined, apply, context)
    const tracked = { ...context, tracked: true }
    sendObject(request, parts, 201, parts.pipeline.create(type, route.namespace, created, tracked))
    return
  }
  const transform = (live: KubeObject) =>
    applyConfiguration(type, version, inVersion(type, live, route.version), apply, context)
  sendObject(request, parts, 200, parts.pipeline.update(type, key, context, transform, true))
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
  if (remains && !dryRun) sendObject(request, parts, 200, left)
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

import type { KubeObject } from '../../kube/object.ts'
import { declarationProblems } from './apply-declared.ts'
import { applyConfiguration } from './apply-patch.ts'
import { parseBody } from './exchange.ts'
import { isObject, type Json } from './json.ts'
import { sendObject } from './list.ts'
import { applySchema } from './managed-fields.ts'
import { checkName } from './names.ts'
import { timestamp } from './pipeline.ts'
import { authorizeRequest } from './request-authorization.ts'
import { inVersion, type WriteContext } from './request-context.ts'
import { apiVersionIn, type ResourceType, type ServedVersion, storedVersion, versionOf } from './resource-type.ts'
import type { ResourceRequest, ServerParts } from './server-parts.ts'
import { ApiError, badRequest, conflict, fieldRequired, invalid, notFound } from './status.ts'
import { checkNamespace } from './write.ts'

/** PATCH with an apply configuration: changes what exists, and creates what does not if the user may create, too. */
export function handleApply(request: ResourceRequest, parts: ServerParts, text: Buffer, context: WriteContext): void {
  const { type, route, query } = request
  if (!query.get('fieldManager')) {
    const options = { group: 'meta.k8s.io', plural: '', kind: 'PatchOptions' }
    throw invalid(options, '', [fieldRequired('fieldManager', 'is required for apply patch')])
  }
  const name = route.name ?? ''
  const key = { namespace: route.namespace, name }
  const exists = parts.store.get(type.alias?.of ?? type, key) !== undefined
  if (!exists && route.subresource !== undefined) throw notFound(type, name)
  const config = configurationOf(request, text)
  const version = versionOf(type, route.version) ?? storedVersion(type)
  checkDeclared(type, version, config)
  if (!exists) checkName(config.metadata.name, name)
  const applying = { ...context, keepNulls: true }
  const apply = { config, force: query.get('force') === 'true', now: timestamp(parts.runtime) }
  if (exists) {
    const transform = (live: KubeObject) =>
      applyConfiguration(type, version, inVersion(type, live, route.version), apply, context)
    sendObject(request, parts, 200, parts.pipeline.update(type, key, applying, transform, true))
    return
  }
  const { uid } = config.metadata
  if (uid) {
    const why = `uid mismatch: the provided object specified uid ${uid}, and no existing object was found`
    throw conflict(type, name, why)
  }
  const authorizeCreate = () => authorizeRequest(request, parts, 'create')
  const created = applyConfiguration(type, version, undefined, apply, context)
  delete created.metadata.resourceVersion
  const tracked = { ...applying, tracked: true, authorizeCreate }
  sendObject(request, parts, 201, parts.pipeline.create(type, route.namespace, created, tracked))
}

function configurationOf(request: ResourceRequest, text: Buffer): KubeObject {
  const { type, route } = request
  const name = route.name ?? ''
  const raw = parseBody(text, 'application/yaml') ?? {}
  if (!isObject(raw)) throw badRequest('error decoding YAML: an apply configuration must be an object')
  const { apiVersion = '', kind = '' } = raw
  const expected = apiVersionIn(type, route.version)
  if (apiVersion !== expected || kind !== type.kind) {
    const found = apiVersion === '' || String(apiVersion).includes('/') ? apiVersion || '/' : `/${String(apiVersion)}`
    throw badRequest(`invalid object type: ${String(found)}, Kind=${String(kind)}`)
  }
  const metadata: Json = isObject(raw.metadata) ? raw.metadata : {}
  const own = String(metadata.name ?? '')
  if (own !== '') checkName(own, name)
  const config: KubeObject = { ...raw, apiVersion: expected, kind: type.kind, metadata: { ...metadata, name: own } }
  checkNamespace(request, config)
  return config
}

/** As upstream, a field that no schema declares, or one of another type, is a 500: nothing is dropped, whatever fieldValidation says. */
function checkDeclared(type: ResourceType, version: ServedVersion, config: KubeObject): void {
  const problems = declarationProblems(config, applySchema(version), type.builtin)
  if (problems.length === 0) return
  const groupVersion = type.group === '' ? `/${version.name}` : `${type.group}/${version.name}`
  const subject = `${config.metadata.namespace ?? ''}/${config.metadata.name}; ${groupVersion}, Kind=${type.kind}`
  const list = problems.length === 1 ? problems[0] : `errors:\n${problems.map((each) => `  ${each}`).join('\n')}`
  throw new ApiError(500, '', `failed to create typed patch object (${subject}): ${list}`)
}

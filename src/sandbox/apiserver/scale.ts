import type { KubeObject } from '../../kube/object.ts'
import { parseBody, sendJson } from './exchange.ts'
import { at, clone, isObject, type Json } from './json.ts'
import { jsonPatch } from './json-patch.ts'
import { jsonPath, setAtPath } from './json-path.ts'
import { mergePatch } from './merge-patch.ts'
import { checkName } from './names.ts'
import { patchTypes, unsupportedPatch } from './patch-types.ts'
import { inVersion } from './request-context.ts'
import type { ScalePaths } from './resource-type.ts'
import { selectorText } from './selectors.ts'
import type { ResourceRequest, ServerParts } from './server-parts.ts'
import { badRequest, conflict, fieldInvalid, invalid, methodNotAllowed, modified, notFound } from './status.ts'
import { writeContext } from './write-context.ts'

/** GET, PUT and PATCH of `…/scale`: an autoscaling/v1 Scale over the replicas of the object. */
export function handleScale(request: ResourceRequest, parts: ServerParts, paths: ScalePaths, text: Buffer): void {
  const { type, route, method } = request
  const key = { namespace: route.namespace, name: route.name ?? '' }
  const sent = method === 'PUT' ? scaleBody(text, key.name) : undefined
  const live = parts.store.get(type, key)
  if (!live) throw notFound(type, key.name)
  const scale = scaleOf(live, paths)
  if (method === 'GET') {
    sendJson(request, 200, scale)
    return
  }
  if (method !== 'PUT' && method !== 'PATCH') throw methodNotAllowed(type)
  const wanted = sent ?? patched(scale, request, text)
  const replicas = at(wanted, 'spec', 'replicas') ?? 0
  if (typeof replicas !== 'number' || !Number.isInteger(replicas)) {
    const why = 'json: cannot unmarshal into Go struct field ScaleSpec.spec.replicas of type int32'
    throw invalid({ group: '', plural: '', kind: '' }, '', [fieldInvalid('patch', JSON.stringify(wanted), why)])
  }
  if (replicas < 0 && type.builtin) throw negative(key.name, replicas)
  const uid = at(wanted, 'metadata', 'uid')
  if (uid !== undefined && uid !== '' && uid !== live.metadata.uid) {
    const why = `Precondition failed: UID in precondition: ${String(uid)}, UID in object meta: ${live.metadata.uid}`
    throw conflict(type, key.name, why)
  }
  const version = at(wanted, 'metadata', 'resourceVersion')
  if (typeof version === 'string' && version !== '' && version !== live.metadata.resourceVersion) {
    throw modified(type, key.name)
  }
  const context = { ...writeContext(request), subresource: 'scale' as const }
  const updated = parts.pipeline.update(type, key, context, (current) => {
    const object = clone(inVersion(type, current, route.version))
    setAtPath(object, paths.specReplicasPath, replicas)
    return object
  })
  sendJson(request, 200, scaleOf(updated, paths))
}

/** The Scale of a PUT; what is wrong with it is said before anybody looks for the object. */
function scaleBody(text: Buffer, name: string): Json {
  const body = parseBody(text, 'application/json')
  if (!isObject(body)) throw badRequest('the body of the request must be a Scale')
  const replicas = at(body, 'spec', 'replicas') ?? 0
  if (typeof replicas !== 'number' || !Number.isInteger(replicas)) {
    const why = `json: cannot unmarshal ${typeof replicas} into Go struct field ScaleSpec.spec.replicas of type int32`
    throw badRequest(`Scale in version "v1" cannot be handled as a Scale: ${why}`)
  }
  checkName(String(at(body, 'metadata', 'name') ?? ''), name)
  return body
}

function negative(name: string, replicas: number) {
  const kind = { group: 'autoscaling', plural: 'scales', kind: 'Scale' }
  return invalid(kind, name, [fieldInvalid('spec.replicas', replicas, 'must be greater than or equal to 0')])
}

function patched(scale: KubeObject, request: ResourceRequest, text: Buffer): unknown {
  const patch = parseBody(text, 'application/json')
  const media = request.request.headers['content-type']?.split(';')[0] ?? ''
  if (!patchTypes(request.type.builtin).includes(media)) throw unsupportedPatch(request.type.builtin)
  if (media === 'application/json-patch+json') return jsonPatch(scale, patch)
  if (!isObject(patch)) throw badRequest('a merge patch must be an object')
  return mergePatch(scale, patch)
}

function scaleOf(object: KubeObject, paths: ScalePaths): KubeObject {
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata
  const selector = paths.labelSelectorPath ? jsonPath(object, paths.labelSelectorPath)[0] : undefined
  const replicas = Number(jsonPath(object, paths.specReplicasPath)[0] ?? 0)
  const status: Json = { replicas: Number(jsonPath(object, paths.statusReplicasPath)[0] ?? 0) }
  if (selector !== undefined) status.selector = typeof selector === 'string' ? selector : selectorText(selector)
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp },
    // As upstream, no replicas are not said.
    spec: replicas === 0 ? {} : { replicas },
    status,
  }
}

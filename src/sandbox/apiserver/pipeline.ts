import { randomUUID } from 'node:crypto'
import type { KubeObject, ObjectKey } from '../../kube/object.ts'
import type { Runtime } from '../../runtime.ts'
import type { Admission } from './admission.ts'
import { decode } from './decode.ts'
import { type DeleteOptions, markForDeletion } from './deletion.ts'
import { at, clone, equal, isObject } from './json.ts'
import { sameButTimes, trackUpdate } from './managed-fields.ts'
import { checkName, generateName } from './names.ts'
import type { ObjectStore } from './object-store.ts'
import { applyDefaults } from './prune.ts'
import type { Registry } from './registry.ts'
import type { WriteContext } from './request-context.ts'
import { type ResourceType, storedVersion, versionOf } from './resource-type.ts'
import { ApiError, alreadyExists, badRequest, fieldInvalid, invalid, modified, notFound } from './status.ts'
import { validateObject } from './validate-object.ts'

/** Answers a new object from the live one; `undefined` live means the object does not exist (apply only). */
export type Transform = (live: KubeObject) => KubeObject

/**
 * The way of every write, whoever makes it: decode, default, track managers, mutate, prepare, validate, store.
 * All of it is synchronous: nothing else happens between reading the live object and storing the new one.
 */
export interface Pipeline {
  create(type: ResourceType, namespace: string | undefined, body: KubeObject, context: WriteContext): KubeObject
  /** Reads the live object, transforms it and stores the result; `tracked` says that managers are already right. */
  update(type: ResourceType, key: ObjectKey, context: WriteContext, transform: Transform, tracked?: boolean): KubeObject
  remove(type: ResourceType, key: ObjectKey, context: WriteContext, options: DeleteOptions): KubeObject
}

export interface PipelineParts {
  store: ObjectStore
  registry: Registry
  admission: Admission
  runtime: Runtime
}

/** RFC 3339 in whole seconds, as metav1.Time prints. */
export function timestamp(runtime: Runtime): string {
  return `${new Date(runtime.now()).toISOString().slice(0, 19)}Z`
}

export function createPipeline({ store, registry, admission, runtime }: PipelineParts): Pipeline {
  function live(type: ResourceType, key: ObjectKey): KubeObject {
    const found = store.get(type, key)
    if (!found) throw notFound(type, key.name)
    return found
  }

  /** A second name for other objects is written under the first: the rules and the schema are those of what is stored. */
  function aliased(type: ResourceType, context: WriteContext) {
    if (!type.alias) return undefined
    const target = registry.find(type.alias.of)
    if (!target) throw new Error(`${type.plural}.${type.group} is another name of a resource that is not served`)
    return { target, alias: type.alias, context: { ...context, version: target.storageVersion } }
  }

  function create(
    type: ResourceType,
    namespace: string | undefined,
    body: KubeObject,
    context: WriteContext,
  ): KubeObject {
    const other = aliased(type, context)
    if (other) return create(other.target, namespace, other.alias.read(body), other.context)
    const version = versionOf(type, context.version) ?? storedVersion(type)
    const object = clone(body)
    object.metadata = isObject(object.metadata) ? object.metadata : { name: '' }
    const { metadata } = object
    if (metadata.resourceVersion) throw badRequest('resourceVersion should not be set on objects to be created')
    if (type.namespaced) metadata.namespace = namespace
    else delete metadata.namespace
    if (!metadata.name && metadata.generateName) metadata.name = generateName(metadata.generateName, runtime)
    for (const field of ['deletionTimestamp', 'deletionGracePeriodSeconds', 'selfLink', 'uid', 'resourceVersion']) {
      delete metadata[field]
    }
    metadata.uid = randomUUID()
    metadata.creationTimestamp = timestamp(runtime)
    if (type.generation === 'none') delete metadata.generation
    else metadata.generation = 1
    decode(type, version, object, undefined, context)
    if (version.statusSubresource) dropStatus(type, object)
    if (!context.tracked) trackUpdate(type, version, undefined, object, context, timestamp(runtime))
    // As upstream, the defaults of a status come back once it is dropped, and nobody owns them.
    if (!type.builtin) applyDefaults(object, version.schema, true)
    const request = {
      operation: 'CREATE' as const,
      type,
      version: version.name,
      subresource: context.subresource,
      namespace: metadata.namespace,
      name: metadata.name,
      user: context.user,
      dryRun: context.dryRun,
      object,
      oldObject: undefined,
      warnings: context.warnings,
    }
    admission.mutate(request)
    type.rules.prepare?.(object, undefined)
    const causes = validateObject(type, version, object, undefined)
    if (causes.length > 0) throw invalid(type, metadata.name ?? '', causes)
    context.authorizeCreate?.()
    admission.validate(request)
    if (store.get(type, metadata)) throw alreadyExists(type, metadata.name)
    object.apiVersion = apiVersionFor(type)
    return context.dryRun ? object : store.put(type, object)
  }

  function update(
    type: ResourceType,
    key: ObjectKey,
    context: WriteContext,
    transform: Transform,
    tracked = false,
  ): KubeObject {
    const other = aliased(type, context)
    if (other) {
      return update(other.target, key, other.context, (found) => other.alias.read(transform(found)), tracked)
    }
    const old = live(type, key)
    const version = versionOf(type, context.version) ?? storedVersion(type)
    const object = clone(transform(old))
    checkPreconditions(type, key, old, object)
    keepServerMetadata(object, old)
    decode(type, version, object, old, context)
    if (context.subresource === 'status') keepAllButStatus(object, old)
    else if (version.statusSubresource) keepStatus(object, old)
    if (!tracked) trackUpdate(type, version, old, object, context, timestamp(runtime))
    const request = {
      operation: 'UPDATE' as const,
      type,
      version: version.name,
      subresource: context.subresource,
      namespace: object.metadata.namespace,
      name: object.metadata.name,
      user: context.user,
      dryRun: context.dryRun,
      object,
      oldObject: old,
      warnings: context.warnings,
    }
    admission.mutate(request)
    if (context.subresource !== 'status') type.rules.prepare?.(object, old)
    if (generationRises(type, version.statusSubresource, object, old)) {
      object.metadata.generation = (old.metadata.generation ?? 0) + 1
    } else if (old.metadata.generation !== undefined) object.metadata.generation = old.metadata.generation
    const causes = validateObject(type, version, object, old)
    if (causes.length > 0) throw invalid(type, key.name, causes)
    admission.validate(request)
    object.apiVersion = apiVersionFor(type)
    if (sameButTimes(object, old)) return old
    if (object.metadata.deletionTimestamp && (object.metadata.finalizers ?? []).length === 0 && !lingers(object)) {
      // As upstream, the last finalizer's removal is not stored on its own: the object goes as it was.
      if (!context.dryRun) store.remove(type, key)
      return object
    }
    return context.dryRun ? object : store.put(type, object)
  }

  function remove(type: ResourceType, key: ObjectKey, context: WriteContext, options: DeleteOptions): KubeObject {
    const other = aliased(type, context)
    if (other) return remove(other.target, key, other.context, options)
    const old = live(type, key)
    const { uid, resourceVersion } = options.preconditions ?? {}
    if (uid !== undefined && uid !== old.metadata.uid) {
      throw preconditionFailed(type, type.kind, key.name, 'UID', uid, old.metadata.uid)
    }
    if (resourceVersion !== undefined && resourceVersion !== old.metadata.resourceVersion) {
      throw preconditionFailed(
        type,
        type.kind,
        key.name,
        'ResourceVersion',
        resourceVersion,
        old.metadata.resourceVersion,
      )
    }
    const request = {
      operation: 'DELETE' as const,
      type,
      version: context.version,
      subresource: undefined,
      namespace: old.metadata.namespace,
      name: old.metadata.name,
      user: context.user,
      dryRun: context.dryRun,
      object: undefined,
      oldObject: old,
      warnings: context.warnings,
    }
    admission.mutate(request)
    admission.validate(request)
    const marked = markForDeletion(type, old, options, timestamp(runtime))
    if (context.dryRun) return marked ?? old
    if (!marked) return store.remove(type, key) ?? old
    return equal(marked, old) ? old : store.put(type, marked)
  }

  return { create, update, remove }
}

function apiVersionFor(type: ResourceType): string {
  return type.group === '' ? type.storageVersion : `${type.group}/${type.storageVersion}`
}

/** A pod that is terminating gracefully stays until its kubelet deletes it; an emptied namespace until finalized. */
function lingers(object: KubeObject): boolean {
  if (object.kind === 'Namespace') return ((at(object, 'spec', 'finalizers') as unknown[] | undefined) ?? []).length > 0
  return Number(object.metadata.deletionGracePeriodSeconds ?? 0) > 0
}

function checkPreconditions(type: ResourceType, key: ObjectKey, old: KubeObject, object: KubeObject): void {
  const { name, namespace, resourceVersion, uid } = object.metadata
  checkName(name ?? '', key.name)
  if (type.namespaced && namespace && namespace !== key.namespace) {
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request')
  }
  if (uid !== undefined && uid !== '' && uid !== old.metadata.uid) {
    throw preconditionFailed(type, type.plural, key.name, 'UID', uid, old.metadata.uid)
  }
  if (resourceVersion !== undefined && resourceVersion !== '') {
    if (resourceVersion !== old.metadata.resourceVersion) throw modified(type, key.name)
  } else if (!type.unconditionalUpdate) {
    // As upstream, this one names the resource where others name the kind.
    const named = { ...type, kind: type.plural }
    throw invalid(named, key.name, [fieldInvalid('metadata.resourceVersion', 0, 'must be specified for an update')])
  }
}

/** @param kind what the details call the kind: itself for a DELETE, the resource for a PUT */
function preconditionFailed(
  type: ResourceType,
  kind: string,
  name: string,
  field: string,
  wanted: string,
  found?: string,
): ApiError {
  return new ApiError(
    409,
    'Conflict',
    `Operation cannot be fulfilled on ${type.plural}${type.group ? `.${type.group}` : ''} "${name}": Precondition failed: ${field} in precondition: ${wanted}, ${field} in object meta: ${found}`,
    { name, ...(type.group ? { group: type.group } : {}), kind },
  )
}

function keepServerMetadata(object: KubeObject, old: KubeObject): void {
  const { metadata } = object
  for (const field of ['uid', 'creationTimestamp', 'deletionTimestamp', 'deletionGracePeriodSeconds', 'namespace']) {
    if (old.metadata[field] === undefined) delete metadata[field]
    else metadata[field] = old.metadata[field]
  }
  delete metadata.selfLink
  metadata.resourceVersion = old.metadata.resourceVersion
}

function dropStatus(type: ResourceType, object: KubeObject): void {
  if (!type.builtin) delete object.status
  else if (object.status !== undefined) object.status = {}
}

function keepStatus(object: KubeObject, old: KubeObject): void {
  if (old.status === undefined) delete object.status
  else object.status = clone(old.status)
}

function keepAllButStatus(object: KubeObject, old: KubeObject): void {
  const { managedFields } = object.metadata
  for (const name of Object.keys(object)) if (name !== 'status' && !(name in old)) delete object[name]
  for (const name of Object.keys(old)) if (name !== 'status') object[name] = clone(old[name])
  if (managedFields) object.metadata.managedFields = managedFields
}

function generationRises(type: ResourceType, statusSubresource: boolean, object: KubeObject, old: KubeObject): boolean {
  if (type.generation === 'none') return false
  if (type.generation === 'spec') return !equal(object.spec, old.spec)
  if (type.generation === 'spec and annotations') {
    return !equal(object.spec, old.spec) || !equal(object.metadata.annotations, old.metadata.annotations)
  }
  const ignored = statusSubresource
    ? new Set(['metadata', 'status', 'apiVersion'])
    : new Set(['metadata', 'apiVersion'])
  const names = new Set([...Object.keys(object), ...Object.keys(old)])
  return [...names].some((name) => !ignored.has(name) && !equal(object[name], old[name]))
}

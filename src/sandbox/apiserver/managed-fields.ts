import type { KubeObject, ManagedFieldsEntry } from '../../kube/object.ts'
import { compare } from './field-compare.ts'
import { difference, emptySet, type FieldSet, fromFieldsV1, insert, isEmpty, toFieldsV1, union } from './field-set.ts'
import { equal } from './json.ts'
import { objectMetaSchema } from './object-meta.ts'
import type { WriteContext } from './request-context.ts'
import type { ResourceType, ServedVersion } from './resource-type.ts'
import type { Schema } from './schema.ts'

/** Who wrote what, once read from managedFields. */
export interface Manager {
  entry: ManagedFieldsEntry
  set: FieldSet
}

export function readManagers(entries: ManagedFieldsEntry[] | undefined): Manager[] {
  return (entries ?? []).map((entry) => ({ entry, set: fromFieldsV1(entry.fieldsV1) }))
}

/** Back to managedFields: empty managers go, Apply entries first, then by time and name, as the real server sorts. */
export function writeManagers(managers: Manager[]): ManagedFieldsEntry[] {
  return managers
    .filter((manager) => !isEmpty(manager.set))
    .map(({ entry, set }) => ({ ...entry, fieldsType: 'FieldsV1', fieldsV1: toFieldsV1(set) }))
    .sort(
      (a, b) =>
        a.operation.localeCompare(b.operation) ||
        (a.time ?? '').localeCompare(b.time ?? '') ||
        a.manager.localeCompare(b.manager),
    )
}

export function sameManager(a: ManagedFieldsEntry, b: ManagedFieldsEntry): boolean {
  return (
    a.manager === b.manager &&
    a.operation === b.operation &&
    (a.subresource ?? '') === (b.subresource ?? '') &&
    // An applier stays the same one whichever version it applies in.
    (a.operation === 'Apply' || a.apiVersion === b.apiVersion)
  )
}

/** Fields that belong to the server and are never owned. */
const unowned = (() => {
  const set = emptySet()
  for (const name of ['apiVersion', 'kind', 'metadata']) insert(set, [`f:${name}`])
  for (const name of [
    'name',
    'namespace',
    'creationTimestamp',
    'selfLink',
    'uid',
    'generation',
    'managedFields',
    'resourceVersion',
    'deletionTimestamp',
    'deletionGracePeriodSeconds',
    'generateName',
  ]) {
    insert(set, ['f:metadata', `f:${name}`])
  }
  return set
})()

/** Leaves out what no manager can own: identity and server-owned metadata. */
export function ownable(set: FieldSet): FieldSet {
  const result = difference(set, unowned)
  result.member = false
  return result
}

/** The schema server-side apply reads: the version's own, with the standard metadata. */
export function applySchema(version: ServedVersion): Schema {
  const schema = version.schema ?? { type: 'object', 'x-kubernetes-preserve-unknown-fields': true }
  return {
    ...schema,
    properties: {
      apiVersion: { type: 'string' },
      kind: { type: 'string' },
      ...schema.properties,
      metadata: objectMetaSchema,
    },
  }
}

/**
 * Settles managedFields, in place, after an ordinary write: what changed now belongs to the writer, and to nobody
 * else.
 */
export function trackUpdate(
  type: ResourceType,
  version: ServedVersion,
  old: KubeObject | undefined,
  object: KubeObject,
  context: WriteContext,
  now: string,
): void {
  const { metadata } = object
  const sent = metadata.managedFields
  // As upstream: what the client sends is the base when it sends any, `[{}]` starts afresh, nothing means the live ones.
  const given = Array.isArray(sent) && sent.length > 0 ? sent : (old?.metadata.managedFields ?? [])
  const before = isZeroEntry(given) ? [] : given
  const { written, removed } = compare(old, object, applySchema(version), type.builtin)
  const mine = ownable(written)
  const gone = ownable(removed)
  const entry: ManagedFieldsEntry = {
    manager: context.fieldManager,
    operation: 'Update',
    apiVersion: object.apiVersion,
    time: now,
    fieldsType: 'FieldsV1',
    ...(context.subresource ? { subresource: context.subresource } : {}),
  }
  if (isEmpty(mine) && isEmpty(gone)) {
    if (before.length > 0) metadata.managedFields = before
    else delete metadata.managedFields
    return
  }
  const managers: Manager[] = []
  let own = mine
  for (const manager of readManagers(before)) {
    if (sameManager(manager.entry, entry)) {
      own = union(difference(manager.set, gone), mine)
      if (isEmpty(mine)) entry.time = manager.entry.time
    } else managers.push({ entry: manager.entry, set: difference(difference(manager.set, gone), mine) })
  }
  managers.push({ entry, set: own })
  metadata.managedFields = writeManagers(managers)
  if (metadata.managedFields.length === 0) delete metadata.managedFields
}

function isZeroEntry(entries: ManagedFieldsEntry[]): boolean {
  return entries.length === 1 && Object.keys(entries[0] ?? {}).length === 0
}

/** Whether nothing changed but the times of managedFields: then a write is no write. */
export function sameButTimes(a: KubeObject, b: KubeObject): boolean {
  for (const name of new Set([...Object.keys(a), ...Object.keys(b)])) {
    if (name !== 'metadata' && !equal(a[name], b[name])) return false
  }
  return equal(withoutTimes(a.metadata), withoutTimes(b.metadata))
}

function withoutTimes(metadata: KubeObject['metadata']) {
  return { ...metadata, managedFields: metadata.managedFields?.map((entry) => ({ ...entry, time: undefined })) }
}

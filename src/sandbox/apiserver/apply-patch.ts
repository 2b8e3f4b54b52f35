import type { KubeObject, ManagedFieldsEntry } from '../../kube/object.ts'
import { compare, fieldsOf } from './field-compare.ts'
import { difference, type FieldSet, intersection, isEmpty, paths, union } from './field-set.ts'
import { fieldSchema, isNamedField, itemsByElement, shapeOf } from './field-shape.ts'
import { clone, isObject, type Json } from './json.ts'
import { applySchema, type Manager, ownable, readManagers, sameManager, writeManagers } from './managed-fields.ts'
import type { WriteContext } from './request-context.ts'
import { apiVersionIn, type ResourceType, type ServedVersion } from './resource-type.ts'
import type { Schema } from './schema.ts'
import { ApiError, badRequest, type Cause } from './status.ts'

export interface Apply {
  config: KubeObject
  force: boolean
  now: string
}

/**
 * Server-side apply: merges a configuration into the live object (or makes it the object), takes ownership of what
 * it names, gives up and removes what this manager named before and nobody else owns. Throws the 409 that lists every
 * field somebody else owns with another value, unless forced.
 * https://kubernetes.io/docs/reference/using-api/server-side-apply/
 */
export function applyConfiguration(
  type: ResourceType,
  version: ServedVersion,
  live: KubeObject | undefined,
  { config, force, now }: Apply,
  context: WriteContext,
): KubeObject {
  if (config.metadata.managedFields !== undefined) throw badRequest('metadata.managedFields must be nil')
  const schema = applySchema(version)
  const entry: ManagedFieldsEntry = {
    manager: context.fieldManager,
    operation: 'Apply',
    apiVersion: apiVersionIn(type, version.name),
    time: now,
    fieldsType: 'FieldsV1',
    ...(context.subresource ? { subresource: context.subresource } : {}),
  }
  const named = ownable(fieldsOf(config, schema))
  if (!live) {
    const created = clone(config)
    created.metadata.managedFields = writeManagers([{ entry, set: named }])
    return created
  }
  const managers = readManagers(live.metadata.managedFields)
  const former = managers.find((manager) => sameManager(manager.entry, entry))
  const others = managers.filter((manager) => manager !== former)
  const merged = mergeConfig(live, config, schema)
  if (!isObject(merged)) throw new Error('a merge of two objects is an object')
  const { written } = compare(live, merged, schema, type.builtin)
  const settled = settleOwners(others, ownable(written), force)
  if (former) removeDropped(merged, former.set, named, settled, schema)
  const result = { ...merged, apiVersion: config.apiVersion, kind: config.kind, metadata: clone(live.metadata) }
  const metadata: Json = isObject(merged.metadata) ? merged.metadata : {}
  const applied: KubeObject = {
    ...result,
    metadata: {
      ...metadata,
      name: live.metadata.name,
      managedFields: writeManagers([...settled, { entry, set: named }]),
    },
  }
  applied.metadata.resourceVersion = config.metadata.resourceVersion ?? live.metadata.resourceVersion
  return applied
}

/** Takes the written fields from their other owners, or refuses. */
function settleOwners(others: Manager[], written: FieldSet, force: boolean): Manager[] {
  const conflicts = others
    .map((manager) => ({ manager, set: intersection(manager.set, written) }))
    .filter(({ set }) => !isEmpty(set))
  if (conflicts.length > 0 && !force) throw conflictError(conflicts)
  return others.map((manager) => ({ entry: manager.entry, set: difference(manager.set, written) }))
}

function conflictError(conflicts: { manager: Manager; set: FieldSet }[]): ApiError {
  const found = conflicts.flatMap(({ manager, set }) =>
    paths(set).map((path) => ({ who: managerText(manager.entry), path })),
  )
  const causes: Cause[] = found.map(({ who, path }) => ({
    reason: 'FieldManagerConflict',
    message: `conflict with ${who}`,
    field: path,
  }))
  return new ApiError(409, 'Conflict', conflictMessage(found), { causes })
}

function conflictMessage(found: { who: string; path: string }[]): string {
  const [first] = found
  if (found.length === 1 && first) return `Apply failed with 1 conflict: conflict with ${first.who}: ${first.path}`
  const lines: string[] = []
  for (const who of [...new Set(found.map((each) => each.who))].sort()) {
    lines.push(`conflicts with ${who}:`)
    for (const each of found) if (each.who === who) lines.push(`- ${each.path}`)
  }
  return `Apply failed with ${found.length} conflicts: ${lines.join('\n')}`
}

function managerText(entry: ManagedFieldsEntry): string {
  const name = JSON.stringify(entry.manager)
  if (entry.operation === 'Apply') return name
  const subresource = entry.subresource ? ` with subresource ${JSON.stringify(entry.subresource)}` : ''
  return `${name}${subresource} using ${entry.apiVersion}`
}

/** The live value with the configuration laid over it. */
export function mergeConfig(live: unknown, config: unknown, schema: Schema | undefined): unknown {
  if (config === undefined) return clone(live)
  const shape = shapeOf(config, schema)
  if (live === undefined || shape === 'leaf' || shapeOf(live, schema) !== shape) return clone(config)
  if (shape === 'map' && isObject(config) && isObject(live)) {
    const result: Json = clone(live)
    for (const [name, value] of Object.entries(config)) {
      result[name] = mergeConfig(live[name], value, fieldSchema(schema, name))
    }
    return result
  }
  if (!Array.isArray(config) || !Array.isArray(live)) return clone(config)
  const olds = itemsByElement(live, schema, shape)
  const news = itemsByElement(config, schema, shape)
  const result: unknown[] = []
  // Upstream's order: what only the live list has comes before its turn, shared items in the configuration's order.
  const lives = [...olds]
  for (const [element, item] of news) {
    takeLiveOnly()
    result.push(mergeConfig(olds.get(element), item, schema?.items))
    if (lives[0] && news.has(lives[0][0])) lives.shift()
  }
  takeLiveOnly()
  for (const [element, item] of lives) if (!news.has(element)) result.push(clone(item))
  return result

  function takeLiveOnly(): void {
    for (let next = lives[0]; next && !news.has(next[0]); next = lives[0]) {
      result.push(clone(next[1]))
      lives.shift()
    }
  }
}

function removeDropped(object: Json, former: FieldSet, named: FieldSet, others: Manager[], schema: Schema): void {
  let kept = named
  for (const manager of others) kept = union(kept, manager.set)
  removeFields(object, difference(former, kept), kept, schema)
}

/** Deletes, in place, the members of `gone`; an item or map somebody still owns something in stays. */
function removeFields(value: unknown, gone: FieldSet, kept: FieldSet | undefined, schema: Schema | undefined): void {
  if (isObject(value)) {
    for (const [element, child] of gone.children) {
      const name = element.slice(2)
      const keptBelow = kept?.children.get(element)
      if (value[name] === undefined) continue
      // As upstream, a struct whose fields all go goes itself, with the defaults in it that nobody owns.
      const isMember = child.member || isNamedField(schema, name)
      if (isMember && (!keptBelow || isEmpty(keptBelow))) {
        delete value[name]
        continue
      }
      removeFields(value[name], child, keptBelow, fieldSchema(schema, name))
      if (isVoid(value[name]) && !keptBelow?.member) delete value[name]
    }
  } else if (Array.isArray(value)) {
    const shape = shapeOf(value, schema)
    const items = itemsByElement(value, schema, shape)
    for (const [element, child] of gone.children) {
      const item = items.get(element)
      if (item === undefined) continue
      const keptBelow = kept?.children.get(element)
      if (child.member && (!keptBelow || isEmpty(keptBelow))) value.splice(value.indexOf(item), 1)
      else removeFields(item, child, keptBelow, schema?.items)
    }
  }
}

function isVoid(value: unknown): boolean {
  return Array.isArray(value) ? value.length === 0 : isObject(value) && Object.keys(value).length === 0
}

import { isObject, type Json } from './json.ts'
import type { Schema } from './schema.ts'

const typeMeta = new Set(['apiVersion', 'kind', 'metadata'])

/**
 * Removes, in place, every field the schema does not name, as the server does when it decodes; returns their paths in
 * the order Kubernetes reports them (`spec.foo`, `spec.list[0].bar`).
 */
export function prune(object: Json, schema: Schema): string[] {
  const unknown: string[] = []
  pruneObject(object, schema, '', true, unknown)
  return unknown.sort()
}

function pruneValue(value: unknown, schema: Schema | undefined, path: string, unknown: string[]): void {
  if (!schema) return
  if (Array.isArray(value)) {
    const items = schema.items
    if (items) for (const [index, item] of value.entries()) pruneValue(item, items, `${path}[${index}]`, unknown)
  } else if (isObject(value)) {
    pruneObject(value, schema, path, schema['x-kubernetes-embedded-resource'] === true, unknown)
  }
}

function pruneObject(object: Json, schema: Schema, path: string, root: boolean, unknown: string[]): void {
  const keep = schema['x-kubernetes-preserve-unknown-fields'] === true
  const additional = schema.additionalProperties
  for (const name of Object.keys(object)) {
    const at = path ? `${path}.${name}` : name
    const field = schema.properties?.[name]
    if (field && !(root && name === 'metadata')) pruneValue(object[name], field, at, unknown)
    else if (root && typeMeta.has(name)) continue
    else if (isObject(additional)) pruneValue(object[name], additional as Schema, at, unknown)
    else if (additional === true || keep) continue
    else {
      delete object[name]
      unknown.push(at)
    }
  }
}

/**
 * Sets, in place, every default of the schema whose field is absent. A null of a non-nullable field counts as absent and
 * goes, but not a null among the items of a list.
 *
 * @param keepNulls whether a null without a default stays, as in a configuration that is applied
 */
export function applyDefaults(value: unknown, schema: Schema | undefined, keepNulls = false): void {
  if (!schema) return
  if (Array.isArray(value)) {
    for (const item of value) applyDefaults(item, schema.items, keepNulls)
    return
  }
  if (!isObject(value)) return
  const properties = schema.properties ?? {}
  for (const name of Object.keys(properties)) {
    const field = properties[name]
    if (!field) continue
    const missing = value[name] === undefined || (value[name] === null && field.nullable !== true)
    if (missing && field.default !== undefined) value[name] = structuredClone(field.default)
    else if (missing && !keepNulls) delete value[name]
    if (value[name] !== undefined) applyDefaults(value[name], field, keepNulls)
  }
  const additional = schema.additionalProperties
  if (isObject(additional)) {
    for (const name of Object.keys(value)) {
      if (name in properties) continue
      if (value[name] === null && additional.nullable !== true && !keepNulls) delete value[name]
      else applyDefaults(value[name], additional as Schema, keepNulls)
    }
  }
}

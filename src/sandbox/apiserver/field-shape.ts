import { keyElement, valueElement } from './field-set.ts'
import { isObject, type Json } from './json.ts'
import type { Schema } from './schema.ts'

/**
 * How server-side apply sees a value: one leaf, a map of fields, or a list whose items have names.
 * Follows structured-merge-diff: lists without a list-type are atomic, maps are granular, what no schema describes is
 * granular down to its lists.
 */
export type Shape = 'leaf' | 'map' | 'set' | 'keyed'

export function shapeOf(value: unknown, schema: Schema | undefined): Shape {
  if (isObject(value)) return schema?.['x-kubernetes-map-type'] === 'atomic' ? 'leaf' : 'map'
  if (!Array.isArray(value)) return 'leaf'
  const type = schema?.['x-kubernetes-list-type']
  return type === 'set' ? 'set' : type === 'map' ? 'keyed' : 'leaf'
}

/** The schema of a field of a map. */
export function fieldSchema(schema: Schema | undefined, name: string): Schema | undefined {
  const own = schema?.properties?.[name]
  if (own) return own
  const additional = schema?.additionalProperties
  return isObject(additional) ? (additional as Schema) : undefined
}

/** Whether a field of a map is named by the schema (a struct field) rather than by the user. */
export function isNamedField(schema: Schema | undefined, name: string): boolean {
  return schema?.properties?.[name] !== undefined
}

/** The items of a set or keyed list by path element; an item without a usable key is left out. */
export function itemsByElement(
  list: readonly unknown[],
  schema: Schema | undefined,
  shape: Shape,
): Map<string, unknown> {
  const items = new Map<string, unknown>()
  const elementOf = elementsOf(schema, shape)
  for (const item of list) {
    const element = elementOf(item)
    if (element !== undefined) items.set(element, item)
  }
  return items
}

/** Names the items of a set or keyed list; undefined for an item without a usable key. */
export function elementsOf(schema: Schema | undefined, shape: Shape): (item: unknown) => string | undefined {
  if (shape === 'set') return valueElement
  const keys = schema?.['x-kubernetes-list-map-keys'] ?? []
  const defaults = keyDefaults(schema)
  return (item) => keyElement(item, keys, defaults)
}

function keyDefaults(schema: Schema | undefined): Json {
  const defaults: Json = {}
  for (const key of schema?.['x-kubernetes-list-map-keys'] ?? []) {
    const value = schema?.items?.properties?.[key]?.default
    if (value !== undefined) defaults[key] = value
  }
  return defaults
}

import { emptySet, type FieldSet, insert } from './field-set.ts'
import { fieldSchema, isNamedField, itemsByElement, shapeOf } from './field-shape.ts'
import { equal, isObject } from './json.ts'
import type { Schema } from './schema.ts'

/** Every field an applied configuration names: its leaves, and each item of its keyed lists. */
export function fieldsOf(value: unknown, schema: Schema | undefined): FieldSet {
  const set = emptySet()
  collect(value, schema, set)
  set.member = false
  return set
}

function collect(value: unknown, schema: Schema | undefined, into: FieldSet): void {
  const shape = shapeOf(value, schema)
  if (shape === 'map' && isObject(value)) {
    for (const [name, field] of Object.entries(value)) {
      const child = childOf(into, `f:${name}`)
      collect(field, fieldSchema(schema, name), child)
      const isVoid = field === null || (isObject(field) && Object.keys(field).length === 0)
      if (isVoid || !isNamedField(schema, name)) child.member = true
    }
  } else if ((shape === 'set' || shape === 'keyed') && Array.isArray(value)) {
    for (const [element, item] of itemsByElement(value, schema, shape)) {
      const child = childOf(into, element)
      collect(item, schema?.items, child)
      child.member = true
    }
  } else into.member = true
}

function childOf(set: FieldSet, element: string): FieldSet {
  const found = set.children.get(element)
  if (found) return found
  const created = emptySet()
  set.children.set(element, created)
  return created
}

/** What changed between two objects, as server-side apply counts it. */
export interface Comparison {
  /** Added or modified. */
  written: FieldSet
  removed: FieldSet
}

/**
 * @param implied whether the structs of Go's zero values exist even when absent: then one that appears is not itself an
 * added field (built-in kinds)
 */
export function compare(from: unknown, to: unknown, schema: Schema | undefined, implied: boolean): Comparison {
  const result = { written: emptySet(), removed: emptySet() }
  walk(from, to, schema, [], result, implied)
  return result
}

function walk(
  from: unknown,
  to: unknown,
  schema: Schema | undefined,
  path: string[],
  result: Comparison,
  implied: boolean,
): void {
  if (from === to) return
  if (to === undefined) {
    removeAll(from, schema, path, result.removed)
    return
  }
  const shape = shapeOf(to, schema)
  const comparable = from === undefined || shapeOf(from, schema) === shape
  if (!comparable) removeAll(from, schema, path, result.removed)
  const before = comparable ? from : undefined
  if (shape === 'leaf' || isVoid(to)) {
    if (isVoid(to) && shape !== 'leaf' && before !== undefined && !isVoid(before)) {
      removeChildren(before, schema, path, result.removed)
    } else if (!equal(before, to) && !(implied && isImplied(path) && isVoid(to))) insert(result.written, path)
    return
  }
  if (shape === 'map' && isObject(to)) {
    const old = isObject(before) ? before : {}
    if (before === undefined && path.length > 0 && !(implied && isImplied(path))) insert(result.written, path)
    for (const name of new Set([...Object.keys(old), ...Object.keys(to)])) {
      walk(old[name], to[name], fieldSchema(schema, name), [...path, `f:${name}`], result, implied)
    }
    return
  }
  if (before === undefined && !(implied && isImplied(path))) insert(result.written, path)
  const olds = itemsByElement(Array.isArray(before) ? before : [], schema, shape)
  const news = itemsByElement(Array.isArray(to) ? to : [], schema, shape)
  for (const [element, item] of news) {
    const old = olds.get(element)
    const at = [...path, element]
    if (old === undefined) insert(result.written, at)
    walk(old, item, schema?.items, at, result, implied)
  }
  for (const [element, item] of olds) {
    if (!news.has(element)) removeAll(item, schema?.items, [...path, element], result.removed)
  }
}

/** What Go writes of a built-in object nobody has filled in yet: structs and lists that are there before anybody wrote them. */
const impliedPaths = new Set([
  'f:metadata',
  'f:spec',
  'f:status',
  'f:spec.f:containers',
  'f:spec.f:names',
  'f:spec.f:scaleTargetRef',
  'f:spec.f:strategy',
  'f:spec.f:template',
  'f:spec.f:template.f:metadata',
  'f:spec.f:template.f:spec',
  'f:spec.f:template.f:spec.f:containers',
  'f:status.f:loadBalancer',
  'f:involvedObject',
  'f:regarding',
  'f:roleRef',
  'f:source',
])

function isImplied(path: readonly string[]): boolean {
  return impliedPaths.has(path.join('.'))
}

function isVoid(value: unknown): boolean {
  return Array.isArray(value) ? value.length === 0 : isObject(value) && Object.keys(value).length === 0
}

function removeAll(value: unknown, schema: Schema | undefined, path: string[], removed: FieldSet): void {
  if (value === undefined) return
  insert(removed, path)
  removeChildren(value, schema, path, removed)
}

function removeChildren(value: unknown, schema: Schema | undefined, path: string[], removed: FieldSet): void {
  const shape = shapeOf(value, schema)
  if (shape === 'map' && isObject(value)) {
    for (const [name, field] of Object.entries(value)) {
      removeAll(field, fieldSchema(schema, name), [...path, `f:${name}`], removed)
    }
  } else if (Array.isArray(value) && shape !== 'leaf') {
    for (const [element, item] of itemsByElement(value, schema, shape)) {
      removeAll(item, schema?.items, [...path, element], removed)
    }
  }
}

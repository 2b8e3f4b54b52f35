import { shownElement } from './field-set.ts'
import { elementsOf, fieldSchema, shapeOf } from './field-shape.ts'
import { isObject, type Json } from './json.ts'
import type { Schema } from './schema.ts'

/**
 * Why a configuration does not fit its schema as server-side apply reads it, in the words of structured-merge-diff: fields that
 * nobody declared, values of another type, list items without a name or with the same one. Nulls and numbers of either kind pass.
 * The keys of built-in kinds default to the empty text.
 * https://github.com/kubernetes-sigs/structured-merge-diff/blob/master/typed/validate.go
 */
export function declarationProblems(value: unknown, schema: Schema | undefined, builtin: boolean, path = ''): string[] {
  if (!schema || value === null || value === undefined || schema['x-kubernetes-int-or-string']) return []
  const wrong = mistyped(value, schema)
  if (wrong) return [`${path}: ${wrong}`]
  if (isObject(value)) return fieldProblems(value, schema, builtin, path)
  return Array.isArray(value) ? itemProblems(value, schema, builtin, path) : []
}

function mistyped(value: unknown, { type }: Schema): string | undefined {
  const found = Array.isArray(value) ? 'array' : typeof value
  if (type === undefined) return undefined
  if (type === 'integer' || type === 'number') {
    return found === 'number' ? undefined : `expected numeric (int or float), got ${goType(found)}`
  }
  if (found === type) return undefined
  const wanted = type === 'array' ? 'list' : type === 'object' ? 'map' : type
  return `expected ${wanted}, got &value.valueUnstructured{Value:${JSON.stringify(value)}}`
}

function goType(found: string): string {
  if (found === 'boolean') return 'bool'
  return found === 'array' ? '[]interface {}' : found === 'object' ? 'map[string]interface {}' : found
}

function fieldProblems(value: Json, schema: Schema, builtin: boolean, path: string): string[] {
  const problems: string[] = []
  for (const name of Object.keys(value).sort()) {
    const field = fieldSchema(schema, name)
    const isFree = schema['x-kubernetes-preserve-unknown-fields'] === true || schema.additionalProperties === true
    if (field) problems.push(...declarationProblems(value[name], field, builtin, `${path}.${name}`))
    // Upstream looks no further in a struct that has a field nobody declared.
    else if (!isFree && schema.type === 'object') return [...problems, `${path}.${name}: field not declared in schema`]
  }
  return problems
}

function itemProblems(list: readonly unknown[], schema: Schema, builtin: boolean, path: string): string[] {
  const shape = shapeOf(list, schema)
  const elementOf = elementsOf(schema, shape)
  const seen = new Set<string>()
  const problems: string[] = []
  for (const [index, item] of list.entries()) {
    const element = shape === 'leaf' ? `i:${index}` : (elementOf(item) ?? (builtin ? emptyKey(schema) : undefined))
    if (element === undefined) {
      const keys = JSON.stringify(schema['x-kubernetes-list-map-keys'] ?? [])
      const why = `associative list with keys has an element that omits all key fields ${keys.replaceAll(',', ' ')}`
      return [...problems, `${path}: element ${index}: ${why} (and doesn't have default values for any key fields)`]
    }
    const shown = shownElement(element)
    if (seen.has(element)) return [...problems, `${path}: duplicate entries for key ${shown}`]
    seen.add(element)
    problems.push(...declarationProblems(item, schema.items, builtin, path + shown))
  }
  return problems
}

function emptyKey(schema: Schema): string {
  const keys = schema['x-kubernetes-list-map-keys'] ?? []
  return `k:${JSON.stringify(Object.fromEntries(keys.map((key) => [key, ''])))}`
}

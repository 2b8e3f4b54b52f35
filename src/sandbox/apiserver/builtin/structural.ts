import { isObject } from '../json.ts'
import type { Schema } from '../schema.ts'
import { type Cause, fieldForbidden, fieldInvalid, fieldNotSupported, fieldRequired } from '../status.ts'

/**
 * What keeps a schema from being structural: a node without a type, keys of lists that do not fit their items,
 * structure inside a logical junctor.
 * https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema
 */
export function structuralProblems(schema: Schema, path: string, root = false): Cause[] {
  const causes = [...nodeProblems(schema, path, root), ...listProblems(schema, path), ...junctorProblems(schema, path)]
  for (const [name, field] of Object.entries(schema.properties ?? {})) {
    if (root && name === 'metadata') continue
    causes.push(...structuralProblems(field, `${path}.properties[${name}]`))
  }
  if (schema.items) causes.push(...structuralProblems(schema.items, `${path}.items`))
  if (isObject(schema.additionalProperties)) {
    causes.push(...structuralProblems(schema.additionalProperties as Schema, `${path}.additionalProperties`))
  }
  return causes
}

const types = ['array', 'boolean', 'integer', 'number', 'object', 'string']

function nodeProblems(schema: Schema, path: string, root: boolean): Cause[] {
  const causes: Cause[] = []
  if (schema.type && !types.includes(schema.type)) causes.push(fieldNotSupported(`${path}.type`, schema.type, types))
  if (schema.pattern !== undefined && !isRe2(schema.pattern)) {
    const why = "must be a valid regular expression, but isn't"
    causes.push(fieldInvalid(`${path}.pattern`, schema.pattern, why))
  }
  for (const [index, { message }] of (schema['x-kubernetes-validations'] ?? []).entries()) {
    const at = `${path}.x-kubernetes-validations[${index}].message`
    if (message?.includes('\n')) causes.push(fieldInvalid(at, message, 'must not contain line breaks'))
  }
  const isFree = schema['x-kubernetes-int-or-string'] || schema['x-kubernetes-preserve-unknown-fields']
  if (!schema.type && !isFree) {
    const why = root ? 'must not be empty at the root' : 'must not be empty for specified object fields'
    causes.push(fieldRequired(`${path}.type`, why))
  }
  if (root && schema.type && schema.type !== 'object') {
    causes.push(fieldInvalid(`${path}.type`, schema.type, 'must be object at the root'))
  }
  if (schema.properties && schema.additionalProperties !== undefined) {
    causes.push(
      fieldForbidden(`${path}.additionalProperties`, 'additionalProperties and properties are mutual exclusive'),
    )
  }
  if (schema.additionalProperties === false) {
    causes.push(fieldForbidden(`${path}.additionalProperties`, 'additionalProperties cannot be set to false'))
  }
  if (schema.uniqueItems) {
    const why = 'uniqueItems cannot be set to true since the runtime complexity becomes quadratic'
    causes.push(fieldForbidden(`${path}.uniqueItems`, why))
  }
  return causes
}

/** Go's regular expressions know no look-around and no back-references. */
function isRe2(pattern: string): boolean {
  if (/\(\?(?:[=!]|<[=!])|\\[1-9]/.test(pattern)) return false
  try {
    new RegExp(pattern, 'u')
    return true
  } catch {
    return false
  }
}

function listProblems(schema: Schema, path: string): Cause[] {
  const causes: Cause[] = []
  if (schema.type === 'array' && !schema.items) causes.push(fieldRequired(`${path}.items`, 'must be specified'))
  const items = schema.items
  if (
    schema['x-kubernetes-list-type'] === 'set' &&
    items?.type === 'object' &&
    items['x-kubernetes-map-type'] !== 'atomic'
  ) {
    const why = 'must be atomic as item of a list with x-kubernetes-list-type=set'
    causes.push(fieldInvalid(`${path}.items.x-kubernetes-map-type`, null, why))
  }
  if (schema['x-kubernetes-list-type'] !== 'map') return causes
  for (const key of schema['x-kubernetes-list-map-keys'] ?? []) {
    const field = schema.items?.properties?.[key]
    if (!field) {
      const why = 'entries have to be declared properties of the items'
      causes.push(fieldInvalid(`${path}.x-kubernetes-list-map-keys`, key, why))
    } else if (field.default === undefined && !(schema.items?.required ?? []).includes(key)) {
      causes.push(
        fieldRequired(
          `${path}.items.properties[${key}].default`,
          'this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property',
        ),
      )
    }
  }
  return causes
}

/** Inside allOf, anyOf, oneOf and not there are value checks only; structure stands outside. */
function junctorProblems(schema: Schema, path: string): Cause[] {
  const parts: [string, Schema][] = (['allOf', 'anyOf', 'oneOf'] as const).flatMap((name) =>
    (schema[name] ?? []).map((part, index): [string, Schema] => [`${path}.${name}[${index}]`, part]),
  )
  if (schema.not) parts.push([`${path}.not`, schema.not])
  return parts.flatMap(([at, part]) => valueOnly(part, at, schema['x-kubernetes-int-or-string'] === true))
}

const structure = ['type', 'default', 'description', 'additionalProperties', 'nullable'] as const

function valueOnly(schema: Schema, path: string, intOrString: boolean): Cause[] {
  const causes: Cause[] = []
  for (const name of structure) {
    // The usual way to write int-or-string, with anyOf, is allowed.
    if (schema[name] === undefined || (intOrString && name === 'type')) continue
    causes.push(fieldForbidden(`${path}.${name}`, 'must be empty to be structural'))
  }
  for (const [name, field] of Object.entries(schema.properties ?? {})) {
    causes.push(...valueOnly(field, `${path}.properties[${name}]`, false))
  }
  if (schema.items) causes.push(...valueOnly(schema.items, `${path}.items`, false))
  for (const name of ['allOf', 'anyOf', 'oneOf'] as const) {
    for (const [index, part] of (schema[name] ?? []).entries()) {
      causes.push(...valueOnly(part, `${path}.${name}[${index}]`, intOrString))
    }
  }
  if (schema.not) causes.push(...valueOnly(schema.not, `${path}.not`, intOrString))
  return causes
}

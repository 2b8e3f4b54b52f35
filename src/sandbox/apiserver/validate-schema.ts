import { jsonType } from './decode.ts'
import { keyElement } from './field-set.ts'
import { equal, isObject, type Json } from './json.ts'
import type { Schema } from './schema.ts'
import { type Cause, fieldInvalid, fieldNotSupported, fieldRequired, shown } from './status.ts'

/** Checks an object against its structural schema; the messages are those of kube-openapi's validator. */
export function validateSchema(object: Json, schema: Schema): Cause[] {
  const causes: Cause[] = []
  check(object, schema, '', causes)
  return causes
}

/** The same for a built-in kind, where the real server lets the items of keyed lists repeat, unless a rule of the kind forbids it. */
export function validateBuiltin(object: Json, schema: Schema): Cause[] {
  return validateSchema(object, schema).filter(({ reason }) => reason !== 'FieldValueDuplicate')
}

function check(value: unknown, schema: Schema, path: string, causes: Cause[]): void {
  if (value === undefined) return
  if (value === null) {
    if (!schema.nullable && schema.type) causes.push(wrongType(path, 'null', schema.type))
    return
  }
  if (typeof value === 'number' && schema.type === 'integer' && !Number.isInteger(value)) {
    // As upstream: a fraction is named twice, and compared with the bounds all the same.
    const why = `Invalid value: "": Checked value must be of type integer (default format) in ${path}`
    causes.push(wrongType(path, 'number', 'integer'), { reason: 'FieldValueInvalid', message: why, field: '<nil>' })
  } else if (!hasType(value, schema)) {
    const wanted = schema['x-kubernetes-int-or-string'] ? 'integer,string' : (schema.type ?? 'object')
    causes.push(wrongType(path, jsonType(value), wanted))
    // As upstream, what has another type is compared with the choices all the same.
    if (schema.enum) causes.push(fieldNotSupported(path, value, schema.enum))
    return
  }
  if (schema.enum && !schema.enum.some((choice) => equal(choice, value))) {
    causes.push(fieldNotSupported(path, value, schema.enum))
  }
  if (typeof value === 'string') checkString(value, schema, path, causes)
  else if (typeof value === 'number') checkNumber(value, schema, path, causes)
  else if (Array.isArray(value)) checkArray(value, schema, path, causes)
  else if (isObject(value)) checkObject(value, schema, path, causes)
  checkJunctors(value, schema, path, causes)
}

function hasType(value: unknown, schema: Schema): boolean {
  const found = jsonType(value)
  if (schema['x-kubernetes-int-or-string']) return found === 'integer' || found === 'string'
  return !schema.type || found === schema.type || (schema.type === 'number' && found === 'integer')
}

function wrongType(path: string, found: string, wanted: string): Cause {
  return {
    reason: 'FieldValueTypeInvalid',
    message: `Invalid value: ${JSON.stringify(found)}: ${path} in body must be of type ${wanted}: ${JSON.stringify(found)}`,
    field: path,
  }
}

function checkString(value: string, schema: Schema, path: string, causes: Cause[]): void {
  const length = [...value].length
  if (schema.minLength !== undefined && length < schema.minLength) {
    causes.push(fieldInvalid(path, value, `${path} in body should be at least ${schema.minLength} chars long`))
  }
  if (schema.maxLength !== undefined && length > schema.maxLength) {
    causes.push({
      reason: 'FieldValueTooLong',
      message: `Too long: may not be more than ${schema.maxLength} bytes`,
      field: path,
    })
  }
  if (schema.pattern !== undefined && !new RegExp(schema.pattern, 'u').test(value)) {
    causes.push(fieldInvalid(path, value, `${path} in body should match '${schema.pattern}'`))
  }
  if (schema.format === 'date-time' && Number.isNaN(Date.parse(value))) {
    causes.push(fieldInvalid(path, value, `${path} in body must be of type date-time: ${JSON.stringify(value)}`))
  }
}

function checkNumber(value: number, schema: Schema, path: string, causes: Cause[]): void {
  const { multipleOf } = schema
  const [minimum, maximum] = [bound(schema.minimum, value), bound(schema.maximum, value)]
  if (minimum !== undefined && (schema.exclusiveMinimum ? value <= minimum : value < minimum)) {
    const wanted = schema.exclusiveMinimum ? 'greater than' : 'greater than or equal to'
    causes.push(fieldInvalid(path, value, `${path} in body should be ${wanted} ${shown(schema.minimum)}`))
  }
  if (maximum !== undefined && (schema.exclusiveMaximum ? value >= maximum : value > maximum)) {
    const wanted = schema.exclusiveMaximum ? 'less than' : 'less than or equal to'
    causes.push(fieldInvalid(path, value, `${path} in body should be ${wanted} ${shown(schema.maximum)}`))
  }
  if (multipleOf !== undefined && value % multipleOf !== 0) {
    causes.push(fieldInvalid(path, value, `${path} in body should be a multiple of ${multipleOf}`))
  }
}

/** As upstream: a whole number is compared with the whole part of a bound, so that 0 passes a minimum of 0.5. */
function bound(limit: number | undefined, value: number): number | undefined {
  return limit !== undefined && Number.isInteger(value) ? Math.trunc(limit) : limit
}

function checkArray(value: unknown[], schema: Schema, path: string, causes: Cause[]): void {
  if (schema.maxItems !== undefined && value.length > schema.maxItems) {
    causes.push(tooMany(path, value.length, schema.maxItems))
  }
  if (schema.minItems !== undefined && value.length < schema.minItems) {
    causes.push(fieldInvalid(path, value.length, `${path} in body should have at least ${schema.minItems} items`))
  }
  const seen = new Set<string>()
  const type = schema['x-kubernetes-list-type']
  for (const [index, item] of value.entries()) {
    const at = `${path}[${index}]`
    if (schema.items) check(item, schema.items, at, causes)
    const key = type === 'map' ? keyElement(item, schema['x-kubernetes-list-map-keys'] ?? []) : JSON.stringify(item)
    if ((type === 'map' || type === 'set') && key !== undefined) {
      if (seen.has(key)) {
        const shown = key.startsWith('k:') ? key.slice(2) : key
        causes.push({ reason: 'FieldValueDuplicate', message: `Duplicate value: ${shown}`, field: at })
      }
      seen.add(key)
    }
  }
}

function tooMany(path: string, found: number, limit: number): Cause {
  return { reason: 'FieldValueTooMany', message: `Too many: ${found}: must have at most ${limit} items`, field: path }
}

function checkObject(value: Json, schema: Schema, path: string, causes: Cause[]): void {
  const names = Object.keys(value)
  for (const name of schema.required ?? []) {
    if (value[name] === undefined) causes.push(fieldRequired(join(path, name)))
  }
  if (schema.maxProperties !== undefined && names.length > schema.maxProperties) {
    causes.push(tooMany(path, names.length, schema.maxProperties))
  }
  if (schema.minProperties !== undefined && names.length < schema.minProperties) {
    causes.push(
      fieldInvalid(path, names.length, `${path} in body should have at least ${schema.minProperties} properties`),
    )
  }
  for (const name of names) {
    const field = schema.properties?.[name]
    if (path === '' && name === 'metadata' && !field?.properties) continue
    if (field) check(value[name], field, join(path, name), causes)
    else if (isObject(schema.additionalProperties)) {
      check(value[name], schema.additionalProperties as Schema, join(path, name), causes)
    }
  }
}

function checkJunctors(value: unknown, schema: Schema, path: string, causes: Cause[]): void {
  const holds = (part: Schema): boolean => {
    const found: Cause[] = []
    check(value, part, path, found)
    return found.length === 0
  }
  for (const part of schema.allOf ?? []) check(value, part, path, causes)
  const shown = jsonType(value)
  const fail = (why: string) => causes.push(fieldInvalid(path, shown, `${path} in body ${why}`))
  if (schema.anyOf && !schema['x-kubernetes-int-or-string'] && !schema.anyOf.some(holds)) {
    fail('must validate at least one schema (anyOf)')
  }
  if (schema.oneOf) {
    const valid = schema.oneOf.filter(holds).length
    if (valid !== 1) {
      const found = valid === 0 ? 'Found none valid' : `Found ${valid} valid alternatives`
      fail(`must validate one and only one schema (oneOf). ${found}`)
    }
  }
  if (schema.not && holds(schema.not)) fail('must not validate the schema (not)')
}

function join(path: string, name: string): string {
  return path ? `${path}.${name}` : name
}

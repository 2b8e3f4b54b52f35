import type { KubeObject } from '../../kube/object.ts'
import { isObject } from './json.ts'
import { objectMetaSchema } from './object-meta.ts'
import { applyDefaults, prune } from './prune.ts'
import type { WriteContext } from './request-context.ts'
import { apiVersionIn, type ResourceType, type ServedVersion } from './resource-type.ts'
import type { Schema } from './schema.ts'
import { badRequest, fieldInvalid, invalid } from './status.ts'

/**
 * What decoding does on the real server, in place: unknown fields go (or are refused, or warned of), nulls and wrong
 * types of built-in kinds are caught, defaults are filled in.
 */
export function decode(
  type: ResourceType,
  version: ServedVersion,
  object: KubeObject,
  old: KubeObject | undefined,
  context: WriteContext,
): void {
  object.apiVersion = apiVersionIn(type, version.name)
  object.kind = type.kind
  for (const name of ['labels', 'annotations'] as const) dropNulls(object.metadata[name], textMap)
  if (type.builtin) dropNulls(object, version.schema)
  const unknown = unknownMetadata(object)
  dropEmptyMetadata(object)
  if (version.schema) unknown.push(...prune(object, version.schema))
  if (unknown.length > 0) reportUnknown(type, version, unknown.sort(), context)
  const mistyped = mistypedMetadata(object)
  if (mistyped) throw cannotDecode(type, version, mistyped, context)
  if (type.builtin && version.schema) {
    const wrong = wrongType(object, version.schema, '')
    if (wrong) throw cannotDecode(type, version, wrong, context)
  }
  applyDefaults(object, version.schema, context.keepNulls)
  type.rules.defaults?.(object, old)
}

/** Empty lists and maps of metadata are not kept (Go's omitempty). */
function dropEmptyMetadata({ metadata }: KubeObject): void {
  for (const name of ['labels', 'annotations', 'finalizers', 'ownerReferences'] as const) {
    const value = metadata[name]
    if (typeof value === 'object' && value !== null && Object.keys(value).length === 0) delete metadata[name]
  }
}

function unknownMetadata(object: KubeObject): string[] {
  const unknown: string[] = []
  const known = objectMetaSchema.properties ?? {}
  for (const name of Object.keys(object.metadata)) {
    if (object.metadata[name] === null) delete object.metadata[name]
    else if (!(name in known)) {
      delete object.metadata[name]
      unknown.push(`metadata.${name}`)
    }
  }
  return unknown
}

function mistypedMetadata(object: KubeObject): string | undefined {
  return wrongType(object.metadata, objectMetaSchema, 'metadata')
}

function reportUnknown(type: ResourceType, version: ServedVersion, unknown: string[], context: WriteContext): void {
  if (context.fieldValidation === 'Ignore') return
  const messages = unknown.map((path) => `unknown field "${path}"`)
  if (context.fieldValidation === 'Strict') {
    throw cannotDecode(type, version, `strict decoding error: ${messages.join(', ')}`, context)
  }
  context.warnings.push(...messages)
}

function cannotDecode(type: ResourceType, version: ServedVersion, why: string, { patched }: WriteContext) {
  if (patched) return invalidPatch(why)
  return badRequest(`${type.kind} in version "${version.name}" cannot be handled as a ${type.kind}: ${why}`)
}

/** The 422 for a patch whose outcome is no object of its kind. */
export function invalidPatch(why: string) {
  return invalid({ group: '', plural: '', kind: '' }, '', [fieldInvalid('patch', 'the patched object', why)])
}

const textMap: Schema = { type: 'object', additionalProperties: { type: 'string' } }

/** A null is no value, but in a map of texts it is the empty one (Go's zero value under a key that is there). */
function dropNulls(value: unknown, schema: Schema | undefined): void {
  if (Array.isArray(value)) for (const item of value) dropNulls(item, schema?.items)
  else if (isObject(value)) {
    const isTextMap = isObject(schema?.additionalProperties) && schema.additionalProperties.type === 'string'
    for (const name of Object.keys(value)) {
      if (value[name] !== null) dropNulls(value[name], schema && childSchema(schema, name))
      else if (isTextMap) value[name] = ''
      else delete value[name]
    }
  }
}

const goTypes: Record<string, string> = { string: 'string', integer: 'int32', number: 'float64', boolean: 'bool' }

/** The first field whose JSON type is not the schema's, in the words of Go's decoder; undefined when all fit. */
function wrongType(value: unknown, schema: Schema | undefined, path: string): string | undefined {
  if (!schema || value === undefined || value === null) return undefined
  if (schema['x-kubernetes-int-or-string']) return undefined
  const found = jsonType(value)
  if (schema.type && found !== schema.type && !(schema.type === 'number' && found === 'integer')) {
    const wanted = schema.type === 'object' ? 'map' : schema.type === 'array' ? 'slice' : goTypes[schema.type]
    return `json: cannot unmarshal ${found === 'integer' ? 'number' : found} into Go struct field .${path} of type ${wanted}`
  }
  if (Array.isArray(value)) {
    for (const item of value) {
      const wrong = wrongType(item, schema.items, path)
      if (wrong) return wrong
    }
  } else if (isObject(value)) {
    for (const [name, field] of Object.entries(value)) {
      const wrong = wrongType(field, childSchema(schema, name), path ? `${path}.${name}` : name)
      if (wrong) return wrong
    }
  }
  return undefined
}

function childSchema(schema: Schema, name: string): Schema | undefined {
  const additional = schema.additionalProperties
  return schema.properties?.[name] ?? (isObject(additional) ? (additional as Schema) : undefined)
}

/** The JSON Schema type of a value. */
export function jsonType(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number'
  return typeof value
}

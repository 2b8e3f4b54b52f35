import * as models from '@kubernetes/client-node/dist/gen/models/all.js'
import { isObject } from '../json.ts'
import type { Schema } from '../schema.ts'
import { listKeys, requiredFields, setLists, wholeFields, wholeMaps } from './model-facts.ts'

interface Attribute {
  baseName: string
  type: string
  format: string
}

const intOrString: Schema = { 'x-kubernetes-int-or-string': true }
const anything: Schema = { 'x-kubernetes-preserve-unknown-fields': true }

/**
 * Builds schemas of built-in kinds from the attribute tables of the Kubernetes client's models (names and types of
 * every field) and from model-facts.ts (what those tables leave out: required fields, merge keys, list types).
 */
export function createModelSchemas(): (model: string) => Schema {
  const known = new Map<string, Schema>()
  const open: string[] = []

  function schemaOf(model: string): Schema {
    const cached = known.get(model)
    if (cached) return cached
    // JSONSchemaProps contains itself: below the first level anything goes.
    if (open.includes(model)) return { type: 'object', 'x-kubernetes-preserve-unknown-fields': true }
    open.push(model)
    const properties: Record<string, Schema> = {}
    for (const attribute of attributesOf(model)) {
      properties[attribute.baseName] = withFacts(model, attribute.baseName, typeSchema(attribute))
    }
    open.pop()
    const required = requiredFields[model]
    const schema: Schema = { type: 'object', properties, ...(required ? { required } : {}) }
    if (wholeMaps.has(model)) schema['x-kubernetes-map-type'] = 'atomic'
    known.set(model, schema)
    return schema
  }

  function typeSchema({ type, format }: Attribute): Schema {
    const list = /^Array<(.+)>$/.exec(type)
    if (list) return { type: 'array', items: typeSchema({ baseName: '', type: list[1] ?? '', format }) }
    const map = /^\{ \[key: string\]: (.+); \}$/.exec(type)
    if (map) return { type: 'object', additionalProperties: typeSchema({ baseName: '', type: map[1] ?? '', format }) }
    if (type === 'string') return { type: 'string', ...(format ? { format } : {}) }
    if (type === 'boolean') return { type: 'boolean' }
    if (type === 'number')
      return format === 'double' ? { type: 'number' } : { type: 'integer', format: format || 'int32' }
    if (type === 'Date' || type === 'V1MicroTime') return { type: 'string', format: 'date-time' }
    if (type === 'IntOrString') return intOrString
    if (type === 'any' || type === 'object') return anything
    return schemaOf(type)
  }

  return schemaOf
}

function attributesOf(model: string): Attribute[] {
  const found: unknown = Object.entries(models).find(([name]) => name === model)?.[1]
  if (typeof found !== 'function' || !('attributeTypeMap' in found) || !Array.isArray(found.attributeTypeMap)) {
    throw new Error(`the Kubernetes client has no model ${model}`)
  }
  return found.attributeTypeMap.filter(
    (entry: unknown): entry is Attribute => isObject(entry) && typeof entry.baseName === 'string',
  )
}

const quantityMaps = new Set(['limits', 'requests', 'capacity', 'allocatable', 'hard', 'used', 'overhead'])
/** Single quantities: a number is taken for the text. */
const quantityFields = new Set(['V1ResourceFieldSelector.divisor', 'V1EmptyDirVolumeSource.sizeLimit'])

function withFacts(model: string, field: string, schema: Schema): Schema {
  if (schema.type === 'object' && schema.additionalProperties && quantityMaps.has(field)) {
    return { type: 'object', additionalProperties: intOrString }
  }
  const path = `${model}.${field}`
  if (quantityFields.has(path)) return intOrString
  if (wholeFields.has(path)) return { ...schema, 'x-kubernetes-map-type': 'atomic' }
  if (setLists.has(path)) return { ...schema, 'x-kubernetes-list-type': 'set', 'x-kubernetes-patch-strategy': 'merge' }
  const keys = listKeys[path]
  if (!keys) return schema
  const [mergeKey] = keys.patch ? [keys.patch] : keys.map
  return {
    ...schema,
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': keys.map,
    'x-kubernetes-patch-merge-key': mergeKey,
    'x-kubernetes-patch-strategy': keys.strategy ?? 'merge',
    items: keys.defaults ? withDefaults(schema.items, keys.defaults) : schema.items,
  }
}

function withDefaults(items: Schema | undefined, defaults: Record<string, unknown>): Schema {
  const properties = { ...items?.properties }
  for (const [name, value] of Object.entries(defaults)) properties[name] = { ...properties[name], default: value }
  return { ...items, properties }
}

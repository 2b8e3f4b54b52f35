import { compileRules } from '../cel-rules.ts'
import { ensureObject, isObject, type Json, objects } from '../json.ts'
import type { TypeRules } from '../resource-type.ts'
import type { Schema } from '../schema.ts'
import { type Cause, fieldInvalid, fieldNotSupported, fieldRequired } from '../status.ts'

/** Defaults and checks of a CustomResourceDefinition itself. */
export const crdRules: TypeRules = {
  defaults(crd) {
    const spec = ensureObject(crd, 'spec')
    const names = ensureObject(spec, 'names')
    if (typeof names.kind === 'string') {
      names.singular ??= names.kind.toLowerCase()
      names.listKind ??= `${names.kind}List`
    }
    spec.conversion ??= { strategy: 'None' }
  },
  validate(crd) {
    const spec = isObject(crd.spec) ? crd.spec : {}
    const names = isObject(spec.names) ? spec.names : {}
    const causes: Cause[] = []
    const expected = `${names.plural}.${spec.group}`
    if (crd.metadata.name !== expected) {
      const why = `must be spec.names.plural+"."+spec.group`
      causes.push(fieldInvalid('metadata.name', crd.metadata.name, why))
    }
    if (!['Cluster', 'Namespaced'].includes(String(spec.scope))) {
      causes.push(fieldNotSupported('spec.scope', spec.scope ?? '', ['Cluster', 'Namespaced']))
    }
    const versions = objects(spec.versions)
    if (versions.filter((version) => version.storage === true).length !== 1) {
      const why = 'must have exactly one version marked as storage version'
      causes.push(
        fieldInvalid(
          'spec.versions',
          versions.map((version) => version.name),
          why,
        ),
      )
    }
    for (const [index, version] of versions.entries()) causes.push(...validateVersion(version, index))
    return causes
  },
}

function validateVersion(version: Json, index: number): Cause[] {
  const path = `spec.versions[${index}].schema.openAPIV3Schema`
  const schema = isObject(version.schema) ? version.schema.openAPIV3Schema : undefined
  if (!isObject(schema)) return [fieldRequired(path, 'schemas are required')]
  const causes = structuralProblems(schema as Schema, path, true)
  if (causes.length > 0) return causes
  try {
    compileRules(schema as Schema)
    return []
  } catch (error) {
    return [fieldInvalid(path, 'x-kubernetes-validations', error instanceof Error ? error.message : String(error))]
  }
}

/** What keeps a schema from being structural: a node without a type, or rules of lists that do not fit their items. */
function structuralProblems(schema: Schema, path: string, root = false): Cause[] {
  const causes: Cause[] = []
  const free = schema['x-kubernetes-int-or-string'] || schema['x-kubernetes-preserve-unknown-fields']
  if (!schema.type && !free) {
    const why = root ? 'must not be empty at the root' : 'must not be empty for specified object fields'
    causes.push(fieldRequired(`${path}.type`, why))
  }
  if (schema.type === 'array' && !schema.items) {
    causes.push(fieldRequired(`${path}.items`, 'must be specified'))
  }
  if (schema['x-kubernetes-list-type'] === 'map') {
    for (const key of schema['x-kubernetes-list-map-keys'] ?? []) {
      const field = schema.items?.properties?.[key]
      if (!field) {
        causes.push(
          fieldInvalid(
            `${path}.x-kubernetes-list-map-keys`,
            key,
            'entries have to be declared properties of the items',
          ),
        )
      } else if (field.default === undefined && !(schema.items?.required ?? []).includes(key)) {
        causes.push(
          fieldRequired(
            `${path}.items.properties[${key}].default`,
            'this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property',
          ),
        )
      }
    }
  }
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

import { compileRules } from '../cel-rules.ts'
import { ensureObject, isObject, type Json, objects } from '../json.ts'
import type { TypeRules } from '../resource-type.ts'
import type { Schema } from '../schema.ts'
import { type Cause, fieldInvalid, fieldNotSupported, fieldRequired } from '../status.ts'
import { structuralProblems } from './structural.ts'

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

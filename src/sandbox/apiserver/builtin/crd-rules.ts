import { compileRules, UncompilableRule } from '../cel-rules.ts'
import { ensureObject, isObject, type Json, objects } from '../json.ts'
import { prune } from '../prune.ts'
import type { TypeRules } from '../resource-type.ts'
import type { Schema } from '../schema.ts'
import { type Cause, fieldInvalid, fieldNotSupported, fieldRequired } from '../status.ts'
import { validateSchema } from '../validate-schema.ts'
import { structuralProblems } from './structural.ts'

const approval = 'api-approved.kubernetes.io'

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
    if (/(^|\.)(k8s|kubernetes)\.io$/.test(String(spec.group)) && !crd.metadata.annotations?.[approval]) {
      const why = `protected groups must have approval annotation "${approval}", see https://github.com/kubernetes/enhancements/pull/1111`
      causes.push(fieldRequired(`metadata.annotations[${approval}]`, why))
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
    for (const [index, version] of versions.entries()) {
      // As upstream, a schema that all versions share is named apart from them.
      const path = versions.length === 1 ? 'spec.validation' : `spec.versions[${index}].schema`
      causes.push(...validateVersion(version, `${path}.openAPIV3Schema`))
    }
    return causes
  },
}

function validateVersion(version: Json, path: string): Cause[] {
  const schema = isObject(version.schema) ? version.schema.openAPIV3Schema : undefined
  if (!isObject(schema)) return [fieldRequired(path, 'schemas are required')]
  const causes = structuralProblems(schema as Schema, path, true)
  if (causes.length > 0) return causes
  try {
    compileRules(schema as Schema, path)
  } catch (error) {
    if (error instanceof UncompilableRule) return [fieldInvalid(error.field, error.rule, error.message)]
    throw error
  }
  return invalidDefaults(schema as Schema, path)
}

/** A default must hold as it stands: the defaults inside it are not filled in before it is checked. */
function invalidDefaults(schema: Schema, path: string): Cause[] {
  const causes: Cause[] = []
  if (schema.default !== undefined && schema.default !== null) causes.push(...defaultProblems(schema, path))
  for (const [name, field] of Object.entries(schema.properties ?? {})) {
    causes.push(...invalidDefaults(field, `${path}.properties[${name}]`))
  }
  if (schema.items) causes.push(...invalidDefaults(schema.items, `${path}.items`))
  if (isObject(schema.additionalProperties)) {
    causes.push(...invalidDefaults(schema.additionalProperties as Schema, `${path}.additionalProperties`))
  }
  return causes
}

function defaultProblems(schema: Schema, path: string): Cause[] {
  const node: Schema = { type: 'object', properties: { default: schema } }
  const object = { default: structuredClone(schema.default) }
  if (prune(object, node).length > 0) {
    return [fieldInvalid(`${path}.default`, schema.default, 'must not have unknown fields')]
  }
  const wrong = validateSchema(object, node)
  const causes = wrong.length > 0 ? wrong : compileRules(node)(object, undefined)
  return causes.map((cause) => ({
    ...cause,
    field: `${path}.${cause.field}`,
    message: cause.message.replace(': default in body', ':  in body'),
  }))
}

import type { KubeObject } from '../../kube/object.ts'
import { compileRules, noRules } from './cel-rules.ts'
import { isObject } from './json.ts'
import { fieldAt } from './json-path.ts'
import { validateLabels, validateName, validateQualifiedKey } from './names.ts'
import type { ResourceType, ScalePaths, ServedVersion } from './resource-type.ts'
import { type Cause, fieldForbidden, fieldInvalid, fieldRequired } from './status.ts'
import { validateBuiltin, validateSchema } from './validate-schema.ts'

/** Everything wrong with an object: metadata, schema, CEL rules (only when the schema holds), the kind's own rules. */
export function validateObject(
  type: ResourceType,
  version: ServedVersion,
  object: KubeObject,
  old: KubeObject | undefined,
): Cause[] {
  const causes = validateMetadata(type, object, old)
  if (version.schema) {
    const found = type.builtin ? validateBuiltin(object, version.schema) : validateSchema(object, version.schema)
    causes.push(...found)
    version.rules ??= compileRules(version.schema)
    if (!causes.some(isBlocking)) causes.push(...version.rules(object, old))
    else if (version.rules !== noRules) causes.push(unchecked)
  }
  if (version.scale && !type.builtin) causes.push(...scaleProblems(version.scale, object))
  causes.push(...(type.rules.validate?.(object, old) ?? []))
  return causes
}

/** What the paths of a scale subresource lead to must be a number of replicas, as upstream beside whatever the schema says. */
function scaleProblems({ specReplicasPath, statusReplicasPath }: ScalePaths, object: KubeObject): Cause[] {
  return [specReplicasPath, statusReplicasPath].flatMap((path) => {
    const value = fieldAt(object, path)
    if (value === undefined) return []
    if (typeof value !== 'number' || !Number.isInteger(value)) {
      return [fieldInvalid(path, value, `accessor error: ${JSON.stringify(value)} is not of the type int64`)]
    }
    return value < 0 ? [fieldInvalid(path, value, 'should be a non-negative integer')] : []
  })
}

/** As upstream: after these, CEL rules are not evaluated. */
function isBlocking({ reason }: Cause): boolean {
  return [
    'FieldValueNotSupported',
    'FieldValueRequired',
    'FieldValueTooLong',
    'FieldValueTooMany',
    'FieldValueTypeInvalid',
  ].includes(reason)
}

const unchecked: Cause = {
  reason: 'FieldValueInvalid',
  message:
    'Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation',
  field: '<nil>',
}

function validateMetadata(type: ResourceType, object: KubeObject, old: KubeObject | undefined): Cause[] {
  const { metadata } = object
  const causes: Cause[] = []
  if (!old) causes.push(...validateName(type.alias?.of.group ?? type.group, type.plural, metadata.name ?? ''))
  if (isObject(metadata.labels)) causes.push(...validateLabels(metadata.labels, 'metadata.labels'))
  for (const key of Object.keys(metadata.annotations ?? {})) {
    causes.push(...validateQualifiedKey(key.toLowerCase(), 'metadata.annotations'))
  }
  for (const [index, owner] of (metadata.ownerReferences ?? []).entries()) {
    for (const field of ['apiVersion', 'kind', 'name', 'uid'] as const) {
      const path = `metadata.ownerReferences[${index}].${field}`
      if (!owner[field]) causes.push(fieldInvalid(path, owner[field] ?? '', `${field} must not be empty`))
    }
  }
  if ((metadata.ownerReferences ?? []).filter((owner) => owner.controller).length > 1) {
    causes.push(
      fieldInvalid(
        'metadata.ownerReferences',
        metadata.ownerReferences,
        'Only one reference can have Controller set to true. Found "true" in references',
      ),
    )
  }
  for (const finalizer of metadata.finalizers ?? []) {
    causes.push(...validateQualifiedKey(finalizer, 'metadata.finalizers'))
  }
  if (type.namespaced && !metadata.namespace) causes.push(fieldRequired('metadata.namespace'))
  if (old?.metadata.deletionTimestamp) {
    const added = (metadata.finalizers ?? []).filter((name) => !(old.metadata.finalizers ?? []).includes(name))
    if (added.length > 0) {
      causes.push(
        fieldForbidden(
          'metadata.finalizers',
          `no new finalizers can be added if the object is being deleted, found new finalizers []string{${added.map((name) => JSON.stringify(name)).join(', ')}}`,
        ),
      )
    }
  }
  return causes
}

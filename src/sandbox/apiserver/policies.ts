import type { KubeObject } from '../../kube/object.ts'
import type { Admission, AdmissionRequest } from './admission.ts'
import { mergeConfig } from './apply-patch.ts'
import type { Authorizer } from './authorization.ts'
import { firstLine, fromCel, type Program } from './cel.ts'
import { at, equal, isObject, type Json, objects, stringAt } from './json.ts'
import { jsonPatch } from './json-patch.ts'
import { applySchema } from './managed-fields.ts'
import type { ObjectStore } from './object-store.ts'
import {
  atomicPath,
  compilePolicy,
  policyEnvironment,
  policyExpressions,
  policyVariables,
} from './policy-expressions.ts'
import { matchesResources } from './policy-match.ts'
import type { Registry } from './registry.ts'
import { storedVersion, versionOf } from './resource-type.ts'
import { matchesSelector } from './selectors.ts'
import { ApiError, fieldInvalid, groupResource, invalid } from './status.ts'

const group = 'admissionregistration.k8s.io'

/** A policy that applies to a request through one of its bindings. */
interface Applied {
  policy: KubeObject
  binding: KubeObject
  params: KubeObject | undefined
}

const reasonCodes: Record<string, number> = {
  Unauthorized: 401,
  Forbidden: 403,
  Invalid: 422,
  RequestEntityTooLarge: 413,
}

/**
 * Evaluates the stored ValidatingAdmissionPolicies and MutatingAdmissionPolicies on every write.
 * https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/
 */
export function runPolicies(
  admission: Admission,
  store: ObjectStore,
  registry: Registry,
  authorizer: Authorizer,
): () => void {
  const env = policyEnvironment('authorizer')
  const messageEnv = policyEnvironment('no authorizer')
  const compiled = new Map<string, Program>()

  function program(expression: string): Program {
    let found = compiled.get(expression)
    if (!found) {
      found = compilePolicy(env, expression)
      compiled.set(expression, found)
    }
    return found
  }

  function applied(kind: 'validating' | 'mutating', request: AdmissionRequest): Applied[] {
    // A policy cannot lock out those who would repair it.
    if (request.type.group === group) return []
    const bindings = store.list({ group, plural: `${kind}admissionpolicybindings` })
    return bindings.flatMap((binding) => {
      const policy = store.get(
        { group, plural: `${kind}admissionpolicies` },
        { name: stringAt(binding, 'spec', 'policyName') ?? '' },
      )
      if (!policy) return []
      if (!matchesResources(at(policy, 'spec', 'matchConstraints'), request, store)) return []
      if (!matchesResources(at(binding, 'spec', 'matchResources'), request, store)) return []
      return paramsOf(policy, binding, request).map((params) => ({ policy, binding, params }))
    })
  }

  function paramsOf(policy: KubeObject, binding: KubeObject, request: AdmissionRequest): (KubeObject | undefined)[] {
    const kind = at(policy, 'spec', 'paramKind')
    const ref = at(binding, 'spec', 'paramRef')
    if (!isObject(kind) || !isObject(ref)) return [undefined]
    const apiVersion = String(kind.apiVersion)
    const type = registry.byKind(apiVersion.includes('/') ? (apiVersion.split('/')[0] ?? '') : '', String(kind.kind))
    if (!type)
      throw denied(
        request,
        { policy, binding, params: undefined },
        `failed to find resource referenced by paramKind: '${apiVersion}, Kind=${String(kind.kind)}'`,
      )
    const namespace = type.namespaced ? String(ref.namespace ?? request.namespace ?? '') : undefined
    const found =
      typeof ref.name === 'string'
        ? [store.get(type, { namespace, name: ref.name })].filter((each) => each !== undefined)
        : store.list(type, namespace).filter((each) => matchesSelector(ref.selector, each.metadata.labels ?? {}))
    if (found.length > 0) return found
    if (ref.parameterNotFoundAction === 'Allow') return []
    throw denied(
      request,
      { policy, binding, params: undefined },
      'no params found for policy binding with `Deny` parameterNotFoundAction',
    )
  }

  function scope(request: AdmissionRequest, each: Applied): Json {
    const namespace = request.namespace
      ? store.get({ group: '', plural: 'namespaces' }, { name: request.namespace })
      : undefined
    return policyVariables({ request, namespace, params: each.params, authorizer }, each.policy, program)
  }

  /** False when a match condition says no; a condition that fails to evaluate is the failure policy's business. */
  function conditionsHold(each: Applied, variables: Json): boolean {
    // As upstream: conditions are evaluated before the policy's variables, and without the namespace.
    const early = { ...variables, variables: {}, namespaceObject: null }
    return objects(at(each.policy, 'spec', 'matchConditions')).every(
      (condition) => program(stringAt(condition, 'expression') ?? '')(early) === true,
    )
  }

  function guarded(request: AdmissionRequest, each: Applied, run: () => void): void {
    try {
      run()
    } catch (error) {
      if (error instanceof ApiError) throw error
      if (at(each.policy, 'spec', 'failurePolicy') === 'Ignore') return
      const why = error instanceof Error ? firstLine(error.message) : String(error)
      throw denied(request, each, `expression resulted in error: ${why}`)
    }
  }

  function mutate(request: AdmissionRequest): void {
    // A second pass lets policies see what later ones changed (reinvocationPolicy: IfNeeded).
    for (const pass of [1, 2]) {
      let changed = false
      for (const each of applied('mutating', request)) {
        if (pass === 2 && at(each.policy, 'spec', 'reinvocationPolicy') !== 'IfNeeded') continue
        guarded(request, each, () => {
          if (!conditionsHold(each, scope(request, each))) return
          for (const mutation of objects(at(each.policy, 'spec', 'mutations'))) {
            changed = applyMutation(request, each, mutation) || changed
          }
        })
      }
      if (!changed) return
    }
  }

  function applyMutation(request: AdmissionRequest, each: Applied, mutation: Json): boolean {
    const { object } = request
    if (!object) return false
    const isPatch = mutation.patchType === 'JSONPatch'
    const expression = stringAt(mutation, isPatch ? 'jsonPatch' : 'applyConfiguration', 'expression') ?? ''
    const value = fromCel(program(expression)(scope(request, each)))
    const version = versionOf(request.type, request.version) ?? storedVersion(request.type)
    const atomic = isPatch ? undefined : atomicPath(value, applySchema(version))
    if (atomic !== undefined) throw new Error(`may not mutate atomic arrays, maps or structs: ${atomic}`)
    const next = isPatch ? jsonPatch(object, value) : mergeConfig(object, value, applySchema(version))
    if (!isObject(next) || equal(next, object)) return false
    for (const name of Object.keys(object)) if (!(name in next)) delete object[name]
    Object.assign(object, next)
    return true
  }

  function validate(request: AdmissionRequest): void {
    for (const each of applied('validating', request)) {
      guarded(request, each, () => {
        const variables = scope(request, each)
        if (!conditionsHold(each, variables)) return
        for (const validation of objects(at(each.policy, 'spec', 'validations'))) {
          const message = failure(validation, variables)
          if (message === undefined) continue
          const actions = at(each.binding, 'spec', 'validationActions')
          const list = Array.isArray(actions) ? actions : ['Deny']
          if (list.includes('Warn')) {
            request.warnings.push(
              `Validation failed for ValidatingAdmissionPolicy '${each.policy.metadata.name}' with binding '${each.binding.metadata.name}': ${message}`,
            )
          }
          if (list.includes('Deny')) throw denied(request, each, message, stringAt(validation, 'reason'))
        }
      })
    }
  }

  function failure(validation: Json, variables: Json): string | undefined {
    const expression = stringAt(validation, 'expression') ?? ''
    let holds: unknown
    try {
      holds = program(expression)(variables)
    } catch (error) {
      throw new Error(
        `expression '${expression}' resulted in error: ${error instanceof Error ? firstLine(error.message) : String(error)}`,
        { cause: error },
      )
    }
    if (holds === true) return undefined
    const computed = stringAt(validation, 'messageExpression')
    if (computed !== undefined) {
      try {
        const text = program(computed)(variables)
        if (typeof text === 'string' && text.trim() !== '') return text
      } catch {
        // As upstream: a message that cannot be computed falls back to the written one.
      }
    }
    return stringAt(validation, 'message') ?? `failed expression: ${expression}`
  }

  /** A policy whose expressions do not compile is refused when it is written, not when it is needed. */
  function checkPolicy({ type, object, name }: AdmissionRequest): void {
    if (type.group !== group || !object || !type.plural.endsWith('policies')) return
    const causes = policyExpressions(object).flatMap(({ field, expression }) => {
      try {
        if (field.endsWith('.messageExpression')) compilePolicy(messageEnv, expression)
        else program(expression)
        return []
      } catch (error) {
        const why = error instanceof Error ? firstLine(error.message) : String(error)
        return [fieldInvalid(field, expression, `compilation failed: ${why}`)]
      }
    })
    if (causes.length > 0) throw invalid(type, name, causes)
  }

  const stops = [admission.addMutating(mutate), admission.addValidating(validate), admission.addValidating(checkPolicy)]
  return () => {
    for (const stop of stops) stop()
  }
}

function denied(request: AdmissionRequest, { policy, binding }: Applied, why: string, reason = 'Invalid'): ApiError {
  const message = `${policy.kind} '${policy.metadata.name}' with binding '${binding.metadata.name}' denied request: ${why}`
  return new ApiError(
    reasonCodes[reason] ?? 422,
    reason,
    `${groupResource(request.type)} "${request.name}" is forbidden: ${message}`,
    {
      name: request.name,
      ...(request.type.group ? { group: request.type.group } : {}),
      kind: request.type.plural,
      causes: [{ reason: '', message, field: '' }],
    },
  )
}

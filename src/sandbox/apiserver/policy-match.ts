import type { KubeObject } from '../../kube/object.ts'
import type { AdmissionRequest } from './admission.ts'
import { isObject, type Json, objects } from './json.ts'
import type { ObjectStore } from './object-store.ts'
import { matchesSelector } from './selectors.ts'

/** Whether a MatchResources selects a request: rules, exclusions, namespace and object selectors. */
export function matchesResources(match: unknown, request: AdmissionRequest, store: ObjectStore): boolean {
  if (!isObject(match)) return true
  const rules = objects(match.resourceRules)
  if (rules.length > 0 && !rules.some((rule) => matchesRule(rule, request, match.matchPolicy))) return false
  if (objects(match.excludeResourceRules).some((rule) => matchesRule(rule, request, match.matchPolicy))) return false
  if (!matchesNamespace(match.namespaceSelector, request, store)) return false
  const labelsOf = (object: KubeObject | undefined) => object?.metadata.labels ?? {}
  // As upstream, the selector may match either object: taking the label off does not evade a policy.
  return [request.object, request.oldObject].some(
    (object) => object !== undefined && matchesSelector(match.objectSelector, labelsOf(object)),
  )
}

function matchesRule(rule: Json, request: AdmissionRequest, matchPolicy: unknown): boolean {
  const has = (field: string, ...values: string[]) => {
    const list = rule[field]
    return Array.isArray(list) && (list.includes('*') || values.some((value) => list.includes(value)))
  }
  const { type, subresource, operation, version, name } = request
  const resource = subresource ? `${type.plural}/${subresource}` : type.plural
  const resources = Array.isArray(rule.resources) ? rule.resources : []
  const byResource =
    resources.includes(resource) ||
    resources.includes('*/*') ||
    (subresource
      ? resources.includes(`${type.plural}/*`) || resources.includes(`*/${subresource}`)
      : resources.includes('*'))
  if (!byResource || !has('apiGroups', type.group) || !has('operations', operation)) return false
  const versions = matchPolicy === 'Exact' ? [version] : type.versions.map((each) => each.name)
  if (!has('apiVersions', ...versions)) return false
  if (rule.scope === 'Cluster' && type.namespaced) return false
  if (rule.scope === 'Namespaced' && !type.namespaced) return false
  const names = Array.isArray(rule.resourceNames) ? rule.resourceNames : []
  return names.length === 0 || names.includes(name)
}

function matchesNamespace(selector: unknown, request: AdmissionRequest, store: ObjectStore): boolean {
  if (!isObject(selector) || Object.keys(selector).length === 0) return true
  const isNamespace = request.type.group === '' && request.type.plural === 'namespaces'
  if (request.namespace === undefined && !isNamespace) return true
  const labels = isNamespace
    ? (request.object ?? request.oldObject)?.metadata.labels
    : store.get({ group: '', plural: 'namespaces' }, { name: request.namespace ?? '' })?.metadata.labels
  return matchesSelector(selector, labels ?? {})
}

import type { KubeObject } from '../../kube/object.ts'
import { at, isObject, type Json, objects } from './json.ts'
import { badRequest } from './status.ts'

/** Decides by labels. */
export type LabelSelector = (labels: Json) => boolean

/** Whether a metav1.LabelSelector selects these labels; an empty one selects everything. */
export function matchesSelector(selector: unknown, labels: Json): boolean {
  if (!isObject(selector)) return true
  const wanted = isObject(selector.matchLabels) ? selector.matchLabels : {}
  if (Object.entries(wanted).some(([key, value]) => labels[key] !== value)) return false
  return objects(selector.matchExpressions).every((expression) => {
    const key = String(expression.key)
    const values = Array.isArray(expression.values) ? expression.values : []
    if (expression.operator === 'In') return key in labels && values.includes(labels[key])
    if (expression.operator === 'NotIn') return !(key in labels) || !values.includes(labels[key])
    if (expression.operator === 'Exists') return key in labels
    return !(key in labels)
  })
}

/** A metav1.LabelSelector in the query syntax, for status.selector of scale. */
export function selectorText(selector: unknown): string {
  if (!isObject(selector)) return ''
  const parts = Object.entries(isObject(selector.matchLabels) ? selector.matchLabels : {})
    .map(([key, value]) => `${key}=${value}`)
    .sort()
  for (const { key, operator, values } of objects(selector.matchExpressions)) {
    const list = Array.isArray(values) ? values.toSorted().join(',') : ''
    if (operator === 'In') parts.push(`${key} in (${list})`)
    else if (operator === 'NotIn') parts.push(`${key} notin (${list})`)
    else parts.push(operator === 'Exists' ? String(key) : `!${key}`)
  }
  return parts.join(',')
}

/** Parses the labelSelector parameter: `a=b,c!=d,e in (f,g),h notin (i),j,!k`. */
export function parseLabelSelector(text: string): LabelSelector {
  const tests = splitTopLevel(text).map((part) => parseRequirement(part, text))
  return (labels) => tests.every((test) => test(labels))
}

function splitTopLevel(text: string): string[] {
  const parts: string[] = []
  let depth = 0
  let current = ''
  for (const character of text) {
    if (character === '(') depth++
    if (character === ')') depth--
    if (character === ',' && depth === 0) {
      parts.push(current)
      current = ''
    } else current += character
  }
  parts.push(current)
  return parts.map((part) => part.trim()).filter((part) => part !== '')
}

function parseRequirement(part: string, whole: string): LabelSelector {
  const set = /^([^\s()!=,]+)\s+(in|notin)\s*\(([^)]*)\)$/.exec(part)
  if (set) {
    const [, key = '', operator] = set
    const values = (set[3] ?? '').split(',').map((value) => value.trim())
    const within = (labels: Json) => key in labels && values.includes(String(labels[key]))
    return operator === 'in' ? within : (labels) => !within(labels)
  }
  const equality = /^([^\s()!=,]+)\s*(==|=|!=)\s*([^\s()!=,]*)$/.exec(part)
  if (equality) {
    const [, key = '', operator, value = ''] = equality
    return operator === '!=' ? (labels) => labels[key] !== value : (labels) => labels[key] === value
  }
  const numeric = /^([^\s()!=,<>]+)\s*([<>])\s*(\d+)$/.exec(part)
  if (numeric) {
    const [, key = '', operator, bound] = numeric
    return (labels) => {
      const value = Number(labels[key] ?? Number.NaN)
      return operator === '<' ? value < Number(bound) : value > Number(bound)
    }
  }
  const existence = /^(!?)\s*([^\s()!=,]+)$/.exec(part)
  if (!existence) {
    throw badRequest(`unable to parse requirement: couldn't parse the selector string "${whole}": unexpected "${part}"`)
  }
  const [, not, key = ''] = existence
  return (labels) => key in labels !== (not === '!')
}

/** Fields the server can select by, per resource, besides metadata.name and metadata.namespace. */
const selectable: Readonly<Record<string, readonly string[]>> = {
  '/pods': [
    'spec.nodeName',
    'spec.restartPolicy',
    'spec.schedulerName',
    'spec.serviceAccountName',
    'status.phase',
    'status.podIP',
    'status.nominatedNodeName',
  ],
  '/events': [
    'involvedObject.kind',
    'involvedObject.namespace',
    'involvedObject.name',
    'involvedObject.uid',
    'involvedObject.apiVersion',
    'involvedObject.resourceVersion',
    'involvedObject.fieldPath',
    'reason',
    'reportingComponent',
    'source',
    'type',
  ],
  'events.k8s.io/events': [
    'regarding.kind',
    'regarding.name',
    'regarding.namespace',
    'regarding.uid',
    'reason',
    'type',
  ],
  '/secrets': ['type'],
  '/namespaces': ['status.phase'],
  '/services': ['spec.clusterIP', 'spec.type'],
  '/nodes': ['spec.unschedulable'],
  'apps/replicasets': ['status.replicas'],
}

/** Parses the fieldSelector parameter for a resource; an unknown field is refused as the real server refuses it. */
export function parseFieldSelector(text: string, resource: string): (object: KubeObject) => boolean {
  const known = ['metadata.name', 'metadata.namespace', ...(selectable[resource] ?? [])]
  const tests = text
    .split(',')
    .filter((part) => part.trim() !== '')
    .map((part) => {
      const match = /^\s*([\w./-]+)\s*(==|=|!=)\s*(.*?)\s*$/.exec(part)
      if (!match) throw badRequest(`invalid selector: '${text}'; can't understand '${part}'`)
      const [, field = '', operator, value = ''] = match
      if (!known.includes(field)) throw badRequest(`field label not supported: ${field}`)
      const path = field === 'source' ? ['source', 'component'] : field.split('.')
      return (object: KubeObject) => (String(at(object, ...path) ?? '') === value) !== (operator === '!=')
    })
  return (object) => tests.every((test) => test(object))
}

import { isObject, type Json, objects } from './json.ts'

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

import { fieldAt, labelsAt, listAt, textAt } from '../../kube/field.ts'

/**
 * Whether a LabelSelector (`matchLabels` and `matchExpressions`) selects something with these labels. An absent selector selects
 * nothing, an empty one everything, an unknown operator nothing.
 */
export function selects(selector: unknown, labels: Readonly<Record<string, string>>): boolean {
  if (typeof selector !== 'object' || selector === null) return false
  return (
    hasAll(labels, labelsAt(selector, 'matchLabels') ?? {}) &&
    listAt(selector, 'matchExpressions').every((expression) => satisfies(labels, expression))
  )
}

/** Whether `labels` carries every one of `wanted`. */
export function hasAll(labels: Readonly<Record<string, string>>, wanted: Readonly<Record<string, string>>): boolean {
  return Object.entries(wanted).every(([key, value]) => fieldAt(labels, key) === value)
}

function satisfies(labels: Readonly<Record<string, string>>, expression: unknown): boolean {
  const key = textAt(expression, 'key')
  const value = key === undefined ? undefined : textAt(labels, key)
  const listed = value !== undefined && listAt(expression, 'values').includes(value)
  switch (textAt(expression, 'operator')) {
    case 'In':
      return listed
    case 'NotIn':
      return !listed
    case 'Exists':
      return value !== undefined
    case 'DoesNotExist':
      return value === undefined
    default:
      return false
  }
}

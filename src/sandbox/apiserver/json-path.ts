import { isObject } from './json.ts'

/**
 * The values at a simple JSON path, as printer columns use them: `.spec.replicas`, `.spec.hosts[0]`,
 * `.spec.ports[*].port`, `.metadata.annotations.example\.com/key`, `.status.conditions[?(@.type=="Ready")].status`.
 */
export function jsonPath(value: unknown, path: string): unknown[] {
  let current: unknown[] = [value]
  for (const step of stepsOf(path)) {
    current = current.flatMap((each) => follow(each, step)).filter((each) => each !== undefined && each !== null)
  }
  return current
}

type Step =
  | { kind: 'field'; name: string }
  | { kind: 'index'; index: number }
  | { kind: 'all' }
  | { kind: 'filter'; path: string; value: string }

function stepsOf(path: string): Step[] {
  const steps: Step[] = []
  const token =
    /\.((?:\\.|[^.[\\])+)|\[(-?\d+)\]|\[(\*)\]|\['([^']+)'\]|\["([^"]+)"\]|\[\?\(@(\.[^=\s]+)\s*==\s*(?:"([^"]*)"|'([^']*)'|(\w+))\)\]/gy
  const text = path.replace(/^\{|\}$/g, '').replace(/^\$/, '')
  for (let match = token.exec(text); match; match = token.exec(text)) {
    const [, field, index, all, quoted, double, filter, a, b, c] = match
    const name = field ?? quoted ?? double
    if (name === '*' || all) steps.push({ kind: 'all' })
    else if (name !== undefined) steps.push({ kind: 'field', name: name.replaceAll(/\\(.)/g, '$1') })
    else if (index !== undefined) steps.push({ kind: 'index', index: Number(index) })
    else if (filter !== undefined) steps.push({ kind: 'filter', path: filter, value: a ?? b ?? c ?? '' })
  }
  return steps
}

function follow(value: unknown, step: Step): unknown[] {
  switch (step.kind) {
    case 'field':
      return isObject(value) ? [value[step.name]] : []
    case 'index':
      return Array.isArray(value) ? [value.at(step.index)] : []
    case 'all':
      return Array.isArray(value) ? value : isObject(value) ? Object.values(value) : []
    case 'filter':
      return Array.isArray(value) ? value.filter((item) => String(jsonPath(item, step.path)[0]) === step.value) : []
  }
}

/** Sets the value at a path of plain fields (`.spec.replicas`), making the objects on the way. */
export function setAtPath(object: Record<string, unknown>, path: string, value: unknown): void {
  const names = path.split('.').filter((name) => name !== '')
  let current = object
  for (const name of names.slice(0, -1)) {
    const next = current[name]
    if (isObject(next)) current = next
    else {
      const created: Record<string, unknown> = {}
      current[name] = created
      current = created
    }
  }
  const last = names.at(-1)
  if (last !== undefined) current[last] = value
}

/** The value at a path of plain fields (`.spec.replicas`), nulls included; undefined when it is not there. */
export function fieldAt(value: unknown, path: string): unknown {
  return path
    .split('.')
    .filter((name) => name !== '')
    .reduce((current, name) => (isObject(current) ? current[name] : undefined), value)
}

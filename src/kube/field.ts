/** The value at a path inside plain JSON, or undefined where there is none. Numbers index lists; only own members count. */
export function fieldAt(value: unknown, ...path: (string | number)[]): unknown {
  let here = value
  for (const key of path) {
    if (typeof here !== 'object' || here === null || !Object.hasOwn(here, key)) return undefined
    here = Reflect.get(here, key)
  }
  return here
}

/** The list at a path inside plain JSON; empty where there is none. */
export function listAt(value: unknown, ...path: (string | number)[]): unknown[] {
  const found = fieldAt(value, ...path)
  return Array.isArray(found) ? found : []
}

/** The text at a path inside plain JSON, or undefined where there is none. */
export function textAt(value: unknown, ...path: (string | number)[]): string | undefined {
  const found = fieldAt(value, ...path)
  return typeof found === 'string' ? found : undefined
}

/** The map of strings at a path inside plain JSON, for labels and selectors; undefined where there is none. */
export function labelsAt(value: unknown, ...path: (string | number)[]): Record<string, string> | undefined {
  const found = fieldAt(value, ...path)
  if (typeof found !== 'object' || found === null || Array.isArray(found)) return undefined
  const entries = Object.entries(found).filter((entry): entry is [string, string] => typeof entry[1] === 'string')
  return Object.fromEntries(entries)
}

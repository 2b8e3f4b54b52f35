/** A JSON object whose fields are not known in advance. */
export type Json = Record<string, unknown>

export function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Structural equality of JSON values; an absent field and an undefined one are the same. */
export function equal(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (Array.isArray(a)) {
    if (!Array.isArray(b) || a.length !== b.length) return false
    return a.every((item, index) => equal(item, b[index]))
  }
  if (!isObject(a) || !isObject(b)) return false
  for (const key of Object.keys(a)) if (!equal(a[key], b[key])) return false
  for (const key of Object.keys(b)) if (b[key] !== undefined && a[key] === undefined) return false
  return true
}

/** A deep copy of a JSON value, several times faster than structuredClone and without its type fidelity. */
export function clone<T>(value: T): T {
  return cloneValue(value) as T
}

function cloneValue(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(cloneValue)
  if (!isObject(value)) return value
  const copy: Json = {}
  for (const key of Object.keys(value)) {
    const field = value[key]
    if (field !== undefined) copy[key] = cloneValue(field)
  }
  return copy
}

/** Freezes a JSON value all the way down, so that no reader of the store can change what others see. */
export function freeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value)
    for (const field of Object.values(value)) freeze(field)
  }
  return value
}

/** The value at a path of field names, or undefined when anything on the way is missing. */
export function at(value: unknown, ...path: string[]): unknown {
  let current = value
  for (const name of path) {
    if (!isObject(current)) return undefined
    current = current[name]
  }
  return current
}

/** The object at a field, created when it is missing or no object. */
export function ensureObject(parent: Json, name: string): Json {
  const present = parent[name]
  if (isObject(present)) return present
  const created: Json = {}
  parent[name] = created
  return created
}

/** The objects in a list, or nothing when it is no list. */
export function objects(value: unknown): Json[] {
  return Array.isArray(value) ? value.filter(isObject) : []
}

export function stringAt(value: unknown, ...path: string[]): string | undefined {
  const found = at(value, ...path)
  return typeof found === 'string' ? found : undefined
}

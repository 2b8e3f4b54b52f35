import { isObject, type Json } from './json.ts'

/**
 * A set of field paths as `metadata.managedFields` keeps them (FieldsV1): a trie whose keys are path elements in their
 * written form (`f:name`, `k:{"name":"web"}`, `v:"x"`); `member` says that the path up to here is itself in the set.
 */
export interface FieldSet {
  member: boolean
  children: Map<string, FieldSet>
}

export function emptySet(member = false): FieldSet {
  return { member, children: new Map() }
}

export function isEmpty(set: FieldSet): boolean {
  if (set.member) return false
  for (const child of set.children.values()) if (!isEmpty(child)) return false
  return true
}

export function insert(set: FieldSet, path: readonly string[]): void {
  let node = set
  for (const element of path) {
    let next = node.children.get(element)
    if (!next) {
      next = emptySet()
      node.children.set(element, next)
    }
    node = next
  }
  node.member = true
}

export function union(a: FieldSet, b: FieldSet): FieldSet {
  const result = emptySet(a.member || b.member)
  for (const [element, child] of a.children) {
    const other = b.children.get(element)
    result.children.set(element, other ? union(child, other) : child)
  }
  for (const [element, child] of b.children) if (!a.children.has(element)) result.children.set(element, child)
  return result
}

/** The paths that are members of both. */
export function intersection(a: FieldSet, b: FieldSet): FieldSet {
  const result = emptySet(a.member && b.member)
  for (const [element, child] of a.children) {
    const other = b.children.get(element)
    if (!other) continue
    const both = intersection(child, other)
    if (!isEmpty(both)) result.children.set(element, both)
  }
  return result
}

/** The members of `a` that are not members of `b`. */
export function difference(a: FieldSet, b: FieldSet): FieldSet {
  const result = emptySet(a.member && !b.member)
  for (const [element, child] of a.children) {
    const other = b.children.get(element)
    const rest = other ? difference(child, other) : child
    if (!isEmpty(rest)) result.children.set(element, rest)
  }
  return result
}

export function equalSets(a: FieldSet, b: FieldSet): boolean {
  return isEmpty(difference(a, b)) && isEmpty(difference(b, a))
}

export function toFieldsV1(set: FieldSet): Json {
  const result: Json = {}
  if (set.member && set.children.size > 0) result['.'] = {}
  for (const element of [...set.children.keys()].sort()) {
    const child = set.children.get(element)
    if (child && !isEmpty(child)) result[element] = toFieldsV1(child)
  }
  return result
}

/** Reads FieldsV1; the root itself is never a member. */
export function fromFieldsV1(fields: unknown): FieldSet {
  const set = read(fields)
  set.member = false
  return set
}

function read(fields: unknown): FieldSet {
  if (!isObject(fields)) return emptySet(true)
  const names = Object.keys(fields)
  const set = emptySet(names.length === 0 || '.' in fields)
  for (const name of names) if (name !== '.') set.children.set(name, read(fields[name]))
  return set
}

/** Every member as a path, in the order Kubernetes prints conflicts: `.spec.containers[name="web"].image`. */
export function paths(set: FieldSet, prefix = ''): string[] {
  const result = set.member ? [prefix] : []
  for (const element of [...set.children.keys()].sort()) {
    const child = set.children.get(element)
    if (child) result.push(...paths(child, prefix + shownElement(element)))
  }
  return result
}

/** A path element as Kubernetes prints it: `.image`, `[name="web"]`. */
export function shownElement(element: string): string {
  const text = element.slice(2)
  if (element.startsWith('f:')) return `.${text}`
  if (element.startsWith('v:')) return `[=${text}]`
  if (element.startsWith('i:')) return `[${text}]`
  const keys: unknown = JSON.parse(text)
  if (!isObject(keys)) return `[${text}]`
  return `[${Object.entries(keys)
    .map(([name, value]) => `${name}=${JSON.stringify(value)}`)
    .join(',')}]`
}

/** `k:{…}` of a list item, or undefined when one of its keys is missing. Absent keys with a default use it. */
export function keyElement(item: unknown, keys: readonly string[], defaults: Json = {}): string | undefined {
  if (!isObject(item)) return undefined
  const named: Json = {}
  for (const key of keys.toSorted()) {
    const value = item[key] ?? defaults[key]
    if (value !== undefined) named[key] = value
  }
  return Object.keys(named).length === 0 ? undefined : `k:${JSON.stringify(named)}`
}

export function valueElement(item: unknown): string {
  return `v:${JSON.stringify(item)}`
}

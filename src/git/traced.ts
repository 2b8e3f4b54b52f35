import { isObject, type Path } from './manifest.ts'

/** Where a scalar is written: in a file, or in a text that itself stands in a scalar of a file (an inline patch). */
export interface Place {
  file: string
  document: number
  path: Path
  /** The scalar of the file in which the text stands that `document` and `path` are about. */
  within?: { document: number; path: Path }
}

/** A scalar that remembers where it came from, however it was merged since. */
export interface Leaf {
  value: string | number | boolean | null
  /** Undefined for what was computed. */
  from?: Place
  /** The entry of a kustomization's `images` that made it of another image. */
  image?: { entry: Place; before: Leaf }
}

/** Plain JSON whose scalars know where they are written. */
export type Traced = Leaf | Traced[] | TracedMap
export type TracedMap = Map<string, Traced>

/** Makes plain JSON traced; `at` says where a scalar at a path is written. */
export function traced(value: unknown, at: (path: Path) => Place | undefined, path: Path = []): Traced {
  if (Array.isArray(value)) return value.map((item, i) => traced(item, at, [...path, i]))
  if (isObject(value))
    return new Map(Object.entries(value).map(([key, inner]) => [key, traced(inner, at, [...path, key])]))
  const scalar = typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? value : null
  return { value: scalar, from: at(path) }
}

/** Everything of one document, written at its own place. */
export function tracedAt(value: unknown, place: Place): Traced {
  return traced(value, (path) => ({ ...place, path: [...place.path, ...path] }))
}

export function plain(node: Traced): unknown {
  if (Array.isArray(node)) return node.map(plain)
  if (node instanceof Map) return Object.fromEntries([...node].map(([key, inner]) => [key, plain(inner)]))
  return node.value
}

export function isLeaf(node: Traced | undefined): node is Leaf {
  return node !== undefined && !Array.isArray(node) && !(node instanceof Map)
}

/** What is at a path; undefined where there is nothing. */
export function at(node: Traced | undefined, path: Path): Traced | undefined {
  let here = node
  for (const segment of path) {
    if (Array.isArray(here)) here = here[Number(segment)]
    else if (here instanceof Map) here = here.get(String(segment))
    else return undefined
  }
  return here
}

export function textOf(node: Traced | undefined): string | undefined {
  return isLeaf(node) && node.value !== null ? String(node.value) : undefined
}

/** The mapping at a path, made where it is missing. */
export function mapAt(root: TracedMap, path: string[]): TracedMap | undefined {
  let here: TracedMap = root
  for (const key of path) {
    const next = here.get(key)
    if (next instanceof Map) here = next
    else if (next === undefined || (isLeaf(next) && next.value === null)) {
      const made: TracedMap = new Map()
      here.set(key, made)
      here = made
    } else return undefined
  }
  return here
}

/** A copy that can be changed alone; scalars are never changed. */
export function copyOf<T extends Traced>(node: T): T
export function copyOf(node: Traced): Traced {
  if (Array.isArray(node)) return node.map((item) => copyOf(item))
  if (node instanceof Map) return new Map([...node].map(([key, inner]) => [key, copyOf(inner)]))
  return node
}

/** Every scalar under a node. */
export function* leavesOf(node: Traced): Generator<Leaf> {
  if (Array.isArray(node)) for (const item of node) yield* leavesOf(item)
  else if (node instanceof Map) for (const inner of node.values()) yield* leavesOf(inner)
  else yield node
}

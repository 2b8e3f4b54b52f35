import type { KubeObject } from './object.ts'

/** The values under which an object is found in an index. */
export type IndexFunction = (object: KubeObject) => readonly string[]

/** Objects by key, with secondary indexes that are kept as objects come and go. */
export interface Store {
  get(key: string): KubeObject | undefined
  list(): KubeObject[]
  keys(): IterableIterator<string>
  readonly size: number
  set(key: string, object: KubeObject): void
  delete(key: string): void
  /** Adds an index over what is and will be stored. Throws when the name is taken. */
  index(name: string, fn: IndexFunction): void
  /** The objects that `fn` filed under `value`, in no particular order. Throws when there is no such index. */
  byIndex(name: string, value: string): KubeObject[]
}

interface Index {
  fn: IndexFunction
  keysByValue: Map<string, Set<string>>
  valuesByKey: Map<string, readonly string[]>
}

/** `onIndexError` is told when an index function throws; that object is then missing from that index only. */
export function createStore(onIndexError: (index: string, key: string, error: unknown) => void): Store {
  const objects = new Map<string, KubeObject>()
  const indexes = new Map<string, Index>()

  function file(name: string, index: Index, key: string, object: KubeObject): void {
    let values: readonly string[]
    try {
      values = index.fn(object)
    } catch (error) {
      onIndexError(name, key, error)
      return
    }
    if (values.length === 0) return
    index.valuesByKey.set(key, values)
    for (const value of values) {
      const keys = index.keysByValue.get(value)
      if (keys) keys.add(key)
      else index.keysByValue.set(value, new Set([key]))
    }
  }

  function unfile(index: Index, key: string): void {
    for (const value of index.valuesByKey.get(key) ?? []) {
      const keys = index.keysByValue.get(value)
      keys?.delete(key)
      if (keys?.size === 0) index.keysByValue.delete(value)
    }
    index.valuesByKey.delete(key)
  }

  return {
    get: (key) => objects.get(key),
    list: () => [...objects.values()],
    keys: () => objects.keys(),
    get size() {
      return objects.size
    },
    set(key, object) {
      objects.set(key, object)
      for (const [name, index] of indexes) {
        unfile(index, key)
        file(name, index, key, object)
      }
    },
    delete(key) {
      objects.delete(key)
      for (const index of indexes.values()) unfile(index, key)
    },
    index(name, fn) {
      if (indexes.has(name)) throw new Error(`The index "${name}" exists already.`)
      const index: Index = { fn, keysByValue: new Map(), valuesByKey: new Map() }
      indexes.set(name, index)
      for (const [key, object] of objects) file(name, index, key, object)
    },
    byIndex(name, value) {
      const index = indexes.get(name)
      if (!index) throw new Error(`There is no index "${name}".`)
      const found: KubeObject[] = []
      for (const key of index.keysByValue.get(value) ?? []) {
        const object = objects.get(key)
        if (object) found.push(object)
      }
      return found
    },
  }
}

import type { KubeObject, ObjectKey } from '../../kube/object.ts'
import { freeze } from './json.ts'
import type { ResourceRef } from './resource-type.ts'
import { refKey } from './resource-type.ts'

export type EventType = 'ADDED' | 'MODIFIED' | 'DELETED'

/** One change of one object. `previous` lets a watcher with a selector tell leaving the selection from changing in it. */
export interface StoreEvent {
  type: EventType
  object: KubeObject
  previous: KubeObject | undefined
  resourceVersion: number
}

/** What `since` answers when the requested version is older than the event log reaches. */
export interface TooOld {
  oldest: number
}

/**
 * Versioned objects in memory: one global resourceVersion counter, and per resource a log of the last events from
 * which a watch can resume. Objects are frozen on their way in.
 */
export interface ObjectStore {
  get(ref: ResourceRef, key: ObjectKey): KubeObject | undefined
  /** Objects in key order. */
  list(ref: ResourceRef, namespace?: string): KubeObject[]
  count(ref: ResourceRef): number
  /** Writes the object under a new resourceVersion, which it sets, and tells subscribers. */
  put(ref: ResourceRef, object: KubeObject): KubeObject
  /** Removes the object; the DELETED event carries it under a new resourceVersion. */
  remove(ref: ResourceRef, key: ObjectKey): KubeObject | undefined
  /** Events after `resourceVersion`, oldest first. */
  since(ref: ResourceRef, resourceVersion: number): StoreEvent[] | TooOld
  subscribe(ref: ResourceRef, handler: (event: StoreEvent) => void): () => void
  /** Hears every resource's events. */
  subscribeAll(handler: (ref: ResourceRef, event: StoreEvent) => void): () => void
  resourceVersion(): number
  /** Forgets the event log of a resource, so that resuming from before now is answered 410. */
  compact(ref?: ResourceRef): void
}

interface Table {
  ref: ResourceRef
  objects: Map<string, KubeObject>
  namespaces: Map<string, Set<string>>
  sorted: KubeObject[] | undefined
  log: StoreEvent[]
  /** Events up to and including this version may be missing from the log. */
  floor: number
  handlers: Set<(event: StoreEvent) => void>
}

function keyText(key: ObjectKey): string {
  return `${key.namespace ?? ''}/${key.name}`
}

/** @param logSize events kept per resource for watches to resume from */
export function createObjectStore(logSize = 4096): ObjectStore {
  const tables = new Map<string, Table>()
  const everything = new Set<(ref: ResourceRef, event: StoreEvent) => void>()
  let version = 1
  // A handler may write: its event waits until everyone has heard the present one, so that all hear them in order.
  const pending: { to: Table; event: StoreEvent }[] = []
  let dispatching = false

  function table(ref: ResourceRef): Table {
    const name = refKey(ref)
    let found = tables.get(name)
    if (!found) {
      found = {
        ref: { group: ref.group, plural: ref.plural },
        objects: new Map(),
        namespaces: new Map(),
        sorted: undefined,
        log: [],
        floor: 0,
        handlers: new Set(),
      }
      tables.set(name, found)
    }
    return found
  }

  function record(to: Table, event: StoreEvent): void {
    to.log.push(event)
    if (to.log.length > logSize * 2) {
      const dropped = to.log.splice(0, to.log.length - logSize)
      to.floor = dropped.at(-1)?.resourceVersion ?? to.floor
    }
    pending.push({ to, event })
    if (dispatching) return
    dispatching = true
    try {
      for (let next = pending.shift(); next; next = pending.shift()) {
        for (const handler of [...next.to.handlers]) handler(next.event)
        for (const handler of [...everything]) handler(next.to.ref, next.event)
      }
    } finally {
      dispatching = false
    }
  }

  function stamp(object: KubeObject): KubeObject {
    version++
    return freeze({ ...object, metadata: { ...object.metadata, resourceVersion: String(version) } })
  }

  return {
    get: (ref, key) => table(ref).objects.get(keyText(key)),
    list(ref, namespace) {
      const from = table(ref)
      if (namespace !== undefined) {
        const names = [...(from.namespaces.get(namespace) ?? [])].sort()
        return names.map((name) => from.objects.get(`${namespace}/${name}`)).filter((object) => object !== undefined)
      }
      from.sorted ??= [...from.objects.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, object]) => object)
      return from.sorted.slice()
    },
    count: (ref) => table(ref).objects.size,
    put(ref, object) {
      const into = table(ref)
      const key = keyText(object.metadata)
      const previous = into.objects.get(key)
      const stored = stamp(object)
      into.objects.set(key, stored)
      const namespace = object.metadata.namespace ?? ''
      const names = into.namespaces.get(namespace) ?? new Set()
      names.add(object.metadata.name)
      into.namespaces.set(namespace, names)
      into.sorted = undefined
      const type = previous ? 'MODIFIED' : 'ADDED'
      record(into, { type, object: stored, previous, resourceVersion: version })
      return stored
    },
    remove(ref, key) {
      const from = table(ref)
      const previous = from.objects.get(keyText(key))
      if (!previous) return undefined
      from.objects.delete(keyText(key))
      from.namespaces.get(key.namespace ?? '')?.delete(key.name)
      from.sorted = undefined
      const object = stamp(previous)
      record(from, { type: 'DELETED', object, previous, resourceVersion: version })
      return object
    },
    since(ref, resourceVersion) {
      const { log, floor } = table(ref)
      if (resourceVersion < floor) return { oldest: floor }
      let low = 0
      let high = log.length
      while (low < high) {
        const middle = (low + high) >> 1
        if ((log[middle]?.resourceVersion ?? 0) <= resourceVersion) low = middle + 1
        else high = middle
      }
      return log.slice(low)
    },
    subscribe(ref, handler) {
      const { handlers } = table(ref)
      handlers.add(handler)
      return () => handlers.delete(handler)
    },
    subscribeAll(handler) {
      everything.add(handler)
      return () => everything.delete(handler)
    },
    resourceVersion: () => version,
    compact(ref) {
      for (const each of ref ? [table(ref)] : tables.values()) {
        each.log = []
        each.floor = version
      }
    },
  }
}

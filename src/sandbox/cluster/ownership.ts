import { type KubeObject, keyOf, type ObjectKey } from '../../kube/object.ts'
import type { ResourceRef, Storage } from '../apiserver/storage.ts'
import { controllerOf } from './objects.ts'

/** The key behind `namespace/name`. */
export function splitKey(key: string): ObjectKey {
  const slash = key.indexOf('/')
  return slash === -1 ? { name: key } : { namespace: key.slice(0, slash), name: key.slice(slash + 1) }
}

/** Objects of one kind by the uid of their controlling owner, kept current from storage's events. */
export interface OwnerIndex {
  ownedBy(uid: string | undefined): KubeObject[]
  /** Objects without a controlling owner in the namespace. */
  orphans(namespace: string | undefined): KubeObject[]
  stop(): void
}

/** @param onChange hears every change after the index has it */
export function indexByOwner(
  storage: Storage,
  ref: ResourceRef,
  onChange: (object: KubeObject, deleted: boolean) => void,
): OwnerIndex {
  const buckets = new Map<string, Map<string, KubeObject>>()
  const bucketOf = new Map<string, string>()
  const orphanBucket = (namespace: string | undefined) => `orphans of ${namespace ?? ''}`

  function drop(key: string): void {
    const name = bucketOf.get(key)
    if (name === undefined) return
    bucketOf.delete(key)
    const bucket = buckets.get(name)
    bucket?.delete(key)
    if (bucket?.size === 0) buckets.delete(name)
  }

  const stop = storage.subscribe(ref, (type, object) => {
    const key = keyOf(object)
    drop(key)
    if (type !== 'DELETED') {
      const name = controllerOf(object)?.uid ?? orphanBucket(object.metadata.namespace)
      const bucket = buckets.get(name) ?? new Map()
      bucket.set(key, object)
      buckets.set(name, bucket)
      bucketOf.set(key, name)
    }
    onChange(object, type === 'DELETED')
  })

  return {
    ownedBy: (uid) => [...(buckets.get(uid ?? '')?.values() ?? [])],
    orphans: (namespace) => [...(buckets.get(orphanBucket(namespace))?.values() ?? [])],
    stop,
  }
}

import type { KubeObject } from '../../kube/object.ts'
import { foregroundFinalizer, orphanFinalizer } from './deletion.ts'
import type { ObjectStore } from './object-store.ts'
import type { Pipeline } from './pipeline.ts'
import type { Registry } from './registry.ts'
import { sandboxUser, type WriteContext } from './request-context.ts'
import { type ResourceRef, type ResourceType, refKey } from './resource-type.ts'

interface Dependent {
  ref: ResourceRef
  object: KubeObject
}

/**
 * Deletes what its owners left behind: background deletion when the last owner is gone, foreground (dependents first)
 * and orphaning by their finalizers. Acts on a later turn of the event loop, as the real one acts after the request.
 */
export function runGarbageCollector({
  store,
  registry,
  pipeline,
}: {
  store: ObjectStore
  registry: Registry
  pipeline: Pipeline
}): () => void {
  const byOwner = new Map<string, Map<string, Dependent>>()
  const queue = new Map<string, Dependent>()
  let scheduled: NodeJS.Immediate | undefined
  let stopped = false

  const idOf = (ref: ResourceRef, object: KubeObject) => `${refKey(ref)}:${object.metadata.uid}`

  function enqueue(dependent: Dependent): void {
    queue.set(idOf(dependent.ref, dependent.object), dependent)
    if (!scheduled && !stopped) scheduled = setImmediate(drain)
  }

  function drain(): void {
    scheduled = undefined
    const batch = [...queue.values()]
    queue.clear()
    for (const { ref, object } of batch) {
      const type = registry.find(ref)
      const live = store.get(ref, object.metadata)
      if (type && live && live.metadata.uid === object.metadata.uid) settle(type, live)
    }
  }

  const unsubscribe = store.subscribeAll((ref, { type, object, previous }) => {
    for (const owner of previous?.metadata.ownerReferences ?? []) byOwner.get(owner.uid)?.delete(idOf(ref, object))
    if (type === 'DELETED') {
      const uid = object.metadata.uid ?? ''
      for (const dependent of byOwner.get(uid)?.values() ?? []) enqueue(dependent)
      for (const owner of object.metadata.ownerReferences ?? []) wakeOwner(owner.uid)
      if (byOwner.get(uid)?.size === 0) byOwner.delete(uid)
      return
    }
    for (const owner of object.metadata.ownerReferences ?? []) {
      const dependents = byOwner.get(owner.uid) ?? new Map<string, Dependent>()
      dependents.set(idOf(ref, object), { ref, object })
      byOwner.set(owner.uid, dependents)
    }
    const ownersChanged = object.metadata.ownerReferences !== previous?.metadata.ownerReferences
    const isLeaving = object.metadata.deletionTimestamp !== undefined
    if (isLeaving || (ownersChanged && (object.metadata.ownerReferences ?? []).length > 0)) enqueue({ ref, object })
  })

  /** A foreground deletion may be able to go on when one of its dependents is gone. */
  function wakeOwner(uid: string): void {
    const owner = waiting.get(uid)
    if (owner) enqueue(owner)
  }

  const waiting = new Map<string, Dependent>()

  function settle(type: ResourceType, object: KubeObject): void {
    const { metadata } = object
    if (metadata.deletionTimestamp) {
      const finalizers = metadata.finalizers ?? []
      if (finalizers.includes(orphanFinalizer)) orphanDependents(object)
      if (finalizers.includes(orphanFinalizer)) dropFinalizer(type, object, orphanFinalizer)
      else if (finalizers.includes(foregroundFinalizer)) deleteForeground(type, object)
      return
    }
    const owners = metadata.ownerReferences ?? []
    if (owners.length === 0) return
    const present = owners.filter((owner) => ownerExists(owner, metadata.namespace))
    if (present.length === 0) pipeline.remove(type, metadata, context(type), { propagationPolicy: 'Background' })
  }

  function ownerExists(
    owner: { apiVersion: string; kind: string; name: string; uid: string },
    namespace?: string,
  ): boolean {
    const group = owner.apiVersion.includes('/') ? (owner.apiVersion.split('/')[0] ?? '') : ''
    const type = registry.byKind(group, owner.kind)
    // An owner of a kind that is not served cannot be looked up: the dependent stays.
    if (!type) return true
    const found = store.get(type, { namespace: type.namespaced ? namespace : undefined, name: owner.name })
    return found?.metadata.uid === owner.uid
  }

  function dependentsOf(object: KubeObject): Dependent[] {
    return [...(byOwner.get(object.metadata.uid ?? '')?.values() ?? [])].flatMap(({ ref, object: seen }) => {
      const live = store.get(ref, seen.metadata)
      return live ? [{ ref, object: live }] : []
    })
  }

  function orphanDependents(owner: KubeObject): void {
    for (const { ref, object } of dependentsOf(owner)) {
      const type = registry.find(ref)
      if (!type) continue
      pipeline.update(type, object.metadata, context(type), (live) => ({
        ...live,
        metadata: {
          ...live.metadata,
          ownerReferences: (live.metadata.ownerReferences ?? []).filter((each) => each.uid !== owner.metadata.uid),
        },
      }))
    }
  }

  function deleteForeground(type: ResourceType, owner: KubeObject): void {
    const blocking = dependentsOf(owner).filter(({ object }) =>
      (object.metadata.ownerReferences ?? []).some(
        (each) => each.uid === owner.metadata.uid && each.blockOwnerDeletion,
      ),
    )
    for (const { ref, object } of dependentsOf(owner)) {
      const dependentType = registry.find(ref)
      if (!dependentType || object.metadata.deletionTimestamp) continue
      pipeline.remove(dependentType, object.metadata, context(dependentType), { propagationPolicy: 'Foreground' })
    }
    const uid = owner.metadata.uid ?? ''
    if (blocking.some(({ ref, object }) => store.get(ref, object.metadata)))
      waiting.set(uid, { ref: type, object: owner })
    else {
      waiting.delete(uid)
      dropFinalizer(type, owner, foregroundFinalizer)
    }
  }

  function dropFinalizer(type: ResourceType, object: KubeObject, finalizer: string): void {
    pipeline.update(type, object.metadata, context(type), (live) => ({
      ...live,
      metadata: { ...live.metadata, finalizers: (live.metadata.finalizers ?? []).filter((each) => each !== finalizer) },
    }))
  }

  return () => {
    stopped = true
    unsubscribe()
    if (scheduled) clearImmediate(scheduled)
  }
}

function context(type: ResourceType): WriteContext {
  return {
    user: sandboxUser,
    fieldManager: 'kube-controller-manager',
    version: type.storageVersion,
    dryRun: false,
    fieldValidation: 'Ignore',
    warnings: [],
  }
}

import type { KubeObject, ObjectKey } from '../../kube/object.ts'
import type { DeleteOptions } from './deletion.ts'
import { mergePatch } from './merge-patch.ts'
import type { EventType, ObjectStore, StoreEvent } from './object-store.ts'
import type { Pipeline } from './pipeline.ts'
import type { Registry } from './registry.ts'
import { sandboxUser, type UserInfo, type WriteContext } from './request-context.ts'
import { type ResourceRef, type ResourceType, refKey } from './resource-type.ts'

export type { EventType } from './object-store.ts'
export type { ResourceRef } from './resource-type.ts'

/** How an in-process write names itself. */
export interface StorageWriteOptions {
  /** The field manager recorded in managedFields; `sandbox` unless told. */
  fieldManager?: string
  user?: UserInfo
}

/**
 * The API server's storage for the sandbox's own controllers: no HTTP, no faults, no authorization, but the same
 * defaulting, admission, validation, generation, uid and resourceVersion rules as over HTTP. Errors are ApiErrors.
 *
 * Every object handed out is frozen: `structuredClone` it before changing it. A write that carries a
 * `metadata.resourceVersion` is refused with 409 when the object has changed since; one without is unconditional.
 */
export interface Storage {
  get(ref: ResourceRef, key: ObjectKey): KubeObject | undefined
  list(ref: ResourceRef, options?: { namespace?: string }): KubeObject[]
  /** Replays what exists as ADDED, then tells every change, in order and synchronously with the write. */
  subscribe(ref: ResourceRef, handler: (type: EventType, object: KubeObject) => void): () => void
  create(ref: ResourceRef, object: KubeObject, options?: StorageWriteOptions): KubeObject
  /** Replaces everything but status (where the kind has a status subresource). */
  update(ref: ResourceRef, object: KubeObject, options?: StorageWriteOptions): KubeObject
  /** Replaces status only. */
  updateStatus(ref: ResourceRef, object: KubeObject, options?: StorageWriteOptions): KubeObject
  /** RFC 7386 on the object, or on its status. */
  patchMerge(
    ref: ResourceRef,
    key: ObjectKey,
    patch: Record<string, unknown>,
    options?: StorageWriteOptions & { subresource?: 'status' },
  ): KubeObject
  /** Deletes; answers what was left of the object, or undefined when there was none. */
  remove(ref: ResourceRef, key: ObjectKey, options?: DeleteOptions & StorageWriteOptions): KubeObject | undefined
  /** The newest resourceVersion given out. */
  resourceVersion(): string
}

export interface StorageParts {
  store: ObjectStore
  registry: Registry
  pipeline: Pipeline
}

export function createStorage({ store, registry, pipeline }: StorageParts): Storage {
  function typeOf(ref: ResourceRef): ResourceType {
    const type = registry.find(ref)
    if (!type) throw new Error(`the sandbox serves no resource ${refKey(ref)}: install its CRD first`)
    return type
  }

  function contextFor(type: ResourceType, options: StorageWriteOptions, subresource?: 'status'): WriteContext {
    return {
      user: options.user ?? sandboxUser,
      fieldManager: options.fieldManager ?? 'sandbox',
      version: type.storageVersion,
      dryRun: false,
      fieldValidation: 'Ignore',
      warnings: [],
      ...(subresource ? { subresource } : {}),
    }
  }

  function write(ref: ResourceRef, object: KubeObject, options: StorageWriteOptions, subresource?: 'status') {
    const type = typeOf(ref)
    return pipeline.update(type, object.metadata, contextFor(type, options, subresource), (live) =>
      object.metadata.resourceVersion
        ? object
        : { ...object, metadata: { ...object.metadata, resourceVersion: live.metadata.resourceVersion } },
    )
  }

  return {
    get: (ref, key) => store.get(ref, key),
    list: (ref, options) => store.list(ref, options?.namespace),
    subscribe(ref, handler) {
      // A handler may write while it hears the replay: what follows from that waits for the replay's end.
      const waiting: StoreEvent[] = []
      let replaying = true
      const existing = store.list(ref)
      const unsubscribe = store.subscribe(ref, (event) => {
        if (replaying) waiting.push(event)
        else handler(event.type, event.object)
      })
      for (const object of existing) handler('ADDED', object)
      for (let event = waiting.shift(); event; event = waiting.shift()) handler(event.type, event.object)
      replaying = false
      return unsubscribe
    },
    create(ref, object, options = {}) {
      const type = typeOf(ref)
      return pipeline.create(type, object.metadata.namespace, object, contextFor(type, options))
    },
    update: (ref, object, options = {}) => write(ref, object, options),
    updateStatus: (ref, object, options = {}) => write(ref, object, options, 'status'),
    patchMerge(ref, key, patch, options = {}) {
      const type = typeOf(ref)
      return pipeline.update(type, key, contextFor(type, options, options.subresource), (live) =>
        mergePatch(live, patch),
      )
    },
    remove(ref, key, options = {}) {
      const type = typeOf(ref)
      if (!store.get(ref, key)) return undefined
      return pipeline.remove(type, key, contextFor(type, options), { propagationPolicy: 'Background', ...options })
    },
    resourceVersion: () => String(store.resourceVersion()),
  }
}

import type { KubeObject } from '../../kube/object.ts'
import { at, clone } from './json.ts'
import type { ResourceType } from './resource-type.ts'

/** metav1.DeleteOptions, the parts that matter here. */
export interface DeleteOptions {
  propagationPolicy?: 'Background' | 'Foreground' | 'Orphan'
  gracePeriodSeconds?: number
  preconditions?: { uid?: string; resourceVersion?: string }
}

/** The finalizers by which the garbage collector is asked to act before the owner goes. */
export const foregroundFinalizer = 'foregroundDeletion'
export const orphanFinalizer = 'orphan'

/**
 * What a DELETE leaves: the object marked with a deletionTimestamp when finalizers or a graceful end hold it back,
 * or undefined when it goes at once.
 */
export function markForDeletion(
  type: ResourceType,
  object: KubeObject,
  options: DeleteOptions,
  now: string,
): KubeObject | undefined {
  const marked = clone(object)
  const { metadata } = marked
  const finalizers = new Set(metadata.finalizers ?? [])
  if (options.propagationPolicy === 'Foreground') finalizers.add(foregroundFinalizer)
  if (options.propagationPolicy === 'Orphan') finalizers.add(orphanFinalizer)
  if (options.propagationPolicy === 'Background') {
    finalizers.delete(foregroundFinalizer)
    finalizers.delete(orphanFinalizer)
  }
  if (finalizers.size > 0) metadata.finalizers = [...finalizers]
  else delete metadata.finalizers
  const grace = gracePeriod(type, object, options)
  if (finalizers.size === 0 && grace === 0 && !isNamespaceWithContent(type, object)) return undefined
  if (metadata.deletionTimestamp === undefined) {
    metadata.deletionTimestamp = now
    if (metadata.generation !== undefined) metadata.generation += 1
  }
  metadata.deletionGracePeriodSeconds = Math.min(grace, Number(metadata.deletionGracePeriodSeconds ?? grace))
  if (type.group === '' && type.plural === 'namespaces') {
    marked.status = { ...(typeof marked.status === 'object' ? marked.status : {}), phase: 'Terminating' }
    delete metadata.deletionGracePeriodSeconds
  }
  return marked
}

/** Only a pod on a node ends gracefully: its kubelet deletes it again with a grace period of 0. */
function gracePeriod(type: ResourceType, object: KubeObject, options: DeleteOptions): number {
  if (type.group !== '' || type.plural !== 'pods' || !at(object, 'spec', 'nodeName')) return 0
  const phase = at(object, 'status', 'phase')
  if (phase === 'Succeeded' || phase === 'Failed') return 0
  const own = at(object, 'spec', 'terminationGracePeriodSeconds')
  return options.gracePeriodSeconds ?? (typeof own === 'number' ? own : 30)
}

/** A namespace goes in two phases: its spec.finalizers are removed once it is empty. */
function isNamespaceWithContent(type: ResourceType, object: KubeObject): boolean {
  const finalizers = at(object, 'spec', 'finalizers')
  return type.group === '' && type.plural === 'namespaces' && Array.isArray(finalizers) && finalizers.length > 0
}

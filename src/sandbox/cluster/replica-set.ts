import { isDeepStrictEqual } from 'node:util'
import { type KubeObject, keyOf } from '../../kube/object.ts'
import type { Runtime } from '../../runtime.ts'
import type { Storage } from '../apiserver/storage.ts'
import { withCondition } from './deployment/status.ts'
import { createLoop, type Loop } from './loop.ts'
import {
  controllerOf,
  isPodActive,
  isPodReady,
  PODS,
  type Pod,
  REPLICA_SETS,
  type ReplicaSet,
  type ReplicaSetStatus,
  selects,
  view,
} from './objects.ts'
import { indexByOwner, splitKey } from './ownership.ts'

/**
 * Kubernetes' ReplicaSet controller: as many active pods as wanted (adopting matching orphans), the least useful ones go first,
 * and a status that counts ready and available pods.
 */
export function startReplicaSetController(storage: Storage, runtime: Runtime): Loop {
  const loop = createLoop(runtime, sync)
  const pods = indexByOwner(storage, PODS, (object) => {
    const owner = controllerOf(object)
    if (owner?.kind === 'ReplicaSet') loop.add(`${object.metadata.namespace}/${owner.name}`)
    else if (!owner) addSelecting(object)
  })
  const unsubscribe = storage.subscribe(REPLICA_SETS, (_, object) => loop.add(keyOf(object)))

  function addSelecting(orphan: KubeObject): void {
    for (const candidate of storage.list(REPLICA_SETS, { namespace: orphan.metadata.namespace })) {
      if (selects(view<ReplicaSet>(candidate).spec.selector, orphan.metadata.labels)) loop.add(keyOf(candidate))
    }
  }

  function sync(key: string): number | undefined {
    const stored = storage.get(REPLICA_SETS, splitKey(key))
    if (!stored) return undefined
    const set = view<ReplicaSet>(stored)
    if (!set.metadata.deletionTimestamp) adoptOrphans(set)
    const failure = set.metadata.deletionTimestamp ? undefined : manage(set)
    const active = activePods(set)
    const status = statusOf(set, active, failure)
    if (!isDeepStrictEqual(status, set.status)) storage.updateStatus(REPLICA_SETS, { ...set, status })
    if (failure) throw failure
    return nextAvailability(set, active)
  }

  function activePods(set: ReplicaSet): Pod[] {
    return pods
      .ownedBy(set.metadata.uid)
      .map((object) => view<Pod>(object))
      .filter(isPodActive)
  }

  function adoptOrphans(set: ReplicaSet): void {
    for (const orphan of pods.orphans(set.metadata.namespace)) {
      if (orphan.metadata.deletionTimestamp || !selects(set.spec.selector, orphan.metadata.labels)) continue
      const ownerReferences = [...(orphan.metadata.ownerReferences ?? []), ownerReferenceTo(set)]
      storage.patchMerge(PODS, orphan.metadata, { metadata: { ownerReferences } })
    }
  }

  /** Creates or deletes pods; answers what refused a creation. */
  function manage(set: ReplicaSet): Error | undefined {
    const active = activePods(set)
    const missing = (set.spec.replicas ?? 1) - active.length
    for (let count = 0; count < missing; count++) {
      try {
        storage.create(PODS, podOf(set))
      } catch (cause) {
        return cause instanceof Error ? cause : new Error(String(cause))
      }
    }
    if (missing < 0) {
      const nowMs = runtime.now()
      const leastUseful = active.sort((a, b) => usefulness(a, nowMs) - usefulness(b, nowMs) || newerFirst(a, b))
      for (const pod of leastUseful.slice(0, -missing)) storage.remove(PODS, pod.metadata)
    }
    return undefined
  }

  function statusOf(set: ReplicaSet, active: readonly Pod[], failure: Error | undefined): ReplicaSetStatus {
    const nowMs = runtime.now()
    const ready = active.filter(isPodReady)
    const templateLabels = set.spec.template.metadata?.labels
    const matchLabels = { matchLabels: templateLabels ?? {} }
    const others = (set.status.conditions ?? []).filter(({ type }) => type !== 'ReplicaFailure')
    const conditions = failure
      ? withCondition(
          set.status.conditions ?? [],
          { type: 'ReplicaFailure', status: 'True', reason: 'FailedCreate', message: failure.message },
          nowMs,
        )
      : others
    const counts = {
      fullyLabeledReplicas: active.filter((pod) => selects(matchLabels, pod.metadata.labels)).length,
      readyReplicas: ready.length,
      availableReplicas: ready.filter((pod) => availableInMs(set, pod, nowMs) <= 0).length,
    }
    return {
      ...Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0)),
      replicas: active.length,
      observedGeneration: set.metadata.generation,
      ...(conditions.length > 0 ? { conditions } : {}),
    }
  }

  function nextAvailability(set: ReplicaSet, active: readonly Pod[]): number | undefined {
    const nowMs = runtime.now()
    const waits = active
      .filter(isPodReady)
      .map((pod) => availableInMs(set, pod, nowMs))
      .filter((ms) => ms > 0)
    return waits.length > 0 ? Math.min(...waits) : undefined
  }

  return {
    ...loop,
    stop() {
      unsubscribe()
      pods.stop()
      loop.stop()
    },
  }
}

function availableInMs(set: ReplicaSet, pod: Pod, nowMs: number): number {
  const minReadyMs = (set.spec.minReadySeconds ?? 0) * 1000
  if (minReadyMs === 0) return 0
  const since = pod.status.conditions?.find(({ type }) => type === 'Ready')?.lastTransitionTime
  return Date.parse(since ?? '') + minReadyMs - nowMs
}

/** Pods without a node, then pending, then not ready go first; among the ready the youngest. */
function usefulness(pod: Pod, nowMs: number): number {
  if (!pod.spec.nodeName) return 0
  if (pod.status.phase !== 'Running') return 1
  if (!isPodReady(pod)) return 2
  const since = pod.status.conditions?.find(({ type }) => type === 'Ready')?.lastTransitionTime
  return 3 + Math.max(0, nowMs - Date.parse(since ?? ''))
}

function newerFirst(a: Pod, b: Pod): number {
  return (b.metadata.creationTimestamp ?? '').localeCompare(a.metadata.creationTimestamp ?? '')
}

function podOf(set: ReplicaSet): KubeObject {
  const { metadata, spec } = set.spec.template
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: '',
      generateName: `${set.metadata.name}-`,
      namespace: set.metadata.namespace,
      labels: metadata?.labels,
      annotations: metadata?.annotations,
      finalizers: metadata?.finalizers,
      ownerReferences: [ownerReferenceTo(set)],
    },
    spec,
  }
}

function ownerReferenceTo(set: ReplicaSet) {
  return {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    name: set.metadata.name,
    uid: set.metadata.uid ?? '',
    controller: true,
    blockOwnerDeletion: true,
  }
}

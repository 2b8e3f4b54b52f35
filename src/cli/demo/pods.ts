import type { KubeObject } from '../../kube/object.ts'
import type { Runtime } from '../../runtime.ts'
import type { Storage } from '../../sandbox/apiserver/index.ts'
import { behaviourOf } from '../../sandbox/cluster/kubelet/behaviour.ts'
import { controllerOf, isPodReady, PODS, type Pod, view } from '../../sandbox/cluster/objects.ts'

/** A pod as somebody who watches pods sees it. */
export interface PodSeen {
  /** The Deployment it belongs to. */
  workload: string
  /** Name of its ReplicaSet. */
  replicaSet: string
  version: string
  ready: boolean
  /** When it came into being, epoch ms. */
  at: number
}

/** Remembers every pod there was. */
export interface PodRegister {
  /** What an object of kind Pod is. */
  of(object: KubeObject): PodSeen
  present(): PodSeen[]
  since(at: number): PodSeen[]
  stop(): void
}

/** @param namespace only its pods; all unless told */
export function createPodRegister(
  storage: Storage,
  runtime: Runtime,
  onChange: () => void,
  namespace?: string,
): PodRegister {
  const all = new Map<string, PodSeen>()
  const alive = new Set<string>()
  const read = (object: KubeObject): PodSeen => {
    const pod = view<Pod>(object)
    const replicaSet = controllerOf(pod)?.name ?? ''
    const hash = pod.metadata.labels?.['pod-template-hash'] ?? ''
    return {
      workload: replicaSet.slice(0, replicaSet.length - hash.length - 1),
      replicaSet,
      version: behaviourOf(pod).version,
      ready: isPodReady(pod),
      at: all.get(pod.metadata.uid ?? '')?.at ?? runtime.now(),
    }
  }
  const stop = storage.subscribe(PODS, (type, object) => {
    if (namespace !== undefined && object.metadata.namespace !== namespace) return
    const { uid = '', deletionTimestamp } = object.metadata
    all.set(uid, read(object))
    if (type === 'DELETED' || deletionTimestamp) alive.delete(uid)
    else alive.add(uid)
    onChange()
  })
  return {
    of: read,
    present: () => [...all].flatMap(([uid, pod]) => (alive.has(uid) ? [pod] : [])),
    since: (at) => [...all.values()].filter((pod) => pod.at >= at),
    stop,
  }
}

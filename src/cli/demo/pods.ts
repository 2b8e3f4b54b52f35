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
  present(): PodSeen[]
  since(at: number): PodSeen[]
  stop(): void
}

export function createPodRegister(storage: Storage, runtime: Runtime, onChange: () => void): PodRegister {
  const all = new Map<string, PodSeen>()
  const alive = new Set<string>()
  const stop = storage.subscribe(PODS, (type, object) => {
    const pod = view<Pod>(object)
    const { uid = '', labels, deletionTimestamp } = pod.metadata
    const replicaSet = controllerOf(pod)?.name ?? ''
    const hash = labels?.['pod-template-hash'] ?? ''
    all.set(uid, {
      workload: replicaSet.slice(0, replicaSet.length - hash.length - 1),
      replicaSet,
      version: behaviourOf(pod).version,
      ready: isPodReady(pod),
      at: all.get(uid)?.at ?? runtime.now(),
    })
    if (type === 'DELETED' || deletionTimestamp) alive.delete(uid)
    else alive.add(uid)
    onChange()
  })
  return {
    present: () => [...all].flatMap(([uid, pod]) => (alive.has(uid) ? [pod] : [])),
    since: (at) => [...all.values()].filter((pod) => pod.at >= at),
    stop,
  }
}

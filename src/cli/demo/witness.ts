import type { RolloutStatus } from '../../api/status.ts'
import { fieldAt, listAt, textAt } from '../../kube/field.ts'
import type { KubeObject } from '../../kube/object.ts'
import type { Runtime } from '../../runtime.ts'
import type { Storage } from '../../sandbox/apiserver/index.ts'
import { createPodRegister, type PodSeen } from './pods.ts'
import { ROLLOUTS, VIRTUAL_SERVICES } from './stage.ts'

/** Weights of all subsets, as somebody who watches the VirtualService sees them. */
export interface WeightsSeen {
  at: number
  weights: Record<string, number>
}

/** Watches from outside: nothing here asks the controller. */
export interface Witness {
  /** Every change of the weights since the start, oldest first. */
  weights(): readonly WeightsSeen[]
  status(): RolloutStatus
  /** Every pod there is, those that are ending left out. */
  pods(): PodSeen[]
  /** Every pod that came into being from then on, epoch ms. */
  podsSince(at: number): PodSeen[]
  /** Calls back on every change of Rollout, route or pods. */
  onChange(listener: () => void): () => void
  /** Resolves when the Rollout is as wanted; false when that takes longer than `ms`, or when nobody watches any more. */
  until(test: (status: RolloutStatus) => boolean, ms: number): Promise<boolean>
  stop(): void
}

export function createWitness(storage: Storage, runtime: Runtime): Witness {
  const seen: WeightsSeen[] = []
  const listeners = new Set<() => void>()
  let status: RolloutStatus = {}
  let stopped = false
  const tell = () => {
    for (const listener of listeners) listener()
  }
  const pods = createPodRegister(storage, runtime, () => tell())
  const unsubscribes = [
    pods.stop,
    storage.subscribe(VIRTUAL_SERVICES, (type, object) => {
      if (type === 'DELETED') return
      const weights = weightsOf(object)
      if (JSON.stringify(weights) === JSON.stringify(seen.at(-1)?.weights)) return
      seen.push({ at: runtime.now(), weights })
      tell()
    }),
    storage.subscribe(ROLLOUTS, (_type, object) => {
      status = (object.status ?? {}) as RolloutStatus
      tell()
    }),
  ]
  return {
    weights: () => seen,
    status: () => status,
    pods: () => pods.present(),
    podsSince: (at) => pods.since(at),
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    async until(test, ms) {
      const end = runtime.monotonic() + ms
      while (!test(status)) {
        if (stopped || runtime.monotonic() >= end) return false
        await runtime.sleep(50)
      }
      return true
    },
    stop() {
      stopped = true
      for (const unsubscribe of unsubscribes) unsubscribe()
    },
  }
}

function weightsOf(virtualService: KubeObject): Record<string, number> {
  const route = listAt(virtualService, 'spec', 'http')[0]
  return Object.fromEntries(
    listAt(route, 'route').map((entry): [string, number] => [
      textAt(entry, 'destination', 'subset') ?? '?',
      Number(fieldAt(entry, 'weight') ?? 0),
    ]),
  )
}

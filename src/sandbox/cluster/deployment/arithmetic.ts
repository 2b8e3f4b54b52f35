import { type Deployment, type ReplicaSet, resolveIntOrPercent } from '../objects.ts'

/** How far a rolling update may go above and below the wanted replicas. */
export interface Bounds {
  surge: number
  unavailable: number
}

/** The annotations by which a ReplicaSet remembers the Deployment's size when it was last scaled. */
export const DESIRED_REPLICAS = 'deployment.kubernetes.io/desired-replicas'
export const MAX_REPLICAS = 'deployment.kubernetes.io/max-replicas'

export function replicasOf(object: { spec: { replicas?: number } }): number {
  return object.spec.replicas ?? 1
}

export function sum<T>(items: readonly T[], amount: (item: T) => number): number {
  return items.reduce((total, item) => total + amount(item), 0)
}

/** Sum of the wanted replicas. */
export function wanted(sets: readonly ReplicaSet[]): number {
  return sum(sets, replicasOf)
}

/** Sum of the available replicas. */
export function available(sets: readonly ReplicaSet[]): number {
  return sum(sets, (set) => set.status.availableReplicas ?? 0)
}

export function isRolling(deployment: Deployment): boolean {
  return (deployment.spec.strategy?.type ?? 'RollingUpdate') === 'RollingUpdate'
}

/** maxSurge rounded up, maxUnavailable rounded down; both 0 would never move, so then one pod may be unavailable. */
export function boundsOf(deployment: Deployment): Bounds {
  const replicas = replicasOf(deployment)
  if (!isRolling(deployment)) return { surge: 0, unavailable: 0 }
  const { maxSurge = '25%', maxUnavailable = '25%' } = deployment.spec.strategy?.rollingUpdate ?? {}
  const surge = resolveIntOrPercent(maxSurge, replicas, 'up')
  const floor = resolveIntOrPercent(maxUnavailable, replicas, 'down')
  const unavailable = surge === 0 && floor === 0 ? 1 : floor
  return { surge, unavailable: replicas === 0 ? 0 : Math.min(unavailable, replicas) }
}

/** How many replicas the newest ReplicaSet may have now without going over the surge. */
export function newReplicas(deployment: Deployment, all: readonly ReplicaSet[], current: number): number {
  const goal = replicasOf(deployment)
  if (!isRolling(deployment)) return goal
  const room = goal + boundsOf(deployment).surge - wanted(all)
  if (room <= 0) return current
  return current + Math.min(room, goal - current)
}

/** A new size for one ReplicaSet. */
export interface Resize {
  set: ReplicaSet
  replicas: number
}

/**
 * Which old ReplicaSets shrink, and to what: first pods that are not available anyway, then available ones, never below
 * replicas − maxUnavailable available pods in all.
 */
export function shrinkOld(deployment: Deployment, old: readonly ReplicaSet[], newest: ReplicaSet): Resize[] {
  const all = [...old, newest]
  const floor = replicasOf(deployment) - boundsOf(deployment).unavailable
  const newUnavailable = replicasOf(newest) - (newest.status.availableReplicas ?? 0)
  const budget = wanted(all) - floor - newUnavailable
  if (budget <= 0) return []
  const oldest = [...old].sort(byAge)
  const sizes = new Map(oldest.map((set) => [set, replicasOf(set)]))
  const take = (total: number, limit: (set: ReplicaSet) => number): number => {
    let taken = 0
    for (const set of oldest) {
      const count = Math.min(total - taken, limit(set))
      if (count <= 0) continue
      sizes.set(set, (sizes.get(set) ?? 0) - count)
      taken += count
    }
    return taken
  }
  const cleaned = take(budget, (set) => replicasOf(set) - (set.status.availableReplicas ?? 0))
  // The counts may be older than the wanted sizes: the budget, which rests on sizes, holds for both.
  take(Math.min(budget - cleaned, available(all) - floor), (set) => sizes.get(set) ?? 0)
  return oldest
    .map((set) => ({ set, replicas: sizes.get(set) ?? 0 }))
    .filter(({ set, replicas }) => replicas !== replicasOf(set))
}

/**
 * Spreads a changed size over all active ReplicaSets in proportion, the remainder to the largest: what happens when a Deployment is
 * scaled in the middle of a rolling update, or while paused.
 */
export function scaleProportionally(deployment: Deployment, all: readonly ReplicaSet[]): Resize[] {
  const active = all.filter((set) => replicasOf(set) > 0)
  const goal = replicasOf(deployment)
  const allowed = goal > 0 ? goal + boundsOf(deployment).surge : 0
  const change = allowed - wanted(active)
  const direction = change > 0 ? -1 : 1
  active.sort((a, b) => replicasOf(b) - replicasOf(a) || direction * byAge(a, b))
  let spread = 0
  const sizes = active.map((set) => {
    const share = change === 0 ? 0 : fractionOf(set, deployment)
    const left = change - spread
    const part = left === 0 ? 0 : change > 0 ? Math.min(share, left) : Math.max(share, left)
    spread += part
    return { set, replicas: replicasOf(set) + part }
  })
  const [largest] = sizes
  if (largest && change !== 0) largest.replicas = Math.max(0, largest.replicas + change - spread)
  return sizes
}

/** Older first; of one second, by name. */
export function byAge(a: ReplicaSet, b: ReplicaSet): number {
  const left = `${a.metadata.creationTimestamp ?? ''}/${a.metadata.name}`
  const right = `${b.metadata.creationTimestamp ?? ''}/${b.metadata.name}`
  return left < right ? -1 : left > right ? 1 : 0
}

function fractionOf(set: ReplicaSet, deployment: Deployment): number {
  const goal = replicasOf(deployment)
  if (goal === 0) return -replicasOf(set)
  const most = goal + boundsOf(deployment).surge
  const before = Number(set.metadata.annotations?.[MAX_REPLICAS] ?? 0) || deployment.status.replicas || most
  return Math.round((replicasOf(set) * most) / before) - replicasOf(set)
}

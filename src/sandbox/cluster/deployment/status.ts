import { type Condition, type Deployment, type DeploymentStatus, type ReplicaSet, timestampOf } from '../objects.ts'
import { available, boundsOf, replicasOf, sum, wanted } from './arithmetic.ts'

/** No deadline at all, as the API writes it. */
const NO_DEADLINE = 2_147_483_647

/** Whether the Deployment's progress is watched against a deadline. */
export function hasDeadline(deployment: Deployment): boolean {
  const { progressDeadlineSeconds } = deployment.spec
  return progressDeadlineSeconds !== undefined && progressDeadlineSeconds !== NO_DEADLINE
}

export function conditionOf(conditions: readonly Condition[] | undefined, type: string): Condition | undefined {
  return conditions?.find((condition) => condition.type === type)
}

/**
 * The conditions with one of them set. Equal status and reason change nothing unless `touch`;
 * an equal status keeps its transition time.
 */
export function withCondition(
  conditions: readonly Condition[],
  next: Pick<Condition, 'type' | 'status' | 'reason' | 'message'>,
  nowMs: number,
  touch = false,
): Condition[] {
  const current = conditionOf(conditions, next.type)
  if (current && !touch && current.status === next.status && current.reason === next.reason) return [...conditions]
  const now = timestampOf(nowMs)
  const lastTransitionTime = current?.status === next.status ? current.lastTransitionTime : now
  const others = conditions.filter(({ type }) => type !== next.type)
  return [...others, { ...next, lastUpdateTime: now, lastTransitionTime }]
}

/** Counts and the Available condition, as every sync computes them; also while paused. */
export function countStatus(
  deployment: Deployment,
  all: readonly ReplicaSet[],
  newest: ReplicaSet | undefined,
  nowMs: number,
): DeploymentStatus {
  const availableReplicas = available(all)
  const enough = availableReplicas >= replicasOf(deployment) - boundsOf(deployment).unavailable
  const conditions = withCondition(
    deployment.status.conditions ?? [],
    enough
      ? {
          type: 'Available',
          status: 'True',
          reason: 'MinimumReplicasAvailable',
          message: 'Deployment has minimum availability.',
        }
      : {
          type: 'Available',
          status: 'False',
          reason: 'MinimumReplicasUnavailable',
          message: 'Deployment does not have minimum availability.',
        },
    nowMs,
  )
  return withoutZeros({
    observedGeneration: deployment.metadata.generation,
    replicas: sum(all, (set) => set.status.replicas ?? 0),
    updatedReplicas: newest?.status.replicas ?? 0,
    readyReplicas: sum(all, (set) => set.status.readyReplicas ?? 0),
    availableReplicas,
    unavailableReplicas: Math.max(0, wanted(all) - availableReplicas),
    collisionCount: deployment.status.collisionCount,
    conditions,
  })
}

/** The status of a Deployment that is rolling or done: adds the Progressing and ReplicaFailure conditions. */
export function rolloutStatus(
  deployment: Deployment,
  all: readonly ReplicaSet[],
  newest: ReplicaSet | undefined,
  nowMs: number,
): DeploymentStatus {
  const status = countStatus(deployment, all, newest, nowMs)
  const current = conditionOf(deployment.status.conditions, 'Progressing')
  let conditions = status.conditions ?? []
  if (!hasDeadline(deployment)) conditions = conditions.filter(({ type }) => type !== 'Progressing')
  else if (!wasComplete(status, current)) {
    const name = `ReplicaSet "${newest?.metadata.name ?? deployment.metadata.name}"`
    if (isComplete(deployment, status)) {
      conditions = withCondition(
        conditions,
        progressing('True', 'NewReplicaSetAvailable', `${name} has successfully progressed.`),
        nowMs,
      )
    } else if (progressed(deployment.status, status)) {
      const next = progressing('True', 'ReplicaSetUpdated', `${name} is progressing.`)
      conditions = withCondition(conditions, next, nowMs, true)
    } else if (deadlineMs(deployment, current) <= nowMs) {
      conditions = withCondition(
        conditions,
        progressing('False', 'ProgressDeadlineExceeded', `${name} has timed out progressing.`),
        nowMs,
      )
    }
  }
  const failure = all.map((set) => conditionOf(set.status.conditions, 'ReplicaFailure')).find((found) => found)
  conditions = failure
    ? withCondition(conditions, failure, nowMs)
    : conditions.filter(({ type }) => type !== 'ReplicaFailure')
  return { ...status, conditions }
}

/** A Progressing condition. */
export function progressing(status: Condition['status'], reason: string, message: string): Condition {
  return { type: 'Progressing', status, reason, message }
}

/** Every wanted pod is of the newest template, available, and no other is left. */
export function isComplete(deployment: Deployment, status: DeploymentStatus): boolean {
  const goal = replicasOf(deployment)
  return (
    (status.updatedReplicas ?? 0) === goal &&
    (status.replicas ?? 0) === goal &&
    (status.availableReplicas ?? 0) === goal &&
    (status.observedGeneration ?? 0) >= (deployment.metadata.generation ?? 0)
  )
}

/** When the running deadline ends, in wall-clock milliseconds; Infinity when none runs. */
export function deadlineMs(deployment: Deployment, current: Condition | undefined): number {
  if (!current?.lastUpdateTime || current.reason === 'NewReplicaSetAvailable') return Number.POSITIVE_INFINITY
  if (current.reason === 'ProgressDeadlineExceeded') return 0
  return Date.parse(current.lastUpdateTime) + (deployment.spec.progressDeadlineSeconds ?? 0) * 1000
}

function wasComplete(status: DeploymentStatus, current: Condition | undefined): boolean {
  return (status.replicas ?? 0) === (status.updatedReplicas ?? 0) && current?.reason === 'NewReplicaSetAvailable'
}

function progressed(before: DeploymentStatus, after: DeploymentStatus): boolean {
  const old = (status: DeploymentStatus) => (status.replicas ?? 0) - (status.updatedReplicas ?? 0)
  return (
    (after.updatedReplicas ?? 0) > (before.updatedReplicas ?? 0) ||
    old(after) < old(before) ||
    (after.readyReplicas ?? 0) > (before.readyReplicas ?? 0) ||
    (after.availableReplicas ?? 0) > (before.availableReplicas ?? 0)
  )
}

/** The API leaves counts of zero out. */
function withoutZeros(status: DeploymentStatus): DeploymentStatus {
  return Object.fromEntries(Object.entries(status).filter(([, value]) => value !== 0 && value !== undefined))
}

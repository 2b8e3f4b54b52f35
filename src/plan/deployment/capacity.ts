import { parseDuration } from '../../api/duration.ts'
import type { Shut } from '../gates/gate.ts'
import type { DeploymentObservation } from '../observation.ts'
import { nowhereToGo, type Retreat, retreat } from '../retreat.ts'
import { positionOf } from '../steps.ts'
import {
  canaryNow,
  carriesTraffic,
  epoch,
  flightPair,
  iso,
  liveWeight,
  type Rule,
  stableIsGone,
  stableNow,
  type Turn,
} from '../turn.ts'
import { declared, recorded, seenDeployment } from './state.ts'

/**
 * Pods that the canary needs for a share of the traffic: the same share of the pods stable has or had at the start, at least one,
 * and what `canaryReplicas` asks for when that is more.
 */
export function wantedReplicas(turn: Turn, d: DeploymentObservation, weight: number): number {
  const { canaryReplicas = 'Proportional' } = declared(turn) ?? {}
  const all = Math.max(d.replicas, turn.status.deployment?.floor ?? 0)
  const share = Math.max(1, Math.ceil((all * weight) / 100))
  if (canaryReplicas === 'Proportional') return share
  const asked =
    typeof canaryReplicas === 'number' ? canaryReplicas : Math.ceil((all * Number.parseFloat(canaryReplicas)) / 100)
  return Math.max(share, asked)
}

/** The gate `ready` of Deployment mode: asks for the pods that the next step needs, and is open when they are there. */
export function capacity(turn: Turn, d: DeploymentObservation): Shut | undefined {
  const { canary, stable } = turn.status
  const weight = nextWeight(turn)
  if (!canary || weight === undefined) return undefined
  if (d.replicas === 0)
    return {
      reason: 'ScaledToZero',
      message: `waits: Deployment ${d.name} is scaled to zero, so there is nothing to compare with`,
    }
  const { waits } = d.configuration ?? {}
  if (waits !== undefined) return { reason: 'WaitingForConfig', message: `waits: ${waits}` }
  const wanted = wantedReplicas(turn, d, weight)
  const ready = d.canary?.revision === canary.revision && d.canary.intact ? d.canary.ready : 0
  ask(turn, wanted, ready)
  if (ready < wanted) {
    const why = d.canary?.notReady ? `; ${d.canary.notReady}` : ''
    return {
      reason: 'CanaryNotReady',
      message: `waits: ${ready} of ${wanted} pods of ${canary.revision} are ready${why}`,
    }
  }
  const rolling = canaryNow(turn)?.rolling
  if (rolling) return { reason: 'CanaryNotReady', message: `waits: ${rolling}` }
  if ((stableNow(turn)?.ready ?? 0) === 0)
    return { reason: 'StableNotReady', message: `waits: ${stable?.name} has no ready pod to go back to` }
  return undefined
}

/** Records how many pods are wanted. The clock of the deadline starts whenever they begin to be missing. */
function ask(turn: Turn, wanted: number, ready: number): void {
  const state = recorded(turn)
  const before = state.capacity
  const more = wanted > (before?.replicas ?? 0)
  const replicas = Math.max(wanted, before?.replicas ?? 0)
  if (!before || more || (before.met && ready < wanted)) state.capacity = { replicas, since: iso(turn.now) }
}

/** Takes in whether the wanted pods are there; what carries traffic keeps its share when stable grows, without a deadline. */
export function watchCapacity(turn: Turn): void {
  const d = seenDeployment(turn)
  const { canary, deployment } = turn.status
  const wanted = deployment?.capacity
  if (!d || !canary || !wanted) return
  if (d.canary?.revision === canary.revision && d.canary.ready >= wanted.replicas) wanted.met = true
  if (wanted.met && carriesTraffic(turn) && d.replicas > 0)
    wanted.replicas = Math.max(wanted.replicas, wantedReplicas(turn, d, liveWeight(turn)))
}

/** The weight to which the next forward move leads. */
function nextWeight(turn: Turn): number | undefined {
  const { step } = turn.status
  const pair = flightPair(turn)
  if (!step || !pair) return undefined
  return step.entering?.weight ?? turn.spec.steps[positionOf(turn.spec.steps, step.weight, pair.sum)]?.weight
}

/** Canary pods that do not become ready in time: the revision cannot run, which is told with the pod's own reason. */
export const deadline: Rule = (turn) => {
  const d = seenDeployment(turn)
  const { canary, deployment } = turn.status
  const wanted = deployment?.capacity
  const limit = declared(turn)?.progressDeadline
  if (!d || !canary || !wanted || wanted.met || limit === undefined) return undefined
  if (turn.now - epoch(wanted.since) < parseDuration(limit)) return undefined
  const ready = d.canary?.ready ?? 0
  const why = {
    result: 'RolledBack',
    reason: 'ProgressDeadlineExceeded',
    message: `only ${ready} of ${wanted.replicas} pods of ${canary.revision} became ready within ${limit}${d.canary?.notReady ? `: ${d.canary.notReady}` : ''}`,
    verdict: 'ProgressDeadlineExceeded',
  } satisfies Retreat
  return carriesTraffic(turn) && stableIsGone(turn) ? nowhereToGo(turn, why) : retreat(turn, why)
}

/** When the deadline is over, in milliseconds from now; undefined while nothing is awaited. */
export function untilDeadline(turn: Turn): number | undefined {
  const wanted = turn.status.deployment?.capacity
  const limit = declared(turn)?.progressDeadline
  if (!turn.status.canary || !wanted || wanted.met || limit === undefined) return undefined
  const left = epoch(wanted.since) + parseDuration(limit) - turn.now
  return left > 0 ? left : undefined
}

import { parseDuration } from '../api/duration.ts'
import type { RolloutSpec, Step } from '../api/rollout.ts'
import type { RolloutStatus } from '../api/status.ts'
import type { SliObservation } from './observation.ts'
import { epoch, iso, type Turn } from './turn.ts'
import { sameWeight } from './weights.ts'

/**
 * The step at which a weight stands: the last one whose weight is at most this, 0 when there is none.
 * Works for edited steps and for weights found at a start alike.
 */
export function positionOf(steps: readonly Step[], weight: number, sum = 100): number {
  let index = 0
  steps.forEach((step, i) => {
    if (step.weight <= weight || sameWeight(step.weight, weight, sum)) index = i + 1
  })
  return index
}

/** The step that is held now; undefined before the first. */
export function currentStep(spec: RolloutSpec, status: RolloutStatus): Step | undefined {
  const index = status.step?.index ?? 0
  return index === 0 ? undefined : spec.steps[index - 1]
}

/** Milliseconds of the hold that have counted: the clock stands while paused, suspended, invalid or without data. */
export function heldFor(status: RolloutStatus, now: number): number {
  const { heldMs = 0, heldAt } = status.step ?? {}
  return heldMs + (heldAt === undefined ? 0 : Math.max(0, now - epoch(heldAt)))
}

/** Starts or stops the clock of the hold. `until` is the last instant that counts when it stops. */
export function runHoldClock(turn: Turn, running: boolean, until: number): void {
  const { step } = turn.status
  if (!step) return
  if (running && step.heldAt === undefined) step.heldAt = iso(turn.now)
  if (!running && step.heldAt !== undefined) {
    step.heldMs = (step.heldMs ?? 0) + Math.max(0, Math.min(until, turn.now) - epoch(step.heldAt))
    delete step.heldAt
  }
}

/** Milliseconds that the hold of the current step still lasts; 0 when it is over or waived. */
export function holdLeft(turn: Turn): number {
  const step = currentStep(turn.spec, turn.status)
  if (!step || turn.status.step?.waived || turn.status.waiveHolds) return 0
  return Math.max(0, parseDuration(step.hold) - heldFor(turn.status, turn.now))
}

/** Whether the SLI counts requests, so that `minRequests` applies to it. */
export function isRatio(sli: SliObservation): boolean {
  return sli.kind !== 'query'
}

/** Whether some ratio SLI has seen fewer canary events in this step than it must. */
export function tooFewRequests(turn: Turn): SliObservation | undefined {
  return turn.o.analysis.slis.find((sli) => isRatio(sli) && sli.stepEvents < turn.spec.analysis.minRequests)
}

import type { RolloutSpec } from '../api/rollout.ts'
import type { Phase, RolloutStatus } from '../api/status.ts'
import type { Effect } from './effects.ts'
import type { Observation, PairObservation, RequestObservation, RevisionObservation } from './observation.ts'

/** A pair of destinations that was found and can be written. */
export type Pair = Extract<PairObservation, { ok: true }>

/**
 * One call of `plan` while it is being worked out: what is known, and the draft of what comes of it.
 * `status` and `effects` belong to this call alone; nothing outside is touched.
 */
export interface Turn {
  readonly o: Observation
  /** The declared spec, or the last valid one while the declared one cannot work. */
  readonly spec: RolloutSpec
  readonly now: number
  /** Draft of the next status. */
  readonly status: RolloutStatus
  /** Effects so far, in order. */
  readonly effects: Effect[]
  /** A request to abort that was accepted in this very turn. */
  abort?: RequestObservation
}

/** What a rule says when it speaks; the first one that does ends the turn. */
export interface Decision {
  phase: Phase
  /** One sentence: what the Rollout waits for, or why it acted. No full stop at the end. */
  message: string
  /** CamelCase, for the conditions; by default the phase. */
  reason?: string
  /** Look again after this many milliseconds even if nothing changes. */
  requeueAfterMs?: number
  /** What is true when a required effect failed; by default the status as it was before. */
  fallback?: RolloutStatus
}

/** A rule returns a decision, or nothing when it does not concern it. */
export type Rule = (turn: Turn) => Decision | undefined

export function iso(ms: number): string {
  return new Date(ms).toISOString()
}

export function epoch(time: string): number {
  return new Date(time).getTime()
}

/** The pair stable / canary of the rollout in flight, when it was found. */
export function flightPair(turn: Turn): Pair | undefined {
  const pair = turn.o.traffic.recorded
  return pair?.ok ? pair : undefined
}

/** The share the canary really has, in percent; what was recorded when it cannot be seen. */
export function liveWeight(turn: Turn): number {
  return flightPair(turn)?.weight ?? turn.status.step?.weight ?? 0
}

/** Does the canary carry traffic, as far as anybody knows? */
export function carriesTraffic(turn: Turn): boolean {
  return liveWeight(turn) > 0
}

/** The workload behind the recorded canary, when it is there. */
export function canaryNow(turn: Turn): RevisionObservation | undefined {
  return turn.o.workload.ok ? turn.o.workload.canary : undefined
}

export function stableNow(turn: Turn): RevisionObservation | undefined {
  return turn.o.workload.ok ? turn.o.workload.stable : undefined
}

/** Nobody is ready to take the traffic that a retreat would send back. */
export function stableIsGone(turn: Turn): boolean {
  const stable = stableNow(turn)
  return turn.o.workload.ok && (stable === undefined || stable.ready === 0)
}

export function event(turn: Turn, type: 'Normal' | 'Warning', reason: string, message: string): void {
  turn.effects.push({ kind: 'event', type, reason, message })
}

/** A percentage as people write it: `10%`, `33.3%`. */
export function percent(weight: number): string {
  return `${Math.round(weight * 10) / 10}%`
}

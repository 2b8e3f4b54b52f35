import type { RolloutSpec } from '../api/rollout.ts'
import type { Phase, RevisionRecord, RolloutStatus } from '../api/status.ts'
import { destinationOf } from './destinations.ts'
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
  /** False: what is stable serves, and should not; for the conditions. */
  ready?: boolean
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

/**
 * The share the canary really has, in percent; what was recorded when it cannot be seen. A canary that is no destination of a
 * readable route any more has none.
 */
export function liveWeight(turn: Turn): number {
  const { traffic } = turn.o
  const { step } = turn.status
  const canary = turn.status.canary && destinationOf(turn.spec, 'canary', turn.status)
  const readable = traffic.problem === undefined && traffic.recorded !== undefined
  const share = canary && readable ? (traffic.shares[canary] ?? 0) : undefined
  return flightPair(turn)?.weight ?? share ?? step?.weight ?? 0
}

/** Does the canary carry traffic, as far as anybody knows? */
export function carriesTraffic(turn: Turn): boolean {
  return liveWeight(turn) > 0
}

/** The workload behind the recorded canary, when it is there. */
export function canaryNow(turn: Turn): RevisionObservation | undefined {
  return behindRecorded(turn)?.canary
}

export function stableNow(turn: Turn): RevisionObservation | undefined {
  return behindRecorded(turn)?.stable
}

/** What is behind the two recorded names; undefined when workloads could not be read. */
export function behindRecorded(turn: Turn): { stable?: RevisionObservation; canary?: RevisionObservation } | undefined {
  const { workload } = turn.o
  return workload.ok ? workload : workload.seen
}

/** The content that is desired, where that can be told: in Deployment mode also beside a problem with the workload. */
export function desiredNow({ o: { workload } }: Turn): RevisionRecord | undefined {
  return workload.ok ? workload.desired : workload.seen?.template
}

/** Nobody is ready to take the traffic that a retreat would send back. */
export function stableIsGone(turn: Turn): boolean {
  const seen = behindRecorded(turn)
  return seen !== undefined && (seen.stable === undefined || seen.stable.ready === 0)
}

export function event(turn: Turn, type: 'Normal' | 'Warning', reason: string, message: string): void {
  turn.effects.push({ kind: 'event', type, reason, message: oneLine(message) })
}

/** Takes traffic off the canary, before anything else that this turn does (I2). */
export function lowerWeight(turn: Turn, pair: Pick<Pair, 'stable' | 'canary'>, weight: number, reason: string): void {
  const { stable, canary } = pair
  turn.effects.unshift({ kind: 'setWeight', stable, canary, weight, direction: 'retreat', reason })
}

/** Longest sentence in status, events and commits; people and servers may say more. */
const LONGEST = 1_000

/** What others have said, as one line of a bounded length. */
export function oneLine(text: string): string {
  const line = text.replaceAll(/[\s\p{Cc}\u2028\u2029]+/gu, ' ').trim()
  return line.length > LONGEST ? `${line.slice(0, LONGEST - 1)}…` : line
}

/** A percentage as people write it: `10%`, `33.3%`. */
export function percent(weight: number): string {
  return `${Math.round(weight * 10) / 10}%`
}

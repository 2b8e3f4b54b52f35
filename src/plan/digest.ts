import { createHash } from 'node:crypto'
import type { Step } from '../api/rollout.ts'
import { canonicalJson } from './revision.ts'
import { liveWeight, type Turn } from './turn.ts'

/**
 * Names one exact move: an approval, or an intent, holds for this move and no other (I11).
 * Covers the Rollout, the attempt, the revision, from, to, the step, the pair, the objectives, and which question of the attempt it is.
 */
export function digestOf(turn: Turn, step: Step): string {
  const { status, o, spec } = turn
  return hash({
    uid: o.rollout.uid,
    attempt: status.attempt,
    asks: status.asks ?? 0,
    revision: status.canary?.revision,
    from: Math.round(liveWeight(turn) * 100) / 100,
    to: step.weight,
    step,
    pair: [status.stable?.name, status.canary?.name, spec.traffic],
    objectives: spec.analysis.slis,
  }).slice(0, 16)
}

/** Names one operation, so that its commit is made once: hash(uid, attempt, move, kind). */
export function opOf(turn: Turn, kind: string): string {
  const { status, o } = turn
  return hash({ uid: o.rollout.uid, attempt: status.attempt ?? 0, move: status.move ?? 0, kind }).slice(0, 12)
}

function hash(value: unknown): string {
  return createHash('sha256').update(canonicalJson(value)).digest('hex')
}

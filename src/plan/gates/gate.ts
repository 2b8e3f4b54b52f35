import type { Step } from '../../api/rollout.ts'
import type { Turn } from '../turn.ts'

/** Why a gate is shut, in one sentence, and when to look again at the latest. */
export interface Shut {
  reason: string
  message: string
  requeueAfterMs?: number
}

/** A predicate on the way to `next`: nothing when it is open, the reason when it is shut. */
export type Gate = (turn: Turn, next: Step | undefined) => Shut | undefined

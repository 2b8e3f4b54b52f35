import type { Decision, Turn } from '../turn.ts'
import { answers } from './answers.ts'
import type { Gate, Shut } from './gate.ts'
import { passed } from './passed.ts'
import { ready } from './ready.ts'
import { settled } from './settled.ts'
import { window } from './window.ts'

/** Before every forward move, in the order in which they are looked at; approval is asked last, when all else allows. */
export const beforeMove: readonly Gate[] = [passed, settled, window, ready, answers]

/** Before promotion: needs an open window, never an approval. */
export const beforePromotion: readonly Gate[] = [passed, settled, window]

/** The first gate that is shut, in their order. */
export function firstShut(turn: Turn, list: readonly Gate[]): Shut | undefined {
  for (const gate of list) {
    const shut = gate(turn, undefined)
    if (shut) return shut
  }
  return undefined
}

/** What a shut gate makes of a look: nothing moves, and the reason is said. */
export function wait(shut: Shut): Decision {
  const ofPeople = ['AwaitingApproval', 'ApprovalExpired', 'ApprovedForLater'].includes(shut.reason)
  const phase = ofPeople ? 'AwaitingApproval' : 'Progressing'
  return {
    phase,
    reason: shut.reason,
    message: shut.message,
    ...(shut.requeueAfterMs === undefined ? {} : { requeueAfterMs: shut.requeueAfterMs }),
  }
}

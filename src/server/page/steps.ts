import { parseDuration } from '../../api/duration.ts'
import type { RolloutSpec, Step } from '../../api/rollout.ts'
import type { RolloutStatus } from '../../api/status.ts'
import { heldFor } from '../../plan/steps.ts'

/** One stop on the way. */
export interface StepView {
  number: number
  weight: number
  /** As declared: `5m`. */
  hold: string
  state: 'behind' | 'here' | 'entering' | 'ahead'
  /** Somebody has to say yes before. */
  approval: boolean
  /** The hold of the step where the rollout stands. */
  holding?: Holding
  approvedBy: string[]
}

/** How far a hold is. */
export interface Holding {
  totalMs: number
  leftMs: number
  /** When it is over if its clock keeps running, epoch ms; undefined while the clock stands. */
  endsAt?: number
  /** Why it was ended early. */
  waived?: string
}

/** The way from nothing to all of the traffic. Without a canary, all of it lies ahead. */
export function stepViews(spec: RolloutSpec | undefined, status: RolloutStatus, now: number): StepView[] {
  const at = status.canary ? (status.step?.index ?? 0) : 0
  const entering = status.canary ? status.step?.entering?.index : undefined
  return (spec?.steps ?? []).map((step, i) => {
    const number = i + 1
    const here = status.canary !== undefined && number === at
    return {
      number,
      weight: step.weight,
      hold: step.hold,
      state: number < at ? 'behind' : here ? 'here' : number === entering ? 'entering' : 'ahead',
      approval: step.approval !== undefined,
      approvedBy: here ? (status.step?.approvedBy ?? []) : [],
      ...(here ? { holding: holdingOf(step, status, now) } : {}),
    }
  })
}

function holdingOf(step: Step, status: RolloutStatus, now: number): Holding {
  const totalMs = parseDuration(step.hold)
  const waived = status.step?.waived ?? (status.waiveHolds ? 'all holds are ended' : undefined)
  if (waived !== undefined) return { totalMs, leftMs: 0, waived }
  const leftMs = Math.max(0, totalMs - heldFor(status, now))
  return { totalMs, leftMs, ...(status.step?.heldAt !== undefined && leftMs > 0 ? { endsAt: now + leftMs } : {}) }
}

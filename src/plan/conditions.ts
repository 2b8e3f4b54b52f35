import type { Condition, Phase } from '../api/status.ts'
import type { Decision, Turn } from './turn.ts'
import { iso } from './turn.ts'

const stalled: readonly Phase[] = ['RolledBack', 'Invalid']
const reconciling: readonly Phase[] = [
  'Pending',
  'Progressing',
  'AwaitingApproval',
  'Paused',
  'Promoting',
  'RollingBack',
]

/**
 * Ready, Reconciling and Stalled as kstatus reads them: Ready while the desired revision is the stable one,
 * Reconciling while something is under way, Stalled when only a person can help.
 * @see https://github.com/kubernetes-sigs/cli-utils/blob/master/pkg/kstatus/README.md
 */
export function conditionsOf(turn: Turn, decision: Decision): Condition[] {
  const reason = conditionReason(decision.reason ?? decision.phase)
  const observedGeneration = turn.o.rollout.generation
  const truth: Record<string, boolean> = {
    Ready: decision.phase === 'Healthy' && decision.ready !== false,
    Reconciling: reconciling.includes(decision.phase),
    Stalled: stalled.includes(decision.phase) || decision.ready === false,
  }
  return Object.entries(truth).map(([type, value]) => {
    const status = value ? 'True' : 'False'
    const before = turn.status.conditions?.find((c) => c.type === type)
    return {
      type,
      status,
      reason,
      message: decision.message,
      lastTransitionTime: before?.status === status ? before.lastTransitionTime : iso(turn.now),
      observedGeneration,
    }
  })
}

/** Condition reasons are CamelCase words: `Breach.success-rate` is told in full by the message. */
function conditionReason(reason: string): string {
  return reason.split('.')[0]?.replace(/[^A-Za-z0-9_,:]/g, '') || 'Unknown'
}

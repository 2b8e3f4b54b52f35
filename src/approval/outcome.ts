import type { ApprovalStatus } from '../api/approval.ts'
import { rolloutStatus } from '../api/status.ts'
import { fieldAt } from '../kube/field.ts'
import type { KubeObject } from '../kube/object.ts'
import type { Approval } from './object.ts'

const lastOutcome = rolloutStatus.shape.lastOutcome

/**
 * What became of the rollout that asked, where it is over and its question had been answered with yes: nobody has to look elsewhere for
 * the end of the story. Undefined as long as it goes on, for every other question, and once it has been noted.
 */
export function outcomeFor(approval: Approval, rollout: KubeObject | undefined): ApprovalStatus['outcome'] {
  if (approval.status.state !== 'Consumed' || approval.status.outcome !== undefined) return undefined
  const parsed = lastOutcome.safeParse(fieldAt(rollout, 'status', 'lastOutcome'))
  const outcome = parsed.success ? parsed.data : undefined
  // An earlier attempt of the same revision ended before this question was asked.
  if (outcome?.revision !== approval.spec.revision || !(Date.parse(outcome.at) >= approval.createdAt)) return undefined
  return { result: outcome.result, message: outcome.message.slice(0, 1_000), at: outcome.at }
}

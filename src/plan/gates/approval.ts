import { parseDuration } from '../../api/duration.ts'
import { approvalName } from '../../approval/name.ts'
import { evidenceLines } from '../commits.ts'
import { digestOf } from '../digest.ts'
import type { ApprovalQuestion } from '../effects.ts'
import { epoch, iso, liveWeight, percent, type Turn } from '../turn.ts'
import type { Gate } from './gate.ts'

/** People have said yes to exactly this move (I11). Asked last, when all else allows. */
export const approval: Gate = (turn, next) => {
  const asked = next?.approval
  if (!next || !asked) return undefined
  const { status, o } = turn
  const digest = digestOf(turn, next)
  const step = turn.spec.steps.indexOf(next) + 1
  if (status.approval && status.approval.digest !== digest) {
    turn.effects.push({
      kind: 'closeApproval',
      name: status.approval.name,
      state: 'Void',
      reason: 'the move changed; it is asked again',
    })
    delete status.approval
  }
  const seen =
    o.approval && o.approval.name === status.approval?.name && o.approval.digest === digest ? o.approval : undefined
  if (seen?.state === 'Approved' && status.approval) {
    status.approval = { ...status.approval, state: 'Approved', by: seen.by }
    return undefined
  }
  if (seen?.state === 'Expired' && status.approval) {
    // onExpiry Reject was the business of the rule `abort`; here it is Hold: ask again.
    turn.effects.push({
      kind: 'closeApproval',
      name: status.approval.name,
      state: 'Void',
      reason: 'expired; asked again',
    })
    status.asks = (status.asks ?? 0) + 1
    delete status.approval
    return {
      reason: 'ApprovalExpired',
      message: `nobody approved step ${step} within ${asked.expires}; it is asked again`,
      requeueAfterMs: 0,
    }
  }
  status.approval ??= {
    name: approvalName(o.rollout.name, digest),
    step,
    digest,
    state: 'Pending',
    since: iso(turn.now),
  }
  if (seen === undefined) turn.effects.push({ kind: 'askApproval', approval: question(turn, digest, step) })
  const who = asked.from.join(', ')
  const quorum = asked.required > 1 ? `${asked.required} of ${who}` : who
  return {
    reason: 'AwaitingApproval',
    message: `waits for approval of ${percent(liveWeight(turn))} → ${percent(next.weight)} by ${quorum}${seen?.by.length ? ` (so far: ${seen.by.join(', ')})` : ''}`,
    requeueAfterMs: Math.max(0, epoch(status.approval.since) + parseDuration(asked.expires) - turn.now) + 1,
  }
}

function question(turn: Turn, digest: string, step: number): ApprovalQuestion {
  const { status, spec, o } = turn
  const next = spec.steps[step - 1]
  const asked = next?.approval
  if (!next || !asked || !status.approval) throw new Error('a question needs a step with an approval')
  return {
    name: status.approval.name,
    digest,
    revision: status.canary?.revision ?? '',
    step,
    steps: spec.steps.length,
    from: liveWeight(turn),
    to: next.weight,
    required: asked.required,
    allowed: asked.from,
    expiresAt: epoch(status.approval.since) + parseDuration(asked.expires),
    onExpiry: asked.onExpiry,
    separationOfDuties: asked.separationOfDuties,
    authors: [status.author ?? o.git.author, status.retriedBy].filter((a) => a !== undefined),
    evidence: evidenceLines(turn),
  }
}

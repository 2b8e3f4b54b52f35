import { parseDuration } from '../../api/duration.ts'
import type { Step } from '../../api/rollout.ts'
import type { RevisionRecord, RolloutStatus } from '../../api/status.ts'
import { approvalName } from '../../approval/name.ts'
import { evidenceLines } from '../commits.ts'
import { digestOf } from '../digest.ts'
import type { ApprovalQuestion } from '../effects.ts'
import type { ApprovalObservation } from '../observation.ts'
import { closeApproval } from '../retreat.ts'
import { epoch, event, iso, liveWeight, oneLine, percent, type Turn } from '../turn.ts'
import type { Gate, Shut } from './gate.ts'

/** People have said yes to exactly this move (I11). Asked last, when all else allows. */
export const approval: Gate = (turn, next) => {
  const asked = next?.approval
  const { status, o } = turn
  if (!next || !asked) {
    closeApproval(turn, 'this move needs no approval any more')
    return undefined
  }
  const digest = digestOf(turn, next)
  const step = turn.spec.steps.indexOf(next) + 1
  if (status.approval && status.approval.digest !== digest) {
    if (status.approval.state !== 'Consumed')
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
  if (seen?.state === 'Approved' && status.approval) return approved(turn, next, seen)
  if (seen?.state === 'Expired' && status.approval) return askAgain(turn, next, asked.expires)
  const isNew = status.approval === undefined
  const open = status.approval ?? questionOf(turn, digest, step, turn.now)
  status.approval = open
  if (seen === undefined) turn.effects.push({ kind: 'askApproval', approval: question(turn, digest, step) })
  const who = asked.from.join(', ')
  const quorum = `${asked.required > 1 ? `${asked.required} of ${who}` : who}${asked.requiredFrom ? `, ${asked.requiredFrom.join(' and ')} among them` : ''}`
  if (isNew)
    turn.effects.push({
      kind: 'notify',
      topic: 'approval',
      message: `may ${percent(liveWeight(turn))} → ${percent(next.weight)} go to ${status.canary?.revision}? Asked: ${quorum}`,
    })
  return {
    reason: 'AwaitingApproval',
    message: `waits for approval of ${percent(liveWeight(turn))} → ${percent(next.weight)} by ${quorum}${seen?.by.length ? ` (so far: ${seen.by.join(', ')})` : ''}`,
    requeueAfterMs: Math.max(0, epoch(open.since) + parseDuration(asked.expires) - turn.now) + 1,
  }
}

/** People have said yes: now, for later, or without having been asked, which is told to everybody once. */
function approved(turn: Turn, next: Step, seen: ApprovalObservation): Shut | undefined {
  const { status, now } = turn
  const before = status.approval
  if (!before) return undefined
  const { notBefore: _, override: __, ...rest } = before
  status.approval = {
    ...rest,
    state: 'Approved',
    by: seen.by,
    ...(seen.notBefore === undefined ? {} : { notBefore: iso(seen.notBefore) }),
    ...(seen.override === undefined ? {} : { override: oneLine(seen.override) }),
  }
  const move = `${percent(liveWeight(turn))} → ${percent(next.weight)}`
  const by = seen.by.join(', ')
  if (seen.override !== undefined && before.override === undefined) {
    const message = `${by} allowed ${move} as an emergency, without the approval that the step asks for: ${oneLine(seen.override)}`
    event(turn, 'Warning', 'ApprovalOverridden', message)
    turn.effects.push({ kind: 'notify', topic: 'override', message })
  }
  if (seen.notBefore === undefined || seen.notBefore <= now) return undefined
  return {
    reason: 'ApprovedForLater',
    message: `${move} is approved by ${by} and starts at ${iso(seen.notBefore)}`,
    requeueAfterMs: seen.notBefore - now,
  }
}

/** Whether the open question has been open for as long as it may: its clock stands still while suspended, the clock of its object does not. */
export function isOverdue(turn: Turn, expires: string): boolean {
  const { approval } = turn.status
  return approval !== undefined && turn.now - epoch(approval.since) >= parseDuration(expires)
}

/** Nobody answered in time and that does not reject, or the question's object ran out while time stood still: the next one is asked. */
function askAgain(turn: Turn, next: Step, expires: string): Shut {
  const { status } = turn
  const overdue = isOverdue(turn, expires)
  const since = overdue || !status.approval ? turn.now : epoch(status.approval.since)
  const message = overdue
    ? `nobody approved ${percent(liveWeight(turn))} → ${percent(next.weight)} within ${expires}; it is asked again`
    : 'the question ran out while the Rollout was suspended; it is asked again for the time that is left'
  closeApproval(turn, message)
  event(turn, 'Warning', 'ApprovalExpired', message)
  status.approval = questionOf(turn, digestOf(turn, next), turn.spec.steps.indexOf(next) + 1, since)
  return { reason: 'ApprovalExpired', message, requeueAfterMs: 0 }
}

function questionOf(turn: Turn, digest: string, step: number, since: number): NonNullable<RolloutStatus['approval']> {
  return { name: approvalName(turn.o.rollout.name, digest), step, digest, state: 'Pending', since: iso(since) }
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
    ...(asked.requiredFrom ? { requiredFrom: asked.requiredFrom } : {}),
    change: changeOf(turn),
    expiresAt: epoch(status.approval.since) + parseDuration(asked.expires),
    onExpiry: asked.onExpiry,
    separationOfDuties: asked.separationOfDuties,
    authors: [status.author ?? o.git.author, status.retriedBy].filter((a) => a !== undefined),
    evidence: evidenceLines(turn),
  }
}

/** What people are asked to allow: which content takes the place of which, who brought it, and with which commits. */
function changeOf({ status, o }: Turn): NonNullable<ApprovalQuestion['change']> {
  const { stable, canary } = status
  const author = status.author ?? o.git.author
  const version = (of: RevisionRecord) => ({ revision: of.revision, ...(of.image ? { image: of.image } : {}) })
  return {
    ...(stable ? { from: version(stable) } : {}),
    to: canary ? version(canary) : { revision: '' },
    ...(author ? { author } : {}),
    ...(o.git.change?.compareUrl ? { compareUrl: o.git.change.compareUrl } : {}),
    ...(o.git.change?.commits.length ? { commits: o.git.change.commits.slice(0, 20) } : {}),
    ...(o.git.change?.commitCount ? { commitCount: o.git.change.commitCount } : {}),
  }
}

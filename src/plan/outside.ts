import { errors } from '../errors.ts'
import { owe } from './commits.ts'
import { retreat } from './retreat.ts'
import { sameRevision } from './revision.ts'
import { carriesTraffic, event, flightPair, iso, liveWeight, percent, type Rule, stableIsGone } from './turn.ts'

/** Git may keep a deleted Rollout waiting for this long. */
const DELETION_WAIT_MS = 600_000

/** The Rollout is being deleted: traffic back, Git told, then gone. Ends a suspend. */
export const deletion: Rule = (turn) => {
  const { o, status, now } = turn
  if (!o.rollout.deleting) return undefined
  const phase = status.phase ?? 'Pending'
  if (!o.rollout.hasFinalizer) return { phase, message: status.message ?? 'being deleted' }
  if (status.canary) {
    const canary = status.canary
    const from = liveWeight(turn)
    const fallback = structuredClone(status)
    const pair = flightPair(turn)
    if (pair && pair.weight > 0) {
      turn.effects.push({
        kind: 'setWeight',
        stable: pair.stable,
        canary: pair.canary,
        weight: 0,
        direction: 'retreat',
        reason: 'Deleted',
      })
    }
    const message = 'the Rollout was deleted'
    if (status.approval)
      turn.effects.push({ kind: 'closeApproval', name: status.approval.name, state: 'Void', reason: message })
    owe(turn, {
      kind: 'delete',
      subject: `${o.rollout.name}: ${percent(from)} → 0% (${o.rollout.namespace}): deleted`,
      weights: { weight: 0 },
      trailers: { From: canary.revision, Verdict: 'Aborted' },
    })
    status.lastOutcome = { revision: canary.revision, result: 'Aborted', reason: 'Deleted', message, at: iso(now) }
    delete status.canary
    delete status.approval
    delete status.paused
    delete status.retreating
    status.step = { index: 0, weight: 0, since: iso(now) }
    return {
      phase,
      reason: 'Deleting',
      message: 'being deleted: traffic is back on stable, Git is being told',
      requeueAfterMs: 0,
      fallback,
    }
  }
  const owed = (status.git?.pending ?? []).filter((e) => !e.void)
  const waited = now - (o.rollout.deletedAt ?? now)
  if (owed.length > 0 && !o.rollout.namespaceTerminating && waited < DELETION_WAIT_MS) {
    return {
      phase,
      reason: 'Deleting',
      message: `being deleted: waits for Git to take ${owed.length} commit${owed.length > 1 ? 's' : ''}${owed[0]?.reason ? ` (${owed[0].reason})` : ''}`,
      requeueAfterMs: Math.min(5_000, DELETION_WAIT_MS - waited),
    }
  }
  if (owed.length > 0) {
    event(
      turn,
      'Warning',
      'GitLeftBehind',
      `deleted before Git could be told; Git still lacks: ${owed.map((e) => e.subject).join('; ')}`,
    )
  }
  turn.effects.push({ kind: 'removeFinalizer' })
  return { phase, reason: 'Deleting', message: 'deleted' }
}

/** Hands off everything, a retreat included, and loudly so. */
export const suspension: Rule = (turn) => {
  const { status, spec } = turn
  if (!spec.suspend) return undefined
  if (status.suspendedAt === undefined) {
    status.suspendedAt = iso(turn.now)
    event(turn, 'Warning', 'Suspended', 'spec.suspend is set: nothing is touched, a breach included')
  }
  const weight = liveWeight(turn)
  const exposed =
    status.canary && weight > 0 ? `; ${status.canary.name} keeps ${percent(weight)} of the traffic UNGUARDED` : ''
  return { phase: 'Paused', reason: 'Suspended', message: `suspended: nothing is touched, a breach included${exposed}` }
}

/** The desired version is the stable one again while another was being tried: that is an abort by Git, and nobody is to blame (I9). */
export const revert: Rule = (turn) => {
  const { o, status } = turn
  if (!status.canary || !status.stable || !o.workload.ok) return undefined
  if (!sameRevision(status.stable, o.workload.desired)) return undefined
  return retreat(turn, {
    result: 'Reverted',
    reason: 'Reverted',
    message: `${status.stable.name} is desired again${carriesTraffic(turn) ? `; traffic went back from ${percent(liveWeight(turn))}` : ''}`,
    verdict: 'Reverted',
  })
}

/** A person said no: by request, by rejecting, or by letting a question expire that rejects on expiry. */
export const abort: Rule = (turn) => {
  const { o, status, spec } = turn
  if (!status.canary) return undefined
  const { approval } = o
  const request = turn.abort
  if (request) {
    const by = request.by ?? 'somebody'
    return retreat(turn, {
      result: 'Aborted',
      reason: 'Aborted',
      message: `aborted by ${by}${request.reason ? `: ${request.reason}` : ''}`,
      requestedBy: by,
    })
  }
  if (!approval || approval.name !== status.approval?.name || status.approval.state !== 'Pending') return undefined
  if (approval.state === 'Rejected') {
    return retreat(turn, {
      result: 'Aborted',
      reason: 'Rejected',
      message: `step ${status.approval.step} was rejected by ${approval.by.join(', ') || 'somebody'}${approval.reason ? `: ${approval.reason}` : ''}`,
      requestedBy: approval.by.join(', '),
    })
  }
  const asked = spec.steps[status.approval.step - 1]?.approval
  if (approval.state === 'Expired' && asked?.onExpiry === 'Reject') {
    return retreat(turn, {
      result: 'Aborted',
      reason: 'ApprovalExpired',
      message: `nobody approved step ${status.approval.step} within ${asked.expires}`,
    })
  }
  return undefined
}

/** Another content is desired: this one's attempt is over. */
export const newRevision: Rule = (turn) => {
  const { o, status } = turn
  if (!status.canary || !o.workload.ok || sameRevision(status.canary, o.workload.desired)) return undefined
  if (carriesTraffic(turn) && stableIsGone(turn)) {
    return {
      phase: 'Progressing',
      reason: 'NowhereToGo',
      message: `${o.workload.desired.revision} is desired, but ${status.stable?.name} has no ready pod to go back to first`,
      requeueAfterMs: 1_000,
    }
  }
  return retreat(turn, {
    result: 'Superseded',
    reason: 'Superseded',
    message: `${status.canary.revision} was superseded by ${o.workload.desired.revision}`,
    verdict: 'Superseded',
  })
}

/** Something that must be there is not, or the declaration cannot work: no forward move; guard and retreat go on. */
export const invalid: Rule = (turn) => {
  const { o, status } = turn
  const pair = status.canary ? o.traffic.recorded : o.traffic.desired
  const problem =
    (o.spec.ok ? undefined : o.spec.problem) ??
    o.conflict ??
    (o.workload.ok ? undefined : o.workload.problem) ??
    o.traffic.problem ??
    (pair && !pair.ok ? pair.problem : undefined) ??
    o.analysis.problem
  if (!problem) return undefined
  const place = problem.field && !problem.message.includes(problem.field) ? `${problem.field}: ` : ''
  return {
    phase: 'Invalid',
    reason: problem.reason,
    message: `${place}${problem.message}. ${errors[problem.reason].fix}`,
  }
}

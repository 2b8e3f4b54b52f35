import type { RevisionRecord } from '../api/status.ts'
import { errors } from '../errors.ts'
import { owe } from './commits.ts'
import { mustFinish } from './deployment/promotion.ts'
import { seenDeployment } from './deployment/state.ts'
import { leftPaused, takeBackLeftover, unreleased } from './deployment/tend.ts'
import { isOverdue } from './gates/approval.ts'
import { closeApproval, endFlight, nowhereToGo, type Retreat, record, retreat, voidIntent } from './retreat.ts'
import { sameRevision } from './revision.ts'
import {
  carriesTraffic,
  type Decision,
  desiredNow,
  event,
  flightPair,
  iso,
  liveWeight,
  lowerWeight,
  percent,
  type Rule,
  stableIsGone,
  type Turn,
} from './turn.ts'

/** Git may keep a deleted Rollout waiting for this long. */
const DELETION_WAIT_MS = 600_000

/** The Rollout is being deleted: traffic back, Git told, then gone. Ends a suspend. */
export const deletion: Rule = (turn) => {
  const { o, status, now } = turn
  if (!o.rollout.deleting) return undefined
  const phase = status.phase ?? 'Pending'
  if (!o.rollout.hasFinalizer) return { phase, message: status.message ?? 'being deleted' }
  const waited = now - (o.rollout.deletedAt ?? now)
  const patient = !o.rollout.namespaceTerminating && waited < DELETION_WAIT_MS
  if (status.canary) {
    const obstacle = retreatObstacle(turn)
    if (!obstacle || !patient) return leave(turn, status.canary, obstacle)
    return {
      phase,
      reason: 'Deleting',
      message: `being deleted: traffic cannot go back yet: ${obstacle}`,
      requeueAfterMs: Math.min(1_000, DELETION_WAIT_MS - waited),
    }
  }
  const owed = (status.git?.pending ?? []).filter((e) => !e.void)
  // A pull request is in people's hands: nobody can say when they decide.
  if (owed.some((e) => !e.proposed && !e.declined) && patient) {
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
      `deleted before Git could be told; Git still lacks: ${owed.map((e) => `${e.subject}${e.proposed ? ` (lies in ${e.proposed})` : ''}`).join('; ')}`,
    )
  }
  takeBackLeftover(turn)
  const open = unreleased(turn)
  if (open !== undefined && patient)
    return { phase, reason: 'Deleting', message: `being deleted: waits for ${open}`, requeueAfterMs: 1_000 }
  const left = leftPaused(turn) ?? (open === undefined ? undefined : `deleted without waiting for ${open}`)
  if (left !== undefined) event(turn, 'Warning', 'LeftBehind', left)
  turn.effects.push({ kind: 'removeFinalizer' })
  return { phase, reason: 'Deleting', message: 'deleted' }
}

/** Why the canary cannot give its traffic back; nothing when it can, or when there is no route to change. */
function retreatObstacle(turn: Turn): string | undefined {
  if (!carriesTraffic(turn) || turn.o.traffic.problem?.reason === 'VirtualServiceMissing') return undefined
  if (stableIsGone(turn)) return `${turn.status.stable?.name} has no ready pod to go back to`
  const d = seenDeployment(turn)
  if (d && d.ready < d.replicas && mustFinish(turn))
    return `${d.ready} of ${d.replicas} pods of Deployment ${d.name} are ready so far`
  if (flightPair(turn)) return undefined
  const { problem, recorded } = turn.o.traffic
  return problem?.message ?? (recorded?.ok === false ? recorded.problem.message : 'the route cannot be read')
}

/** Ends the rollout in flight for good: traffic goes back unless something stands in the way, and Git is told what is live. */
function leave(turn: Turn, canary: RevisionRecord, obstacle: string | undefined): Decision {
  const { o, status, now } = turn
  const fallback = structuredClone(status)
  const from = liveWeight(turn)
  const to = obstacle ? from : 0
  const message = 'the Rollout was deleted'
  closeApproval(turn, message)
  voidIntent(turn, false)
  const pair = flightPair(turn)
  if (!obstacle && pair && (pair.weight > 0 || pair.uneven)) lowerWeight(turn, pair, 0, 'Deleted')
  if (obstacle)
    event(turn, 'Warning', 'TrafficLeftBehind', `deleted while ${canary.name} has ${percent(from)}: ${obstacle}`)
  owe(turn, {
    kind: 'delete',
    subject: `${o.rollout.name}: ${percent(from)} → ${percent(to)} (${o.rollout.namespace}): deleted`,
    weights: { weight: to, from },
    trailers: { From: canary.revision, Verdict: 'Aborted' },
  })
  record(status, { revision: canary.revision, result: 'Aborted', reason: 'Deleted', message, at: iso(now) })
  endFlight(status)
  status.step = { index: 0, weight: to, since: iso(now) }
  return {
    phase: status.phase ?? 'Pending',
    reason: 'Deleting',
    message: `being deleted: ${obstacle ? `${canary.name} keeps ${percent(from)}` : 'traffic is back on stable'}, Git is being told`,
    requeueAfterMs: 0,
    fallback,
  }
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
  const { status } = turn
  const desired = desiredNow(turn)
  if (!status.canary || !status.stable || !desired) return undefined
  // While the Deployment takes the tried revision over, that one is stable; what was stable before is still a way back.
  const home = status.deployment?.promotion?.previous ?? status.stable
  if (!sameRevision(home, desired)) return undefined
  return retreat(turn, {
    result: 'Reverted',
    reason: 'Reverted',
    message: `${home.name} is desired again${carriesTraffic(turn) ? `; traffic went back from ${percent(liveWeight(turn))}` : ''}`,
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
  if (!approval || approval.name !== status.approval?.name || approval.digest !== status.approval.digest)
    return undefined
  if (status.approval.state !== 'Pending') return undefined
  if (approval.state === 'Rejected') {
    return retreat(turn, {
      result: 'Aborted',
      reason: 'Rejected',
      message: `step ${status.approval.step} was rejected by ${approval.by.join(', ') || 'somebody'}${approval.reason ? `: ${approval.reason}` : ''}`,
      requestedBy: approval.by.join(', '),
    })
  }
  const asked = spec.steps[status.approval.step - 1]?.approval
  if (approval.state === 'Expired' && asked?.onExpiry === 'Reject' && isOverdue(turn, asked.expires)) {
    const why = {
      result: 'Aborted',
      reason: 'ApprovalExpired',
      message: `nobody approved step ${status.approval.step} within ${asked.expires}`,
    } satisfies Retreat
    return carriesTraffic(turn) && stableIsGone(turn) ? nowhereToGo(turn, why) : retreat(turn, why)
  }
  return undefined
}

/** Another content is desired: this one's attempt is over. Its workload need not be there yet. */
export const newRevision: Rule = (turn) => {
  const { status } = turn
  const desired = otherDesired(turn)
  if (!status.canary || !desired || mustFinish(turn)) return undefined
  const why = {
    result: 'Superseded',
    reason: 'Superseded',
    message: `${status.canary.revision} was superseded by ${desired}`,
    verdict: 'Superseded',
  } satisfies Retreat
  return carriesTraffic(turn) && stableIsGone(turn) ? nowhereToGo(turn, why) : retreat(turn, why)
}

/** What is desired when that is neither the canary nor stable: a revision, or a name with nothing behind it. */
function otherDesired(turn: Turn): string | undefined {
  const { workload } = turn.o
  const { canary, stable } = turn.status
  if (workload.ok) return canary && !sameRevision(canary, workload.desired) ? workload.desired.revision : undefined
  const name = workload.seen?.desired
  return name === canary?.name || name === stable?.name ? undefined : name
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

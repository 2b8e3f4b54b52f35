import type { Outcome, PendingCommit, RevisionRecord, RolloutStatus } from '../api/status.ts'
import { errors } from '../errors.ts'
import { evidenceLines, owe } from './commits.ts'
import { isConfigOnly, putBack } from './deployment/configuration.ts'
import { slowness, undoPromotion } from './deployment/promotion.ts'
import { templateOf } from './revision.ts'
import {
  carriesTraffic,
  type Decision,
  event,
  flightPair,
  iso,
  liveWeight,
  lowerWeight,
  oneLine,
  percent,
  type Rule,
  stableIsGone,
  type Turn,
} from './turn.ts'

/** Why traffic goes back, and what that makes of the canary. */
export interface Retreat {
  result: Exclude<Outcome['result'], 'Promoted'>
  /** CamelCase; becomes part of the field manager that writes the weight. */
  reason: string
  message: string
  /** For the trailer of the commit. */
  verdict?: string
  requestedBy?: string
}

/** The prefix of the field manager of every retreat of ours; the reason follows. */
export const RETREAT_MANAGER = 'sluice-retreat.'

/** How many revisions are remembered as bad; the newest. */
export const KNOWN_BAD_LIMIT = 20

/** How soon a retreat that could not be written is tried again; the controller retries faster within one look. */
const RETRY_MS = 500

/**
 * Puts the canary's weight to 0 before anything else (I2) and, once that is done, records what came of it.
 * Needs no recorded intent; when the write fails, the decision itself is recorded, so that a restart finishes it.
 */
export function retreat(turn: Turn, said: Retreat): Decision {
  const { status } = turn
  const slow = slowness(turn)
  const why = { ...said, message: oneLine(said.message.includes(slow) ? said.message : `${said.message}${slow}`) }
  const pair = flightPair(turn)
  const fallback = unfinished(turn, why)
  if (!pair && carriesTraffic(turn)) {
    const problem =
      turn.o.traffic.problem ?? (turn.o.traffic.recorded?.ok === false ? turn.o.traffic.recorded.problem : undefined)
    Object.assign(status, fallback)
    const obstacle = problem ? `${problem.message}. ${errors[problem.reason].fix}` : 'the route cannot be read'
    return {
      phase: 'RollingBack',
      reason: why.reason,
      message: `${why.message}; the weight cannot be set: ${obstacle}`,
      requeueAfterMs: RETRY_MS,
    }
  }
  const decision = conclude(turn, why, pair?.weight ?? 0)
  if (pair && (pair.weight > 0 || pair.uneven)) {
    lowerWeight(turn, pair, 0, why.reason)
    if (status.step) status.step.over = pair.resourceVersion
  }
  return { ...decision, fallback }
}

/** A retreat would send traffic to nobody: it stays where it is, and that is said. */
export function nowhereToGo(turn: Turn, why: Retreat): Decision {
  voidIntent(turn, true)
  return {
    phase: 'RollingBack',
    reason: 'NowhereToGo',
    message: `${why.message}; traffic stays at ${percent(liveWeight(turn))} because ${turn.status.stable?.name} has no ready pod to go back to`,
    requeueAfterMs: 1_000,
  }
}

/** The status when the weight could not be written: the decision is kept. */
function unfinished(turn: Turn, why: Retreat): RolloutStatus {
  const status = structuredClone(turn.status)
  status.retreating ??= {
    result: why.result,
    reason: why.reason,
    message: why.message,
    at: iso(turn.now),
    ...(why.verdict ? { verdict: why.verdict } : {}),
  }
  status.phase = 'RollingBack'
  status.message = why.message
  return status
}

/** What is true once traffic is back: outcome, known bad, owed commit. */
function conclude(turn: Turn, why: Retreat, from: number): Decision {
  const { status, now, o } = turn
  undoPromotion(turn)
  const { canary, stable } = status
  const bad = why.result === 'RolledBack' || why.result === 'Aborted'
  const message = oneLine(`${why.message}${bad ? putBack(stable, canary) : ''}`)
  closeApproval(turn, why.message)
  voidIntent(turn, false)
  if (canary && stable) {
    owe(turn, {
      kind: bad ? (why.result === 'Aborted' ? 'abort' : 'rollback') : 'restore',
      subject: bad
        ? `${o.rollout.name}: roll back ${apart(canary, stable)} (${o.rollout.namespace}): ${why.message}`
        : `${o.rollout.name}: ${from > 0 ? `${percent(from)} → 0%` : `give up ${canary.name}`} (${o.rollout.namespace}): ${why.message}`,
      weights: { weight: 0, from },
      ...(bad ? takenBack(turn, canary, stable) : {}),
      trailers: {
        From: canary.revision,
        Step: `${status.step?.index ?? 0}/${turn.spec.steps.length}`,
        Verdict: why.verdict ?? why.reason,
        Evidence: evidenceLines(turn).join('; ') || undefined,
        'Requested-by': why.requestedBy,
      },
    })
    record(status, {
      revision: canary.revision,
      ...(canary.image ? { image: canary.image } : {}),
      result: why.result,
      reason: why.reason,
      message,
      at: iso(now),
    })
    if (bad) {
      const mark = {
        revision: canary.revision,
        name: canary.name,
        hash: canary.hash,
        ...(canary.image === undefined ? {} : { image: canary.image }),
        ...(canary.template === undefined || isConfigOnly(stable, canary) ? {} : { template: canary.template }),
        reason: why.reason,
        message,
        at: iso(now),
      }
      status.knownBad = [...(status.knownBad ?? []).filter((k) => k.revision !== canary.revision), mark].slice(
        -KNOWN_BAD_LIMIT,
      )
    }
  }
  const { retriedBy } = status
  endFlight(status)
  // Whoever asked for a retry while another revision was in flight is an author of what comes next.
  if (why.result === 'Superseded' && retriedBy) status.retriedBy = retriedBy
  status.step = { index: 0, weight: 0, since: iso(now) }
  event(turn, bad ? 'Warning' : 'Normal', why.result, message)
  if (bad)
    turn.effects.push({
      kind: 'notify',
      topic: 'rolledBack',
      message: `${canary?.name ?? 'canary'} rolled back: ${message}`,
    })
  if (why.result === 'Reverted') return { phase: 'Healthy', message: why.message, requeueAfterMs: 0 }
  if (why.result === 'Superseded')
    return { phase: 'Progressing', reason: 'Superseded', message: why.message, requeueAfterMs: 0 }
  return { phase: 'RolledBack', reason: why.reason, message }
}

/** What Git is to desire again: the subset's name, or the pod template as it stood. */
export function takenBack(
  turn: Turn,
  from: Pick<RevisionRecord, 'name' | 'revision' | 'hash' | 'template'>,
  to: Pick<RevisionRecord, 'name' | 'revision' | 'hash' | 'template'>,
): Pick<PendingCommit, 'desired' | 'template'> {
  const { deployment } = turn.spec.workload
  if (!deployment) return { desired: { from: from.name, to: to.name } }
  // Git holds templates: where only configuration was new there is nothing to put back in it.
  if (templateOf(from) === templateOf(to)) return {}
  const content = (of: typeof from) => ({ revision: of.revision, hash: templateOf(of) })
  return { template: { deployment: deployment.name, from: content(from), to: content(to) } }
}

/** `2.0.0 → 1.9.3`; with hashes where the names do not tell the two apart. */
function apart(from: RevisionRecord, to: RevisionRecord): string {
  return from.name === to.name ? `${from.revision} → ${to.revision}` : `${from.name} → ${to.name}`
}

/** Forgets everything that belongs to the rollout in flight, and nothing else. */
export function endFlight(status: RolloutStatus): void {
  delete status.canary
  delete status.startedAt
  delete status.exposedAt
  delete status.author
  delete status.lowered
  delete status.raised
  delete status.window
  delete status.unreadySince
  delete status.waiveHolds
  delete status.paused
  delete status.retreating
  delete status.retriedBy
  delete status.approval
  delete status.asks
  if (status.deployment) {
    delete status.deployment.capacity
    delete status.deployment.promotion
  }
}

/** Adds an outcome to the last and to the ten that are kept. */
export function record(status: RolloutStatus, outcome: Outcome): void {
  status.lastOutcome = outcome
  status.history = [outcome, ...(status.history ?? [])].slice(0, 10)
}

/**
 * Gives up the open intent. Its commit may already be in Git: with `putBack` the live weight is committed over it,
 * without, the caller's own commit does that.
 */
export function voidIntent(turn: Turn, putBack: boolean): void {
  const { step, git } = turn.status
  const entering = step?.entering
  if (!step || !entering) return
  delete step.entering
  if (turn.status.approval?.state === 'Approved') closeApproval(turn, 'the move it allowed was given up')
  turn.status.asks = (turn.status.asks ?? 0) + 1
  const entry = git?.pending?.find((e) => e.op === entering.op)
  if (!entry || !git) return
  const done = turn.o.git.results[entering.op]?.state === 'Done'
  git.pending = (git.pending ?? []).flatMap((e) => (e.op !== entering.op ? [e] : done ? [] : [{ ...e, void: true }]))
  if (putBack) {
    owe(turn, {
      kind: 'restore',
      subject: `${turn.o.rollout.name}: ${percent(entering.weight)} → ${percent(step.weight)} (${turn.o.rollout.namespace}): the move was given up`,
      weights: { weight: step.weight, from: entering.weight },
      trailers: { Step: `${step.index}/${turn.spec.steps.length}` },
    })
  }
}

/** Closes the question that is open, saying why. */
export function closeApproval(turn: Turn, reason: string): void {
  const { approval } = turn.status
  if (approval && (approval.state === 'Pending' || approval.state === 'Approved')) {
    // One that was rejected or has expired is closed by that; made void, a crash right now would have it asked again.
    const seen = turn.o.approval?.name === approval.name ? turn.o.approval.state : undefined
    if (seen !== 'Rejected' && seen !== 'Expired')
      turn.effects.push({ kind: 'closeApproval', name: approval.name, state: 'Void', reason })
    turn.status.asks = (turn.status.asks ?? 0) + 1
  }
  delete turn.status.approval
}

/** People may send traffic back to a stable that is not ready; Sluice by itself does not. */
export function isOfPeople(result: Retreat['result']): boolean {
  return result === 'Reverted' || result === 'Aborted'
}

/** A retreat that was decided but not confirmed goes on, whatever the evidence says now. */
export const unfinishedRetreat: Rule = (turn) => {
  const { retreating, canary } = turn.status
  if (!retreating || !canary) return undefined
  if (!isOfPeople(retreating.result) && carriesTraffic(turn) && stableIsGone(turn)) return undefined
  return retreat(turn, retreating)
}

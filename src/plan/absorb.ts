import type { SliStatus } from '../api/status.ts'
import { absorbResults } from './commits.ts'
import { watchCapacity } from './deployment/capacity.ts'
import { absorbProof } from './deployment/latch.ts'
import { watchRoll } from './deployment/promotion.ts'
import { seenDeployment } from './deployment/state.ts'
import { watchWindow } from './gates/window.ts'
import { unpauseAfterConflict } from './git-conflict.ts'
import { alreadyMoved, enter } from './intent.ts'
import type { RevisionObservation, SliObservation } from './observation.ts'
import { absorbRequest } from './requests.ts'
import { sameRevision } from './revision.ts'
import { recordOf } from './start.ts'
import { positionOf, runHoldClock } from './steps.ts'
import {
  behindRecorded,
  canaryNow,
  carriesTraffic,
  desiredNow,
  epoch,
  event,
  flightPair,
  iso,
  stableNow,
  type Turn,
} from './turn.ts'

/** Longest checkpoint that status may hold; without one, a restart replays from the start of the attempt. */
const CHECKPOINT_LIMIT = 8_192

/** Takes what was seen into the draft, before any rule speaks. Nothing here moves traffic. */
export function absorb(turn: Turn): void {
  unsuspend(turn)
  absorbResults(turn)
  absorbProof(turn)
  watchRoll(turn)
  refreshStable(turn)
  refreshCanary(turn)
  if (turn.spec.suspend && !turn.o.rollout.deleting) {
    runHoldClock(turn, false, turn.now)
    return
  }
  absorbRequest(turn)
  if (alreadyMoved(turn)) enter(turn)
  unpauseAfterConflict(turn)
  reposition(turn)
  takeAnalysis(turn)
  watchReadiness(turn)
  watchCapacity(turn)
  watchWindow(turn)
  holdClock(turn)
}

/** Time spent suspended counts neither for the hold, nor for `after`, nor for an approval's expiry. */
function unsuspend(turn: Turn): void {
  const { status, now } = turn
  if (status.suspendedAt === undefined || (turn.spec.suspend && !turn.o.rollout.deleting)) return
  const away = Math.max(0, now - epoch(status.suspendedAt))
  if (status.step) status.step.suspendedMs = (status.step.suspendedMs ?? 0) + away
  if (status.approval?.state === 'Pending')
    status.approval = { ...status.approval, since: iso(epoch(status.approval.since) + away) }
  if (status.unreadySince) delete status.unreadySince
  const wanted = status.deployment?.capacity
  if (wanted) wanted.since = iso(epoch(wanted.since) + away)
  delete status.suspendedAt
  event(turn, 'Normal', 'Resumed', 'spec.suspend is gone')
}

/** The same content under a new generation or hash format is rewritten silently (I7); other content under stable's name is said to be untested. */
function refreshStable(turn: Turn): void {
  const { status } = turn
  const seen = stableNow(turn)
  if (!status.stable || !seen) return
  // In the middle of a roll of ours, what has pods says nothing about what is stable.
  if (status.deployment?.promotion || status.deployment?.restoring) return
  const same = sameRevision(status.stable, seen)
  const tested = same ? status.stable.tested : false
  if (!same)
    event(
      turn,
      'Warning',
      'UntestedServing',
      `${status.stable.revision} was changed in place to ${seen.revision} while it served; it was not tested`,
    )
  const { remembered } = status.stable
  status.stable = {
    ...recordOf(seen),
    ...(tested === undefined ? {} : { tested }),
    ...(remembered === undefined ? {} : { remembered }),
  }
}

function refreshCanary(turn: Turn): void {
  const { status } = turn
  // In Deployment mode the canary is a copy; what it was made of is the template.
  const seen = seenDeployment(turn) ? desiredNow(turn) : canaryNow(turn)
  // Whose ReplicaSets hold what was stable before is known by the Deployment that was promoted, not by one created anew since.
  const anew = seen?.workloads.some((w) => !status.canary?.workloads.some((known) => known.uid === w.uid))
  if (status.deployment?.promotion && anew) return
  if (status.canary && seen && sameRevision(status.canary, seen)) status.canary = recordOf(seen)
}

/** Steps may have been edited: the position follows from the weight. */
function reposition(turn: Turn): void {
  const { step } = turn.status
  const pair = flightPair(turn)
  if (turn.status.canary && step && pair) step.index = positionOf(turn.spec.steps, step.weight, pair.sum)
}

function takeAnalysis(turn: Turn): void {
  const { status, o, now } = turn
  if (o.analysis.slis.length === 0) return
  const before = new Map((status.analysis ?? []).map((sli) => [sli.name, sli]))
  status.analysis = o.analysis.slis.map((sli) => sliStatus(sli, before.get(sli.name), now))
}

function sliStatus(sli: SliObservation, before: SliStatus | undefined, now: number): SliStatus {
  return {
    name: sli.name,
    good: sli.good,
    bad: sli.bad,
    stepEvents: sli.stepEvents,
    ...(sli.observed === undefined ? {} : { observed: sli.observed }),
    objective: sli.objective,
    ...(sli.evidence === undefined || !Number.isFinite(sli.evidence)
      ? {}
      : { evidence: Number(sli.evidence.toFixed(2)) }),
    verdict: sli.verdict,
    ...(sli.message === undefined ? {} : { message: sli.message }),
    since: before?.verdict === sli.verdict && before.since ? before.since : iso(now),
    ...(sli.checkpoint === undefined || sli.checkpoint.length > CHECKPOINT_LIMIT ? {} : { checkpoint: sli.checkpoint }),
  }
}

/** Readiness is evidence that does not come from Prometheus (I4). */
function watchReadiness(turn: Turn): void {
  const { status, now } = turn
  const missing = status.canary !== undefined && carriesTraffic(turn) && readyPods(turn) === 0
  if (missing) status.unreadySince ??= iso(now)
  else delete status.unreadySince
}

/** Ready pods of the canary; undefined when that cannot be known. */
function readyPods(turn: Turn): number | undefined {
  const seen: RevisionObservation | undefined = canaryNow(turn)
  if (seen) return seen.ready
  return behindRecorded(turn) ? 0 : undefined
}

function holdClock(turn: Turn): void {
  const { status, o } = turn
  if (!status.canary) return
  const { slis } = o.analysis
  const silent = slis.filter((sli) => sli.answer !== 'Fresh')
  const invalid =
    !o.spec.ok ||
    !o.workload.ok ||
    o.traffic.recorded?.ok !== true ||
    o.analysis.problem !== undefined ||
    o.conflict !== undefined
  const last = Math.min(...silent.map((sli) => sli.newestAt ?? Number.NEGATIVE_INFINITY))
  if (status.paused || invalid) runHoldClock(turn, false, turn.now)
  else if (slis.length > 0) runHoldClock(turn, silent.length === 0, last)
}

import type { RevisionRecord } from '../../api/status.ts'
import { sentence } from '../../errors.ts'
import type { DeploymentObservation } from '../observation.ts'
import { concludePromotion } from '../passed-every-step.ts'
import { sameContent } from '../revision.ts'
import {
  type Decision,
  epoch,
  event,
  flightPair,
  iso,
  lowerWeight,
  percent,
  type Rule,
  stableIsGone,
  type Turn,
} from '../turn.ts'
import { hasPodsOf, progress, recorded, rolls, seenDeployment, templateIs } from './state.ts'

/** The last step has passed: the tried revision is stable, and the user's Deployment is to take it over while the canary carries the traffic. */
export function beginPromotion(turn: Turn): Decision {
  const { status, now } = turn
  const { canary, stable: previous } = status
  const d = seenDeployment(turn)
  if (!canary || !previous || !d) throw new Error('nothing to promote')
  recorded(turn).promotion = { previous, at: iso(now) }
  status.stable = inDeployment(canary, d.name)
  const message = `${canary.revision} passed every step; Deployment ${d.name} takes it over`
  event(turn, 'Normal', 'Passed', message)
  return { phase: 'Promoting', reason: 'Passed', message, requeueAfterMs: 0 }
}

/** The canary's content as the Deployment will run it. */
function inDeployment(canary: RevisionRecord, name: string): RevisionRecord {
  return { ...canary, workloads: canary.workloads.map((w) => ({ ...w, name })) }
}

/**
 * The native roll of what was tried: resume (written down before it is done, because from then on the old pods are going), wait until
 * the Deployment runs it, give the traffic back. Needs neither window nor approval, and a pause does not stop it.
 */
export const promotion: Rule = (turn) => {
  const { status, o, now } = turn
  const under = status.deployment?.promotion
  const { canary } = status
  if (!under || !canary) return undefined
  const d = seenDeployment(turn)
  if (!d || !o.workload.ok) {
    const why = o.workload.ok ? 'the Deployment cannot be read' : sentence(o.workload.problem)
    return { phase: 'Promoting', reason: 'Waiting', message: `traffic stays with ${canary.revision}: ${why}` }
  }
  const untouched = templateIs(turn, canary)
  if (untouched && (d.paused || !rolls(turn, d, canary))) {
    const waits = d.configuration?.waits
    if (waits !== undefined)
      return { phase: 'Promoting', reason: 'Waiting', message: `traffic stays with ${canary.revision}: ${waits}` }
    const told = under.resumedAt !== undefined
    const config = canary.config ? { config: canary.config.hash } : {}
    if (told) turn.effects.push({ kind: 'resume', resourceVersion: d.resourceVersion, ...config })
    under.resumedAt ??= iso(now)
    return {
      phase: 'Promoting',
      reason: 'Resuming',
      message: `Deployment ${d.name} is told to roll ${canary.revision}`,
      requeueAfterMs: told ? 1_000 : 0,
    }
  }
  // What comes next is latched, or is configuration: that lets the roll go on to its end.
  const rolling = d.configuration !== undefined && !d.paused && !d.configuration.rolled
  const there = untouched ? d.settled : d.ready >= d.replicas && !rolling
  if (!there || stableIsGone(turn)) {
    const waiting = untouched
      ? ''
      : `; ${o.workload.desired.revision} ${d.paused ? 'is latched and ' : ''}comes after that`
    return {
      phase: 'Promoting',
      reason: d.stuck ? 'RollStuck' : 'Promoting',
      message: `${progress(d, canary)}; traffic stays with the canary pods until then${waiting}`,
    }
  }
  return giveBack(turn, under.previous)
}

/** The Deployment runs it: traffic returns to the stable pods, and the rollout is over. */
function giveBack(turn: Turn, previous: RevisionRecord): Decision {
  const { status, o, now } = turn
  const pair = flightPair(turn)
  if (!pair) {
    const problem = o.traffic.problem ?? (o.traffic.recorded?.ok === false ? o.traffic.recorded.problem : undefined)
    const why = problem ? sentence(problem) : 'the route cannot be read'
    return {
      phase: 'Promoting',
      reason: 'Waiting',
      message: `traffic cannot return to the stable pods: ${why}`,
      requeueAfterMs: 1_000,
    }
  }
  const fallback = structuredClone(status)
  const back = `; traffic is back from ${percent(pair.weight)} on the stable pods`
  const message = concludePromotion(turn, previous, 0, back)
  status.step = { index: 0, weight: 0, since: iso(now) }
  if (pair.weight > 0 || pair.uneven) {
    lowerWeight(turn, pair, 0, 'Promoted')
    status.step.over = pair.resourceVersion
  }
  return { phase: 'Healthy', reason: 'Promoted', message, fallback, requeueAfterMs: 0 }
}

/** A retreat while the Deployment takes over: the one before is stable again, and past the resume its pods have to be brought back. */
export function undoPromotion(turn: Turn): void {
  const under = turn.status.deployment?.promotion
  if (!under) return
  turn.status.stable = under.previous
  const d = seenDeployment(turn)
  // A Deployment that was created anew meanwhile never ran what was stable before, and cannot go back to it.
  const same = turn.status.canary?.workloads.some((w) => w.uid === d?.uid) ?? false
  if (under.resumedAt !== undefined && same) recorded(turn).restoring = under.previous
  delete recorded(turn).promotion
}

/** What people have to know about a retreat past the resume. */
export function slowness(turn: Turn): string {
  const under = turn.status.deployment?.promotion
  return under?.resumedAt === undefined
    ? ''
    : `; slow: pods of ${under.previous.revision} were already being replaced and have to come back`
}

/** Whether another template may wait until the promotion is over: some of what was promoted runs already. */
export function mustFinish(turn: Turn): boolean {
  const under = turn.status.deployment?.promotion
  const d = seenDeployment(turn)
  const { canary } = turn.status
  return under?.resumedAt !== undefined && d !== undefined && canary !== undefined && hasPodsOf(d, canary)
}

/** Takes in that the Deployment rolls although no resume was recorded, and that it has come back to what it ran before. */
export function watchRoll(turn: Turn): void {
  const d = seenDeployment(turn)
  const state = turn.status.deployment
  if (!state) return
  if (state.restoring && isGone(turn, state.restoring)) {
    event(
      turn,
      'Warning',
      'NotRestored',
      `the Deployment that ran ${state.restoring.revision} is gone; it is not brought back`,
    )
    delete state.restoring
  }
  if (!d) return
  if (state.promotion && !d.paused && rolls(turn, d, turn.status.canary)) state.promotion.resumedAt ??= iso(turn.now)
  const home = state.restoring
  if (home && isRestored(turn, d, home)) {
    delete state.restoring
    event(turn, 'Normal', 'Restored', `Deployment ${d.name} runs ${home.revision} again`)
  }
}

/** How long a resume that was under way when traffic went back may still come to be. */
const LATE_RESUME_MS = 15_000

/**
 * Whether nothing but `home` runs, and nothing else can begin to: the template is that again, or what somebody has put there since is
 * latched, and no resume of ours can still be on its way.
 */
function isRestored(turn: Turn, d: DeploymentObservation, home: RevisionRecord): boolean {
  const [only, ...others] = d.running
  const alone = others.length === 0 && (only === undefined ? d.replicas === 0 : sameContent(only, home))
  const { lastOutcome } = turn.status
  const late = lastOutcome === undefined || turn.now - epoch(lastOutcome.at) > LATE_RESUME_MS
  return alone && (rolls(turn, d, home) || (d.paused && late))
}

/** Whether the Deployment was deleted, or created anew since: its ReplicaSets, and what they ran, went with it. */
function isGone(turn: Turn, home: RevisionRecord): boolean {
  const d = seenDeployment(turn)
  const { workload } = turn.o
  if (!d) return !workload.ok && workload.problem.reason === 'WorkloadMissing'
  return !d.labelled && !d.paused && !hasPodsOf(d, home) && !templateIs(turn, home)
}

/** Past the resume there is no quick way back: said until the Deployment runs what it ran before. */
export const restoring: Rule = (turn) => {
  const home = turn.status.deployment?.restoring
  const d = seenDeployment(turn)
  if (!home || !d || turn.status.canary) return undefined
  return {
    phase: 'RollingBack',
    reason: 'SlowRollback',
    message: `slow rollback: ${progress(d, home)}${turn.status.lastOutcome ? `; ${turn.status.lastOutcome.message}` : ''}`,
    requeueAfterMs: 5_000,
  }
}

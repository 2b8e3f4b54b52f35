import { parseDuration } from '../api/duration.ts'
import { sentence } from '../errors.ts'
import { evidenceLines, gitLeads, moveText, owe, stateFile } from './commits.ts'
import { digestOf, opOf } from './digest.ts'
import { contest } from './drift.ts'
import { answers } from './gates/answers.ts'
import { approval } from './gates/approval.ts'
import type { Gate, Shut } from './gates/gate.ts'
import { passed } from './gates/passed.ts'
import { ready } from './gates/ready.ts'
import { settled } from './gates/settled.ts'
import { window } from './gates/window.ts'
import { endFlight, nowhereToGo, type Retreat, record, retreat, voidIntent } from './retreat.ts'
import { positionOf, tooFewRequests } from './steps.ts'
import {
  type Decision,
  epoch,
  event,
  flightPair,
  iso,
  liveWeight,
  percent,
  type Rule,
  stableIsGone,
  type Turn,
} from './turn.ts'
import { pointsFor, sameWeight } from './weights.ts'

/** In the order in which they are looked at; approval is asked last, when all else allows. */
const gates: readonly Gate[] = [passed, settled, window, ready, answers]

/** Paused: the guard is on, nothing moves forward. */
export const pause: Rule = (turn) => {
  const { paused } = turn.status
  if (!paused) return undefined
  voidIntent(turn, true)
  return { phase: 'Paused', reason: paused.reason, message: paused.message }
}

/** Prometheus answers, but the canary gets too few requests for too long. */
export const insufficientData: Rule = (turn) => {
  const { status, spec, o, now } = turn
  const { after, do: what } = spec.analysis.onInsufficientData
  const { step } = status
  if (!status.canary || !step || step.index === 0 || step.waived || step.entering || what === 'Hold') return undefined
  const few = tooFewRequests(turn)
  if (!few || o.analysis.slis.some((sli) => sli.answer !== 'Fresh')) return undefined
  if (now - epoch(step.since) - (step.suspendedMs ?? 0) < parseDuration(after)) return undefined
  if (what === 'Rollback') {
    const why = {
      result: 'RolledBack',
      reason: 'InsufficientData',
      message: `${few.name} saw ${few.stepEvents} of ${spec.analysis.minRequests} canary requests at ${percent(step.weight)} within ${after}`,
      verdict: 'InsufficientData',
    } satisfies Retreat
    return stableIsGone(turn) ? nowhereToGo(turn, why) : retreat(turn, why)
  }
  if (step.index < spec.steps.length) {
    step.waived = `onInsufficientData: Proceed after ${after}`
    event(
      turn,
      'Warning',
      'HoldWaived',
      `step ${step.index} goes on without ${spec.analysis.minRequests} canary requests: ${step.waived}`,
    )
  }
  return undefined
}

/** The way up: from gate to intent, from intent to Git, from Git to the mesh; and after the last step, promotion. */
export const forward: Rule = (turn) => {
  const { status, spec } = turn
  const pair = flightPair(turn)
  if (!status.canary || !status.step || !pair) return undefined
  if (status.step.entering) return carryOut(turn)
  const position = positionOf(spec.steps, status.step.weight, pair.sum)
  const next = spec.steps[position]
  if (!next) return promote(turn)
  if (status.lowered && !status.lowered.settled && turn.o.analysis.slis.some((sli) => sli.gap))
    return contest(turn, status.lowered.by, status.lowered.count)
  const points = pointsFor(next.weight, pair.sum)
  if (!points.ok)
    return {
      phase: 'Invalid',
      reason: points.problem.reason,
      message: `step ${position + 1}: ${points.problem.message}`,
    }
  const shut = firstShut(turn, gates) ?? approval(turn, next)
  if (shut) return wait(shut)
  return intend(turn, position)
}

function firstShut(turn: Turn, list: readonly Gate[]): Shut | undefined {
  for (const gate of list) {
    const shut = gate(turn, undefined)
    if (shut) return shut
  }
  return undefined
}

function wait(shut: Shut): Decision {
  const phase =
    shut.reason === 'AwaitingApproval' || shut.reason === 'ApprovalExpired' ? 'AwaitingApproval' : 'Progressing'
  return {
    phase,
    reason: shut.reason,
    message: shut.message,
    ...(shut.requeueAfterMs === undefined ? {} : { requeueAfterMs: shut.requeueAfterMs }),
  }
}

/** Writes down what is about to be done, and spends the approval, before anything is done. */
function intend(turn: Turn, position: number): Decision {
  const { status, spec, o, now } = turn
  const next = spec.steps[position]
  if (!next || !status.step) throw new Error('no step to enter')
  const from = liveWeight(turn)
  const digest = digestOf(turn, next)
  const approvedBy = next.approval ? status.approval?.by : undefined
  if (status.lowered) status.lowered.settled = true
  const entry = gitLeads(turn)
    ? owe(turn, {
        kind: 'step',
        subject: `${o.rollout.name}: ${moveText(from, next.weight)} (${o.rollout.namespace})`,
        weights: { weight: next.weight },
        trailers: {
          From: status.stable?.revision,
          Step: `${position + 1}/${spec.steps.length}`,
          Verdict: position === 0 ? 'Start' : 'Pass',
          Evidence: evidenceLines(turn).join('; ') || undefined,
          'Approved-by': approvedBy?.join(', '),
        },
      })
    : undefined
  if (!entry) status.move = (status.move ?? 0) + 1
  status.step.entering = {
    index: position + 1,
    weight: next.weight,
    from,
    digest,
    op: entry?.op ?? opOf(turn, 'step'),
    at: iso(now),
    ...(approvedBy ? { approvedBy } : {}),
  }
  return { phase: 'Progressing', reason: 'Moving', message: `moves ${moveText(from, next.weight)}`, requeueAfterMs: 0 }
}

/** An intent is recorded: gates again, then Git (I3), then the mesh. */
function carryOut(turn: Turn): Decision {
  const { status, spec, o } = turn
  const pair = flightPair(turn)
  const entering = status.step?.entering
  if (!pair || !entering || !status.step) throw new Error('no intent to carry out')
  const next = spec.steps[entering.index - 1]
  if (!next || digestOf(turn, next) !== entering.digest) return giveUp(turn, 'the move changed before it was made')
  const shut = firstShut(turn, gates)
  if (shut) return wait(shut)
  if (status.approval?.state === 'Approved') {
    // Spent when the intent was recorded; told only now, so that a crash in between does not ask again.
    turn.effects.push({
      kind: 'closeApproval',
      name: status.approval.name,
      state: 'Consumed',
      reason: 'the move it allowed is being made',
    })
    status.approval = { ...status.approval, state: 'Consumed' }
  }
  const move = moveText(entering.from, entering.weight)
  const entry = status.git?.pending?.find((e) => e.op === entering.op)
  if (gitLeads(turn)) {
    if (!entry) return giveUp(turn, 'its commit is not owed any more')
    const result = o.git.results[entering.op]
    if (result?.state !== 'Done') {
      turn.effects.push({ kind: 'commit', entry, memory: stateFile(turn) })
      const obstacle =
        (o.git.problem && sentence(o.git.problem)) ??
        (result?.state === 'Waiting'
          ? result.message
          : result?.state === 'Refused'
            ? sentence(result.problem)
            : undefined)
      return {
        phase: 'Progressing',
        reason: obstacle ? 'GitUnavailable' : 'Committing',
        message: obstacle ? `${move} waits for Git: ${obstacle}` : `${move} is being committed to Git`,
      }
    }
  }
  const fallback = structuredClone(status)
  turn.effects.push({
    kind: 'setWeight',
    stable: pair.stable,
    canary: pair.canary,
    weight: entering.weight,
    direction: 'forward',
    resourceVersion: pair.resourceVersion,
  })
  enter(turn)
  if (status.step) status.step.over = pair.resourceVersion
  return { phase: 'Progressing', reason: 'Holding', message: `moved ${move}`, fallback, requeueAfterMs: 0 }
}

function giveUp(turn: Turn, why: string): Decision {
  voidIntent(turn, true)
  return {
    phase: 'Progressing',
    reason: 'IntentVoid',
    message: `${why}; every gate is asked again`,
    requeueAfterMs: 0,
  }
}

/** The weight of the intent is live: the step has been entered. */
export function enter(turn: Turn): void {
  const { status, now } = turn
  const entering = status.step?.entering
  if (!entering) return
  if (status.git?.pending)
    status.git.pending = status.git.pending.filter(
      (e) => e.op !== entering.op || (gitLeads(turn) && turn.o.git.results[e.op]?.state !== 'Done'),
    )
  status.asks = (status.asks ?? 0) + 1
  status.exposedAt ??= entering.at
  status.step = {
    index: entering.index,
    weight: entering.weight,
    since: iso(now),
    heldMs: 0,
    heldAt: iso(now),
    ...(entering.approvedBy ? { approvedBy: entering.approvedBy } : {}),
  }
  if (status.lowered && entering.index > status.lowered.index) delete status.lowered
  const message = `${moveText(entering.from, entering.weight)}${entering.approvedBy ? `, approved by ${entering.approvedBy.join(', ')}` : ''}`
  event(turn, 'Normal', 'WeightSet', message)
  turn.effects.push({ kind: 'notify', topic: 'step', message })
}

/** Whether the live weight is already the one of the open intent. */
export function alreadyMoved(turn: Turn): boolean {
  const entering = turn.status.step?.entering
  const pair = flightPair(turn)
  return (
    entering !== undefined && pair !== undefined && !pair.uneven && sameWeight(pair.weight, entering.weight, pair.sum)
  )
}

/** The last step has passed: the canary is the stable one now. Needs an open window, never an approval. */
function promote(turn: Turn): Decision {
  const { status, spec, o, now } = turn
  const shut = firstShut(turn, [passed, settled, window])
  if (shut) return wait(shut)
  const { canary, stable } = status
  if (!canary || !stable) throw new Error('nothing to promote')
  const message = `${canary.revision} passed every step and is stable now`
  owe(turn, {
    kind: 'promote',
    subject: `${o.rollout.name}: promote ${canary.name} (${o.rollout.namespace})`,
    weights: { weight: 100 },
    trailers: {
      From: stable.revision,
      Step: `${spec.steps.length}/${spec.steps.length}`,
      Verdict: 'Pass',
      Evidence: evidenceLines(turn).join('; ') || undefined,
    },
  })
  record(status, {
    revision: canary.revision,
    ...(canary.image ? { image: canary.image } : {}),
    result: 'Promoted',
    reason: 'Promoted',
    message,
    at: iso(now),
  })
  const { tested, ...promoted } = canary
  status.stable = promoted
  endFlight(status)
  delete status.step
  event(turn, 'Normal', 'Promoted', message)
  turn.effects.push({ kind: 'notify', topic: 'promoted', message })
  return { phase: 'Healthy', reason: 'Promoted', message }
}

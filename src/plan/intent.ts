import { sentence } from '../errors.ts'
import { evidenceLines, gitLeads, moveText, overrideNote, owe, stateFile } from './commits.ts'
import { digestOf, opOf } from './digest.ts'
import { beforeMove, firstShut, wait } from './gates/order.ts'
import { voidIntent } from './retreat.ts'
import { type Decision, event, flightPair, iso, liveWeight, type Turn } from './turn.ts'
import { sameWeight } from './weights.ts'

/** Writes down what is about to be done, and spends the approval, before anything is done. */
export function intend(turn: Turn, position: number): Decision {
  const { status, spec, o, now } = turn
  const next = spec.steps[position]
  if (!next || !status.step) throw new Error('no step to enter')
  const from = liveWeight(turn)
  const digest = digestOf(turn, next)
  const approvedBy = next.approval ? status.approval?.by : undefined
  const override = next.approval ? status.approval?.override : undefined
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
          Override: override,
          Waived: status.step.waived,
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
    ...(override === undefined ? {} : { override }),
  }
  return { phase: 'Progressing', reason: 'Moving', message: `moves ${moveText(from, next.weight)}`, requeueAfterMs: 0 }
}

/** An intent is recorded: gates again, then Git (I3), then the mesh. */
export function carryOut(turn: Turn): Decision {
  const { status, spec, o } = turn
  const pair = flightPair(turn)
  const entering = status.step?.entering
  if (!pair || !entering || !status.step) throw new Error('no intent to carry out')
  const next = spec.steps[entering.index - 1]
  if (!next || digestOf(turn, next) !== entering.digest) return giveUp(turn, 'the move changed before it was made')
  const shut = firstShut(turn, beforeMove)
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
    ...(entering.override === undefined ? {} : { override: entering.override }),
  }
  if (status.lowered && entering.index > status.lowered.index) delete status.lowered
  if (status.raised && entering.index > status.raised.index) delete status.raised
  const message = `${moveText(entering.from, entering.weight)}${entering.approvedBy ? `, approved by ${entering.approvedBy.join(', ')}` : ''}${overrideNote(entering)}`
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

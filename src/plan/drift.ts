import { gitLeads, owe } from './commits.ts'
import { closeApproval, voidIntent } from './retreat.ts'
import { positionOf } from './steps.ts'
import {
  type Decision,
  event,
  flightPair,
  iso,
  lowerWeight,
  type Pair,
  percent,
  type Rule,
  stableIsGone,
  type Turn,
} from './turn.ts'
import { sameWeight } from './weights.ts'

/** Somebody else's write may happen this often in one step before Sluice stops arguing. */
const LOWERINGS = 3
const RAISES = 3

/**
 * The live weight is not the recorded one. Above: put back at once. Below: somebody's retreat, which is respected:
 * the position becomes the live one and every gate has to open again before anything is raised.
 */
export const drift: Rule = (turn) => {
  const { status } = turn
  const pair = flightPair(turn)
  if (!status.canary || !status.step || !pair) return undefined
  if (sameWeight(pair.weight, status.step.weight, pair.sum) && !(pair.uneven && pair.weight > 0)) return undefined
  const above = pair.weight > status.step.weight && !sameWeight(pair.weight, status.step.weight, pair.sum)
  if (!above) return lowered(turn, pair)
  return stableIsGone(turn) ? leftRaised(turn, pair) : raised(turn, pair)
}

function raised(turn: Turn, pair: Pair): Decision {
  const { status } = turn
  const wanted = status.step?.weight ?? 0
  const by = pair.writer?.manager ?? 'somebody'
  const index = status.step?.index ?? 0
  const count = (status.raised && status.raised.index >= index ? status.raised.count : 0) + 1
  const fallback = structuredClone(status)
  status.raised = { count, by, index: Math.max(index, status.raised?.index ?? 0) }
  if (count >= RAISES && status.paused?.reason !== 'WeightContested') return { ...takeAway(turn, pair), fallback }
  lowerWeight(turn, pair, wanted, 'Drift')
  const message = pair.uneven
    ? `the routes did not split alike (last written by ${by}); all put back to ${percent(wanted)}`
    : `${by} raised ${status.canary?.name} to ${percent(pair.weight)}; put back to ${percent(wanted)}`
  event(turn, 'Warning', 'WeightRaised', message)
  return {
    phase: status.paused ? 'Paused' : 'Progressing',
    reason: 'WeightRaised',
    message,
    requeueAfterMs: 0,
    fallback,
  }
}

/** Whoever raises it again and again would win in the moment Sluice is not there: all traffic goes to stable, in Git too. */
function takeAway(turn: Turn, pair: Pair): Decision {
  const { status, spec, o, now } = turn
  const { count = 0, by = 'somebody' } = status.raised ?? {}
  const from = status.step?.weight ?? 0
  const message = `${by} has raised the weight ${count} times in one step; all traffic is on ${status.stable?.name} and nothing moves until somebody says resume`
  voidIntent(turn, false)
  closeApproval(turn, `${by} raised the weight`)
  lowerWeight(turn, pair, 0, 'Contested')
  status.step = { index: 0, weight: 0, since: iso(now), over: pair.resourceVersion, heldMs: 0 }
  if (gitLeads(turn)) {
    owe(turn, {
      kind: 'restore',
      subject: `${o.rollout.name}: ${percent(from)} → 0% (${o.rollout.namespace}): raised again and again by ${by}`,
      weights: { weight: 0, from },
      trailers: { Step: `0/${spec.steps.length}` },
    })
  }
  // A person who paused it decides on; contested is what has to be said first.
  status.paused = { reason: 'WeightContested', message, at: iso(now), by }
  event(turn, 'Warning', 'WeightContested', message)
  turn.effects.push({ kind: 'notify', topic: 'paused', message })
  return { phase: 'Paused', reason: 'WeightContested', message }
}

/** Whoever raised it may be saving the service: stable has nobody to take the traffic back. */
function leftRaised(turn: Turn, pair: Pair): Decision {
  const { status } = turn
  voidIntent(turn, true)
  return {
    phase: status.paused ? 'Paused' : 'Progressing',
    reason: 'NowhereToGo',
    message: `${pair.writer?.manager ?? 'somebody'} raised ${status.canary?.name} to ${percent(pair.weight)}; it stays there because ${status.stable?.name} has no ready pod to go back to`,
    requeueAfterMs: 1_000,
  }
}

function lowered(turn: Turn, pair: Pair): Decision {
  const { status, now, spec, o } = turn
  // Lowered in one of several routes: the others follow.
  const weight = pair.uneven ? (pair.lowest ?? 0) : pair.weight
  const fallback = structuredClone(status)
  if (pair.uneven) lowerWeight(turn, pair, weight, 'Drift')
  const before = status.step
  const by = pair.writer?.manager ?? 'somebody'
  const index = before?.index ?? 0
  const count = (status.lowered && status.lowered.index >= index ? status.lowered.count : 0) + 1
  voidIntent(turn, false)
  closeApproval(turn, `${by} lowered the weight`)
  status.step = {
    index: positionOf(spec.steps, weight, pair.sum),
    weight,
    since: iso(now),
    heldMs: 0,
    heldAt: iso(now),
  }
  status.lowered = { count, at: iso(now), by, index: Math.max(index, status.lowered?.index ?? 0) }
  const message = `${by} lowered ${status.canary?.name} from ${percent(before?.weight ?? 0)} to ${percent(weight)}`
  event(turn, 'Warning', 'WeightLowered', message)
  if (gitLeads(turn)) {
    owe(turn, {
      kind: 'restore',
      subject: `${o.rollout.name}: ${percent(before?.weight ?? 0)} → ${percent(weight)} (${o.rollout.namespace}): lowered by ${by}`,
      weights: { weight, from: before?.weight ?? 0 },
      trailers: { Step: `${status.step.index}/${spec.steps.length}` },
    })
  }
  if (count >= LOWERINGS || o.analysis.slis.some((sli) => sli.gap)) return { ...contest(turn, by, count), fallback }
  return {
    phase: 'Progressing',
    reason: 'WeightLowered',
    message: `${message}; nothing is raised before the evidence is complete and every gate has opened again`,
    requeueAfterMs: 0,
    fallback,
  }
}

/** Stops arguing about weights until a person says `resume`. */
export function contest(turn: Turn, by: string, count: number): Decision {
  const message =
    count >= LOWERINGS
      ? `${by} has lowered the weight ${count} times in one step; nothing moves until somebody says resume`
      : `${by} lowered the weight and the evidence up to then has a gap; nothing moves until somebody says resume`
  turn.status.paused = { reason: 'WeightContested', message, at: iso(turn.now), by }
  turn.effects.push({ kind: 'notify', topic: 'paused', message })
  return { phase: 'Paused', reason: 'WeightContested', message }
}

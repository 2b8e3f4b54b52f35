import { parseDuration } from '../api/duration.ts'
import { beginPromotion } from './deployment/promotion.ts'
import { seenDeployment } from './deployment/state.ts'
import { contest } from './drift.ts'
import { approval } from './gates/approval.ts'
import { beforeMove, beforePromotion, firstShut, wait } from './gates/order.ts'
import { carryOut, intend } from './intent.ts'
import { concludePromotion } from './passed-every-step.ts'
import { nowhereToGo, type Retreat, retreat, voidIntent } from './retreat.ts'
import { positionOf, tooFewRequests } from './steps.ts'
import { type Decision, epoch, event, flightPair, percent, type Rule, stableIsGone, type Turn } from './turn.ts'
import { pointsFor } from './weights.ts'

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
  const shut = firstShut(turn, beforeMove) ?? approval(turn, next)
  if (shut) return wait(shut)
  return intend(turn, position)
}

/** The last step has passed: the canary is the stable one now. Needs an open window, never an approval. */
function promote(turn: Turn): Decision {
  const { status } = turn
  const shut = firstShut(turn, beforePromotion)
  if (shut) return wait(shut)
  if (seenDeployment(turn)) return beginPromotion(turn)
  const { canary, stable } = status
  if (!canary || !stable) throw new Error('nothing to promote')
  const { tested, ...promoted } = canary
  const message = concludePromotion(turn, stable, 100)
  status.stable = promoted
  delete status.step
  return { phase: 'Healthy', reason: 'Promoted', message }
}

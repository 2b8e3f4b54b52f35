import { errors, sentence } from '../errors.ts'
import { owe } from './commits.ts'
import { seenDeployment } from './deployment/state.ts'
import { destinationOf } from './destinations.ts'
import { isBeforeOwnWrite } from './own-write.ts'
import { sameContent, sameRevision } from './revision.ts'
import { type Decision, event, iso, lowerWeight, percent, type Rule, stableIsGone, type Turn } from './turn.ts'

/** Nothing to release, or something that must not be: the state in which a Rollout spends its life. */
export const idle: Rule = (turn) => {
  const { o, status } = turn
  if (status.canary || !status.stable || !o.workload.ok || !o.spec.ok || o.conflict || o.traffic.problem)
    return undefined
  const { desired } = o.workload
  // The pair of Deployment mode is always the same: what is wrong with it is said before it is needed.
  const unroutable = seenDeployment(turn) !== undefined && o.traffic.desired?.ok === false
  if (sameRevision(status.stable, desired)) return unroutable ? undefined : healthy(turn)
  const bad = status.knownBad?.find(
    (k) => k.revision === desired.revision || (k.name === desired.name && sameContent(k, desired)),
  )
  return bad ? keptOut(turn, bad) : undefined
}

function healthy(turn: Turn): Decision {
  const { status, o } = turn
  const { stable } = status
  delete status.step
  const stale = reapplied(turn)
  if (stale) return stale
  const live = o.traffic.shares[destinationOf(turn.spec, 'stable', status) ?? ''] ?? 0
  const untested = stable?.tested === false ? `; its content changed in place and was not tested` : ''
  const left = leftover(turn)
  if (left) return left
  const reason = untested ? 'UntestedServing' : 'Healthy'
  const note = `${untested}${gitNote(turn)}`
  const bad = status.knownBad?.some((k) => k.revision === stable?.revision) ?? false
  if (bad)
    return {
      phase: 'Healthy',
      reason: 'UntestedServing',
      ready: false,
      message: `${stable?.revision} serves and is known to be bad; another version has to be declared${note}`,
    }
  if (stable?.remembered !== undefined)
    return {
      phase: 'Healthy',
      reason: 'UntestedServing',
      ready: false,
      message: `${stable.revision} serves and was not tested: Git remembers ${stable.remembered} as stable; release it, or declare that one${note}`,
    }
  if (live < 99.99 && Object.keys(o.traffic.shares).length > 0) {
    return {
      phase: 'Healthy',
      reason: live === 100 ? reason : 'WeightsLeftAlone',
      message: `${stable?.revision} is desired and stable, with ${percent(live)} of the traffic; weights are left alone while nothing is released${note}`,
    }
  }
  return { phase: 'Healthy', reason, message: `${stable?.revision} has all the traffic${note}` }
}

/**
 * A cluster that was rebuilt from Git in the middle of a rollout has the weights of it, and not the canary: a share of the traffic goes
 * to nobody. Weights of which Git remembers no rollout are people's own.
 */
function leftover(turn: Turn): Decision | undefined {
  const { status, o } = turn
  const d = seenDeployment(turn)
  const pair = o.traffic.desired
  if ((o.git.memory?.step?.weight ?? 0) === 0) return undefined
  if (!d || d.ready === 0 || !pair?.ok || pair.weight === 0 || (d.canary?.ready ?? 0) > 0) return undefined
  lowerWeight(turn, pair, 0, 'Leftover')
  const message = `${pair.canary} had ${percent(pair.weight)} of the traffic with no ready pod behind it; put back to 0%`
  if (status.git?.pending?.some((e) => e.weights?.weight === 0))
    return { phase: 'Healthy', reason: 'Leftover', message }
  event(turn, 'Warning', 'Leftover', message)
  const { stable, canary, weight: from } = pair
  const entry = owe(turn, {
    kind: 'restore',
    subject: `${o.rollout.name}: ${percent(from)} → 0% (${o.rollout.namespace}): ${canary} has no ready pod`,
    weights: { weight: 0, from },
    trailers: { Revision: status.stable?.revision },
  })
  if (entry) entry.weights = { stable, canary, weight: 0 }
  return { phase: 'Healthy', reason: 'Leftover', message, requeueAfterMs: 1_000 }
}

/**
 * Between a retreat and its commit Git still has the old weight, and an engine may apply it once more: it goes back at once, as it
 * would with the canary still in flight. Weights that Git is not about to be told of are people's own.
 */
function reapplied(turn: Turn): Decision | undefined {
  const { status, o } = turn
  const entry = status.git?.pending?.find((e) => e.weights?.weight === 0 && !e.void && !e.declined)
  const { stable, canary } = entry?.weights ?? {}
  if (!stable || !canary || stable !== destinationOf(turn.spec, 'stable', status)) return undefined
  const share = o.traffic.shares[canary] ?? 0
  if (share <= 0 || stableIsGone(turn)) return undefined
  lowerWeight(turn, { stable, canary }, 0, 'Reapplied')
  const message = `${canary} was given ${percent(share)} of the traffic before Git could be told that it has none; put back to 0%`
  event(turn, 'Warning', 'WeightRaised', message)
  return { phase: 'Healthy', reason: 'WeightRaised', message, requeueAfterMs: 0 }
}

/** What will keep the next release from being committed, said before it matters. An outage passes by itself and is not mentioned. */
function gitNote({ o }: Turn): string {
  const { problem } = o.git
  return !problem || problem.reason === 'GitUnreachable' ? '' : `; nothing can be committed: ${sentence(problem)}`
}

/** The desired revision was rolled back before (I8): it is left where a person or a slow engine put it, and gets no traffic. */
function keptOut(turn: Turn, bad: { revision: string; reason: string; message?: string }): Decision {
  const { status, o } = turn
  const pair = o.traffic.desired
  status.step = status.step ?? { index: 0, weight: 0, since: iso(turn.now) }
  if (pair?.ok && pair.weight > 0 && !isBeforeOwnWrite(status, pair, turn.now)) {
    if (stableIsGone(turn))
      return {
        phase: 'RolledBack',
        reason: 'NowhereToGo',
        message: `${bad.revision} is known to be bad and has ${percent(pair.weight)} of the traffic; it stays there because ${status.stable?.name} has no ready pod to go back to`,
        requeueAfterMs: 1_000,
      }
    lowerWeight(turn, pair, 0, 'KnownBad')
    const by = pair.writer?.manager ?? 'somebody'
    event(
      turn,
      'Warning',
      'KnownBad',
      `${bad.revision} was given ${percent(pair.weight)} of the traffic (last written by ${by}); put back to 0%`,
    )
  }
  if (turn.status.phase === 'RolledBack' || turn.status.phase === 'RollingBack') {
    const same = status.lastOutcome?.revision === bad.revision
    const settled = same && !status.conditions?.some((c) => c.type === 'Stalled' && c.reason === 'KnownBad')
    if (settled)
      return {
        phase: 'RolledBack',
        reason: status.lastOutcome?.reason ?? bad.reason,
        message: status.lastOutcome?.message ?? `${bad.revision} was rolled back`,
      }
  }
  return {
    phase: 'RolledBack',
    reason: 'KnownBad',
    message: `${bad.revision} is desired but was rolled back before (${bad.message ?? bad.reason}); it is left in Git and not tried. ${errors.KnownBad.fix}`,
  }
}

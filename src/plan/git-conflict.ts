import { closeApproval, voidIntent } from './retreat.ts'
import { positionOf } from './steps.ts'
import { event, flightPair, iso, lowerWeight, percent, type Rule, stableIsGone, type Turn } from './turn.ts'
import { sameWeight } from './weights.ts'

/** A person has put the weight back in Git: nothing stands in the way any more. */
export function unpauseAfterConflict(turn: Turn): void {
  const { status, o } = turn
  const { paused } = status
  if (paused?.reason !== 'GitConflict' || !o.git.known || o.git.problem || o.git.conflict) return
  if (paused.commit === status.git?.accepted) return
  // The branch must have moved since: a conflict that a commit met may not have been seen by the look at the branch yet.
  // Without a tip, a person has asked for the pause as well.
  if (o.git.tip === undefined || paused.tip === undefined || o.git.tip === paused.tip) return
  delete status.paused
  event(turn, 'Normal', 'Resumed', `the weight of ${status.canary?.name} in Git is as it was again`)
}

/**
 * With nobody behind stable, no retreat of ours moves traffic, a breach included; a person who says otherwise in Git is heard all the
 * same (I13), as one is who aborts.
 */
export const peopleDecide: Rule = (turn) => (stableIsGone(turn) && !turn.abort ? gitConflict(turn) : undefined)

/** A person changed an owned weight in Git: theirs wins (I13). A lower one is followed at once. */
export const gitConflict: Rule = (turn) => {
  const { o, status, now } = turn
  const step = status.step
  if (!status.canary || !step) return undefined
  const entering = step.entering
  const result = entering && o.git.results[entering.op]
  const refused = result?.state === 'Conflict' ? result : undefined
  const conflict =
    o.git.conflict ??
    (refused ? { weight: refused.weight ?? step.weight, commit: refused.commit, author: refused.author } : undefined)
  if (!conflict || conflict.commit === status.git?.accepted || conflict.commit === status.paused?.commit)
    return undefined
  const pair = flightPair(turn)
  const message = `${conflict.author} set the weight of ${status.canary.name} to ${percent(conflict.weight)} in Git (${conflict.commit.slice(0, 8)})`
  const fallback = structuredClone(status)
  voidIntent(turn, false)
  closeApproval(turn, message)
  status.paused = {
    reason: 'GitConflict',
    message,
    by: conflict.author,
    at: iso(now),
    commit: conflict.commit,
    ...(o.git.tip && !status.paused ? { tip: o.git.tip } : {}),
  }
  event(turn, 'Warning', 'GitConflict', message)
  turn.effects.push({ kind: 'notify', topic: 'paused', message })
  if (!pair || !isBelow(conflict.weight, Math.max(pair.weight, step.weight), pair.sum)) {
    return {
      phase: 'Paused',
      reason: 'GitConflict',
      message: `${message}; nothing moves until it is put back or somebody says resume`,
    }
  }
  // It may be live already: this very write, before a crash.
  const live = isBelow(conflict.weight, pair.weight, pair.sum) ? conflict.weight : pair.weight
  if (live !== pair.weight) lowerWeight(turn, pair, live, 'GitConflict')
  // Git says what is live again: what Sluice writes there later is no conflict with this person any more.
  status.git = { ...status.git, accepted: conflict.commit }
  status.step = {
    index: positionOf(turn.spec.steps, live, pair.sum),
    weight: live,
    since: iso(now),
    ...(live === pair.weight ? {} : { over: pair.resourceVersion }),
    heldMs: 0,
  }
  return {
    phase: 'Paused',
    reason: 'GitConflict',
    message: `${message}; followed at once, nothing else moves until somebody says resume`,
    fallback,
  }
}

function isBelow(a: number, b: number, sum: number): boolean {
  return a < b && !sameWeight(a, b, sum)
}

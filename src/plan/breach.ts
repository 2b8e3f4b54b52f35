import { isOfPeople, nowhereToGo, RETREAT_MANAGER, type Retreat, retreat } from './retreat.ts'
import {
  canaryNow,
  carriesTraffic,
  epoch,
  flightPair,
  liveWeight,
  percent,
  type Rule,
  stableIsGone,
  type Turn,
} from './turn.ts'

/** How long a canary that carries traffic may be without a ready pod before that is a breach (I4). */
export const UNREADY_MS = 5_000

/** The canary fails its objectives, or is not there: traffic goes back, in every phase. */
export const breach: Rule = (turn) => {
  const { status } = turn
  if (!status.canary) return undefined
  const why =
    decided(turn) ??
    ownRetreat(turn) ??
    (hadTraffic(turn) ? judged(turn) : undefined) ??
    (carriesTraffic(turn) ? unready(turn) : undefined)
  if (!why) return undefined
  if (!carriesTraffic(turn) || !stableIsGone(turn)) return retreat(turn, why)
  // A person who says abort all the same is heard.
  return turn.abort ? undefined : nowhereToGo(turn, why)
}

/** A retreat that was decided, and could not be made because stable has gone meanwhile. */
function decided(turn: Turn): Retreat | undefined {
  const { retreating } = turn.status
  return retreating && !isOfPeople(retreating.result) ? retreating : undefined
}

/** Has the canary had traffic in this attempt? What it did then counts, also after somebody took it away. */
function hadTraffic(turn: Turn): boolean {
  const { step, lowered, paused } = turn.status
  return carriesTraffic(turn) || (step?.weight ?? 0) > 0 || lowered !== undefined || paused?.reason === 'GitConflict'
}

/** A live 0 that a retreat of ours wrote before it could be recorded: it is finished, whatever the evidence says after a restart. */
function ownRetreat(turn: Turn): Retreat | undefined {
  const pair = flightPair(turn)
  const manager = pair?.writer?.manager
  if (pair?.weight !== 0 || !manager?.startsWith(RETREAT_MANAGER) || (turn.status.step?.weight ?? 0) === 0)
    return undefined
  const reason = manager.slice(RETREAT_MANAGER.length)
  const ofPeople = /^(Aborted|Rejected|ApprovalExpired)$/.test(reason)
  if (!ofPeople && !/^(Breach|NoReadyPods|InsufficientData)/.test(reason)) return undefined
  if (ofPeople) return { result: 'Aborted', reason, message: `taken back (${reason}) just before a restart` }
  return (
    judged(turn) ?? {
      result: 'RolledBack',
      reason,
      message: `rolled back for ${reason} just before a restart`,
      verdict: 'Breach',
    }
  )
}

function judged(turn: Turn): Retreat | undefined {
  const sli = turn.o.analysis.slis.find((s) => s.verdict === 'Breach')
  if (!sli) return undefined
  const total = sli.good + sli.bad
  const count = sli.kind === 'query' ? '' : ` (${sli.bad} of ${total} requests bad)`
  const stable = sli.stableBad ? '; stable is failing too' : ''
  return {
    result: 'RolledBack',
    reason: `Breach.${sli.name}`,
    message: `${sli.name} ${sli.observed ?? 'is outside its bounds'}, objective ${sli.objective}${count}${stable}`,
    verdict: 'Breach',
  }
}

function unready(turn: Turn): Retreat | undefined {
  const { unreadySince } = turn.status
  if (unreadySince === undefined || turn.now - epoch(unreadySince) < UNREADY_MS) return undefined
  const why = canaryNow(turn)?.notReady
  return {
    result: 'RolledBack',
    reason: 'NoReadyPods',
    message: `no pod of ${turn.status.canary?.name} has been ready for ${UNREADY_MS / 1000}s while it had ${percent(liveWeight(turn))} of the traffic${why ? `: ${why}` : ''}`,
    verdict: 'NoReadyPods',
  }
}

import { errors } from '../../errors.ts'
import type { DeploymentObservation } from '../observation.ts'
import { nowhereToGo, type Retreat, retreat } from '../retreat.ts'
import { carriesTraffic, type Decision, iso, type Rule, stableIsGone, type Turn } from '../turn.ts'
import { declared, recorded, rolls, seenDeployment, templateIs } from './state.ts'

/** How old the proof may be with which a rollout starts. */
const PROOF_MS = 60_000

/** How soon a latch that did not hold is tried again. */
const RETRY_MS = 15_000

/** Keeps what the last dry run said; only a change is written down. */
export function absorbProof(turn: Turn): void {
  const latch = seenDeployment(turn)?.latch
  if (!latch || latch.state === 'Unknown') return
  const proven = latch.state === 'Proven'
  const known = turn.status.deployment?.latch
  const message = latch.state === 'Missing' ? latch.message : undefined
  if (known?.proven === proven && known.message === message) return
  recorded(turn).latch = { proven, ...(message === undefined ? {} : { message }), at: iso(latch.at) }
}

/** Before a Rollout is Healthy for the first time, and again while the latch is known not to hold, it has to be proven. */
export const latch: Rule = (turn) => {
  const d = seenDeployment(turn)
  if (!d || !turn.status.stable || turn.status.canary || turn.o.conflict || !turn.o.spec.ok || !turn.o.workload.ok)
    return undefined
  if (declared(turn)?.latch === 'Pause') return undefined
  if (turn.status.deployment?.latch?.proven && d.latch.state !== 'Missing') return undefined
  return prove(turn, d)
}

/** What still keeps a new template from being tried: it must be latched, and so must be whatever comes after it. */
export function unlatched(turn: Turn, d: DeploymentObservation): Decision | undefined {
  if (declared(turn)?.latch === 'Pause') return undefined
  if (d.latch.state === 'Proven' && turn.now - d.latch.at < PROOF_MS) return undefined
  return prove(turn, d)
}

function prove(turn: Turn, d: DeploymentObservation): Decision {
  if (!d.labelled)
    return {
      phase: 'Pending',
      reason: 'Adopting',
      message: `Deployment ${d.name} is being labelled`,
      requeueAfterMs: 1_000,
    }
  const { latch: known } = d
  if (known.state !== 'Missing' || turn.now - known.at >= RETRY_MS) turn.effects.push({ kind: 'proveLatch' })
  if (known.state === 'Missing') {
    return {
      phase: 'Invalid',
      reason: 'LatchMissing',
      message: `${known.message}. ${errors.LatchMissing.fix}`,
      requeueAfterMs: RETRY_MS,
    }
  }
  return {
    phase: 'Pending',
    reason: 'ProvingLatch',
    message: `checks, without changing anything, that a new template of Deployment ${d.name} would be latched`,
    requeueAfterMs: 1_000,
  }
}

/**
 * The Deployment rolls a template that Sluice has not let go: a person broke the glass or resumed it, the latch is missing, or the
 * Deployment was created anew. What is in flight ends; when the roll is over, its content is stable and reported as untested.
 */
export const bypass: Rule = (turn) => {
  const d = seenDeployment(turn)
  const { stable, canary, deployment } = turn.status
  if (!d || !stable || d.paused || deployment?.promotion || deployment?.restoring || !turn.o.workload.ok)
    return undefined
  // New configuration alone is in no template: nothing rolls by itself.
  if (templateIs(turn, stable) || rolls(turn, d, stable)) return undefined
  const { desired } = turn.o.workload
  const how = d.breakGlass ? 'as the break-glass annotation asks' : 'without Sluice'
  const message = `Deployment ${d.name} rolls ${desired.revision} ${how}`
  if (canary) {
    const why = { result: 'Superseded', reason: 'Bypassed', message, verdict: 'Superseded' } satisfies Retreat
    return carriesTraffic(turn) && stableIsGone(turn) ? nowhereToGo(turn, why) : retreat(turn, why)
  }
  if (d.breakGlass || declared(turn)?.latch === 'Pause')
    return { phase: 'Progressing', reason: 'Bypassed', message: `${message}; it will be stable and was not tested` }
  return {
    phase: 'Invalid',
    reason: 'LatchMissing',
    message: `${message}: the latch did not hold it. ${errors.LatchMissing.fix}`,
  }
}

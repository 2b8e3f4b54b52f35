import { parseDuration } from '../../api/duration.ts'
import type { RolloutStatus } from '../../api/status.ts'
import type { DeploymentObservation } from '../observation.ts'
import { desiredNow, epoch, iso, lowerWeight, stableIsGone, type Turn } from '../turn.ts'
import { declared, hasPodsOf, isAtRest, isHome, recorded, rolls, seenDeployment, templateIs } from './state.ts'

/**
 * What the Deployment and the canary pods need, whatever rule has spoken: said anew at every look until it is seen to be done. Never
 * takes pods from under traffic. Returns when to look again, in milliseconds; `before` is the status as it was recorded before this look.
 */
export function tend(turn: Turn, before: RolloutStatus): number | undefined {
  const d = seenDeployment(turn)
  const spec = declared(turn)
  const { status, o } = turn
  if (!spec || !status.stable || (turn.spec.suspend && !o.rollout.deleting)) return undefined
  if (o.rollout.deleting) return farewell(turn, d, before)
  if (!d) return undefined
  restore(turn, d, before)
  autoscaler(turn, d)
  const again = canaryPods(turn, d)
  adopt(turn, d)
  resume(turn, d)
  return status.deployment?.restoring && !before.deployment?.restoring ? 0 : again
}

/**
 * The Rollout goes, and nobody comes after it: the finalizer is let go of last. With the Deployment gone nobody sees the canary's pods:
 * they are taken along unseen, unless they may have traffic.
 */
function farewell(turn: Turn, d: DeploymentObservation | undefined, before: RolloutStatus): number | undefined {
  const { effects, status } = turn
  const last = effects.findIndex((effect) => effect.kind === 'removeFinalizer')
  const [goes] = last < 0 ? [] : effects.splice(last, 1)
  let again: number | undefined
  if (d) {
    restore(turn, d, before)
    autoscaler(turn, d)
    again = status.canary ? undefined : canaryPods(turn, d)
    release(turn, d)
  } else if (goes && !mayCarryTraffic(turn)) effects.push({ kind: 'removeCanary' })
  if (goes) effects.push(goes)
  return again
}

function adopt(turn: Turn, d: DeploymentObservation): void {
  const { status, o, effects } = turn
  if (o.conflict) return
  if (!o.rollout.hasFinalizer && !effects.some((e) => e.kind === 'addFinalizer')) effects.push({ kind: 'addFinalizer' })
  const quiet = !status.canary && !status.deployment?.restoring && isAtRest(d) && rolls(turn, d, status.stable)
  const pause = declared(turn)?.latch === 'Pause' && !d.paused && quiet
  if (!d.labelled || pause) effects.push({ kind: 'adopt', pause })
}

/** A latched template that is stable's again (or was only a restart) rolls at once. */
function resume(turn: Turn, d: DeploymentObservation): void {
  const { status } = turn
  const { stable, deployment } = status
  if (!stable || status.canary || deployment?.restoring || !d.paused || !isHome(turn, d)) return
  if (d.running.length > 0 && !hasPodsOf(d, stable)) return
  // With `latch: Pause` it is paused all the time; only a restart is something to let go.
  if (declared(turn)?.latch === 'Pause' && (isAtRest(d) || d.replicas === 0)) return
  const { keeps, carried } = d.configuration ?? {}
  const config = keeps === undefined || keeps === carried ? {} : { config: keeps }
  turn.effects.push({ kind: 'resume', resourceVersion: d.resourceVersion, ...config })
}

/** Only once that is written down: a template that is back before anybody knows why would be taken for a person's revert. */
function restore(turn: Turn, d: DeploymentObservation, before: RolloutStatus): void {
  const home = turn.status.deployment?.restoring
  if (!home || !before.deployment?.restoring) return
  if (d.paused || !rolls(turn, d, home)) turn.effects.push({ kind: 'restoreTemplate', to: home })
}

/** While a rollout is in flight stable keeps the pods it had at the start, so that a retreat finds room. */
function autoscaler(turn: Turn, d: DeploymentObservation): void {
  const state = turn.status.deployment
  if (turn.status.canary && state?.floor !== undefined) {
    if (d.autoscaler && d.autoscaler.min < state.floor) turn.effects.push({ kind: 'floor', replicas: state.floor })
    return
  }
  if (turn.status.canary || d.canary) return
  if (state) delete state.floor
  if (d.autoscaler?.floored) turn.effects.push({ kind: 'floor' })
}

function canaryPods(turn: Turn, d: DeploymentObservation): number | undefined {
  const { status, effects } = turn
  const { canary, deployment } = status
  const there = d.canary
  if (canary) {
    if (deployment) delete deployment.leaving
    const wanted = deployment?.capacity?.replicas
    if (wanted === undefined || !turn.o.workload.ok || there?.deleting || !templateIs(turn, canary)) return undefined
    const done =
      there?.revision === canary.revision && there.asked >= wanted && there.replicas >= wanted && there.intact
    if (!done) effects.push({ kind: 'scaleCanary', revision: canary, replicas: wanted })
    return undefined
  }
  if (!there) {
    if (deployment) delete deployment.leaving
    return undefined
  }
  if (there.deleting || mayCarryTraffic(turn)) return undefined
  const state = recorded(turn)
  state.leaving ??= iso(turn.now)
  const delay = turn.o.rollout.namespaceTerminating ? 0 : parseDuration(declared(turn)?.scaleDownDelay ?? '0s')
  const left = epoch(state.leaving) + delay - turn.now
  if (left > 0) return left
  effects.push({ kind: 'removeCanary' })
  return 5_000
}

/** Whether traffic may still reach the canary pods: it does not while a route says 0, or where there is no route at all. */
function mayCarryTraffic({ o, effects }: Turn): boolean {
  if (effects.some((effect) => effect.kind === 'setWeight')) return true
  if (o.traffic.problem?.reason === 'VirtualServiceMissing') return false
  const pair = o.traffic.desired
  return !pair?.ok || pair.weight > 0
}

/** The Rollout goes: the Deployment is the user's alone again. It rolls only what was tested. */
function release(turn: Turn, d: DeploymentObservation): void {
  const { status, effects } = turn
  if (status.canary || status.deployment?.restoring) return
  const resume = d.paused && isHome(turn, d)
  if (d.labelled || resume) effects.push({ kind: 'release', resume })
}

/** A route that comes back while the Rollout goes may still name the canary: its pods are not to be waited for under traffic. */
export function takeBackLeftover(turn: Turn): void {
  const pair = turn.o.traffic.desired
  const there = seenDeployment(turn)?.canary
  if (there && pair?.ok && pair.weight > 0 && !stableIsGone(turn)) lowerWeight(turn, pair, 0, 'Deleted')
}

/** What a deletion still waits for, in words; nothing when the Deployment is the user's alone again. */
export function unreleased(turn: Turn): string | undefined {
  const d = seenDeployment(turn)
  const { status } = turn
  if (!d || !status.stable) return undefined
  if (status.deployment?.restoring) return `Deployment ${d.name} to run ${status.deployment.restoring.revision} again`
  if (d.canary)
    return mayCarryTraffic(turn)
      ? `the route to say that no traffic goes to ${d.canary.name}`
      : `the pods of ${d.canary.name} to go`
  if (d.autoscaler?.floored) return `the autoscaler ${d.autoscaler.name} to get its minimum back`
  if (d.labelled || (d.paused && isHome(turn, d))) return `Deployment ${d.name} to be released`
  return undefined
}

/** What stays behind of a Deployment that may not roll by itself. */
export function leftPaused(turn: Turn): string | undefined {
  const d = seenDeployment(turn)
  const desired = desiredNow(turn)
  if (!d?.paused || !desired || isHome(turn, d)) return undefined
  return `Deployment ${d.name} stays paused with ${desired.revision}, which was not tested; kubectl rollout resume deployment/${d.name} rolls it`
}

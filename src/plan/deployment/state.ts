import type { RolloutSpec } from '../../api/rollout.ts'
import type { RevisionRecord, RolloutStatus } from '../../api/status.ts'
import type { DeploymentObservation } from '../observation.ts'
import { sameContent, sameRevision } from '../revision.ts'
import { desiredNow, type Turn } from '../turn.ts'

type DeploymentStatus = NonNullable<RolloutStatus['deployment']>

/** What Deployment mode is told to do; undefined in subsets mode. */
export function declared(turn: Turn): RolloutSpec['workload']['deployment'] {
  return turn.spec.workload.deployment
}

/** The user's Deployment and the canary's as they were seen; undefined in subsets mode, and where there is no Deployment. */
export function seenDeployment(turn: Turn): DeploymentObservation | undefined {
  return declared(turn) ? turn.o.workload.deployment : undefined
}

/** The draft's record about the Deployment, to be changed. */
export function recorded(turn: Turn): DeploymentStatus {
  turn.status.deployment ??= {}
  return turn.status.deployment
}

/** Whether the template that is declared now is this content; false while it cannot be told. */
export function templateIs(turn: Turn, revision: RevisionRecord | undefined): boolean {
  const desired = desiredNow(turn)
  return revision !== undefined && desired !== undefined && sameRevision(revision, desired)
}

/** Whether the template, as it stands, makes pods of this content. Configuration may want an annotation first, and then it does not. */
export function rolls(turn: Turn, d: DeploymentObservation, revision: RevisionRecord | undefined): boolean {
  const { configuration } = d
  if (!configuration) return templateIs(turn, revision)
  return revision !== undefined && sameContent(configuration.rolls, revision)
}

/**
 * Whether a Deployment that is let go makes no pods of other content than stable's: its template is that, and so is the configuration that
 * new pods would get; or it has rolled that template already, and makes none at all.
 */
export function isHome(turn: Turn, d: DeploymentObservation): boolean {
  const { stable } = turn.status
  return templateIs(turn, stable) || (d.configuration?.rolled === true && rolls(turn, d, stable))
}

/** Whether all its pods are what its template makes. */
export function isAtRest(d: DeploymentObservation): boolean {
  return d.configuration?.rolled ?? d.settled
}

/** Whether the Deployment has pods of this content. */
export function hasPodsOf(d: DeploymentObservation, revision: RevisionRecord): boolean {
  return d.running.some((content) => sameContent(content, revision))
}

/** `3 of 4 pods run 2.0.0-1f…`, for people who wait for a native roll. */
export function progress(d: DeploymentObservation, revision: RevisionRecord): string {
  const there = d.running.find((content) => sameContent(content, revision))?.ready ?? 0
  return `${there} of ${d.replicas} pods of Deployment ${d.name} run ${revision.revision} and are ready${d.stuck ? `; ${d.stuck}` : ''}`
}

import type { Deployment, ReplicaSet } from '../objects.ts'
import { boundsOf, byAge, DESIRED_REPLICAS, MAX_REPLICAS, replicasOf } from './arithmetic.ts'
import { sameTemplate } from './template.ts'

/** The annotation that numbers a Deployment's templates in the order they were last made current. */
export const REVISION = 'deployment.kubernetes.io/revision'
const REVISION_HISTORY = 'deployment.kubernetes.io/revision-history'

// Annotations of the Deployment that say nothing about the template and stay off its ReplicaSets.
const OWN = new Set([
  'kubectl.kubernetes.io/last-applied-configuration',
  REVISION,
  REVISION_HISTORY,
  DESIRED_REPLICAS,
  MAX_REPLICAS,
  'deprecated.deployment.rollback.to',
])

/** The ReplicaSet that already has the Deployment's template: the oldest if there are several. */
export function findNewest(deployment: Deployment, sets: readonly ReplicaSet[]): ReplicaSet | undefined {
  return [...sets].sort(byAge).find((set) => sameTemplate(set.spec.template, deployment.spec.template))
}

export function revisionOf(object: { metadata: { annotations?: Record<string, string> } }): number {
  return Number(object.metadata.annotations?.[REVISION] ?? 0) || 0
}

/** The number the current template gets: one more than the greatest among the others. */
export function nextRevision(old: readonly ReplicaSet[]): number {
  return Math.max(0, ...old.map(revisionOf)) + 1
}

/**
 * The annotations a ReplicaSet with the Deployment's current template carries: the Deployment's own, the revision (never lowered;
 * earlier numbers go to the history) and, for a new one, the sizes.
 */
export function annotationsFor(
  deployment: Deployment,
  existing: ReplicaSet | undefined,
  revision: number,
): Record<string, string> {
  const own = Object.entries(deployment.metadata.annotations ?? {}).filter(([name]) => !OWN.has(name))
  const annotations = { ...existing?.metadata.annotations, ...Object.fromEntries(own) }
  const current = existing ? revisionOf(existing) : 0
  if (current < revision) {
    annotations[REVISION] = String(revision)
    if (current > 0) {
      const history = annotations[REVISION_HISTORY]
      annotations[REVISION_HISTORY] = history ? `${history},${current}` : String(current)
    }
  }
  return existing ? annotations : { ...annotations, ...sizeAnnotations(deployment) }
}

/** What a ReplicaSet remembers of the Deployment's size, for proportional scaling. */
export function sizeAnnotations(deployment: Deployment): Record<string, string> {
  const goal = replicasOf(deployment)
  return { [DESIRED_REPLICAS]: String(goal), [MAX_REPLICAS]: String(goal + boundsOf(deployment).surge) }
}

/** Old ReplicaSets beyond the history limit that are empty: the lowest revisions go first. */
export function expired(deployment: Deployment, old: readonly ReplicaSet[]): ReplicaSet[] {
  const limit = deployment.spec.revisionHistoryLimit
  if (limit === undefined) return []
  const alive = old.filter((set) => !set.metadata.deletionTimestamp)
  return alive
    .sort((a, b) => revisionOf(a) - revisionOf(b))
    .slice(0, Math.max(0, alive.length - limit))
    .filter(
      (set) =>
        replicasOf(set) === 0 &&
        (set.status.replicas ?? 0) === 0 &&
        (set.metadata.generation ?? 0) <= (set.status.observedGeneration ?? 0),
    )
}

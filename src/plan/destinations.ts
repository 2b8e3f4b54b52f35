import type { RolloutSpec } from '../api/rollout.ts'
import type { RolloutStatus } from '../api/status.ts'

/** The two owned destinations by the names the route gives them. */
export interface Destinations {
  stable: string
  canary: string
}

/**
 * The pair between which traffic is split. In subsets mode its names are those of the two versions, so there is none before a canary is
 * named; in Deployment mode it is always the same two subsets, or the two Services.
 */
export function destinationsOf(
  spec: RolloutSpec,
  names: { stable?: string | undefined; canary?: string | undefined },
): Destinations | undefined {
  const fixed = fixedDestinations(spec)
  if (fixed) return fixed
  const { stable, canary } = names
  return stable !== undefined && canary !== undefined && stable !== canary ? { stable, canary } : undefined
}

/** The pair of Deployment mode; undefined in subsets mode. */
export function fixedDestinations({
  workload,
  traffic,
}: Pick<RolloutSpec, 'workload' | 'traffic'>): Destinations | undefined {
  if (!workload.deployment) return undefined
  const { services, destinationRule } = traffic.istio ?? {}
  if (services) return { stable: services.stable, canary: services.canary }
  return { stable: destinationRule?.stableSubset ?? 'stable', canary: destinationRule?.canarySubset ?? 'canary' }
}

/** The name under which a recorded version has its traffic. */
export function destinationOf(spec: RolloutSpec, role: 'stable' | 'canary', status: RolloutStatus): string | undefined {
  return fixedDestinations(spec)?.[role] ?? status[role]?.name
}

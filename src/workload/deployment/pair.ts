import type { RolloutSpec } from '../../api/rollout.ts'
import type { Problem } from '../../errors.ts'
import type { ObjectReader } from '../../kube/reader.ts'
import { fixedDestinations } from '../../plan/destinations.ts'
import { serviceVersions, subsetVersions, type Version } from '../versions.ts'

/** Where traffic of the Deployment and of its canary goes. */
export interface DestinationPair {
  /** Two subsets of one host, or two Services. */
  kind: 'subsets' | 'services'
  stable: Version
  canary: Version
  /** Where they are declared, for messages: `DestinationRule shop/checkout`. */
  declaredIn: string
}

/** The two destinations as DestinationRule and Services declare them now; what is wrong, where they do not. */
export function findPair(
  reader: ObjectReader,
  namespace: string,
  spec: Pick<RolloutSpec, 'workload' | 'traffic'>,
): { ok: true; pair: DestinationPair } | { ok: false; problem: Problem } {
  const names = fixedDestinations(spec)
  const { istio } = spec.traffic
  if (!names || !istio) {
    const message = 'a Deployment as the workload needs spec.traffic.istio'
    return { ok: false, problem: { reason: 'NotYet', message, field: 'spec.traffic' } }
  }
  const kind = istio.services ? 'services' : 'subsets'
  const found = istio.services
    ? serviceVersions(
        reader,
        namespace,
        [{ host: names.stable }, { host: names.canary }],
        `spec.traffic.istio.services`,
      )
    : subsetVersions(reader, namespace, istio, [names.stable, names.canary])
  if (!found.ok) return found
  const { versions, declaredIn } = found
  const stable = versions.find((version) => version.name === names.stable)
  const canary = versions.find((version) => version.name === names.canary)
  if (stable && canary) return { ok: true, pair: { kind, stable, canary, declaredIn } }
  const there = versions.length === 0 ? 'it has none' : `it has ${versions.map((v) => `"${v.name}"`).join(', ')}`
  return {
    ok: false,
    problem: {
      reason: 'SubsetMissing',
      message: `${declaredIn} has no subset "${stable ? names.canary : names.stable}" (${there})`,
      field: `spec.traffic.istio.destinationRule.${stable ? 'canarySubset' : 'stableSubset'}`,
    },
  }
}

/** The labels by which the pods of a destination differ from others of its host: those that make a canary's pods its own. */
export function destinationLabels(pair: DestinationPair, role: 'stable' | 'canary'): Record<string, string> {
  return pair.kind === 'services' ? pair[role].selector : pair[role].labels
}

import type { RolloutSpec } from '../api/rollout.ts'
import type { Problem } from '../errors.ts'
import { labelsAt } from '../kube/field.ts'
import type { KubeObject } from '../kube/object.ts'
import type { ObjectReader } from '../kube/reader.ts'
import { resources } from '../kube/resources.ts'
import { findSubsetRules } from '../traffic/istio/destinationrule.ts'
import { serviceOf } from '../traffic/istio/host.ts'
import { versionName } from '../traffic/istio/observe.ts'
import { type Destination, routeId, routesIn } from '../traffic/istio/virtualservice.ts'

/** One version that traffic can be sent to, and how its pods are found. */
export interface Version {
  name: string
  /** Namespace of the Service, and so of the pods. */
  namespace: string
  /** What the Service selects: a pod must carry these labels … */
  selector: Record<string, string>
  /** … and those of the subset; none for a Service of its own. */
  labels: Record<string, string>
}

export type Versions =
  | {
      ok: true
      versions: Version[]
      /** Where they are declared, for messages: `DestinationRule shop/checkout`. */
      declaredIn: string
    }
  | { ok: false; problem: Problem }

/**
 * The versions of a Rollout: the subsets of its DestinationRule or, where the routes name `desired` by a host without a subset, the
 * Services they name.
 */
export function findVersions(
  reader: ObjectReader,
  query: { namespace: string; traffic: RolloutSpec['traffic']; names: readonly string[] },
): Versions {
  const { namespace, names } = query
  const { istio } = query.traffic
  if (!istio) {
    const message = 'versions as subsets need spec.traffic.istio'
    return { ok: false, problem: { reason: 'NotYet', message, field: 'spec.traffic' } }
  }
  const { name, routes } = istio.virtualService
  const virtualService = reader.get(resources.virtualServices, { namespace, name })
  if (!istio.destinationRule) {
    const hosts = hostVersions(virtualService, namespace, routes, names)
    if (hosts.length > 0) return serviceVersions(reader, namespace, hosts, `VirtualService ${namespace}/${name}`)
  }
  return subsetVersions(reader, namespace, istio, names)
}

/** The subsets of the DestinationRule that is named or, when none is, of the only one for a host whose subsets the routes use. */
export function subsetVersions(
  reader: ObjectReader,
  namespace: string,
  istio: NonNullable<RolloutSpec['traffic']['istio']>,
  names: readonly string[],
): Versions {
  const { name, routes } = istio.virtualService
  const virtualService = reader.get(resources.virtualServices, { namespace, name })
  const found = findSubsetRules(reader, {
    namespace,
    name: istio.destinationRule?.name,
    virtualService,
    routes,
    subsets: names,
  })
  if (!found.ok) return found
  const { rules } = found
  const declaredIn = `DestinationRule ${namespace}/${rules.name}`
  const service = selectorOf(reader, rules.host, namespace, declaredIn)
  if (!service.ok) return service
  const versions = rules.subsets.map(({ name, labels }) => ({
    name,
    labels,
    namespace: service.namespace,
    selector: service.selector,
  }))
  return { ok: true, versions, declaredIn }
}

/** Services of their own, by the hosts of destinations. */
export function serviceVersions(
  reader: ObjectReader,
  namespace: string,
  destinations: readonly Pick<Destination, 'host'>[],
  declaredIn: string,
): Versions {
  const versions: Version[] = []
  for (const destination of destinations) {
    const name = versionName({ host: destination.host, subset: undefined }, namespace)
    if (versions.some((version) => version.name === name)) continue
    const service = selectorOf(reader, destination.host, namespace, declaredIn)
    if (!service.ok) return service
    versions.push({ name, namespace: service.namespace, selector: service.selector, labels: {} })
  }
  return { ok: true, versions, declaredIn }
}

/** Destinations without a subset, of the routes that name a wanted version by its host. */
function hostVersions(
  virtualService: KubeObject | undefined,
  namespace: string,
  routes: readonly string[] | undefined,
  names: readonly string[],
): Destination[] {
  return routesIn(virtualService)
    .filter((route) => routes === undefined || routes.includes(routeId(route)))
    .map((route) => route.destinations.filter((d) => d.subset === undefined))
    .filter((destinations) => destinations.some((d) => names.includes(versionName(d, namespace))))
    .flat()
}

function selectorOf(
  reader: ObjectReader,
  host: string,
  namespace: string,
  declaredIn: string,
): { ok: true; namespace: string; selector: Record<string, string> } | { ok: false; problem: Problem } {
  const refuse = (message: string): { ok: false; problem: Problem } => ({
    ok: false,
    problem: { reason: 'WorkloadMissing', message },
  })
  const key = serviceOf(host, namespace)
  if (!key) return refuse(`the host "${host}" of ${declaredIn} is no Service of this cluster`)
  const service = reader.get(resources.services, key)
  if (!service) return refuse(`Service ${key.namespace}/${key.name}, the host in ${declaredIn}, does not exist`)
  const selector = labelsAt(service, 'spec', 'selector') ?? {}
  if (Object.keys(selector).length === 0) {
    return refuse(`Service ${key.namespace}/${key.name}, the host in ${declaredIn}, selects no pods`)
  }
  return { ok: true, namespace: key.namespace, selector }
}

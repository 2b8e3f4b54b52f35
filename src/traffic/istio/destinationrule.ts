import type { Problem } from '../../errors.ts'
import { labelsAt, listAt, textAt } from '../../kube/field.ts'
import type { KubeObject } from '../../kube/object.ts'
import type { ObjectReader } from '../../kube/reader.ts'
import { resources } from '../../kube/resources.ts'
import { canonicalHost } from './host.ts'
import { routeId, routesIn } from './virtualservice.ts'

/** The subsets of one host. */
export interface SubsetRules {
  name: string
  host: string
  subsets: { name: string; labels: Record<string, string> }[]
}

/** What a Rollout says about its DestinationRule: its name, or the VirtualService in which hosts and subsets are used. */
export interface DestinationRuleQuery {
  namespace: string
  name: string | undefined
  virtualService: KubeObject | undefined
  routes: readonly string[] | undefined
  /** Subsets that are meant; of several hosts, those that use them count. */
  subsets: readonly string[]
}

const FIELD = 'spec.traffic.istio.destinationRule.name'

/** The DestinationRule that is named or, when none is, the only one of the namespace for the host whose subsets the routes use. */
export function findSubsetRules(
  reader: ObjectReader,
  query: DestinationRuleQuery,
): { ok: true; rules: SubsetRules } | { ok: false; problem: Problem } {
  const { namespace, name } = query
  if (name !== undefined) {
    const object = reader.get(resources.destinationRules, { namespace, name })
    if (object) return { ok: true, rules: subsetRules(object) }
    return missing(`DestinationRule ${namespace}/${name} does not exist`)
  }
  const hosts = hostsWithSubsets(query)
  const rules = reader
    .list(resources.destinationRules, namespace)
    .filter((rule) => hosts.includes(canonicalHost(textAt(rule, 'spec', 'host') ?? '', namespace)))
    .map(subsetRules)
  const [only, ...others] = rules
  if (only && others.length === 0) return { ok: true, rules: only }
  if (only) {
    const names = rules.map((rule) => rule.name).sort()
    return missing(`${rules.length} DestinationRules could be meant (${names.join(', ')}); name one`)
  }
  const forHosts = hosts.length > 0 ? ` for ${hosts.join(' or ')}` : ''
  return missing(`namespace ${namespace} has no DestinationRule${forHosts}`)
}

function subsetRules(object: KubeObject): SubsetRules {
  return {
    name: object.metadata.name,
    host: textAt(object, 'spec', 'host') ?? '',
    subsets: listAt(object, 'spec', 'subsets').flatMap((subset) => {
      const name = textAt(subset, 'name')
      return name === undefined ? [] : [{ name, labels: labelsAt(subset, 'labels') ?? {} }]
    }),
  }
}

/** Hosts of the owned routes' destinations that carry a subset; those that carry a wanted one, where there are any. */
function hostsWithSubsets(query: DestinationRuleQuery): string[] {
  const destinations = routesIn(query.virtualService)
    .filter((route) => query.routes === undefined || query.routes.includes(routeId(route)))
    .flatMap((route) => route.destinations)
    .filter((destination) => destination.subset !== undefined)
  const wanted = destinations.filter((d) => d.subset !== undefined && query.subsets.includes(d.subset))
  const hosts = (wanted.length > 0 ? wanted : destinations).map((d) => canonicalHost(d.host, query.namespace))
  return [...new Set(hosts)]
}

function missing(message: string): { ok: false; problem: Problem } {
  return { ok: false, problem: { reason: 'DestinationRuleMissing', message, field: FIELD } }
}

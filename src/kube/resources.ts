import type { Resource } from './object.ts'

/** The resources Sluice reads and writes, at the versions it prefers. Served versions of meshes vary: see `preferredVersion`. */
export const resources = {
  rollouts: define('sluice.dev', 'v1alpha1', 'rollouts', 'Rollout'),
  rolloutSources: define('sluice.dev', 'v1alpha1', 'rolloutsources', 'RolloutSource'),
  approvals: define('sluice.dev', 'v1alpha1', 'approvals', 'Approval'),
  analysisTemplates: define('sluice.dev', 'v1alpha1', 'analysistemplates', 'AnalysisTemplate'),
  virtualServices: define('networking.istio.io', 'v1', 'virtualservices', 'VirtualService'),
  destinationRules: define('networking.istio.io', 'v1', 'destinationrules', 'DestinationRule'),
  httpRoutes: define('gateway.networking.k8s.io', 'v1', 'httproutes', 'HTTPRoute'),
  deployments: define('apps', 'v1', 'deployments', 'Deployment'),
  replicaSets: define('apps', 'v1', 'replicasets', 'ReplicaSet'),
  pods: define('', 'v1', 'pods', 'Pod'),
  services: define('', 'v1', 'services', 'Service'),
  endpointSlices: define('discovery.k8s.io', 'v1', 'endpointslices', 'EndpointSlice'),
  namespaces: define('', 'v1', 'namespaces', 'Namespace', false),
  secrets: define('', 'v1', 'secrets', 'Secret'),
  configMaps: define('', 'v1', 'configmaps', 'ConfigMap'),
  events: define('', 'v1', 'events', 'Event'),
  leases: define('coordination.k8s.io', 'v1', 'leases', 'Lease'),
  customResourceDefinitions: define(
    'apiextensions.k8s.io',
    'v1',
    'customresourcedefinitions',
    'CustomResourceDefinition',
    false,
  ),
  horizontalPodAutoscalers: define('autoscaling', 'v2', 'horizontalpodautoscalers', 'HorizontalPodAutoscaler'),
  podDisruptionBudgets: define('policy', 'v1', 'poddisruptionbudgets', 'PodDisruptionBudget'),
} satisfies Record<string, Resource>

/** Versions of the Istio networking API that carry the same content, best first. */
export const istioVersions: readonly string[] = ['v1', 'v1beta1', 'v1alpha3']

function define(group: string, version: string, plural: string, kind: string, namespaced = true): Resource {
  return { group, version, plural, kind, namespaced }
}

/** `rollouts.sluice.dev`, or `pods` in the core group: how kubectl and error messages name a resource. */
export function resourceName(resource: Pick<Resource, 'group' | 'plural'>): string {
  return resource.group === '' ? resource.plural : `${resource.plural}.${resource.group}`
}

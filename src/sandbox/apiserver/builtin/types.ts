import type { ResourceType, ScalePaths, TypeRules } from '../resource-type.ts'
import {
  autoscalerRules,
  bindingRules,
  configMapRules,
  endpointSliceRules,
  endpointsRules,
  leaseRules,
  namespaceRules,
  policyBindingRules,
  policyRules,
  secretRules,
  serviceRules,
} from './core-rules.ts'
import { crdRules } from './crd-rules.ts'
import { eventAlias } from './event-alias.ts'
import { createModelSchemas } from './model-schema.ts'
import { servedSchema } from './served-schema.ts'
import { deploymentRules, podRules, replicaSetRules } from './workload-rules.ts'

interface Builtin {
  api: string
  kind: string
  plural: string
  /** The client's model that describes it. */
  model: string
  short?: string[]
  cluster?: boolean
  status?: boolean
  scale?: boolean
  generation?: ResourceType['generation']
  rules?: TypeRules
  alias?: ResourceType['alias']
  virtual?: boolean
  all?: boolean
  conditional?: boolean
  /** A PUT creates what does not exist. */
  upsert?: boolean
}

const workloadScale: ScalePaths = {
  specReplicasPath: '.spec.replicas',
  statusReplicasPath: '.status.replicas',
  labelSelectorPath: '.spec.selector',
}

function list(): Builtin[] {
  const rbac = 'rbac.authorization.k8s.io/v1'
  const admission = 'admissionregistration.k8s.io/v1'
  const authorization = 'authorization.k8s.io/v1'
  const authentication = 'authentication.k8s.io/v1'
  return [
    {
      api: 'v1',
      kind: 'Namespace',
      plural: 'namespaces',
      model: 'V1Namespace',
      short: ['ns'],
      cluster: true,
      status: true,
      rules: namespaceRules,
    },
    { api: 'v1', kind: 'Pod', plural: 'pods', model: 'V1Pod', short: ['po'], status: true, all: true, rules: podRules },
    {
      api: 'v1',
      kind: 'Service',
      plural: 'services',
      model: 'V1Service',
      short: ['svc'],
      status: true,
      all: true,
      rules: serviceRules(),
      upsert: true,
    },
    { api: 'v1', kind: 'ConfigMap', plural: 'configmaps', model: 'V1ConfigMap', short: ['cm'], rules: configMapRules },
    { api: 'v1', kind: 'Secret', plural: 'secrets', model: 'V1Secret', rules: secretRules },
    { api: 'v1', kind: 'ServiceAccount', plural: 'serviceaccounts', model: 'V1ServiceAccount', short: ['sa'] },
    { api: 'v1', kind: 'Event', plural: 'events', model: 'CoreV1Event', short: ['ev'], upsert: true },
    {
      api: 'v1',
      kind: 'Endpoints',
      plural: 'endpoints',
      model: 'V1Endpoints',
      short: ['ep'],
      rules: endpointsRules,
      upsert: true,
    },
    { api: 'v1', kind: 'Node', plural: 'nodes', model: 'V1Node', short: ['no'], cluster: true, status: true },
    {
      api: 'events.k8s.io/v1',
      kind: 'Event',
      plural: 'events',
      model: 'EventsV1Event',
      short: ['ev'],
      alias: eventAlias,
      upsert: true,
    },
    {
      api: 'v1',
      kind: 'ResourceQuota',
      plural: 'resourcequotas',
      model: 'V1ResourceQuota',
      short: ['quota'],
      status: true,
    },
    {
      api: 'apps/v1',
      kind: 'Deployment',
      plural: 'deployments',
      model: 'V1Deployment',
      short: ['deploy'],
      status: true,
      scale: true,
      all: true,
      generation: 'spec and annotations',
      rules: deploymentRules,
    },
    {
      api: 'apps/v1',
      kind: 'ReplicaSet',
      plural: 'replicasets',
      model: 'V1ReplicaSet',
      short: ['rs'],
      status: true,
      scale: true,
      all: true,
      generation: 'spec',
      rules: replicaSetRules,
    },
    {
      api: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      plural: 'endpointslices',
      model: 'V1EndpointSlice',
      generation: 'all',
      rules: endpointSliceRules,
    },
    {
      api: 'autoscaling/v2',
      kind: 'HorizontalPodAutoscaler',
      plural: 'horizontalpodautoscalers',
      model: 'V2HorizontalPodAutoscaler',
      short: ['hpa'],
      status: true,
      all: true,
      rules: autoscalerRules,
    },
    {
      api: 'policy/v1',
      kind: 'PodDisruptionBudget',
      plural: 'poddisruptionbudgets',
      model: 'V1PodDisruptionBudget',
      short: ['pdb'],
      status: true,
      generation: 'spec',
    },
    {
      api: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      plural: 'networkpolicies',
      model: 'V1NetworkPolicy',
      short: ['netpol'],
      generation: 'spec',
    },
    {
      api: 'scheduling.k8s.io/v1',
      kind: 'PriorityClass',
      plural: 'priorityclasses',
      model: 'V1PriorityClass',
      short: ['pc'],
      cluster: true,
    },
    {
      api: 'coordination.k8s.io/v1',
      kind: 'Lease',
      plural: 'leases',
      model: 'V1Lease',
      rules: leaseRules,
      upsert: true,
      conditional: true,
    },
    {
      api: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      plural: 'customresourcedefinitions',
      model: 'V1CustomResourceDefinition',
      short: ['crd', 'crds'],
      cluster: true,
      status: true,
      generation: 'spec',
      rules: crdRules,
      conditional: true,
    },
    { api: rbac, kind: 'Role', plural: 'roles', model: 'V1Role', upsert: true },
    {
      api: rbac,
      kind: 'RoleBinding',
      plural: 'rolebindings',
      model: 'V1RoleBinding',
      rules: bindingRules,
      upsert: true,
    },
    { api: rbac, kind: 'ClusterRole', plural: 'clusterroles', model: 'V1ClusterRole', cluster: true, upsert: true },
    {
      api: rbac,
      kind: 'ClusterRoleBinding',
      plural: 'clusterrolebindings',
      model: 'V1ClusterRoleBinding',
      cluster: true,
      upsert: true,
      rules: bindingRules,
    },
    {
      api: admission,
      kind: 'ValidatingAdmissionPolicy',
      plural: 'validatingadmissionpolicies',
      model: 'V1ValidatingAdmissionPolicy',
      cluster: true,
      status: true,
      generation: 'spec',
      rules: policyRules,
    },
    {
      api: admission,
      kind: 'ValidatingAdmissionPolicyBinding',
      plural: 'validatingadmissionpolicybindings',
      model: 'V1ValidatingAdmissionPolicyBinding',
      cluster: true,
      generation: 'spec',
      rules: policyBindingRules,
    },
    {
      api: admission,
      kind: 'MutatingAdmissionPolicy',
      plural: 'mutatingadmissionpolicies',
      model: 'V1MutatingAdmissionPolicy',
      cluster: true,
      generation: 'spec',
      rules: policyRules,
    },
    {
      api: admission,
      kind: 'MutatingAdmissionPolicyBinding',
      plural: 'mutatingadmissionpolicybindings',
      model: 'V1MutatingAdmissionPolicyBinding',
      cluster: true,
      generation: 'spec',
      rules: policyBindingRules,
    },
    {
      api: authorization,
      kind: 'SelfSubjectAccessReview',
      plural: 'selfsubjectaccessreviews',
      model: 'V1SelfSubjectAccessReview',
      cluster: true,
      virtual: true,
    },
    {
      api: authorization,
      kind: 'SubjectAccessReview',
      plural: 'subjectaccessreviews',
      model: 'V1SubjectAccessReview',
      cluster: true,
      virtual: true,
    },
    {
      api: authorization,
      kind: 'LocalSubjectAccessReview',
      plural: 'localsubjectaccessreviews',
      model: 'V1LocalSubjectAccessReview',
      virtual: true,
    },
    {
      api: authorization,
      kind: 'SelfSubjectRulesReview',
      plural: 'selfsubjectrulesreviews',
      model: 'V1SelfSubjectRulesReview',
      cluster: true,
      virtual: true,
    },
    {
      api: authentication,
      kind: 'SelfSubjectReview',
      plural: 'selfsubjectreviews',
      model: 'V1SelfSubjectReview',
      cluster: true,
      virtual: true,
    },
    {
      api: authentication,
      kind: 'TokenReview',
      plural: 'tokenreviews',
      model: 'V1TokenReview',
      cluster: true,
      virtual: true,
    },
  ]
}

/** The built-in kinds the sandbox serves, with fresh state. */
export function builtinTypes(): ResourceType[] {
  const schemaOf = createModelSchemas()
  return list().map((entry) => {
    const slash = entry.api.indexOf('/')
    const group = slash < 0 ? '' : entry.api.slice(0, slash)
    const version = entry.api.slice(slash + 1)
    return {
      group,
      plural: entry.plural,
      kind: entry.kind,
      listKind: `${entry.kind}List`,
      singular: entry.kind.toLowerCase(),
      shortNames: entry.short ?? [],
      categories: entry.all ? ['all'] : [],
      namespaced: !entry.cluster,
      versions: [
        {
          name: version,
          served: true,
          schema: servedSchema(schemaOf(entry.model), entry.kind),
          statusSubresource: entry.status === true,
          ...(entry.scale ? { scale: workloadScale } : {}),
        },
      ],
      storageVersion: version,
      builtin: true,
      generation: entry.generation ?? 'none',
      unconditionalUpdate: !entry.conditional,
      ...(entry.upsert ? { createOnUpdate: true } : {}),
      rules: entry.rules ?? {},
      ...(entry.alias ? { alias: entry.alias } : {}),
      ...(entry.virtual ? { virtual: true } : {}),
    }
  })
}

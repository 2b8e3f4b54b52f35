import type { Path } from '../manifest.ts'
import type { Kind } from './build.ts'

/** Kinds that are in no namespace; of those of custom resources kustomize knows nothing either. */
const clusterScoped = new Set([
  ...['Namespace', 'Node', 'PersistentVolume', 'StorageClass', 'CSIDriver', 'CSINode', 'VolumeAttachment'],
  ...['ClusterRole', 'ClusterRoleBinding', 'PriorityClass', 'IngressClass', 'RuntimeClass', 'CustomResourceDefinition'],
  ...['APIService', 'MutatingWebhookConfiguration', 'ValidatingWebhookConfiguration', 'ValidatingAdmissionPolicy'],
  ...['ValidatingAdmissionPolicyBinding', 'MutatingAdmissionPolicy', 'MutatingAdmissionPolicyBinding', 'FlowSchema'],
  ...['PriorityLevelConfiguration', 'CertificateSigningRequest', 'ClusterTrustBundle', 'DeviceClass', 'ResourceSlice'],
  ...['IPAddress', 'ServiceCIDR', 'StorageVersionMigration', 'VolumeAttributesClass'],
])

/** Whether a group is a part of Kubernetes itself. */
export function isBuiltIn({ group }: Kind): boolean {
  return !group.includes('.') || (group.endsWith('.k8s.io') && !/gateway|snapshot|metrics/.test(group))
}

export function isClusterScoped(kind: Kind): boolean {
  return isBuiltIn(kind) && clusterScoped.has(kind.kind)
}

/** Kinds whose names get no prefix and no suffix. */
export function keepsItsName(kind: Kind): boolean {
  return isBuiltIn(kind) && ['Namespace', 'CustomResourceDefinition', 'APIService'].includes(kind.kind)
}

/** Where a kind has the template of its pods. */
export function podTemplateOf(kind: Kind): string[] | undefined {
  if (!isBuiltIn(kind)) return undefined
  switch (kind.kind) {
    case 'Deployment':
    case 'ReplicaSet':
    case 'DaemonSet':
    case 'StatefulSet':
    case 'ReplicationController':
    case 'Job':
      return ['spec', 'template']
    case 'CronJob':
      return ['spec', 'jobTemplate', 'spec', 'template']
    case 'PodTemplate':
      return ['template']
    default:
      return undefined
  }
}

/** Where a kind says what its pods are. */
export function podSpecOf(kind: Kind): string[] | undefined {
  if (kind.group === '' && kind.kind === 'Pod') return ['spec']
  const template = podTemplateOf(kind)
  return template && [...template, 'spec']
}

/** Kinds whose number of replicas a kustomization may set. */
export function hasReplicas(kind: Kind): boolean {
  return isBuiltIn(kind) && ['Deployment', 'ReplicaSet', 'StatefulSet', 'ReplicationController'].includes(kind.kind)
}

/** The part of an object that Sluice reads and edits. */
export function fieldOf({ kind }: Kind): Path {
  return kind === 'Deployment' ? ['spec', 'template'] : ['spec']
}

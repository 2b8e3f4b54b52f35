import type { KubeObject, OwnerReference } from '../../../kube/object.ts'
import type { Deployment, ReplicaSet } from '../objects.ts'
import { newReplicas } from './arithmetic.ts'
import { annotationsFor } from './revisions.ts'
import { POD_TEMPLATE_HASH, withLabels } from './template.ts'

/** The ReplicaSet that starts a template for the first time, as large as the surge allows at once. */
export function newReplicaSet(
  deployment: Deployment,
  old: readonly ReplicaSet[],
  { name, hash, revision }: { name: string; hash: string; revision: number },
): KubeObject {
  const { selector, template, minReadySeconds = 0 } = deployment.spec
  const labels = { [POD_TEMPLATE_HASH]: hash }
  return {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: {
      name,
      namespace: deployment.metadata.namespace,
      labels: { ...template.metadata?.labels, ...labels },
      annotations: annotationsFor(deployment, undefined, revision),
      ownerReferences: [ownerReferenceTo(deployment)],
    },
    spec: {
      replicas: newReplicas(deployment, old, 0),
      minReadySeconds,
      selector: { ...selector, matchLabels: { ...selector.matchLabels, ...labels } },
      template: withLabels(template, labels),
    },
  }
}

/** The reference by which a Deployment controls a ReplicaSet. */
export function ownerReferenceTo({ metadata: { name, uid = '' } }: Deployment): OwnerReference {
  return { apiVersion: 'apps/v1', kind: 'Deployment', name, uid, controller: true, blockOwnerDeletion: true }
}

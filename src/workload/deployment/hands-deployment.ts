import type { RevisionRecord } from '../../api/status.ts'
import { fieldAt } from '../../kube/field.ts'
import type { KubeObject } from '../../kube/object.ts'
import { resources } from '../../kube/resources.ts'
import { templateContent, templateOf } from '../../plan/revision.ts'
import type { HandsTarget } from '../hands.ts'
import type { HandsParts } from './hands-api.ts'

/** Name of the user's Deployment. Throws for a Rollout that has none: no effect on one is ever planned. */
export function nameOf({ key, spec }: HandsTarget): string {
  const name = spec.workload.deployment?.name
  if (name === undefined) throw new Error(`Rollout ${key} has no Deployment to act on`)
  return name
}

/** The user's Deployment as it is now; undefined when there is none, or it is going. */
export async function readDeployment(h: HandsParts, target: HandsTarget): Promise<KubeObject | undefined> {
  const key = { namespace: target.namespace, name: nameOf(target) }
  const live = await h.client.get(resources.deployments, key)
  return live?.metadata.deletionTimestamp ? undefined : live
}

/**
 * Whether the pod template of a Deployment or ReplicaSet is that of this content, or was recorded as it at the very same generation.
 * Configuration is not looked at: what the pods get is whatever there is when they start.
 */
export function isContent(revision: RevisionRecord, object: KubeObject): boolean {
  const { hash, format } = templateContent(fieldAt(object, 'spec', 'template'))
  if (revision.format === format) return templateOf(revision) === hash
  const { uid, generation } = object.metadata
  // Of a ReplicaSet the template never changes, so its uid alone says it all.
  const isFixed = object.kind === 'ReplicaSet'
  return revision.workloads.some((w) => w.uid === uid && (isFixed || w.generation === generation))
}

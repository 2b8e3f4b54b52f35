import { rolloutLabel, rolloutLabelValue } from '../approval/name.ts'
import { type Approval, isOpen, readApproval } from '../approval/object.ts'
import { resources } from '../kube/resources.ts'
import type { Cluster } from './cluster.ts'
import { listAll, type Rollout } from './rollouts.ts'

/** Every question ever asked for a Rollout that is still there, newest first. */
export async function questionsOf(cluster: Cluster, { namespace, name }: Rollout): Promise<Approval[]> {
  const labelSelector = `${rolloutLabel}=${rolloutLabelValue(name)}`
  const objects = await listAll(cluster, resources.approvals, { namespace, labelSelector })
  return objects
    .map(readApproval)
    .filter((approval) => approval !== undefined)
    .filter((approval) => approval.spec.rollout === name)
    .sort((a, b) => b.createdAt - a.createdAt || (a.name < b.name ? -1 : 1))
}

/** Those that people can still answer. */
export function openQuestions(questions: readonly Approval[], now: number): Approval[] {
  return questions.filter((approval) => isOpen(approval, now))
}

import { fieldAt } from '../../kube/field.ts'
import type { KubeObject } from '../../kube/object.ts'
import type { TemplateContent } from '../../plan/revision.ts'
import { condition, replicasOf, whyNoPods, worstPod } from '../readiness.ts'
import type { Member } from './family.ts'

/**
 * Whether the native roll has come to its end: the controller has seen the newest spec, every wanted pod was made of its template and is
 * available, there are no others, and their content is the template's.
 */
export function isSettled(deployment: KubeObject, template: TemplateContent, members: readonly Member[]): boolean {
  const wanted = replicasOf(deployment)
  const status = (field: string) => Number(fieldAt(deployment, 'status', field) ?? 0)
  return (
    status('observedGeneration') >= (deployment.metadata.generation ?? 0) &&
    status('replicas') === wanted &&
    status('updatedReplicas') === wanted &&
    status('availableReplicas') >= wanted &&
    members.every((member) => member.pods.length === 0 || member.content.hash === template.hash)
  )
}

/**
 * Why a roll under way does not come to its end, in one sentence with the pod's own reason; undefined while it is paused, goes on, or has
 * ended. A pod that is merely starting is no reason before Kubernetes itself has given up waiting.
 */
export function whyStuck(
  deployment: KubeObject,
  template: TemplateContent,
  members: readonly Member[],
): string | undefined {
  if (fieldAt(deployment, 'spec', 'paused') === true || isSettled(deployment, template, members)) return undefined
  const updated = members.filter((member) => member.content.hash === template.hash).flatMap((member) => member.pods)
  const worst = worstPod([deployment], updated)
  const refused = whyNoPods(deployment)
  const progress = condition(deployment, 'Progressing')
  if (progress?.status === 'False' && progress.reason === 'ProgressDeadlineExceeded') {
    const seconds = fieldAt(deployment, 'spec', 'progressDeadlineSeconds')
    const limit = typeof seconds === 'number' ? `${seconds} s` : 'its progressDeadlineSeconds'
    const detail = worst?.message ?? refused ?? progress.message
    return `Deployment ${deployment.metadata.name} has made no progress for ${limit}${detail ? `: ${detail}` : ''}`
  }
  return worst?.failing ? worst.message : refused
}

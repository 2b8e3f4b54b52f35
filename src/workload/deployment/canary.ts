import { fieldAt, labelsAt } from '../../kube/field.ts'
import type { KubeObject } from '../../kube/object.ts'
import { resources } from '../../kube/resources.ts'
import type { CanaryObservation } from '../../plan/observation.ts'
import type { TemplateContent } from '../../plan/revision.ts'
import { replicasOf, whyNotReady, whyRolling } from '../readiness.ts'
import { type FamilyReader, familyOf, podsOf } from './family.ts'
import { canaryName, labelValue, names } from './names.ts'
import { hasAll } from './selector.ts'

/** The Deployment under the canary's name, whoever made it. */
export function findCanary(reader: FamilyReader, deployment: { namespace: string; name: string }) {
  const { namespace, name } = deployment
  return reader.get(resources.deployments, { namespace, name: canaryName(name) })
}

/** Whether Sluice made it as the canary of this Deployment. */
export function isCanaryOf(canary: KubeObject, deployment: string): boolean {
  return canary.metadata.labels?.[names.canaryOf] === labelValue(deployment)
}

/**
 * The canary Deployment as it is. Only pods of its newest template are ready in it: others may still run what was tried before.
 * `rolling` says so while there are any. `labels` are those of the canary's destination, where that is known: a template without them
 * is not what Sluice would make any more.
 */
export function observeCanary(
  reader: FamilyReader,
  canary: KubeObject,
  contentOf: (object: KubeObject) => TemplateContent,
  labels: Readonly<Record<string, string>> | undefined,
): CanaryObservation & { rolling?: string } {
  const { annotations = {}, deletionTimestamp } = canary.metadata
  const { hash } = contentOf(canary)
  const members = familyOf(reader, canary, contentOf)
  const current = members.filter((member) => member.content.hash === hash)
  const replicas = replicasOf(canary)
  const asked = Number(annotations[names.replicas] ?? Number.NaN)
  const carried = labelsAt(canary, 'spec', 'template', 'metadata', 'labels') ?? {}
  const notReady = whyNotReady(
    [canary],
    current.flatMap((member) => member.pods),
  )
  const others = members.some((member) => member.content.hash !== hash && member.pods.length > 0)
  const rolling = others ? (whyRolling([canary]) ?? `pods of ${canary.metadata.name} run earlier content`) : undefined
  return {
    name: canary.metadata.name,
    revision: annotations[names.revision] ?? '',
    // Somebody may have taken some away since.
    asked: Number.isInteger(asked) ? Math.min(asked, replicas) : replicas,
    replicas,
    ready: current.reduce((sum, member) => sum + member.ready, 0),
    pods: podsOf(reader, canary).length,
    intact: annotations[names.templateHash] === hash && hasAll(carried, labels ?? {}) && !isPaused(canary),
    deleting: deletionTimestamp !== undefined,
    ...(notReady === undefined ? {} : { notReady }),
    ...(rolling === undefined ? {} : { rolling }),
  }
}

function isPaused(deployment: KubeObject): boolean {
  return fieldAt(deployment, 'spec', 'paused') === true
}

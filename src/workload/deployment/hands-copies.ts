import type { Problem } from '../../errors.ts'
import { fieldAt, labelsAt } from '../../kube/field.ts'
import { apiVersionOf, type KubeObject, keyOf, type Resource } from '../../kube/object.ts'
import { resources } from '../../kube/resources.ts'
import { canonicalJson } from '../../plan/revision.ts'
import type { HandsTarget } from '../hands.ts'
import { replicasOf } from '../readiness.ts'
import { autoscalerOf } from './autoscaler.ts'
import { asSluice, fieldsOf, type HandsParts, rewrite } from './hands-api.ts'
import { nameOf } from './hands-deployment.ts'
import { canaryName, labelValue, MANAGER, names, ownLabels } from './names.ts'
import type { CanaryPods } from './overlay.ts'
import { selects } from './selector.ts'

/** What there is to copy for the canary, and what was copied. */
export interface Copies {
  /** The autoscaler of the user's Deployment. */
  autoscaler: KubeObject | undefined
  autoscalers: KubeObject[]
  budgets: KubeObject[]
}

export async function copiesOf(h: HandsParts, deployment: KubeObject): Promise<Copies> {
  const { namespace } = deployment.metadata
  const within = namespace ? { namespace } : {}
  const { items: autoscalers } = await h.client.list(resources.horizontalPodAutoscalers, within)
  const { items: budgets } = await h.client.list(resources.podDisruptionBudgets, within)
  const live = { get: () => undefined, list: () => autoscalers }
  return { autoscaler: autoscalerOf(live, deployment), autoscalers, budgets }
}

/** Makes the copies be as they are to be, or not be: what stands in the way, if something does. */
export async function keepCopies(
  h: HandsParts,
  target: HandsTarget,
  deployment: KubeObject,
  copies: Copies,
  pods: CanaryPods,
  replicas: number,
): Promise<Problem | undefined> {
  const { namespace, name: original } = deployment.metadata
  const metadata = {
    name: canaryName(original),
    ...(namespace ? { namespace } : {}),
    labels: ownLabels(original, target.rollout),
  }
  const scaler = copies.autoscaler && autoscalerSpec(copies.autoscaler, metadata.name, replicas)
  const budget = budgetSpec(deployment, copies.budgets, pods)
  return (
    (await keep(h, resources.horizontalPodAutoscalers, copies.autoscalers, metadata, scaler)) ??
    (await keep(h, resources.podDisruptionBudgets, copies.budgets, metadata, budget))
  )
}

/** Deletes what was copied for the canary of a Deployment, and nothing else. */
export async function removeCopies(h: HandsParts, target: HandsTarget): Promise<void> {
  const labelSelector = `${names.canaryOf}=${labelValue(nameOf(target))},${names.managedBy}=${MANAGER}`
  for (const resource of [resources.horizontalPodAutoscalers, resources.podDisruptionBudgets]) {
    const { items } = await h.client.list(resource, { namespace: target.namespace, labelSelector })
    for (const { metadata } of items) {
      const key = { namespace: target.namespace, name: metadata.name }
      await h.client.delete(resource, key, { preconditions: { uid: metadata.uid } })
    }
  }
}

/** Metrics and behavior as they are; never fewer pods than the share of the traffic needs, never a maximum below them. */
function autoscalerSpec(autoscaler: KubeObject, canary: string, replicas: number): object {
  const spec = fieldsOf(autoscaler.spec)
  const max = typeof spec.maxReplicas === 'number' ? spec.maxReplicas : replicas
  const scaleTargetRef = { ...fieldsOf(spec.scaleTargetRef), name: canary }
  return { ...spec, scaleTargetRef, minReplicas: replicas, maxReplicas: Math.max(max, replicas) }
}

/**
 * The budget that covers the user's pods, for the canary's; undefined where there is none, or where one covers the canary already: two
 * budgets over one pod make every eviction fail.
 */
function budgetSpec(deployment: KubeObject, budgets: readonly KubeObject[], pods: CanaryPods): object | undefined {
  const own = labelsAt(deployment, 'spec', 'template', 'metadata', 'labels') ?? {}
  const theirs = budgets
    .filter(({ metadata }) => metadata.deletionTimestamp === undefined && !isCopy(metadata.labels, deployment))
    .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))
  if (theirs.some((budget) => selects(fieldAt(budget, 'spec', 'selector'), pods.labels))) return undefined
  const source = theirs.find((budget) => selects(fieldAt(budget, 'spec', 'selector'), own))
  if (!source) return undefined
  const spec = fieldsOf(source.spec)
  return { ...spec, ...share(spec.minAvailable, replicasOf(deployment)), selector: pods.selector }
}

/** A number of pods that must stay becomes the same share of the canary's, which has fewer: else no node could be drained. */
function share(minAvailable: unknown, replicas: number): { minAvailable?: string } {
  if (typeof minAvailable !== 'number') return {}
  return { minAvailable: `${Math.min(100, Math.floor((100 * minAvailable) / Math.max(1, replicas)))}%` }
}

async function keep(
  h: HandsParts,
  resource: Resource,
  there: readonly KubeObject[],
  metadata: { name: string; namespace?: string; labels: Record<string, string> },
  spec: object | undefined,
): Promise<Problem | undefined> {
  const live = there.find((object) => object.metadata.name === metadata.name)
  const ours = live?.metadata.labels?.[names.canaryOf] === metadata.labels[names.canaryOf]
  if (live && !ours) {
    if (!spec) return undefined
    const message = `${resource.kind} ${keyOf(live)} exists and is not Sluice’s: it lacks the label ${names.canaryOf}=${metadata.labels[names.canaryOf]}`
    return { reason: 'CanaryNameTaken', message }
  }
  if (!live) {
    if (spec) {
      const object = { apiVersion: apiVersionOf(resource), kind: resource.kind, metadata, spec }
      await h.client.create(resource, object, asSluice)
    }
  } else if (!spec) {
    await h.client.delete(resource, metadata, { preconditions: { uid: live.metadata.uid } })
  } else if (canonicalJson(live.spec) !== canonicalJson(spec)) {
    await rewrite(h, resource, live, { spec, labels: metadata.labels })
  }
  return undefined
}

function isCopy(labels: Readonly<Record<string, string>> | undefined, deployment: KubeObject): boolean {
  return labels?.[names.canaryOf] === labelValue(deployment.metadata.name)
}

import { fieldAt } from '../../kube/field.ts'
import { type KubeObject, keyOf } from '../../kube/object.ts'
import { resources } from '../../kube/resources.ts'
import type { DeploymentEffect } from '../../plan/effects.ts'
import type { HandsResult, HandsTarget } from '../hands.ts'
import { asSluice, type HandsParts, problem } from './hands-api.ts'
import { isContent, readDeployment } from './hands-deployment.ts'
import { released } from './hands-roll.ts'
import { labelValue, names } from './names.ts'

/** Labels the Deployment, so that the admission policy latches it; pauses it where there is no policy to do so. */
export async function adopt(
  h: HandsParts,
  target: HandsTarget,
  { pause }: Extract<DeploymentEffect, { kind: 'adopt' }>,
): Promise<HandsResult> {
  const live = await readDeployment(h, target)
  if (!live) return { done: false }
  const label = live.metadata.labels?.[names.rollout]
  const ours = label === labelValue(target.rollout)
  if (ours && (!pause || isPaused(live))) return { done: true }
  const other = ours || label === undefined ? undefined : holder(h, target, label)
  if (other !== undefined) {
    return problem(
      'Conflict',
      `Deployment ${keyOf(live)} belongs to the Rollout ${other}, whose name is in its label ${names.rollout}`,
    )
  }
  await write(h, live, {
    metadata: { labels: { [names.rollout]: labelValue(target.rollout) } },
    ...(pause ? { spec: { paused: true } } : {}),
  })
  return { done: true }
}

/**
 * Gives the Deployment back to its owner. It is resumed in the same write, and only while its template is what is recorded as stable: a
 * newer one would roll untested.
 */
export async function release(
  h: HandsParts,
  target: HandsTarget,
  effect: Extract<DeploymentEffect, { kind: 'release' }>,
): Promise<HandsResult> {
  const live = await readDeployment(h, target)
  if (!live) return { done: true }
  const resume = effect.resume && isPaused(live)
  if (resume && !(target.stable && isContent(target.stable, live))) return { done: false }
  const ours = live.metadata.labels?.[names.rollout] === labelValue(target.rollout)
  if (!ours && !resume) return { done: true }
  const stored = await write(h, live, {
    metadata: { labels: { ...(ours ? { [names.rollout]: null } : {}) } },
    ...(resume ? { spec: { paused: null } } : {}),
  })
  return resume ? released(h, stored) : { done: true }
}

/** The Rollout that a label names, where it exists and wants this Deployment. */
function holder(h: HandsParts, target: HandsTarget, label: string): string | undefined {
  const deployment = target.spec.workload.deployment?.name
  const found = h.reader
    .list(resources.rollouts, target.namespace)
    .find(
      (rollout) =>
        labelValue(rollout.metadata.name) === label &&
        fieldAt(rollout, 'spec', 'workload', 'deployment', 'name') === deployment,
    )
  return found?.metadata.name
}

/** A merge patch on exactly the version that was read. */
async function write(
  h: HandsParts,
  live: KubeObject,
  change: { metadata: object; spec?: object },
): Promise<KubeObject> {
  const { namespace, name, resourceVersion } = live.metadata
  const body = { ...change, metadata: { ...change.metadata, resourceVersion } }
  const key = { ...(namespace ? { namespace } : {}), name }
  return h.client.patch(resources.deployments, key, { type: 'merge', body }, asSluice)
}

function isPaused(deployment: KubeObject): boolean {
  return fieldAt(deployment, 'spec', 'paused') === true
}

import { fieldAt, labelsAt } from '../../kube/field.ts'
import type { KubeObject } from '../../kube/object.ts'
import { resources } from '../../kube/resources.ts'
import type { DeploymentEffect } from '../../plan/effects.ts'
import { asCarried, canonicalJson, templateContent } from '../../plan/revision.ts'
import type { HandsResult, HandsTarget } from '../hands.ts'
import { replicasOf } from '../readiness.ts'
import { checkDeployment } from './checks.ts'
import { asSluice, fieldsOf, type HandsParts, rewrite } from './hands-api.ts'
import { copiesOf, keepCopies, removeCopies } from './hands-copies.ts'
import { isContent, nameOf, readDeployment } from './hands-deployment.ts'
import { canaryName, labelValue, names, ownLabels } from './names.ts'
import { type CanaryPods, canaryPods } from './overlay.ts'
import { destinationLabels, findPair } from './pair.ts'
import { hasAll } from './selector.ts'

/**
 * Makes the canary Deployment run `revision` with at least `replicas` pods: created, or put right where somebody has changed it. The
 * copies of autoscaler and disruption budget come first, so that a canary Deployment that asks for its pods has everything it needs.
 */
export async function scaleCanary(
  h: HandsParts,
  target: HandsTarget,
  { revision, replicas }: Extract<DeploymentEffect, { kind: 'scaleCanary' }>,
): Promise<HandsResult> {
  const { namespace } = target
  const key = { namespace, name: canaryName(nameOf(target)) }
  const there = await h.client.get(resources.deployments, key)
  if (there?.metadata.deletionTimestamp) return { done: false }
  const found = findPair(h.reader, namespace, target.spec)
  if (!found.ok) return { done: false, problem: found.problem }
  const destination = destinationLabels(found.pair, 'canary')
  if (there && isAsked(there, target, revision.revision, replicas) && carries(there, destination)) return { done: true }

  const deployment = await readDeployment(h, target)
  if (!deployment || !isContent(revision, deployment)) return { done: false }
  const copies = await copiesOf(h, deployment)
  const wrong = checkDeployment(deployment, found.pair, { canary: there, autoscaler: copies.autoscaler })
  if (wrong) return { done: false, problem: wrong }

  const pods = canaryPods(deployment, destination, revision.config?.hash)
  if (there && selectorOf(there) !== canonicalJson(pods.selector)) {
    // Another subset now: a selector cannot be changed, and no traffic reaches the pods that it selects.
    const preconditions = { uid: there.metadata.uid }
    await h.client.delete(resources.deployments, key, { propagationPolicy: 'Background', preconditions })
    return { done: false }
  }
  const same = there !== undefined && isOf(there, target, revision.revision)
  const asked = Math.max(replicas, same ? askedOf(there) : 0)
  const blocked = await keepCopies(h, target, deployment, copies, pods, asked)
  if (blocked) return { done: false, problem: blocked }

  // What an autoscaler (or a person, in a hurry) has added is not taken away from under traffic.
  const scaled = same && copies.autoscaler ? Math.max(asked, replicasOf(there)) : asked
  const wanted = canaryDeployment(target, deployment, pods, { revision: revision.revision, asked, scaled })
  const { labels = {}, annotations = {} } = wanted.metadata
  const stored = there
    ? await rewrite(h, resources.deployments, there, { spec: wanted.spec, labels, annotations })
    : await h.client.create(resources.deployments, wanted, asSluice)
  // A webhook may have its way with the copy as it had with the original: what it made of it is what is kept.
  const hash = hashOf(fieldAt(stored, 'spec', 'template'))
  if (hash !== annotations[names.templateHash]) {
    await rewrite(h, resources.deployments, stored, { annotations: { [names.templateHash]: hash } })
  }
  return { done: true }
}

/** Deletes the canary Deployment and what was copied for it; the Deployment last, so that its absence says that all of it is gone. */
export async function removeCanary(h: HandsParts, target: HandsTarget): Promise<HandsResult> {
  const key = { namespace: target.namespace, name: canaryName(nameOf(target)) }
  const there = await h.client.get(resources.deployments, key)
  if (!there || there.metadata.deletionTimestamp || !isOurs(there, target)) return { done: true }
  await removeCopies(h, target)
  const preconditions = { uid: there.metadata.uid }
  await h.client.delete(resources.deployments, key, { propagationPolicy: 'Background', preconditions })
  return { done: true }
}

/**
 * The canary Deployment: the user's in everything but its name, the labels of its pods and how many there are. It carries none of the
 * user's own labels and annotations, by which a GitOps engine would take it for something to prune, and no owner, whose deletion would
 * take pods from under traffic.
 */
function canaryDeployment(
  { rollout }: HandsTarget,
  deployment: KubeObject,
  pods: CanaryPods,
  { revision, asked, scaled }: { revision: string; asked: number; scaled: number },
): KubeObject {
  const { name, namespace } = deployment.metadata
  const { paused: _, ...spec } = fieldsOf(deployment.spec)
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: {
      name: canaryName(name),
      ...(namespace ? { namespace } : {}),
      labels: ownLabels(name, rollout),
      annotations: {
        [names.revision]: revision,
        [names.replicas]: String(asked),
        [names.templateHash]: hashOf(pods.template),
      },
    },
    spec: {
      ...spec,
      replicas: scaled,
      revisionHistoryLimit: 1,
      selector: pods.selector,
      template: pods.template,
    },
  }
}

/** Of a template as Sluice applies it, the annotation included by which its configuration is told. */
function hashOf(template: unknown): string {
  return asCarried(templateContent(template)).hash
}

function isAsked(there: KubeObject, target: HandsTarget, revision: string, replicas: number): boolean {
  return (
    isOf(there, target, revision) &&
    askedOf(there) >= replicas &&
    replicasOf(there) >= replicas &&
    fieldAt(there, 'spec', 'paused') !== true &&
    hashOf(fieldAt(there, 'spec', 'template')) === there.metadata.annotations?.[names.templateHash]
  )
}

/** Whether it was made by us, of this revision, for this Rollout. */
function isOf(there: KubeObject, target: HandsTarget, revision: string): boolean {
  const { labels, annotations } = there.metadata
  return (
    isOurs(there, target) &&
    labels?.[names.rolloutName] === labelValue(target.rollout) &&
    annotations?.[names.revision] === revision
  )
}

/** Whether its pods are where the canary's traffic goes. */
function carries(there: KubeObject, destination: Readonly<Record<string, string>>): boolean {
  return hasAll(labelsAt(there, 'spec', 'template', 'metadata', 'labels') ?? {}, destination)
}

function isOurs({ metadata }: KubeObject, target: HandsTarget): boolean {
  return metadata.labels?.[names.canaryOf] === labelValue(nameOf(target))
}

function askedOf(there: KubeObject): number {
  const asked = Number(there.metadata.annotations?.[names.replicas])
  return Number.isInteger(asked) ? asked : 0
}

function selectorOf(there: KubeObject): string {
  return canonicalJson(fieldAt(there, 'spec', 'selector'))
}

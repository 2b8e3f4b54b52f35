import { fieldAt } from '../../kube/field.ts'
import type { KubeObject } from '../../kube/object.ts'
import { resources } from '../../kube/resources.ts'
import type { DeploymentEffect } from '../../plan/effects.ts'
import type { HandsResult, HandsTarget } from '../hands.ts'
import { autoscalerOf, observeAutoscaler } from './autoscaler.ts'
import { asSluice, type HandsParts } from './hands-api.ts'
import { nameOf } from './hands-deployment.ts'
import { names } from './names.ts'

/**
 * Keeps the autoscaler of the user's Deployment from going below `replicas`, and remembers the minimum it had; without `replicas`, gives
 * that back. A minimum that somebody else has set in between is theirs: it is what is remembered, and it is never overwritten on the way
 * back.
 */
export async function floor(
  h: HandsParts,
  target: HandsTarget,
  { replicas }: Extract<DeploymentEffect, { kind: 'floor' }>,
): Promise<HandsResult> {
  const { namespace } = target
  const { items } = await h.client.list(resources.horizontalPodAutoscalers, { namespace })
  const deployment = { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: nameOf(target), namespace } }
  const autoscaler = autoscalerOf({ get: () => undefined, list: () => items }, deployment)
  if (!autoscaler) return { done: true }
  const { min } = observeAutoscaler(autoscaler)
  const own = numberIn(autoscaler, names.floorOf)
  const set = numberIn(autoscaler, names.floor)
  const isTheirs = own === undefined || (set !== undefined && set !== min)
  if (replicas === undefined) {
    if (own === undefined) return { done: true }
    await write(h, autoscaler, isTheirs ? min : own, { [names.floorOf]: null, [names.floor]: null })
    return { done: true }
  }
  const max = fieldAt(autoscaler, 'spec', 'maxReplicas')
  const wanted = typeof max === 'number' ? Math.min(replicas, max) : replicas
  if (min >= wanted) return { done: true }
  await write(h, autoscaler, wanted, {
    [names.floorOf]: String(isTheirs ? min : own),
    [names.floor]: String(wanted),
  })
  return { done: true }
}

async function write(
  h: HandsParts,
  { metadata: { namespace, name, resourceVersion } }: KubeObject,
  minReplicas: number,
  annotations: Record<string, string | null>,
): Promise<void> {
  const body = { metadata: { resourceVersion, annotations }, spec: { minReplicas } }
  const key = { ...(namespace ? { namespace } : {}), name }
  await h.client.patch(resources.horizontalPodAutoscalers, key, { type: 'merge', body }, asSluice)
}

function numberIn(object: KubeObject, annotation: string): number | undefined {
  const text = object.metadata.annotations?.[annotation]
  const number = text === undefined ? Number.NaN : Number(text)
  return Number.isInteger(number) ? number : undefined
}

import { fieldAt } from '../../kube/field.ts'
import { type KubeObject, keyOf } from '../../kube/object.ts'
import { resources } from '../../kube/resources.ts'
import type { DeploymentEffect } from '../../plan/effects.ts'
import { templateContent } from '../../plan/revision.ts'
import type { HandsResult, HandsTarget } from '../hands.ts'
import { controllerOf } from './family.ts'
import { asSluice, type HandsParts, problem } from './hands-api.ts'
import { isContent, nameOf, readDeployment } from './hands-deployment.ts'
import { names } from './names.ts'

/**
 * Lets the Deployment roll the template that was looked at: not one that was written since, which has another resourceVersion. The
 * annotation of a configuration makes new pods of the same template.
 */
export async function resume(
  h: HandsParts,
  target: HandsTarget,
  { resourceVersion, config }: Extract<DeploymentEffect, { kind: 'resume' }>,
): Promise<HandsResult> {
  const key = { namespace: target.namespace, name: nameOf(target) }
  const template = { metadata: { annotations: { [names.config]: config } } }
  const body = { metadata: { resourceVersion }, spec: { paused: null, ...(config === undefined ? {} : { template }) } }
  return released(h, await h.client.patch(resources.deployments, key, { type: 'merge', body }, asSluice))
}

/**
 * Puts the pod template of `to` back, from the ReplicaSet that still has it, and lets it roll: what `kubectl rollout undo` does, except
 * that annotations stay as they are (those of the ReplicaSet are as old as it is, and would bring a broken glass back).
 */
export async function restoreTemplate(
  h: HandsParts,
  target: HandsTarget,
  { to }: Extract<DeploymentEffect, { kind: 'restoreTemplate' }>,
): Promise<HandsResult> {
  const live = await readDeployment(h, target)
  if (!live) return { done: false }
  const isBack = isContent(to, live) && mayCarry(to, live)
  if (isBack && fieldAt(live, 'spec', 'paused') !== true) return { done: true }
  const template = isBack ? fieldAt(live, 'spec', 'template') : await templateOf(h, live, to)
  if (template === undefined) {
    return problem(
      'TemplateGone',
      `no ReplicaSet of Deployment ${keyOf(live)} holds the pod template of ${to.revision} any more (revisionHistoryLimit ${String(fieldAt(live, 'spec', 'revisionHistoryLimit') ?? 'unknown')})`,
    )
  }
  const { namespace, name, resourceVersion } = live.metadata
  const stored = await h.client.patch(
    resources.deployments,
    { ...(namespace ? { namespace } : {}), name },
    {
      type: 'json',
      ops: [
        { op: 'replace', path: '/metadata/resourceVersion', value: resourceVersion },
        { op: 'replace', path: '/spec/template', value: template },
        { op: 'add', path: '/spec/paused', value: false },
      ],
    },
    asSluice,
  )
  return released(h, stored)
}

async function templateOf(
  h: HandsParts,
  deployment: KubeObject,
  to: Extract<DeploymentEffect, { kind: 'restoreTemplate' }>['to'],
): Promise<unknown> {
  const { namespace, uid } = deployment.metadata
  const { items } = await h.client.list(resources.replicaSets, { ...(namespace ? { namespace } : {}) })
  const own = items.filter((set) => controllerOf(set)?.uid === uid)
  const same = own.filter((set) => isContent(to, set) && mayCarry(to, set))
  // One that says so was made with that configuration; of one without the annotation it is only not known better.
  const found = same.find((set) => carriedBy(set) !== undefined) ?? same[0]
  return found && withoutHash(fieldAt(found, 'spec', 'template'))
}

/** Whether the template may have been made with the configuration of a revision: it names that one, or none. */
function mayCarry(
  { config }: Extract<DeploymentEffect, { kind: 'restoreTemplate' }>['to'],
  object: KubeObject,
): boolean {
  const carried = carriedBy(object)
  return !config || carried === undefined || carried === config.hash
}

function carriedBy(object: KubeObject): string | undefined {
  return templateContent(fieldAt(object, 'spec', 'template')).carried
}

/** The template without the label that the Deployment controller adds to that of a ReplicaSet. */
function withoutHash(template: unknown): unknown {
  const copy: unknown = structuredClone(template)
  const labels = fieldAt(copy, 'metadata', 'labels')
  if (typeof labels === 'object' && labels !== null) Reflect.deleteProperty(labels, 'pod-template-hash')
  return copy
}

/** A Deployment that is paused still was latched again: the policy does not know Sluice. */
export async function released(h: HandsParts, stored: KubeObject): Promise<HandsResult> {
  if (fieldAt(stored, 'spec', 'paused') !== true) return { done: true }
  const who = await h.latch.username()
  const message = `Deployment ${keyOf(stored)} was latched again when Sluice resumed it: the matchConditions of the admission policy latch.sluice.dev must exempt the user that Sluice runs as, ${who}`
  h.latch.refute(stored.metadata.uid ?? '', message)
  return problem('LatchMissing', message)
}

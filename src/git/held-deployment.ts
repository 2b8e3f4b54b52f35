import { isDeepStrictEqual } from 'node:util'
import type { KubeClient, WriteOptions } from '../kube/client.ts'
import { fieldAt } from '../kube/field.ts'
import type { KubeObject, ObjectKey, Resource } from '../kube/object.ts'
import { names } from '../workload/deployment/names.ts'
import { isObject } from './manifest.ts'

/** Whether a Rollout holds this Deployment: a new template is stored, and rolls only when Sluice says so. */
export function isHeld({ group, plural }: Resource, live: KubeObject | undefined): live is KubeObject {
  return group === 'apps' && plural === 'deployments' && live?.metadata.labels?.[names.rollout] !== undefined
}

export interface HeldQuestion {
  client: KubeClient
  resource: Resource
  key: ObjectKey
  /** What Git declares, ready to be applied. */
  body: KubeObject
  /** The Deployment as it was just read. */
  live: KubeObject
  options: WriteOptions & { fieldManager: string }
}

/**
 * Applies a Deployment that a Rollout holds, so that a template it changes does not roll. The admission policy that latches everybody else's
 * writes may exempt ours, or not be there at all: so a template that changes is applied together with `spec.paused`, in one request over
 * exactly the version that was looked at. A pause without the new template would be taken for a spurious one and resumed at once.
 * `spec.paused` itself is never taken from Git: it is Sluice's for as long as the Deployment is held.
 * Throws a KubeError; a conflict means that it has to be read again.
 */
export async function applyHeld({ client, resource, key, body, live, options }: HeldQuestion): Promise<KubeObject> {
  const apply = (object: KubeObject, over: KubeObject, dryRun = false) => {
    const { resourceVersion } = over.metadata
    const locked = { ...object, metadata: { ...object.metadata, resourceVersion } }
    return client.patch(resource, key, { type: 'apply', body: locked, force: true }, { ...options, dryRun })
  }
  const held = withPaused(body, keepsPaused(live, options.fieldManager))
  if (isPaused(live) && !isGlassBroken(live) && !isGlassBroken(body)) return await apply(held, live)
  const preview = await apply(held, live, true)
  if (isGlassBroken(preview)) return await apply(body, live)
  if (isPaused(live) || isDeepStrictEqual(templateOf(preview), templateOf(live))) return await apply(held, live)
  return await apply(withPaused(body, true), live)
}

/**
 * Whether the pause has to stay in what is applied: an earlier apply owns the field, because it paused the Deployment or because Git
 * declared it, and leaving it out now would take it away. A resume takes it from every owner.
 */
function keepsPaused(live: KubeObject, manager: string): boolean {
  const owns = live.metadata.managedFields?.some(
    (entry) =>
      entry.manager === manager &&
      entry.operation === 'Apply' &&
      fieldAt(entry.fieldsV1, 'f:spec', 'f:paused') !== undefined,
  )
  return owns === true && isPaused(live)
}

function withPaused(body: KubeObject, paused: boolean): KubeObject {
  if (!isObject(body.spec)) return body
  const { paused: _declared, ...spec } = body.spec
  return { ...body, spec: paused ? { ...spec, paused } : spec }
}

function isPaused(object: KubeObject): boolean {
  return fieldAt(object, 'spec', 'paused') === true
}

function isGlassBroken({ metadata }: KubeObject): boolean {
  return (metadata.annotations?.[names.breakGlass] ?? '') !== ''
}

function templateOf(object: KubeObject): unknown {
  return fieldAt(object, 'spec', 'template')
}

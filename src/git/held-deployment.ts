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

/** On a Deployment that was paused together with a template from Git: the pause is ours, not the manifest's. */
const HELD = 'sluice.dev/held'

/**
 * A Rollout that is gone has left this Deployment paused, with a template that was never tried. It stays so until somebody resumes it, or
 * the manifest says something about the pause.
 */
export function isLeft(
  { group, plural }: Resource,
  live: KubeObject | undefined,
  body: KubeObject,
  manager: string,
): live is KubeObject {
  if (group !== 'apps' || plural !== 'deployments' || !live || !isMarked(live)) return false
  return fieldAt(body, 'spec', 'paused') === undefined && keepsPaused(live, manager)
}

/** Applies a Deployment that was left paused, as it was left. Throws a KubeError; a conflict means that it has to be read again. */
export async function applyLeft({ client, resource, key, body, live, options }: HeldQuestion): Promise<KubeObject> {
  const { resourceVersion } = live.metadata
  const held = withPaused(body, true)
  const locked = { ...held, metadata: { ...held.metadata, resourceVersion } }
  return client.patch(resource, key, { type: 'apply', body: locked, force: true }, options)
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
  const held = withPaused(isMarked(live) ? marked(body) : body, keepsPaused(live, options.fieldManager))
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
  return paused ? { ...marked(body), spec: { ...spec, paused } } : { ...body, spec }
}

function marked(body: KubeObject): KubeObject {
  return { ...body, metadata: { ...body.metadata, annotations: { ...body.metadata.annotations, [HELD]: 'true' } } }
}

function isMarked({ metadata }: KubeObject): boolean {
  return metadata.annotations?.[HELD] !== undefined
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

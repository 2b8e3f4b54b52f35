import type { KubeClient } from '../kube/client.ts'
import { asKubeError } from '../kube/kube-error.ts'
import type { KubeObject, ObjectKey, Resource } from '../kube/object.ts'
import { preserveWeights } from '../traffic/preserve.ts'
import type { Declared } from './declared.ts'
import { groupOf } from './group.ts'
import { applyHeld, applyLeft, isHeld, isLeft } from './held-deployment.ts'
import { allowsNamespace, type SourceRef } from './source-ref.ts'

/** The field manager of everything that is applied from Git. */
export const fieldManager = 'sluice'

export type Applied =
  | { state: 'changed' | 'unchanged'; resource: Resource; key: ObjectKey }
  | { state: 'failed'; message: string; transient: boolean; resource?: Resource; key?: ObjectKey }

/** Which routes of a VirtualService some Rollout owns; undefined when none does. `routes` left out: every one that splits traffic. */
export type RouteOwners = (namespace: string, virtualService: string) => { routes?: string[] } | undefined

export interface ApplyContext {
  client: KubeClient
  source: SourceRef
  serviceAccountName?: string
  owners: RouteOwners
}

const attempts = 8

/**
 * Applies one object server-side, taking over fields as Flux does, but never what a Rollout owns: a route is applied with the weights and
 * the resourceVersion it has at this moment, a held Deployment so that its new template does not roll; both are read again when somebody
 * was faster.
 */
export async function applyDeclared(
  { client, source, serviceAccountName, owners }: ApplyContext,
  declared: Declared,
): Promise<Applied> {
  const { object } = declared
  const impersonate = impersonated(source, serviceAccountName)
  try {
    const resource = await client.resourceFor(object.apiVersion, object.kind)
    if (!resource) return failed(`the cluster knows no ${object.kind} of ${object.apiVersion}; install its CRD`, true)
    const key = keyFor(resource, declared, source)
    if (object.metadata.name === undefined) return failed('has a generateName, but what is in Git needs a name', false)
    const refusal = whyNot(resource, key, source, serviceAccountName)
    if (refusal) return failed(refusal, false)
    for (let attempt = 1; ; attempt++) {
      const live = await client.get(resource, key)
      const body = desired(declared, key, live, owners)
      try {
        const options = { fieldManager, impersonate, fieldValidation: validationOf(object) }
        const result = isHeld(resource, live)
          ? await applyHeld({ client, resource, key, body, live, options })
          : isLeft(resource, live, body, fieldManager)
            ? await applyLeft({ client, resource, key, body, live, options })
            : await client.patch(resource, key, { type: 'apply', body, force: true }, options)
        const unchanged = live?.metadata.resourceVersion === result.metadata.resourceVersion
        return { state: unchanged ? 'unchanged' : 'changed', resource, key }
      } catch (error) {
        if (asKubeError(error)?.isConflict && attempt < attempts) continue
        return { ...explain(error, object), resource, key }
      }
    }
  } catch (error) {
    return explain(error, object)
  }
}

export function impersonated(source: SourceRef, serviceAccountName: string | undefined): { user: string } | undefined {
  return serviceAccountName === undefined
    ? undefined
    : { user: `system:serviceaccount:${source.namespace}:${serviceAccountName}` }
}

/** Where a declared object goes: its own namespace, or the source's. */
export function keyFor(resource: Resource, { object }: Declared, source: SourceRef): ObjectKey {
  const { name, namespace } = object.metadata
  return resource.namespaced ? { namespace: namespace ?? source.namespace, name } : { name }
}

function desired(declared: Declared, key: ObjectKey, live: KubeObject | undefined, owners: RouteOwners): KubeObject {
  const { status: _status, ...object } = declared.object
  const {
    managedFields: _fields,
    resourceVersion: _version,
    uid: _uid,
    generation: _generation,
    creationTimestamp: _time,
    ...metadata
  } = object.metadata
  const { namespace: _namespace, ...rest } = metadata
  const body: KubeObject = { ...object, metadata: { ...rest, ...key } }
  const isRoute = body.kind === 'VirtualService' && groupOf(body.apiVersion) === 'networking.istio.io'
  const owned = isRoute && key.namespace !== undefined ? owners(key.namespace, key.name) : undefined
  if (!owned || !live) return body
  const kept = preserveWeights(body, live, owned)
  return { ...kept, metadata: { ...kept.metadata, resourceVersion: live.metadata.resourceVersion } }
}

/** Why this source may not write this object, whatever the API server would say. */
export function whyNot(
  resource: Resource,
  key: ObjectKey,
  source: SourceRef,
  serviceAccountName: string | undefined,
): string | undefined {
  if (resource.namespaced) {
    if (allowsNamespace(source, key.namespace ?? '')) return undefined
    return `is in the namespace ${key.namespace}, which allowedNamespaces of the RolloutSource does not list`
  }
  const isOwnNamespace = resource.group === '' && resource.kind === 'Namespace' && allowsNamespace(source, key.name)
  if (isOwnNamespace || serviceAccountName !== undefined || source.allowedNamespaces.includes('*')) return undefined
  return `is cluster-scoped: set serviceAccountName to an account that may write ${resource.plural}, or allow all namespaces`
}

function validationOf(object: KubeObject): 'Strict' | undefined {
  return groupOf(object.apiVersion) === 'sluice.dev' ? 'Strict' : undefined
}

/** The server's words, but none of a Secret's values, which they may repeat. */
function explain(error: unknown, object: KubeObject): Applied & { state: 'failed' } {
  const kube = asKubeError(error)
  if (!kube) throw error
  const message =
    object.kind === 'Secret' && kube.isInvalid ? 'the API server refused the Secret as invalid' : kube.message
  return failed(message, kube.isTransient || kube.isConflict || kube.isNotFound)
}

function failed(message: string, transient: boolean): Applied & { state: 'failed' } {
  return { state: 'failed', message: message.replace(/\.$/, ''), transient }
}

import type { Problem } from '../../errors.ts'
import type { JsonPatchOperation, KubeClient } from '../../kube/client.ts'
import { asKubeError } from '../../kube/kube-error.ts'
import type { KubeObject, Resource } from '../../kube/object.ts'
import { istioVersions, resources } from '../../kube/resources.ts'
import type { WeightWrite } from '../router.ts'
import { describe, type Place } from './locate.ts'

/** Reads and patches one VirtualService at the API version the cluster serves. Rejects with KubeError. */
export interface VirtualServiceAccess {
  read(): Promise<KubeObject | undefined>
  patch(ops: JsonPatchOperation[], manager: string): Promise<KubeObject>
}

/** `known`, the object as cached, tells the served version without a look at discovery. */
export function virtualServiceAccess(
  client: Pick<KubeClient, 'get' | 'patch' | 'resourceFor'>,
  place: Place,
  known: KubeObject | undefined,
): VirtualServiceAccess {
  const key = { namespace: place.namespace, name: place.name }
  let resource: Resource | undefined = known && { ...resources.virtualServices, version: versionOf(known) }

  async function served(): Promise<Resource> {
    for (const version of resource ? [] : istioVersions) {
      resource ??= await client.resourceFor(`${resources.virtualServices.group}/${version}`, 'VirtualService')
    }
    return resource ?? resources.virtualServices
  }

  return {
    read: async () => client.get(await served(), key),
    patch: async (ops, manager) => client.patch(await served(), key, { type: 'json', ops }, { fieldManager: manager }),
  }
}

export function fail(problem: Problem): WeightWrite & { ok: false } {
  return { ok: false, transient: false, conflict: false, problem }
}

export function missingVirtualService(place: Place): Problem {
  return {
    reason: 'VirtualServiceMissing',
    message: `${describe(place)} does not exist`,
    field: 'spec.traffic.istio.virtualService.name',
  }
}

/** What a failed request means for a weight write. What is no KubeError is a bug (or an abort) and is thrown on. */
export function failure(error: unknown, place: Place): WeightWrite & { ok: false } {
  const known = asKubeError(error)
  if (!known) throw error
  if (known.isNotFound) return fail(missingVirtualService(place))
  const message = `the weights of ${describe(place)} were not written: ${known.message}`
  if (known.isForbidden) return fail({ reason: 'Forbidden', message })
  if (known.isTransient) return { ...fail({ reason: 'ApiUnreachable', message }), transient: true }
  return fail({ reason: 'ManifestRefused', message })
}

function versionOf(object: KubeObject): string {
  return object.apiVersion.slice(object.apiVersion.indexOf('/') + 1)
}

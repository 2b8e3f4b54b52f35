import type { JsonPatchOperation, KubeClient, Patch } from '../../src/kube/client.ts'
import { KubeError } from '../../src/kube/kube-error.ts'
import { apiVersionOf, type KubeObject, type ObjectKey, type Resource } from '../../src/kube/object.ts'
import type { ObjectReader } from '../../src/kube/reader.ts'
import { jsonPatch } from '../../src/sandbox/apiserver/json-patch.ts'

/** The few requests a router makes, against objects in memory; and caches that lag until `sync` is called. */
export interface MemoryApi {
  client: Pick<KubeClient, 'get' | 'patch' | 'resourceFor'>
  reader: ObjectReader
  /** Creates or replaces, as `manager`; answers what is stored. */
  put(object: KubeObject, manager?: string): KubeObject
  remove(kind: string, key: ObjectKey): void
  live(kind: string, key: ObjectKey): KubeObject | undefined
  /** Lets the caches see everything. */
  sync(): void
  /** Called before each patch is applied: write in between, or throw the error the server answers with. */
  beforePatch: ((attempt: number) => void) | undefined
  /** Every request, in order. */
  requests: { verb: 'get' | 'patch'; path: string; ops?: JsonPatchOperation[]; manager?: string }[]
}

/** @param served Version of Istio's API that this cluster has. */
export function createMemoryApi(served = 'v1'): MemoryApi {
  const objects = new Map<string, KubeObject>()
  let cache = new Map<string, KubeObject>()
  let version = 100
  let clock = Date.parse('2026-11-22T18:00:00Z')
  const idOf = (kind: string, key: ObjectKey) => `${kind} ${key.namespace ?? ''}/${key.name}`

  function store(object: KubeObject, manager: string): KubeObject {
    const before = objects.get(idOf(object.kind, object.metadata))
    clock += 1000
    const stored: KubeObject = structuredClone({
      ...object,
      metadata: { ...object.metadata, resourceVersion: String(++version), managedFields: undefined },
    })
    const http = JSON.stringify(stored.spec)
    const unchanged = before !== undefined && JSON.stringify(before.spec) === http
    // Lists of a VirtualService are atomic: who changes one thing in them owns them whole.
    const owners = unchanged ? before?.metadata.managedFields : [entry(manager)]
    objects.set(
      idOf(object.kind, object.metadata),
      Object.freeze({ ...stored, metadata: { ...stored.metadata, managedFields: owners } }),
    )
    return objects.get(idOf(object.kind, object.metadata))!
  }

  function entry(manager: string) {
    const fieldsV1 = { 'f:spec': { 'f:http': {}, 'f:tcp': {}, 'f:tls': {} } }
    const time = new Date(clock).toISOString().replace('.000', '')
    return { manager, operation: 'Update' as const, fieldsType: 'FieldsV1', time, fieldsV1 }
  }

  const api: MemoryApi = {
    beforePatch: undefined,
    requests: [],
    put: (object, manager = 'kubectl-client-side-apply') => store(object, manager),
    remove: (kind, key) => void objects.delete(idOf(kind, key)),
    live: (kind, key) => objects.get(idOf(kind, key)),
    sync: () => {
      cache = new Map(objects)
    },
    reader: {
      get: (resource, key) => cache.get(idOf(resource.kind, key)),
      list: (resource, namespace) =>
        [...cache.values()].filter((o) => o.kind === resource.kind && o.metadata.namespace === namespace),
    },
    client: {
      async get(resource, key) {
        api.requests.push({ verb: 'get', path: pathOf(resource, key) })
        return objects.get(idOf(resource.kind, key))
      },
      async patch(resource, key, patch, options) {
        const ops = operations(patch)
        api.requests.push({ verb: 'patch', path: pathOf(resource, key), ops, manager: options.fieldManager })
        api.beforePatch?.(api.requests.filter((r) => r.verb === 'patch').length)
        const live = objects.get(idOf(resource.kind, key))
        if (!live || resource.version !== served) throw new KubeError('not found', { status: 404, reason: 'NotFound' })
        let patched: KubeObject
        try {
          patched = jsonPatch(live, ops) as KubeObject
        } catch (cause) {
          throw new KubeError('a test failed', { status: 422, reason: 'Invalid', cause })
        }
        if (patched.metadata.resourceVersion !== live.metadata.resourceVersion) {
          throw new KubeError('the object has been modified', { status: 409, reason: 'Conflict' })
        }
        return store(patched, options.fieldManager)
      },
      async resourceFor(apiVersion, kind) {
        const group = 'networking.istio.io'
        if (apiVersion !== `${group}/${served}`) return undefined
        return { group, version: served, kind, plural: `${kind.toLowerCase()}s`, namespaced: true }
      },
    },
  }
  return api
}

function operations(patch: Patch): JsonPatchOperation[] {
  if (patch.type !== 'json') throw new Error(`a router must not send a ${patch.type} patch`)
  return patch.ops
}

function pathOf(resource: Resource, key: ObjectKey): string {
  return `${apiVersionOf(resource)}/${resource.plural}/${key.namespace}/${key.name}`
}

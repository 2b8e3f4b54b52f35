import type { KubeObject } from '../../kube/object.ts'
import type { Runtime } from '../../runtime.ts'
import type { Admission } from './admission.ts'
import { at, clone, isObject } from './json.ts'
import type { ObjectStore } from './object-store.ts'
import { type Pipeline, timestamp } from './pipeline.ts'
import type { Registry } from './registry.ts'
import { sandboxUser } from './request-context.ts'
import { refKey } from './resource-type.ts'
import { forbidden, notFound } from './status.ts'
import type { Storage } from './storage.ts'

const namespaces = { group: '', plural: 'namespaces', kind: 'Namespace' }
const immortal = new Set(['default', 'kube-system', 'kube-public'])

interface Parts {
  store: ObjectStore
  registry: Registry
  pipeline: Pipeline
  admission: Admission
  storage: Storage
  runtime: Runtime
}

/**
 * Namespaces' life: nothing is created in one that does not exist or is terminating; deleting one empties it, waits
 * for its objects' finalizers, then lets it go.
 */
export function runNamespaceController({ store, registry, pipeline, admission, runtime }: Parts): () => void {
  const removeHook = admission.addMutating((request) => {
    if (request.operation === 'DELETE' && refKey(request.type) === refKey(namespaces) && immortal.has(request.name)) {
      throw forbidden(request.type, request.name, 'this namespace may not be deleted')
    }
    if (request.operation !== 'CREATE' || request.namespace === undefined) return
    const namespace = store.get(namespaces, { name: request.namespace })
    if (!namespace) throw notFound(namespaces, request.namespace)
    if (!namespace.metadata.deletionTimestamp) return
    throw forbidden(
      request.type,
      request.name,
      `unable to create new content in namespace ${request.namespace} because it is being terminated`,
      [
        {
          reason: 'NamespaceTerminating',
          message: `namespace ${request.namespace} is being terminated`,
          field: 'metadata.namespace',
        },
      ],
    )
  })

  const terminating = new Set<string>()
  let scheduled: NodeJS.Immediate | undefined

  function wake(): void {
    scheduled ??= setImmediate(() => {
      scheduled = undefined
      for (const name of [...terminating]) finalize(name)
    })
  }

  const unsubscribe = store.subscribeAll((ref, { type, object }) => {
    if (refKey(ref) === refKey(namespaces)) {
      const { name } = object.metadata
      if (type === 'DELETED') terminating.delete(name)
      else if (object.metadata.deletionTimestamp) {
        terminating.add(name)
        wake()
      }
    } else if (terminating.has(object.metadata.namespace ?? '')) wake()
  })

  function finalize(name: string): void {
    const namespace = store.get(namespaces, { name })
    if (!namespace?.metadata.deletionTimestamp) return
    const left: KubeObject[] = []
    for (const type of registry.all()) {
      if (!type.namespaced || type.virtual || type.alias) continue
      for (const object of store.list(type, name)) {
        if (!object.metadata.deletionTimestamp || refKey(type) === '/pods') {
          const context = {
            user: sandboxUser,
            fieldManager: 'kube-controller-manager',
            version: type.storageVersion,
            dryRun: false,
            fieldValidation: 'Ignore' as const,
            warnings: [],
          }
          pipeline.remove(type, object.metadata, context, { propagationPolicy: 'Background', gracePeriodSeconds: 0 })
        }
        const still = store.get(type, object.metadata)
        if (still) left.push(still)
      }
    }
    if (left.length > 0) reportRemaining(namespace, left)
    else if ((namespace.metadata.finalizers ?? []).length === 0) {
      terminating.delete(name)
      store.remove(namespaces, { name })
    } else if (Array.isArray(at(namespace, 'spec', 'finalizers'))) store.put(namespaces, { ...namespace, spec: {} })
  }

  function reportRemaining(namespace: KubeObject, left: KubeObject[]): void {
    const finalizers = [...new Set(left.flatMap((object) => object.metadata.finalizers ?? []))]
    const message = `Some content in the namespace has finalizers remaining: ${finalizers.map((each) => `${each} in ${left.filter((object) => object.metadata.finalizers?.includes(each)).length} resource instances`).join(', ')}`
    const type = 'NamespaceFinalizersRemaining'
    const conditions = at(namespace, 'status', 'conditions')
    if (Array.isArray(conditions) && conditions.some((each) => isObject(each) && each.message === message)) return
    const condition = {
      type,
      status: 'True',
      reason: 'SomeFinalizersRemain',
      message,
      lastTransitionTime: timestamp(runtime),
    }
    store.put(namespaces, { ...clone(namespace), status: { phase: 'Terminating', conditions: [condition] } })
  }

  return () => {
    removeHook()
    unsubscribe()
    if (scheduled) clearImmediate(scheduled)
  }
}

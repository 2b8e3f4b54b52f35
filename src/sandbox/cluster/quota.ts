import { isDeepStrictEqual } from 'node:util'
import { type KubeObject, keyOf } from '../../kube/object.ts'
import type { Runtime } from '../../runtime.ts'
import type { Admission, AdmissionRequest } from '../apiserver/admission.ts'
import { quantityValue } from '../apiserver/quantity.ts'
import { forbidden } from '../apiserver/status.ts'
import type { Storage } from '../apiserver/storage.ts'
import { requestOf } from './kubelet/scheduler.ts'
import { createLoop, type Loop } from './loop.ts'
import { PODS, type Pod, RESOURCE_QUOTAS, type ResourceQuota, view } from './objects.ts'
import { splitKey } from './ownership.ts'

/**
 * ResourceQuotas over pods: `pods` and `count/pods`, and the requests of cpu and memory. Refuses a pod beyond them as Kubernetes'
 * admission does, and keeps their status. Limits on anything else are stored and mean nothing here.
 */
export function startQuotas(storage: Storage, admission: Admission, runtime: Runtime): Loop {
  const loop = createLoop(runtime, sync)
  const stops = [
    admission.addValidating(refuseBeyond),
    storage.subscribe(RESOURCE_QUOTAS, (_, object) => loop.add(keyOf(object))),
    storage.subscribe(PODS, (_, { metadata }) => {
      for (const quota of storage.list(RESOURCE_QUOTAS, { namespace: metadata.namespace })) loop.add(keyOf(quota))
    }),
  ]

  function refuseBeyond({ operation, type, subresource, namespace, object, name }: AdmissionRequest): void {
    if (operation !== 'CREATE' || type.group !== '' || type.plural !== 'pods' || subresource || !object) return
    for (const stored of storage.list(RESOURCE_QUOTAS, { namespace })) {
      const quota = view<ResourceQuota>(stored)
      const over = limitsOf(quota).filter(
        ({ resource, limit }) => used(quota, resource) + amount(object, resource) > limit,
      )
      if (over.length === 0) continue
      const told = (of: (resource: string) => unknown) =>
        over.map(({ resource }) => `${resource}=${of(resource)}`).join(',')
      const why = [
        `exceeded quota: ${quota.metadata.name}`,
        `requested: ${told((resource) => amount(object, resource))}`,
        `used: ${told((resource) => used(quota, resource))}`,
        `limited: ${told((resource) => quota.spec.hard?.[resource])}`,
      ]
      throw forbidden(type, name, why.join(', '))
    }
  }

  function used({ metadata: { namespace } }: ResourceQuota, resource: string): number {
    return storage
      .list(PODS, { namespace })
      .filter((pod) => !isFinished(view<Pod>(pod)))
      .reduce((total, pod) => total + amount(pod, resource), 0)
  }

  function sync(key: string): undefined {
    const stored = storage.get(RESOURCE_QUOTAS, splitKey(key))
    if (!stored || stored.metadata.deletionTimestamp) return
    const quota = view<ResourceQuota>(stored)
    const counts = limitsOf(quota).map(({ resource }): [string, string] => [resource, String(used(quota, resource))])
    const status = { hard: quota.spec.hard ?? {}, used: Object.fromEntries(counts) }
    if (!isDeepStrictEqual(status, quota.status)) storage.updateStatus(RESOURCE_QUOTAS, { ...quota, status })
  }

  return {
    ...loop,
    stop() {
      for (const stop of stops) stop()
      loop.stop()
    },
  }
}

function limitsOf(quota: ResourceQuota): { resource: string; limit: number }[] {
  return Object.entries(quota.spec.hard ?? {})
    .filter(([resource]) => resource in COUNTED)
    .map(([resource, limit]) => ({ resource, limit: quantityValue(String(limit)) }))
}

const COUNTED: Record<string, (pod: Pod) => number> = {
  pods: () => 1,
  'count/pods': () => 1,
  cpu: (pod) => requestOf(pod, 'cpu'),
  'requests.cpu': (pod) => requestOf(pod, 'cpu'),
  memory: (pod) => requestOf(pod, 'memory'),
  'requests.memory': (pod) => requestOf(pod, 'memory'),
}

function amount(pod: KubeObject, resource: string): number {
  return COUNTED[resource]?.(view<Pod>(pod)) ?? 0
}

function isFinished(pod: Pod): boolean {
  return pod.status.phase === 'Succeeded' || pod.status.phase === 'Failed'
}

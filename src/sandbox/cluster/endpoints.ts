import { isDeepStrictEqual } from 'node:util'
import { type KubeObject, keyOf } from '../../kube/object.ts'
import type { Runtime } from '../../runtime.ts'
import type { Storage } from '../apiserver/storage.ts'
import { createLoop, type Loop } from './loop.ts'
import {
  ENDPOINT_SLICES,
  ENDPOINTS,
  type EndpointSlice,
  isPodReady,
  PODS,
  type Pod,
  SERVICES,
  type Service,
  type ServicePort,
  selects,
  view,
} from './objects.ts'
import { splitKey } from './ownership.ts'

const SERVICE_NAME = 'kubernetes.io/service-name'

/** For every Service with a selector: one EndpointSlice and one Endpoints of the pods it selects, ready and not. */
export function startEndpointsController(storage: Storage, runtime: Runtime): Loop {
  const loop = createLoop(runtime, sync)
  const pods = new Map<string, Map<string, Pod>>()
  const services = new Map<string, Map<string, Service>>()

  const stops = [
    storage.subscribe(SERVICES, (type, object) => {
      keep(services, view<Service>(object), type === 'DELETED')
      loop.add(keyOf(object))
    }),
    storage.subscribe(PODS, (type, object) => {
      const known = pods.get(object.metadata.namespace ?? '')?.get(object.metadata.name)
      keep(pods, view<Pod>(object), type === 'DELETED')
      for (const service of services.get(object.metadata.namespace ?? '')?.values() ?? []) {
        if (isSelected(service, object) || (known && isSelected(service, known))) loop.add(keyOf(service))
      }
    }),
  ]

  function sync(key: string): undefined {
    const { namespace = '', name } = splitKey(key)
    const service = services.get(namespace)?.get(name)
    const sliceKey = { namespace, name: `${name}-sandbox` }
    if (!service?.spec.selector || service.metadata.deletionTimestamp) {
      // Slices somebody wrote by hand for a Service without a selector are theirs.
      if (service && !service.metadata.deletionTimestamp) return
      if (storage.get(ENDPOINT_SLICES, sliceKey)) storage.remove(ENDPOINT_SLICES, sliceKey)
      if (storage.get(ENDPOINTS, { namespace, name })) storage.remove(ENDPOINTS, { namespace, name })
      return
    }
    const selected = [...(pods.get(namespace)?.values() ?? [])]
      .filter((pod) => isSelected(service, pod) && pod.status.podIP && !isFinished(pod))
      .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))
    write(ENDPOINT_SLICES, sliceOf(service, sliceKey.name, selected))
    write(ENDPOINTS, endpointsOf(service, selected))
  }

  function write(ref: typeof ENDPOINTS, wanted: KubeObject): void {
    const live = storage.get(ref, wanted.metadata)
    if (!live) {
      storage.create(ref, wanted)
      return
    }
    const { apiVersion: _, kind: __, metadata: ___, ...content } = wanted
    const current = Object.fromEntries(Object.keys(content).map((field) => [field, live[field]]))
    if (!isDeepStrictEqual(current, content)) storage.update(ref, { ...live, ...content })
  }

  return {
    ...loop,
    stop() {
      for (const stop of stops) stop()
      loop.stop()
    },
  }
}

/** The pod's number for a Service port: by number, by the container port's name, or the same as the Service's. */
function targetPortOf(port: ServicePort, pod: Pod | undefined): number | undefined {
  const target = port.targetPort ?? port.port
  if (typeof target === 'number') return target
  const named = pod?.spec.containers.flatMap((container) => container.ports ?? []).find(({ name }) => name === target)
  return named?.containerPort
}

function keep<T extends KubeObject>(into: Map<string, Map<string, T>>, object: T, deleted: boolean): void {
  const namespace = object.metadata.namespace ?? ''
  const objects = into.get(namespace) ?? new Map<string, T>()
  into.set(namespace, objects)
  if (deleted) objects.delete(object.metadata.name)
  else objects.set(object.metadata.name, object)
}

function isSelected(service: Service, pod: KubeObject): boolean {
  return service.spec.selector !== undefined && selects({ matchLabels: service.spec.selector }, pod.metadata.labels)
}

function isFinished(pod: Pod): boolean {
  return pod.status.phase === 'Succeeded' || pod.status.phase === 'Failed'
}

function portsOf(service: Service, pod: Pod | undefined) {
  return (service.spec.ports ?? []).flatMap((port) => {
    const number = targetPortOf(port, pod)
    if (number === undefined) return []
    return [{ name: port.name ?? '', port: number, protocol: port.protocol ?? 'TCP' }]
  })
}

function ownerReferencesTo(service: Service) {
  const { name, uid = '' } = service.metadata
  return [{ apiVersion: 'v1', kind: 'Service', name, uid, controller: true, blockOwnerDeletion: true }]
}

function targetRefOf(pod: Pod) {
  const { name, namespace = '', uid = '' } = pod.metadata
  return { kind: 'Pod', name, namespace, uid }
}

function sliceOf(service: Service, name: string, pods: readonly Pod[]): EndpointSlice {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name,
      namespace: service.metadata.namespace,
      labels: {
        ...service.metadata.labels,
        [SERVICE_NAME]: service.metadata.name,
        'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io',
      },
      ownerReferences: ownerReferencesTo(service),
    },
    addressType: 'IPv4',
    endpoints: pods.map((pod) => {
      const terminating = pod.metadata.deletionTimestamp !== undefined
      const serving = isPodReady(pod)
      return {
        addresses: [pod.status.podIP ?? ''],
        conditions: { ready: serving && !terminating, serving, terminating },
        nodeName: pod.spec.nodeName,
        targetRef: targetRefOf(pod),
      }
    }),
    ports: portsOf(service, pods[0]),
  }
}

function endpointsOf(service: Service, pods: readonly Pod[]): KubeObject {
  const live = pods.filter((pod) => !pod.metadata.deletionTimestamp)
  const address = (pod: Pod) => ({ ip: pod.status.podIP, nodeName: pod.spec.nodeName, targetRef: targetRefOf(pod) })
  const ready = live.filter(isPodReady).map(address)
  const notReady = live.filter((pod) => !isPodReady(pod)).map(address)
  const subset = {
    ...(ready.length > 0 ? { addresses: ready } : {}),
    ...(notReady.length > 0 ? { notReadyAddresses: notReady } : {}),
    ports: portsOf(service, pods[0]).map(({ name, ...port }) => (name === '' ? port : { name, ...port })),
  }
  return {
    apiVersion: 'v1',
    kind: 'Endpoints',
    metadata: { name: service.metadata.name, namespace: service.metadata.namespace, labels: service.metadata.labels },
    subsets: live.length > 0 ? [subset] : [],
  }
}

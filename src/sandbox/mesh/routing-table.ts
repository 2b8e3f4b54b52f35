import { keyOf } from '../../kube/object.ts'
import type { Storage } from '../apiserver/storage.ts'
import {
  ENDPOINT_SLICES,
  type EndpointSlice,
  PODS,
  type Pod,
  SERVICES,
  type Service,
  type ServicePort,
  view,
} from '../cluster/objects.ts'
import { asDestinationRule, type DestinationRule, policyFor } from './destination-rule.ts'
import { fqdnOf, hostSpecificity, resolveHost, serviceOfAuthority, splitAuthority } from './hosts.ts'
import { peerOfPod } from './peer.ts'
import { type CompiledRoute, compileRoutes, defaultRoute, gatewayName, type Target } from './route.ts'
import { type Endpoint, isInSubset, type Upstream } from './upstream.ts'
import { asVirtualService, type VirtualService } from './virtual-service.ts'

export const VIRTUAL_SERVICES = { group: 'networking.istio.io', plural: 'virtualservices' }
export const DESTINATION_RULES = { group: 'networking.istio.io', plural: 'destinationrules' }

/** What an authority leads to: the routes to try, the Service port meant, and the gateway they were bound to. */
export interface Entry {
  routes: readonly CompiledRoute[]
  port: number
  gateway: string
}

/** An object whose configuration cannot work, and why. */
export interface MeshProblem {
  object: string
  message: string
}

/** One consistent state of the mesh's configuration, as a proxy holds it between two pushes. */
export interface RoutingTable {
  /**
   * Where requests for the authority go; undefined when nothing answers to it.
   * @param gateway `mesh` for a workload of the mesh; undefined for a client from outside, which enters at whatever gateway the host is bound to
   */
  resolve(authority: string, namespace: string, gateway: 'mesh' | undefined): Entry | undefined
  /** The destination behind a route; undefined when its Service, port or subset does not exist. */
  upstream(target: Target, port: number): Upstream | undefined
  problems: MeshProblem[]
}

/** Reads the whole configuration out of storage; what is expensive is worked out on first use. */
export function buildRoutingTable(storage: Storage, listenerPort: () => number): RoutingTable {
  const problems: MeshProblem[] = []
  const services = new Map(
    storage.list(SERVICES).map((object) => {
      const service = view<Service>(object)
      return [fqdnOf({ name: service.metadata.name, namespace: service.metadata.namespace ?? '' }), service]
    }),
  )
  const virtualServices = storage.list(VIRTUAL_SERVICES).map(asVirtualService).sort(byAge)
  const byKey = new Map(virtualServices.map((service) => [keyOf(service), service]))
  const rules = new Map<string, DestinationRule>()
  for (const rule of storage.list(DESTINATION_RULES).map(asDestinationRule).sort(byAge)) {
    const host = resolveHost(rule.spec.host, rule.metadata.namespace ?? '')
    if (!rules.has(host)) rules.set(host, rule)
  }
  const hosts = new Map<string, VirtualService[]>()
  const wildcards: VirtualService[] = []
  for (const service of virtualServices) {
    for (const host of service.spec.hosts ?? []) {
      const name = resolveHost(host, service.metadata.namespace ?? '').toLowerCase()
      if (name.startsWith('*')) wildcards.push(service)
      else hosts.set(name, [...(hosts.get(name) ?? []), service])
    }
  }
  const slices = slicesByService(storage)
  const compiled = new Map<VirtualService, CompiledRoute[]>()
  const upstreams = new Map<string, Upstream | undefined>()

  function routesOf(service: VirtualService): CompiledRoute[] {
    const known = compiled.get(service)
    if (known) return known
    let routes: CompiledRoute[] = []
    try {
      routes = compileRoutes(service, (namespace, name) => byKey.get(`${namespace}/${name}`))
    } catch (error) {
      problems.push({ object: `VirtualService ${keyOf(service)}`, message: (error as Error).message })
    }
    compiled.set(service, routes)
    return routes
  }

  function virtualServiceFor(names: readonly string[], gateway: 'mesh' | undefined) {
    const bound = (service: VirtualService) => boundGateway(service, gateway)
    for (const name of names) {
      const exact = hosts.get(name)?.find((service) => bound(service) !== undefined)
      if (exact) return { service: exact, gateway: bound(exact) ?? 'mesh' }
    }
    let best: { service: VirtualService; gateway: string; specificity: number } | undefined
    for (const service of wildcards) {
      const at = bound(service)
      if (at === undefined) continue
      const specificity = Math.max(
        ...names.flatMap((name) => (service.spec.hosts ?? []).map((host) => hostSpecificity(host, name))),
      )
      if (specificity > (best?.specificity ?? 0)) best = { service, gateway: at, specificity }
    }
    return best
  }

  function upstream(target: Target, port: number): Upstream | undefined {
    const key = `${target.host}|${target.subset ?? ''}|${target.port ?? ''}|${port}`
    if (!upstreams.has(key)) upstreams.set(key, buildUpstream(target, port))
    return upstreams.get(key)
  }

  function buildUpstream(target: Target, requested: number): Upstream | undefined {
    const service = services.get(target.host)
    const port = service && portFor(service, target.port, requested)
    if (!service || !port) return undefined
    const rule = rules.get(target.host)
    const subset = rule?.spec.subsets?.find(({ name }) => name === target.subset)
    if (target.subset !== undefined && !subset) return undefined
    const { name, namespace = '' } = service.metadata
    return {
      key: `outbound|${port.port}|${target.subset ?? ''}|${target.host}`,
      service: { host: target.host, name, namespace },
      policy: policyFor(rule, subset),
      endpoints: (slices.get(`${namespace}/${name}`) ?? []).flatMap((slice) =>
        endpointsOf(storage, slice, port, subset?.labels),
      ),
    }
  }

  return {
    problems,
    upstream,
    resolve(authority, namespace, gateway) {
      const { host, port } = splitAuthority(authority)
      const named = serviceOfAuthority(host, namespace)
      const fqdn = named && fqdnOf(named)
      const service = fqdn === undefined ? undefined : services.get(fqdn)
      const names = service && fqdn !== undefined ? [fqdn, host] : [host]
      const asked = port === listenerPort() ? undefined : port
      const servicePort = service ? portFor(service, asked, 80)?.port : (asked ?? 80)
      if (servicePort === undefined) return undefined
      const found =
        virtualServiceFor(names, gateway) ?? (gateway === undefined ? virtualServiceFor(names, 'mesh') : undefined)
      if (found) return { routes: routesOf(found.service), port: servicePort, gateway: found.gateway }
      if (!service || fqdn === undefined) return undefined
      return { routes: [defaultRoute(fqdn)], port: servicePort, gateway: 'mesh' }
    },
  }
}

/** The gateway at which the VirtualService takes requests: `mesh` when asked for that, else its first real gateway. */
function boundGateway(service: VirtualService, wanted: 'mesh' | undefined): string | undefined {
  const bound = service.spec.gateways?.length ? service.spec.gateways : ['mesh']
  if (wanted === 'mesh') return bound.includes('mesh') ? 'mesh' : undefined
  const gateway = bound.find((name) => name !== 'mesh')
  return gateway === undefined ? undefined : gatewayName(gateway, service.metadata.namespace ?? '')
}

/** The Service port: the one asked for, or without one the only one, else the fallback if the Service has it, else the first. */
function portFor(service: Service, asked: number | undefined, fallback: number): ServicePort | undefined {
  const ports = service.spec.ports ?? []
  if (asked !== undefined) return ports.find(({ port }) => port === asked)
  return ports.find(({ port }) => port === fallback) ?? ports[0]
}

function slicesByService(storage: Storage): Map<string, EndpointSlice[]> {
  const slices = new Map<string, EndpointSlice[]>()
  for (const object of storage.list(ENDPOINT_SLICES)) {
    const service = object.metadata.labels?.['kubernetes.io/service-name']
    if (!service) continue
    const key = `${object.metadata.namespace}/${service}`
    slices.set(key, [...(slices.get(key) ?? []), view<EndpointSlice>(object)])
  }
  return slices
}

function endpointsOf(
  storage: Storage,
  slice: EndpointSlice,
  servicePort: ServicePort,
  labels: Record<string, string> | undefined,
): Endpoint[] {
  const port = slice.ports?.find(({ name }) => (name ?? '') === (servicePort.name ?? ''))?.port
  if (port === undefined) return []
  return (slice.endpoints ?? []).flatMap(({ addresses, conditions, targetRef }) => {
    const [ip] = addresses
    const object = targetRef?.kind === 'Pod' ? storage.get(PODS, targetRef) : undefined
    if (!ip || !object || conditions?.ready === false) return []
    const pod = view<Pod>(object)
    return isInSubset(pod, labels) ? [{ pod: keyOf(pod), ip, port, peer: peerOfPod(pod) }] : []
  })
}

function byAge(a: { metadata: Pod['metadata'] }, b: { metadata: Pod['metadata'] }): number {
  const left = `${a.metadata.creationTimestamp ?? ''}/${a.metadata.namespace}/${a.metadata.name}`
  const right = `${b.metadata.creationTimestamp ?? ''}/${b.metadata.namespace}/${b.metadata.name}`
  return left < right ? -1 : left > right ? 1 : 0
}

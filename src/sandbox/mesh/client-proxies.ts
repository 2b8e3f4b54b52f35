import type { Labels } from '../cluster/objects.ts'
import { createIstioMetrics, type IstioMetrics, type Peer } from './istio-metrics.ts'
import { type ClientWorkload, INGRESS, labelsOf, peerOfClient } from './peer.ts'

/** The proxy beside one client workload: who it is, and what it has counted. */
export interface ClientProxy {
  id: string
  client: ClientWorkload
  peer: Peer
  labels: Labels
  metrics: IstioMetrics
  gateway: 'mesh' | undefined
}

/** Every client workload that has sent something, by what it says of itself. */
export interface ClientProxies {
  /** The proxy of whoever sent this SOURCE_HEADER; the ingress gateway for clients that do not say, or not legibly. */
  of(header: string | string[] | undefined): ClientProxy
  byId(id: string): ClientProxy | undefined
  all(): ClientProxy[]
}

export function createClientProxies(): ClientProxies {
  const proxies = new Map<string, ClientProxy>()
  const byHeader = new Map<string, ClientProxy>()

  function register(client: ClientWorkload, gateway: 'mesh' | undefined): ClientProxy {
    const id = `${client.namespace}/${client.workload}${client.version ? `/${client.version}` : ''}`
    const known = proxies.get(id)
    if (known) return known
    const proxy = {
      id,
      client,
      gateway,
      peer: peerOfClient(client),
      labels: labelsOf(client),
      metrics: createIstioMetrics(),
    }
    proxies.set(id, proxy)
    return proxy
  }

  const ingress = register(INGRESS, undefined)
  return {
    of(header) {
      if (typeof header !== 'string') return ingress
      const known = byHeader.get(header)
      if (known) return known
      const client = parseClient(header)
      const proxy = client ? register(client, 'mesh') : ingress
      byHeader.set(header, proxy)
      return proxy
    },
    byId: (id) => proxies.get(id),
    all: () => [...proxies.values()],
  }
}

function parseClient(header: string): ClientWorkload | undefined {
  try {
    const value: unknown = JSON.parse(header)
    if (typeof value !== 'object' || value === null) return undefined
    const { workload, namespace, app, version, labels } = value as Record<string, unknown>
    if (typeof workload !== 'string' || typeof namespace !== 'string') return undefined
    return {
      workload,
      namespace,
      ...(typeof app === 'string' ? { app } : {}),
      ...(typeof version === 'string' ? { version } : {}),
      ...(typeof labels === 'object' && labels !== null ? { labels: labels as Labels } : {}),
    }
  } catch {
    return undefined
  }
}

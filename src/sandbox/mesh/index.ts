import { Agent } from 'node:http'
import { keyOf } from '../../kube/object.ts'
import type { Runtime } from '../../runtime.ts'
import type { Storage } from '../apiserver/storage.ts'
import type { ClusterRuntime, RunningPod } from '../cluster/index.ts'
import { listen } from '../cluster/kubelet/listener.ts'
import { ENDPOINT_SLICES, type Labels, PODS, SERVICES } from '../cluster/objects.ts'
import { createClientProxies } from './client-proxies.ts'
import { labelName } from './exposition.ts'
import { createPropagation } from './propagation.ts'
import { createProxy } from './proxy.ts'
import { randomStream } from './random.ts'
import {
  buildRoutingTable,
  DESTINATION_RULES,
  type MeshProblem,
  type RoutingTable,
  VIRTUAL_SERVICES,
} from './routing-table.ts'
import { injectSidecar, type PodSidecar } from './sidecar.ts'

export { type Load, startLoad } from './load.ts'
export { type ClientWorkload, SOURCE_HEADER, sourceHeader } from './peer.ts'
export type { MeshProblem } from './routing-table.ts'

export interface MeshOptions {
  storage: Storage
  /** The pods to put sidecars beside. */
  cluster: Pick<ClusterRuntime, 'onPod'>
  runtime: Runtime
  /** Repeats splits and balancing; 1 unless told. */
  seed?: number
  /** Quiet time after which a change of configuration takes effect; 100 ms as in Istio, 0 for at once. */
  propagationMs?: number
  /** The port to listen on; any free one unless told. */
  port?: number
}

/** One place Prometheus scrapes, with the labels that service discovery would put on it. */
export interface MeshTarget {
  job: string
  instance: string
  labels: Labels
  url: string
}

/** A running mesh. */
export interface Mesh {
  /** Where clients send requests; the Host header says which Service they mean. */
  url: string
  /** One target per pod sidecar and per client workload seen so far. */
  targets(): MeshTarget[]
  /** Objects whose configuration cannot work. */
  problems(): MeshProblem[]
  /** Resolves when every change stored so far is in effect. */
  settled(): Promise<void>
  stop(): Promise<void>
}

/** The annotation that keeps the sidecar away from a pod, as in Istio. */
const INJECT = 'sidecar.istio.io/inject'

/**
 * Starts an Istio-like mesh over the stored VirtualServices, DestinationRules, Services and endpoints: one listener through which every
 * client workload's requests go (each counted by that workload's own proxy, reporter=source), and a sidecar beside every pod of the
 * cluster (reporter=destination).
 */
export async function startMesh(options: MeshOptions): Promise<Mesh> {
  const { storage, cluster, runtime, seed = 1, propagationMs = 100 } = options
  const clients = createClientProxies()
  const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY, maxFreeSockets: 64 })
  const running = new Map<string, RunningPod>()
  const sidecars = new Map<RunningPod, Promise<PodSidecar | undefined>>()
  const ready = new Map<RunningPod, PodSidecar>()
  const unserved: MeshProblem[] = []
  let table: RoutingTable | undefined
  let port = 0

  const propagation = createPropagation(runtime, propagationMs, () => {
    // What is delivered is the state of this moment; only a mesh without any delay may wait until somebody asks.
    table = propagationMs > 0 ? buildRoutingTable(storage, () => port) : undefined
  })

  function currentTable(): RoutingTable {
    table ??= buildRoutingTable(storage, () => port)
    return table
  }

  const handler = createProxy({
    runtime,
    clients,
    table: currentTable,
    agent,
    splitRandom: randomStream(seed, 'split'),
    balanceRandom: randomStream(seed, 'balance'),
    addressOf: ({ pod, ip, port }) => running.get(pod)?.server.addressOf(port) ?? { host: ip, port },
  })
  const listener = await listen('127.0.0.1', options.port ?? 0, handler)
  port = listener.address.port
  const stats = await listen('127.0.0.1', 0, (request, response) => {
    const id = decodeURIComponent(/^\/proxies\/([^/]+)\/stats\/prometheus$/.exec(request.url ?? '')?.[1] ?? '')
    const proxy = clients.byId(id)
    response.writeHead(proxy ? 200 : 404, { 'content-type': 'text/plain; version=0.0.4' })
    response.end(proxy ? proxy.metrics.render() : 'no such proxy\n')
  })
  const statsUrl = `http://${stats.address.host}:${stats.address.port}`

  const unsubscribes = [VIRTUAL_SERVICES, DESTINATION_RULES, SERVICES, ENDPOINT_SLICES].map((ref) =>
    storage.subscribe(ref, () => propagation.changed()),
  )
  // Labels decide about subsets; everything else about a pod reaches the mesh through its endpoints.
  unsubscribes.push(
    storage.subscribe(PODS, (type, object) => {
      const before = running.get(keyOf(object))?.pod().metadata.labels
      if (type === 'MODIFIED' && before && before !== object.metadata.labels) {
        if (JSON.stringify(before) !== JSON.stringify(object.metadata.labels)) propagation.changed()
      }
    }),
  )
  unsubscribes.push(
    cluster.onPod((type, pod) => {
      const key = keyOf(pod.pod())
      if (type === 'STOPPED') {
        if (running.get(key) === pod) running.delete(key)
        void eject(pod)
        return
      }
      running.set(key, pod)
      if (isInjected(pod)) sidecars.set(pod, inject(pod))
    }),
  )

  async function inject(pod: RunningPod): Promise<PodSidecar | undefined> {
    try {
      const sidecar = await injectSidecar(pod, clients, () => runtime.monotonic())
      if (sidecars.has(pod)) ready.set(pod, sidecar)
      return sidecar
    } catch (error) {
      const message = `its sidecar's statistics cannot be served: ${(error as Error).message}`
      unserved.push({ object: `Pod ${keyOf(pod.pod())}`, message })
      return undefined
    }
  }

  async function eject(pod: RunningPod): Promise<void> {
    const injected = sidecars.get(pod)
    sidecars.delete(pod)
    ready.delete(pod)
    const sidecar = await injected
    await sidecar?.stop()
  }

  return {
    url: `http://127.0.0.1:${port}`,
    problems: () => [...currentTable().problems, ...unserved],
    settled: () => propagation.settled(),
    targets: () => [
      ...clients.all().map(({ id, client, labels }) => ({
        job: 'envoy-stats',
        instance: `${client.workload}.${client.namespace}:15090`,
        labels: { ...promLabels(labels), namespace: client.namespace, pod: `${client.workload}-0` },
        url: `${statsUrl}/proxies/${encodeURIComponent(id)}/stats/prometheus`,
      })),
      ...[...ready.values()].map(({ statsUrl, running }) => {
        const { metadata } = running.pod()
        return {
          job: 'envoy-stats',
          instance: `${running.server.ip}:15090`,
          labels: { ...promLabels(metadata.labels ?? {}), namespace: metadata.namespace ?? '', pod: metadata.name },
          url: statsUrl,
        }
      }),
    ],
    async stop() {
      for (const unsubscribe of unsubscribes) unsubscribe()
      propagation.stop()
      await Promise.all([listener.close(), stats.close(), ...[...sidecars.keys()].map(eject)])
      agent.destroy()
    },
  }
}

function isInjected(pod: RunningPod): boolean {
  const { labels, annotations } = pod.pod().metadata
  return labels?.[INJECT] !== 'false' && annotations?.[INJECT] !== 'false'
}

function promLabels(labels: Labels): Labels {
  return Object.fromEntries(Object.entries(labels).map(([key, value]) => [labelName(key), value]))
}

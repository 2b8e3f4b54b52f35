import { Agent, request as httpRequest } from 'node:http'
import type { KubeObject } from '../../../src/kube/object.ts'
import { systemRuntime } from '../../../src/runtime.ts'
import type { Storage } from '../../../src/sandbox/apiserver/storage.ts'
import { type ClusterRuntime, startCluster } from '../../../src/sandbox/cluster/index.ts'
import {
  DEPLOYMENTS,
  ENDPOINT_SLICES,
  type EndpointSlice,
  SERVICES,
  view,
} from '../../../src/sandbox/cluster/objects.ts'
import {
  type ClientWorkload,
  type Mesh,
  SOURCE_HEADER,
  sourceHeader,
  startMesh,
} from '../../../src/sandbox/mesh/index.ts'
import type { HttpRoute } from '../../../src/sandbox/mesh/virtual-service.ts'
import { DESTINATION_RULES, deployment, eventually, service, testStorage, VIRTUAL_SERVICES } from '../cluster/world.ts'

/** A client workload of the mesh. */
export const WEB: ClientWorkload = { workload: 'web', namespace: 'shop', app: 'web', version: 'v7' }

export interface Answer {
  status: number
  headers: Record<string, string | string[] | undefined>
  body: string
}

/** A request through the mesh. */
export interface Ask {
  path?: string
  host?: string
  method?: string
  headers?: Record<string, string>
  body?: string
  source?: ClientWorkload | 'outside'
  /** Go away after this long. */
  giveUpMs?: number
}

/** One time series of Istio's metrics. */
interface Sample {
  name: string
  labels: Record<string, string>
  value: number
}

/** Storage, pods and mesh of two versions of `checkout` in `shop`, subsets v1 and v2. */
export interface MeshWorld {
  storage: Storage
  cluster: ClusterRuntime
  mesh: Mesh
  ask(ask?: Ask): Promise<Answer>
  samples(): Promise<Sample[]>
  /** Sum of istio_requests_total over the series with these labels. */
  count(labels: Record<string, string>): Promise<number>
  /** Replaces the routes of the VirtualService `checkout`. */
  route(http: HttpRoute[], spec?: Record<string, unknown>): void
  rule(spec: Record<string, unknown>): void
  version(name: string, env?: Record<string, string>, replicas?: number): Promise<void>
  ready(version: string, pods: number): Promise<void>
  stop(): Promise<void>
}

export async function meshWorld(options: { seed?: number; propagationMs?: number } = {}): Promise<MeshWorld> {
  const storage = testStorage()
  const { seed = 1, propagationMs = 0 } = options
  const runtime = systemRuntime
  const cluster = startCluster({ storage, runtime, seed, crashBackOffMs: 60_000 })
  const mesh = await startMesh({ storage, cluster, runtime, seed, propagationMs })
  const agent = new Agent({ keepAlive: true })
  storage.create(SERVICES, service('checkout', { app: 'checkout' }))

  function put(ref: typeof VIRTUAL_SERVICES, kind: string, spec: Record<string, unknown>): void {
    const metadata = { name: 'checkout', namespace: 'shop' }
    const object: KubeObject = { apiVersion: 'networking.istio.io/v1', kind, metadata, spec }
    const live = storage.get(ref, metadata)
    if (live) storage.update(ref, { ...live, spec })
    else storage.create(ref, object)
  }

  const world: MeshWorld = {
    storage,
    cluster,
    mesh,
    ask: (ask = {}) => askThrough(mesh.url, agent, ask),
    async samples() {
      const pages = await Promise.all(mesh.targets().map(async ({ url }) => (await fetch(url)).text()))
      return pages.flatMap(parse)
    },
    async count(labels) {
      const wanted = Object.entries(labels)
      return (await world.samples())
        .filter(({ name }) => name === 'istio_requests_total')
        .filter((sample) => wanted.every(([label, value]) => sample.labels[label] === value))
        .reduce((sum, { value }) => sum + value, 0)
    },
    route: (http, spec = {}) => put(VIRTUAL_SERVICES, 'VirtualService', { hosts: ['checkout'], http, ...spec }),
    rule: (spec) => put(DESTINATION_RULES, 'DestinationRule', { host: 'checkout', ...spec }),
    async version(name, env = {}, replicas = 1) {
      const labels = { app: 'checkout', version: name }
      const image = `registry.example/checkout:${name}`
      storage.create(DEPLOYMENTS, deployment({ name: `checkout-${name}`, labels, image, env, replicas }))
    },
    async ready(version, pods) {
      await eventually(() => {
        const [slice] = storage.list(ENDPOINT_SLICES).map((object) => view<EndpointSlice>(object))
        const ready = (slice?.endpoints ?? []).filter(
          ({ conditions, targetRef }) => conditions?.ready && targetRef?.name.startsWith(`checkout-${version}-`),
        )
        const injected = mesh.targets().filter(({ labels }) => labels.version === version)
        return ready.length === pods && injected.length >= pods
      })
    },
    async stop() {
      agent.destroy()
      await mesh.stop()
      await cluster.stop()
    },
  }
  world.rule({ subsets: ['v1', 'v2', 'v3'].map((name) => ({ name, labels: { version: name } })) })
  return world
}

/** A weighted route between two subsets. */
export function split(v1: number, v2: number, more: Partial<HttpRoute> = {}): HttpRoute {
  return { route: [to('v1', v1), to('v2', v2)], ...more }
}

export function to(subset: string, weight?: number) {
  return { destination: { host: 'checkout', subset }, ...(weight === undefined ? {} : { weight }) }
}

function askThrough(url: string, agent: Agent, ask: Ask): Promise<Answer> {
  const { path = '/', host = 'checkout', method = 'GET', source = WEB, body, giveUpMs } = ask
  const headers = {
    host,
    ...ask.headers,
    ...(source === 'outside' ? {} : { [SOURCE_HEADER]: sourceHeader(source) }),
    ...(body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }),
  }
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(url)
    const outgoing = httpRequest({ hostname, port, agent, path, method, headers, setHost: false }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: Buffer.concat(chunks).toString(),
        }),
      )
    })
    outgoing.on('error', reject)
    if (giveUpMs !== undefined) setTimeout(() => outgoing.destroy(new Error('gave up')), giveUpMs)
    outgoing.end(body)
  })
}

function parse(page: string): Sample[] {
  return page
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [, name = '', inner = '', value = ''] = /^(\w+)\{(.*)\} (\S+)$/.exec(line) ?? []
      const labels = [...inner.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, label, text]) => [label, text])
      return { name, labels: Object.fromEntries(labels), value: Number(value) }
    })
}

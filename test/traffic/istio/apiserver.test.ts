import { afterAll, describe, expect, test } from 'vitest'
import { connect, type KubeClient } from '../../../src/kube/client.ts'
import { connectionTo, type KubeConnection } from '../../../src/kube/connection.ts'
import type { KubeObject, Resource } from '../../../src/kube/object.ts'
import type { ObjectReader } from '../../../src/kube/reader.ts'
import { resources } from '../../../src/kube/resources.ts'
import { systemRuntime } from '../../../src/runtime.ts'
import { type ApiServer, startApiServer } from '../../../src/sandbox/apiserver/index.ts'
import { createIstioRouter } from '../../../src/traffic/istio/router.ts'
import { type RealServer, realServer } from '../../conformance/apiserver.real.ts'
import { type RouterWorld, routerConformance, type Weights } from '../../conformance/router.conformance.ts'
import { destinationRule, key, namespace, to, traffic, virtualService } from './objects.ts'
import { routesWith, weightsOf } from './weights.ts'

const servers: { stop(): Promise<void> }[] = []
const clients: KubeClient[] = []

afterAll(async () => {
  for (const client of clients) client.close()
  for (const server of servers) await server.stop()
})

interface Cluster {
  client: KubeClient
  reader: ObjectReader
  /** Reads everything anew into the caches. */
  sync(): Promise<void>
}

async function sandbox(): Promise<Cluster & { server: ApiServer }> {
  const server = await startApiServer()
  servers.push(server)
  return { server, ...(await cluster(connectionTo(server.url, { token: server.token() }))) }
}

/** A cluster with an empty namespace `shop`, Istio's CRDs, and caches that are read on demand. */
async function cluster(connection: KubeConnection): Promise<Cluster> {
  const client = connect({ connection, runtime: systemRuntime, userAgent: 'test' })
  clients.push(client)
  if (!(await client.get(resources.namespaces, { name: namespace }))) {
    await client.create(resources.namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } })
  }
  for (const resource of [resources.virtualServices, resources.destinationRules]) {
    await install(client, resource)
    for (const { metadata } of (await client.list(resource, { namespace })).items) {
      await client.delete(resource, { namespace, name: metadata.name })
    }
  }
  let cached = new Map<string, KubeObject[]>()
  return {
    client,
    reader: {
      get: (resource, { name }) => cached.get(resource.plural)?.find((o) => o.metadata.name === name),
      list: (resource) => cached.get(resource.plural) ?? [],
    },
    async sync() {
      const read = async (resource: Resource) => (await client.list(resource, { namespace })).items
      cached = new Map([
        ['virtualservices', await read(resources.virtualServices)],
        ['destinationrules', await read(resources.destinationRules)],
      ])
    },
  }
}

/** Istio's CRD as far as weights go, unless the server brings its own: lists without a merge key, three versions of one content. */
async function install(client: KubeClient, resource: Resource): Promise<void> {
  if (await client.resourceFor(`${resource.group}/v1`, resource.kind)) return
  const open = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true }
  const routes = { type: 'array', items: open }
  const schema = {
    openAPIV3Schema: {
      type: 'object',
      properties: { spec: { ...open, properties: { http: routes, tcp: routes, tls: routes } } },
    },
  }
  const version = (name: string) => ({ name, served: true, storage: name === 'v1', schema })
  await client.create(resources.customResourceDefinitions, {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${resource.plural}.${resource.group}` },
    spec: {
      group: resource.group,
      scope: 'Namespaced',
      names: { plural: resource.plural, singular: resource.kind.toLowerCase(), kind: resource.kind },
      versions: ['v1', 'v1beta1', 'v1alpha3'].map(version),
    },
  })
  for (let i = 0; i < 100; i++) {
    const crd = await client.get(resources.customResourceDefinitions, { name: `${resource.plural}.${resource.group}` })
    if (JSON.stringify(crd?.status ?? {}).includes('"Established","status":"True"')) return
    await systemRuntime.sleep(10)
  }
}

async function world({ client, reader, sync }: Cluster, weights: Weights): Promise<RouterWorld> {
  const live = async () => (await client.get(resources.virtualServices, key))!
  await client.create(resources.destinationRules, destinationRule())
  const object = virtualService({ http: routesWith(weights) })
  await client.create(resources.virtualServices, object, { fieldManager: 'flux' })
  return {
    router: createIstioRouter({ client, reader }),
    namespace,
    spec: (routes) => traffic(routes),
    weights: async () => weightsOf(await live()),
    async interfere(changes, manager) {
      const current = await live()
      const spec = { ...Object(current.spec), http: routesWith({ ...weightsOf(current), ...changes }) }
      await client.replace(resources.virtualServices, { ...current, spec }, { fieldManager: manager })
    },
    async touch() {
      const body = { metadata: { labels: { touched: 'yes' } } }
      await client.patch(resources.virtualServices, key, { type: 'merge', body }, { fieldManager: 'somebody' })
    },
    settle: sync,
    stop: async () => {},
  }
}

routerConformance('istio, on the sandbox', async (weights) => world(await sandbox(), weights))

const start = realServer()
if (start) {
  let real: RealServer | undefined
  routerConformance('istio, on a real API server', async (weights) => {
    real ??= await start()
    if (!servers.includes(real)) servers.push(real)
    return world(await cluster(await real.connection()), weights)
  })
} else test.skip('the Istio router on a real API server (none given)', () => {})

describe('against an API server', () => {
  test('a retreat costs one request and needs no fresh cache', async () => {
    const { server, client, reader, sync } = await sandbox()
    await client.create(
      resources.virtualServices,
      virtualService({ http: routesWith({ primary: { v1: 90, v2: 10 } }) }),
    )
    await sync()
    const body = { metadata: { annotations: { touched: 'yes' } } }
    await client.patch(resources.virtualServices, key, { type: 'merge', body }, { fieldManager: 'somebody' })
    const requests: string[] = []
    server.onRequest(({ verb, status }) => requests.push(`${verb} ${status}`))
    const answer = await createIstioRouter({ client, reader }).setWeight(traffic(), namespace, {
      kind: 'setWeight',
      direction: 'retreat',
      stable: 'v1',
      canary: 'v2',
      weight: 0,
      reason: 'NoReadyPods',
    })
    expect(answer).toMatchObject({ ok: true, changed: true })
    expect(requests).toEqual(['patch 200'])
    const live = await client.get(resources.virtualServices, key)
    expect(weightsOf(live)).toEqual({ primary: { v1: 100, v2: 0 } })
    expect(live?.metadata.annotations).toEqual({ owner: 'team-checkout', touched: 'yes' })
  })

  test('fifty concurrent writers cannot keep a retreat from happening', async () => {
    const { client, reader, sync } = await sandbox()
    const route = [to('v1', 90), to('v2', 10)]
    await client.create(resources.virtualServices, virtualService({ http: [{ name: 'primary', route }] }))
    await sync()
    const noise = Array.from({ length: 50 }, (_, i) => {
      const body = { metadata: { annotations: { [`n${i}`]: 'x' } } }
      return client.patch(resources.virtualServices, key, { type: 'merge', body }, { fieldManager: `writer-${i}` })
    })
    const router = createIstioRouter({ client, reader })
    const retreat = { kind: 'setWeight', direction: 'retreat', stable: 'v1', canary: 'v2', weight: 0 } as const
    expect(await router.setWeight(traffic(), namespace, retreat)).toMatchObject({ ok: true })
    await Promise.all(noise)
    const live = await client.get(resources.virtualServices, key)
    expect(weightsOf(live)).toEqual({ primary: { v1: 100, v2: 0 } })
    expect(Object.keys(live?.metadata.annotations ?? {})).toHaveLength(51)
  })

  test('an unreachable server is worth another try', async () => {
    const { server, client, reader, sync } = await sandbox()
    await client.create(
      resources.virtualServices,
      virtualService({ http: routesWith({ primary: { v1: 90, v2: 10 } }) }),
    )
    await sync()
    await server.stop()
    for (const direction of ['forward', 'retreat'] as const) {
      const write = { kind: 'setWeight', direction, stable: 'v1', canary: 'v2', weight: 0 } as const
      const answer = await createIstioRouter({ client, reader }).setWeight(traffic(), namespace, write)
      expect(answer).toMatchObject({ ok: false, transient: true, problem: { reason: 'ApiUnreachable' } })
    }
  })
})

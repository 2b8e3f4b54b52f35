import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { stringify as toYaml } from 'yaml'
import { type Runtime, systemRuntime } from '../../runtime.ts'
import { type Admission, createAdmission } from './admission.ts'
import { adminToken, adminUser, anonymousUser, type Tokens } from './authentication.ts'
import { type Authorizer, alwaysAllow, rbacAuthorizer } from './authorization.ts'
import { builtinTypes } from './builtin/types.ts'
import { runCrdController } from './crd-controller.ts'
import { gatewayApiCrds } from './crds/gateway-api.ts'
import { istioCrds } from './crds/istio.ts'
import { linkerdCrds } from './crds/linkerd.ts'
import { createEncoder } from './encoding.ts'
import { createFaults, type Faults } from './faults.ts'
import { runGarbageCollector } from './garbage-collector.ts'
import { createHandler, type RequestRecord } from './http-handler.ts'
import { validateVirtualService } from './istio-validation.ts'
import { runNamespaceController } from './namespace-controller.ts'
import { createObjectStore, type ObjectStore } from './object-store.ts'
import { createPipeline } from './pipeline.ts'
import { runPolicies } from './policies.ts'
import { createRegistry, type Registry } from './registry.ts'
import type { UserInfo } from './request-context.ts'
import { createStorage, type Storage } from './storage.ts'
import { createWatches } from './watch.ts'

export type { Fault, Faults, FaultTarget } from './faults.ts'
export type { RequestRecord } from './http-handler.ts'
export type { UserInfo } from './request-context.ts'
export { ApiError } from './status.ts'
export type { ResourceRef, Storage } from './storage.ts'

export interface ApiServerOptions {
  /** 0 (the default) takes a free one. Always on 127.0.0.1. */
  port?: number
  /** Bearer tokens besides the administrator's. */
  tokens?: Tokens
  runtime?: Runtime
  /** Authorize requests by the stored RBAC objects; without it everybody may do everything. */
  rbac?: boolean
  /**
   * Who a request without credentials is. The administrator unless told, because kubectl sends no token over plain
   * HTTP; with `rbac`, nobody (`system:anonymous`).
   */
  anonymous?: UserInfo
  /** Events kept per resource for watches to resume from. */
  eventLogSize?: number
  bookmarkIntervalMs?: number
  /** Install the CRDs of Istio, the Gateway API and Linkerd. On unless told. */
  meshCrds?: boolean
  /** Refuse VirtualServices that Istio's webhook would refuse. On unless told. */
  istioValidation?: boolean
}

export interface ApiServer {
  url: string
  storage: Storage
  admission: Admission
  faults: Faults
  /** The bearer token of a user of `tokens`, or of the administrator. */
  token(username?: string): string
  /** A kubeconfig (YAML) for the administrator, or for a user of `tokens`. */
  kubeconfig(username?: string): string
  /** Hears every answered request until the returned function is called. */
  onRequest(listener: (record: RequestRecord) => void): () => void
  /** Forgets the event logs: every watch that resumes from before now is answered 410. */
  compact(): void
  /** Cuts all connections, refuses new ones for `downMs`, comes back on the same port with the same data. */
  restart(options?: { downMs?: number }): Promise<void>
  stop(): Promise<void>
}

/** Starts a Kubernetes API server in this process, over plain HTTP on loopback. */
export async function startApiServer(options: ApiServerOptions = {}): Promise<ApiServer> {
  const runtime = options.runtime ?? systemRuntime
  const tokens: Tokens = { [adminToken]: adminUser, ...options.tokens }
  const store = createObjectStore(options.eventLogSize)
  const registry = createRegistry()
  for (const type of builtinTypes()) registry.set(type)
  const admission = createAdmission()
  const pipeline = createPipeline({ store, registry, admission, runtime })
  const storage = createStorage({ store, registry, pipeline })
  const watches = createWatches(options.bookmarkIntervalMs ?? 30_000)
  const faults = createFaults(runtime.random, () => watches.open)
  const authorizer = options.rbac ? rbacAuthorizer(store) : alwaysAllow
  const stopControllers = runControllers({
    store,
    registry,
    admission,
    authorizer,
    storage,
    pipeline,
    runtime,
    options,
  })

  const listeners = new Set<(record: RequestRecord) => void>()
  const parts = {
    store,
    registry,
    pipeline,
    encoder: createEncoder(),
    faults,
    watches,
    authorizer,
    tokens,
    anonymous: options.anonymous ?? (options.rbac ? anonymousUser : adminUser),
    runtime,
  }
  const handle = createHandler(parts, {
    onRequest: (record) => {
      for (const listener of listeners) listener(record)
    },
    sleep: (ms) => runtime.sleep(ms),
  })
  const newServer = () =>
    createServer({ keepAliveTimeout: 65_000 }, (request, response) =>
      handle(request, response).catch(() => request.socket.destroy()),
    )
  let server = newServer()
  const port = await listen(server, options.port ?? 0)
  const url = `http://127.0.0.1:${port}`

  function token(username = adminUser.username): string {
    const found = Object.entries(tokens).find(([, user]) => user.username === username)
    if (!found) throw new Error(`no bearer token belongs to ${username}: name it in the server's tokens`)
    return found[0]
  }

  return {
    url,
    storage,
    admission,
    faults,
    token,
    kubeconfig: (username) => kubeconfig(url, username ?? adminUser.username, token(username)),
    onRequest(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    compact: () => store.compact(),
    async restart({ downMs = 0 } = {}) {
      await close(server)
      await runtime.sleep(downMs)
      server = newServer()
      await listen(server, port)
    },
    async stop() {
      stopControllers()
      watches.stop()
      await close(server)
    },
  }
}

interface ControllerParts {
  store: ObjectStore
  registry: Registry
  admission: Admission
  authorizer: Authorizer
  storage: Storage
  pipeline: ReturnType<typeof createPipeline>
  runtime: Runtime
  options: ApiServerOptions
}

function runControllers(parts: ControllerParts) {
  const { store, registry, storage, pipeline, admission, authorizer, runtime, options } = parts
  const stops = [
    runCrdController(store, registry, runtime),
    runNamespaceController({ store, registry, pipeline, admission, storage, runtime }),
    runGarbageCollector({ store, registry, pipeline }),
    runPolicies(admission, store, registry, authorizer),
  ]
  for (const name of ['default', 'kube-system', 'kube-public', 'kube-node-lease']) {
    const metadata = { name }
    storage.create({ group: '', plural: 'namespaces' }, { apiVersion: 'v1', kind: 'Namespace', metadata })
  }
  if (options.meshCrds !== false) {
    for (const crd of [...istioCrds(), ...gatewayApiCrds(), ...linkerdCrds()]) {
      storage.create({ group: 'apiextensions.k8s.io', plural: 'customresourcedefinitions' }, crd)
    }
  }
  if (options.istioValidation !== false) stops.push(admission.addValidating(validateVirtualService))
  return () => {
    for (const stop of stops) stop()
  }
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', () => {
      server.off('error', reject)
      const address = server.address()
      if (!isAddress(address)) reject(new Error('the API server has no TCP address'))
      else resolve(address.port)
    })
  })
}

function isAddress(address: AddressInfo | string | null): address is AddressInfo {
  return typeof address === 'object' && address !== null
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}

function kubeconfig(server: string, user: string, token: string): string {
  return toYaml({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'sandbox',
    clusters: [{ name: 'sandbox', cluster: { server } }],
    users: [{ name: user, user: { token } }],
    contexts: [{ name: 'sandbox', context: { cluster: 'sandbox', user, namespace: 'default' } }],
  })
}

import { rolloutSpec } from '../../../src/api/rollout.ts'
import type { RevisionRecord } from '../../../src/api/status.ts'
import { connect } from '../../../src/kube/client.ts'
import { connectionTo } from '../../../src/kube/connection.ts'
import { fieldAt } from '../../../src/kube/field.ts'
import type { KubeObject } from '../../../src/kube/object.ts'
import type { ObjectReader } from '../../../src/kube/reader.ts'
import type { DeploymentEffect } from '../../../src/plan/effects.ts'
import { deploymentRevision, templateContent } from '../../../src/plan/revision.ts'
import { systemRuntime } from '../../../src/runtime.ts'
import { type ApiServer, type RequestRecord, startApiServer } from '../../../src/sandbox/apiserver/index.ts'
import { type ClusterRuntime, startCluster } from '../../../src/sandbox/cluster/index.ts'
import { createDeploymentHands } from '../../../src/workload/deployment/hands.ts'
import { createLatch, type Latch } from '../../../src/workload/deployment/latch.ts'
import type { DeploymentHands, HandsResult, HandsTarget } from '../../../src/workload/hands.ts'
import { latchObjects, SLUICE } from './latch-policy.ts'

export const DEPLOYMENTS = { group: 'apps', plural: 'deployments' }
export const REPLICA_SETS = { group: 'apps', plural: 'replicasets' }
export const PODS = { group: '', plural: 'pods' }
export const HPAS = { group: 'autoscaling', plural: 'horizontalpodautoscalers' }
export const BUDGETS = { group: 'policy', plural: 'poddisruptionbudgets' }
const ISTIO = 'networking.istio.io'

/** A cluster with the latch, controllers and pods, and the hands of Deployment mode on it over HTTP. */
export interface HandsWorld {
  api: ApiServer
  hands: DeploymentHands
  latch: Latch
  /** Keys of Rollouts that were told of an answer about the latch. */
  answered: string[]
  /** Stops being leader, or is it again. */
  lead(isLeader: boolean): void
  /** A scene of its own: everything in one namespace. */
  scene(over?: SceneOver): Scene
  /** What was asked of the API server while `run` ran, `GET deployments web` and so on. */
  requests(run: () => Promise<unknown>): Promise<string[]>
  stop(): Promise<void>
}

export interface SceneOver {
  replicas?: number
  /** More of the Deployment's spec. */
  spec?: Record<string, unknown>
  /** The container, besides name and image. */
  container?: Record<string, unknown>
  /** Labels of the selector besides app. */
  selector?: Record<string, string>
  /** Two Services as destinations instead of two subsets. */
  services?: boolean
  latch?: 'Admission' | 'Pause'
}

/** One namespace with a Deployment `web`, what routes to it, and what is done to it. */
export interface Scene {
  namespace: string
  target: HandsTarget
  act(effect: DeploymentEffect): Promise<HandsResult>
  get(ref: { group: string; plural: string }, name: string): KubeObject | undefined
  list(ref: { group: string; plural: string }): KubeObject[]
  /** The user's Deployment, and the canary's. */
  user(): KubeObject
  canary(): KubeObject | undefined
  /** A person changes an object. */
  edit(ref: { group: string; plural: string }, name: string, patch: Record<string, unknown>): KubeObject
  create(ref: { group: string; plural: string }, object: Record<string, unknown>): KubeObject
  /** A person wants another image. */
  image(image: string): KubeObject
  /** What the Deployment's template is now, as it would be recorded. */
  desired(): RevisionRecord
  /** Images of the pods of a Deployment's ReplicaSets, terminating ones left out. */
  running(deployment?: string): string[]
  until(what: string, test: () => boolean): Promise<void>
}

export async function startWorld(options: { latch?: boolean; exempt?: string } = {}): Promise<HandsWorld> {
  const api = await startApiServer({ tokens: { sluice: { username: SLUICE, groups: ['system:masters'] } } })
  const { storage } = api
  if (options.latch ?? true) {
    for (const object of latchObjects(options.exempt)) {
      const plural = object.kind.endsWith('Binding') ? 'mutatingadmissionpolicybindings' : 'mutatingadmissionpolicies'
      storage.create({ group: 'admissionregistration.k8s.io', plural }, { ...object, ...namesOf(object) })
    }
  }
  const cluster: ClusterRuntime = startCluster({
    storage,
    admission: api.admission,
    runtime: systemRuntime,
    serve: false,
  })
  const client = connect({
    connection: connectionTo(api.url, { token: api.token(SLUICE) }),
    runtime: systemRuntime,
    timeouts: { writeMs: 400, readMs: 400, listMs: 400 },
  })
  const reader: ObjectReader = {
    get: (resource, key) => storage.get(resource, key),
    list: (resource, namespace) => (resource.group === 'sluice.dev' ? [] : storage.list(resource, { namespace })),
  }
  const answered: string[] = []
  const latch = createLatch({
    client,
    runtime: systemRuntime,
    log: { info() {}, warn() {} },
    onAnswer: (key) => answered.push(key),
  })
  let leading = true
  const hands = createDeploymentHands({ client, reader, latch, isLeader: () => leading })
  let serial = 0
  return {
    api,
    hands,
    latch,
    answered,
    lead: (isLeader) => {
      leading = isLeader
    },
    scene: (over = {}) => scene({ api, hands }, `shop-${serial++}`, over),
    async requests(run) {
      const heard: string[] = []
      const stop = api.onRequest((record) => heard.push(described(record)))
      await run()
      stop()
      return heard
    },
    async stop() {
      client.close()
      await cluster.stop()
      await api.stop()
    },
  }
}

function namesOf(object: object): KubeObject {
  return object as KubeObject
}

function described(record: RequestRecord): string {
  const { verb, resource, name } = record
  return [verb, resource, name].filter(Boolean).join(' ')
}

function scene({ api, hands }: { api: ApiServer; hands: DeploymentHands }, namespace: string, over: SceneOver): Scene {
  const { storage } = api
  const create = (ref: { group: string; plural: string }, object: Record<string, unknown>) => {
    const metadata = { namespace, ...(object.metadata as object) }
    return storage.create(ref, { ...object, metadata } as KubeObject)
  }
  const bare = { group: '', plural: 'namespaces' }
  storage.create(bare, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } })
  const service = (name: string, selector: Record<string, string>) =>
    create(
      { group: '', plural: 'services' },
      { apiVersion: 'v1', kind: 'Service', metadata: { name }, spec: { selector, ports: [{ port: 80 }] } },
    )
  if (over.services) {
    service('web-stable', { app: 'web', track: 'stable' })
    service('web-canary', { app: 'web', track: 'canary' })
  } else {
    service('web', { app: 'web' })
    create(
      { group: ISTIO, plural: 'destinationrules' },
      {
        apiVersion: `${ISTIO}/v1`,
        kind: 'DestinationRule',
        metadata: { name: 'web' },
        spec: {
          host: 'web',
          subsets: ['stable', 'canary'].map((name) => ({ name, labels: { track: name } })),
        },
      },
    )
  }
  const destinations = over.services
    ? ['stable', 'canary'].map((name) => ({ destination: { host: `web-${name}` } }))
    : ['stable', 'canary'].map((subset) => ({ destination: { host: 'web', subset } }))
  create(
    { group: ISTIO, plural: 'virtualservices' },
    {
      apiVersion: `${ISTIO}/v1`,
      kind: 'VirtualService',
      metadata: { name: 'web' },
      spec: {
        hosts: ['web'],
        http: [{ route: destinations.map((route, index) => ({ ...route, weight: index === 0 ? 100 : 0 })) }],
      },
    },
  )
  const labels = { app: 'web', track: 'stable' }
  create(DEPLOYMENTS, {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: {
      name: 'web',
      labels: { 'app.kubernetes.io/instance': 'shop' },
      annotations: { owner: 'team-shop' },
    },
    spec: {
      replicas: over.replicas ?? 2,
      selector: { matchLabels: { app: 'web', ...over.selector } },
      template: {
        metadata: { labels },
        spec: { containers: [{ name: 'web', image: 'registry.example/web:1', ...over.container }] },
      },
      ...over.spec,
    },
  })
  const spec = rolloutSpec.parse({
    workload: { deployment: { name: 'web', latch: over.latch ?? 'Admission' } },
    traffic: {
      istio: {
        virtualService: { name: 'web' },
        ...(over.services ? { services: { stable: 'web-stable', canary: 'web-canary' } } : {}),
      },
    },
  })
  const target: HandsTarget = { key: `${namespace}/web`, namespace, rollout: 'web', spec }
  const get: Scene['get'] = (ref, name) => storage.get(ref, { namespace, name })
  const list: Scene['list'] = (ref) => storage.list(ref, { namespace })
  const user = () => {
    const found = get(DEPLOYMENTS, 'web')
    if (!found) throw new Error('there is no Deployment web')
    return found
  }
  const edit: Scene['edit'] = (ref, name, patch) =>
    storage.patchMerge(ref, { namespace, name }, patch, {
      user: { username: 'eve', groups: ['system:masters'] },
      fieldManager: 'kubectl-edit',
    })
  return {
    namespace,
    target,
    act: (effect) => hands.act(target, effect),
    get,
    list,
    user,
    canary: () => get(DEPLOYMENTS, 'web-canary'),
    edit,
    create,
    image: (image) => edit(DEPLOYMENTS, 'web', { spec: { template: templateWith(user(), image) } }),
    desired() {
      const { uid = '', generation = 0 } = user().metadata
      const content = templateContent(fieldAt(user(), 'spec', 'template'))
      return deploymentRevision('web', content, { name: 'web-canary', uid, generation })
    },
    running(deployment = 'web') {
      const uid = get(DEPLOYMENTS, deployment)?.metadata.uid
      const owned = (ref: typeof PODS, owner: string | undefined) =>
        list(ref).filter((object) => object.metadata.ownerReferences?.some((o) => o.uid === owner))
      return owned(REPLICA_SETS, uid)
        .flatMap((set) => owned(PODS, set.metadata.uid))
        .filter((pod) => pod.metadata.deletionTimestamp === undefined)
        .map((pod) => String(fieldAt(pod, 'spec', 'containers', 0, 'image')))
        .sort()
    },
    async until(what, test) {
      const deadline = performance.now() + 15_000
      while (!test()) {
        if (performance.now() > deadline) throw new Error(`never: ${what}`)
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
    },
  }
}

function templateWith(deployment: KubeObject, image: string): Record<string, unknown> {
  const containers = fieldAt(deployment, 'spec', 'template', 'spec', 'containers')
  const [first, ...rest] = Array.isArray(containers) ? containers : []
  return { spec: { containers: [{ ...first, image }, ...rest] } }
}

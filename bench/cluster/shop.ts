import type { ResourceRef, Storage } from '../../src/sandbox/apiserver/index.ts'

/** How the Rollouts of a bench are made. */
export interface ShopOptions {
  rollouts: number
  /** spec.steps and spec.analysis of every Rollout. */
  steps: object[]
  analysis: object
  /** Rollouts in one namespace. */
  perNamespace: number
}

/** One app: where its objects are, and the names of its two Deployments. */
export interface App {
  namespace: string
  name: string
  stable: string
  canary: string
}

export const ROLLOUTS = { group: 'sluice.dev', plural: 'rollouts' }
export const VIRTUAL_SERVICES = { group: 'networking.istio.io', plural: 'virtualservices' }
const NAMESPACES = { group: '', plural: 'namespaces' }
const SERVICES = { group: '', plural: 'services' }
const PODS = { group: '', plural: 'pods' }
const DEPLOYMENTS = { group: 'apps', plural: 'deployments' }
const DESTINATION_RULES = { group: 'networking.istio.io', plural: 'destinationrules' }

/**
 * Stores apps as a cluster has them while nothing happens: two versions of one ready pod each, all traffic on v1, which is
 * desired. No controller of the sandbox runs: pods and statuses are written as they would leave them.
 */
export function storeApps(storage: Storage, options: ShopOptions): App[] {
  const apps = Array.from({ length: options.rollouts }, (_, i): App => {
    const name = `app-${i}`
    return {
      namespace: `team-${Math.floor(i / options.perNamespace)}`,
      name,
      stable: `${name}-v1`,
      canary: `${name}-v2`,
    }
  })
  for (const namespace of new Set(apps.map((app) => app.namespace)))
    storage.create(NAMESPACES, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } })
  for (const app of apps) {
    storeVersion(storage, app, 'v1')
    storeVersion(storage, app, 'v2')
    storeRoute(storage, app)
    create(storage, ROLLOUTS, app, 'sluice.dev/v1alpha1', 'Rollout', app.name, {
      spec: {
        workload: { subsets: { desired: 'v1' } },
        traffic: { istio: { virtualService: { name: app.name }, destinationRule: { name: app.name } } },
        steps: options.steps,
        analysis: options.analysis,
      },
    })
  }
  return apps
}

function storeRoute(storage: Storage, app: App): void {
  const { name } = app
  create(storage, SERVICES, app, 'v1', 'Service', name, { spec: { selector: { app: name }, ports: [{ port: 80 }] } })
  create(storage, DESTINATION_RULES, app, 'networking.istio.io/v1', 'DestinationRule', name, {
    spec: {
      host: name,
      subsets: ['v1', 'v2'].map((version) => ({ name: version, labels: { version } })),
    },
  })
  create(storage, VIRTUAL_SERVICES, app, 'networking.istio.io/v1', 'VirtualService', name, {
    spec: {
      hosts: [name],
      http: [
        {
          name: 'primary',
          route: [
            { destination: { host: name, subset: 'v1' }, weight: 100 },
            { destination: { host: name, subset: 'v2' }, weight: 0 },
          ],
        },
      ],
    },
  })
}

function storeVersion(storage: Storage, app: App, version: string): void {
  const name = `${app.name}-${version}`
  const labels = { app: app.name, version }
  const spec = { containers: [{ name: 'app', image: `registry.example/${app.name}:${version}` }] }
  const deployment = create(storage, DEPLOYMENTS, app, 'apps/v1', 'Deployment', name, {
    spec: { replicas: 1, selector: { matchLabels: labels }, template: { metadata: { labels }, spec } },
  })
  const replicas = { replicas: 1, updatedReplicas: 1, readyReplicas: 1, availableReplicas: 1 }
  storage.updateStatus(DEPLOYMENTS, {
    ...deployment,
    status: { observedGeneration: deployment.metadata.generation, ...replicas },
  })
  const hash = '5d4f8c'
  const pod = storage.create(PODS, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      namespace: app.namespace,
      name: `${name}-${hash}-x`,
      labels: { ...labels, 'pod-template-hash': hash },
    },
    ...{ spec },
  })
  storage.updateStatus(PODS, {
    ...pod,
    status: {
      phase: 'Running',
      conditions: ['Initialized', 'PodScheduled', 'ContainersReady', 'Ready'].map((type) => ({ type, status: 'True' })),
      containerStatuses: [
        { name: 'app', ready: true, restartCount: 0, image: '', imageID: '', state: { running: {} } },
      ],
    },
  })
}

function create(
  storage: Storage,
  ref: ResourceRef,
  { namespace }: App,
  apiVersion: string,
  kind: string,
  name: string,
  body: Record<string, unknown>,
) {
  return storage.create(ref, { apiVersion, kind, metadata: { namespace, name }, ...body })
}

import type { KubeClient } from '../kube/client.ts'
import { preferredVersion } from '../kube/discovery.ts'
import type { KubeObject, ObjectKey, Resource } from '../kube/object.ts'
import { createReflector, type KubeLog, type Reflector } from '../kube/reflector.ts'
import { istioVersions, resourceName, resources } from '../kube/resources.ts'
import type { Runtime } from '../runtime.ts'
import { controllerOf, type FamilyReader } from '../workload/deployment/family.ts'
import {
  slimAutoscaler,
  slimDeployment,
  slimNamespace,
  slimPod,
  slimReplicaSet,
  slimRoute,
  slimService,
} from './slim.ts'

export type Kind =
  | 'rollouts'
  | 'rolloutSources'
  | 'approvals'
  | 'virtualServices'
  | 'destinationRules'
  | 'deployments'
  | 'replicaSets'
  | 'pods'
  | 'horizontalPodAutoscalers'
  | 'services'
  | 'namespaces'

/** Copies of everything a reconcile reads, kept fresh by watches. */
export interface Caches extends FamilyReader {
  start(): void
  stop(): Promise<void>
  /** Resolves when everything has been listed once. A resource that the cluster does not serve yet is not waited for. */
  synced(signal: AbortSignal): Promise<void>
  /** Names of what has not been listed yet. */
  unsynced(): string[]
  of(kind: Kind): Reflector
}

export interface CachesOptions {
  client: KubeClient
  runtime: Runtime
  log: KubeLog
  /** Only these namespaces; all when empty. */
  namespaces: readonly string[]
  onChange(kind: Kind, key: string, object: KubeObject | undefined, previous: KubeObject | undefined): void
}

const followed: Kind[] = [
  'rollouts',
  'rolloutSources',
  'approvals',
  'virtualServices',
  'destinationRules',
  'deployments',
  'replicaSets',
  'pods',
  'horizontalPodAutoscalers',
  'services',
  'namespaces',
]
/** What is kept of objects of which there may be very many; of others, all but their managedFields. */
const slimming: Partial<Record<Kind, (object: KubeObject) => KubeObject | undefined>> = {
  virtualServices: slimRoute,
  pods: slimPod,
  replicaSets: slimReplicaSet,
  horizontalPodAutoscalers: slimAutoscaler,
  services: slimService,
  namespaces: slimNamespace,
  deployments: slimDeployment,
}
/** Only Rollouts of a Deployment need these: where an older role does not allow to read them, those say so and others go on. */
const dispensable: ReadonlySet<Kind> = new Set<Kind>(['replicaSets', 'horizontalPodAutoscalers'])
const istio: readonly Kind[] = ['virtualServices', 'destinationRules']

export function createCaches(options: CachesOptions): Caches {
  const { client, runtime, log, namespaces, onChange } = options
  const reflectors = new Map<Kind, Reflector>()
  const byName = new Map<string, Reflector>()
  for (const kind of followed) {
    const resource = resources[kind]
    const reflector = createReflector({
      client,
      runtime,
      log,
      name: resourceName(resource),
      resource: istio.includes(kind) ? () => preferredVersion(client, resource, istioVersions) : resource,
      ...(namespaces.length > 0 && resource.namespaced ? { namespaces } : {}),
      ...(slimming[kind] ? { transform: slimming[kind] } : {}),
      onChange: (key, object, previous) => onChange(kind, key, object, previous),
    })
    reflectors.set(kind, reflector)
    byName.set(resourceName(resource), reflector)
  }
  const rollouts = of('rollouts')
  rollouts.index('namespace', (object) => [object.metadata.namespace ?? ''])
  for (const kind of [
    'virtualServices',
    'destinationRules',
    'deployments',
    'pods',
    'horizontalPodAutoscalers',
    'services',
    'approvals',
  ] as const) {
    of(kind).index('namespace', (object) => [object.metadata.namespace ?? ''])
  }
  for (const kind of ['replicaSets', 'pods'] as const) {
    of(kind).index('controller', (object) => [controllerOf(object)?.uid ?? orphansOf(object.metadata.namespace)])
  }

  function of(kind: Kind): Reflector {
    const found = reflectors.get(kind)
    if (!found) throw new Error(`${kind} is not followed`)
    return found
  }

  function isAwaited(kind: Kind): boolean {
    const reflector = of(kind)
    if (reflector.hasSynced() || reflector.isMissing()) return false
    return !dispensable.has(kind) || reflector.refusal() === undefined
  }

  return {
    of,
    get: (resource: Resource, key: ObjectKey) =>
      byName.get(resourceName(resource))?.get(key.namespace ? `${key.namespace}/${key.name}` : key.name),
    list: (resource: Resource, namespace: string) =>
      byName.get(resourceName(resource))?.byIndex('namespace', namespace) ?? [],
    controlledBy: (resource: Resource, namespace: string, uid: string) =>
      byName.get(resourceName(resource))?.byIndex('controller', uid || orphansOf(namespace)) ?? [],
    refusal: (resource: Resource) => byName.get(resourceName(resource))?.refusal(),
    start: () => {
      for (const reflector of reflectors.values()) reflector.start()
    },
    stop: async () => {
      await Promise.all([...reflectors.values()].map((reflector) => reflector.stop()))
    },
    unsynced: () => [...reflectors].filter(([kind]) => isAwaited(kind)).map(([kind]) => resourceName(resources[kind])),
    async synced(signal) {
      while (followed.some(isAwaited)) await runtime.sleep(20, signal)
    },
  }
}

/** Under which objects that nobody controls are found; no uid has a slash. */
function orphansOf(namespace: string | undefined): string {
  return `orphans/${namespace ?? ''}`
}

import { parseRolloutSpec } from '../api/parse.ts'
import type { RolloutSpec } from '../api/rollout.ts'
import { type RolloutStatus, rolloutStatus } from '../api/status.ts'
import { SluiceError } from '../errors.ts'
import type { KubeList, ListOptions } from '../kube/client.ts'
import { asKubeError } from '../kube/kube-error.ts'
import type { KubeObject, Resource } from '../kube/object.ts'
import { slim } from '../kube/reflector.ts'
import { resourceName, resources } from '../kube/resources.ts'
import type { Cluster, RolloutName } from './cluster.ts'

/** A Rollout as commands show it. */
export interface Rollout {
  namespace: string
  name: string
  object: KubeObject
  status: RolloutStatus
  /** Undefined when the declared spec cannot be understood. */
  spec: RolloutSpec | undefined
  /** Epoch milliseconds. */
  createdAt: number
  /** The status is about an earlier spec than the one declared now. */
  outdated: boolean
}

/** Reads what is known, and leaves out what another version of Sluice may have written differently. */
export function readRollout(object: KubeObject): Rollout {
  const { namespace = '', name, generation = 0, creationTimestamp } = object.metadata
  const spec = parseRolloutSpec(object.spec)
  const status = readStatus(object.status)
  return {
    namespace,
    name,
    object: slim(object),
    status,
    spec: spec.ok ? spec.value : undefined,
    createdAt: Date.parse(creationTimestamp ?? '') || 0,
    outdated: (status.observedGeneration ?? 0) < generation,
  }
}

function readStatus(status: unknown): RolloutStatus {
  const parsed = rolloutStatus.safeParse(status ?? {})
  if (parsed.success) return parsed.data
  const odd = new Set(parsed.error.issues.map(({ path }) => path[0]))
  if (typeof status !== 'object' || status === null) return {}
  const rest = rolloutStatus.safeParse(Object.fromEntries(Object.entries(status).filter(([field]) => !odd.has(field))))
  return rest.success ? rest.data : {}
}

/** All objects of a kind, page by page. @throws {SluiceError} CrdsMissing; {KubeError}. */
export async function listAll(
  { client, server }: Cluster,
  resource: Resource,
  options: Pick<ListOptions, 'namespace' | 'labelSelector' | 'fieldSelector'>,
): Promise<KubeObject[]> {
  const all: KubeObject[] = []
  let token: string | undefined
  do {
    const page: KubeList = await client
      .list(resource, { ...options, limit: 500, ...(token === undefined ? {} : { continue: token }) })
      .catch((error: unknown) => {
        if (!asKubeError(error)?.isNotFound) throw error
        const message = `the cluster at ${server} does not know ${resourceName(resource)}`
        throw new SluiceError({ reason: 'CrdsMissing', message }, { cause: error })
      })
    all.push(...page.items)
    token = page.continue
  } while (token !== undefined)
  return all
}

/** In the order of their names. @throws {SluiceError} CrdsMissing; {KubeError}. */
export async function listRollouts(cluster: Cluster, namespace: string | undefined): Promise<Rollout[]> {
  const objects = await listAll(cluster, resources.rollouts, namespace === undefined ? {} : { namespace })
  return inOrder(objects.map(readRollout))
}

export function inOrder(rollouts: readonly Rollout[]): Rollout[] {
  const key = ({ namespace, name }: Rollout) => `${namespace}/${name}`
  return [...rollouts].sort((a, b) => (key(a) < key(b) ? -1 : 1))
}

/** @throws {SluiceError} RolloutMissing, naming those that exist; CrdsMissing; {KubeError}. */
export async function findRollout(cluster: Cluster, named: RolloutName): Promise<Rollout> {
  const { namespace = cluster.namespace, name } = named
  const object = await cluster.client.get(resources.rollouts, { namespace, name }).catch((error: unknown) => {
    // A path that the server does not serve at all is no missing object; the list below tells which it is.
    if (!asKubeError(error)?.isNotFound) throw error
    return undefined
  })
  if (object !== undefined) return readRollout(object)
  const names = (await listRollouts(cluster, namespace)).map((rollout) => rollout.name)
  const others = names.length > 10 ? `${names.slice(0, 10).join(', ')} and ${names.length - 10} more` : names.join(', ')
  const there = names.length === 0 ? 'there is none in this namespace' : `there are ${others}`
  throw new SluiceError({ reason: 'RolloutMissing', message: `no Rollout ${namespace}/${name}; ${there}` })
}

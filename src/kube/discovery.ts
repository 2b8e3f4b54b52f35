import type { Runtime } from '../runtime.ts'
import type { KubeClient } from './client.ts'
import { asKubeError } from './kube-error.ts'
import { apiVersionOf, type Resource } from './object.ts'
import { isRecord } from './response.ts'

export interface Discovery {
  resourceFor(apiVersion: string, kind: string): Promise<Resource | undefined>
}

interface GroupVersion {
  readAt: number
  /** Resolves to the resources by kind; empty when the group version is not served. */
  kinds: Promise<Map<string, Resource>>
}

/**
 * What the cluster serves, one group version at a time. An unknown kind is asked for again, but each group version
 * at most every `refreshMs`, so that a missing CRD costs one request now and then. What is known is looked up again after
 * `rememberMs`, because versions of a CRD may cease to be served.
 */
export function createDiscovery(options: {
  runtime: Runtime
  fetch: (path: string) => Promise<unknown>
  refreshMs?: number
  rememberMs?: number
}): Discovery {
  const { runtime, fetch, refreshMs = 2_000, rememberMs = 600_000 } = options
  const cache = new Map<string, GroupVersion>()

  function read(apiVersion: string): GroupVersion {
    const entry: GroupVersion = { readAt: runtime.monotonic(), kinds: readKinds(apiVersion) }
    cache.set(apiVersion, entry)
    // A failed read is no knowledge: the next caller asks again.
    entry.kinds.catch(() => {
      if (cache.get(apiVersion) === entry) cache.delete(apiVersion)
    })
    return entry
  }

  async function readKinds(apiVersion: string): Promise<Map<string, Resource>> {
    const [group, version] = splitApiVersion(apiVersion)
    const path = group === '' ? `/api/${version}` : `/apis/${group}/${version}`
    try {
      return parseResources(await fetch(path), group, version)
    } catch (error) {
      if (asKubeError(error)?.isNotFound) return new Map()
      throw error
    }
  }

  return {
    async resourceFor(apiVersion, kind) {
      const known = cache.get(apiVersion)
      if (!known) return (await read(apiVersion).kinds).get(kind)
      const found = (await known.kinds).get(kind)
      if (runtime.monotonic() - known.readAt < (found ? rememberMs : refreshMs)) return found
      const current = cache.get(apiVersion)
      const again = current && current !== known ? current : read(apiVersion)
      const kinds = await again.kinds.catch((error: unknown) => {
        if (!found) throw error
        // The server is away; what was served a while ago most likely still is.
        cache.set(apiVersion, known)
        return known.kinds
      })
      return kinds.get(kind)
    },
  }
}

/**
 * `resource` at the first of `versions` that the cluster serves, or undefined when it serves none (the CRD is missing).
 * Istio and the Gateway API serve the same content under several versions.
 */
export async function preferredVersion(
  client: Pick<KubeClient, 'resourceFor'>,
  resource: Resource,
  versions: readonly string[],
): Promise<Resource | undefined> {
  for (const version of versions) {
    const found = await client.resourceFor(apiVersionOf({ group: resource.group, version }), resource.kind)
    if (found) return found
  }
  return undefined
}

function splitApiVersion(apiVersion: string): [group: string, version: string] {
  const slash = apiVersion.indexOf('/')
  return slash < 0 ? ['', apiVersion] : [apiVersion.slice(0, slash), apiVersion.slice(slash + 1)]
}

function parseResources(answer: unknown, group: string, version: string): Map<string, Resource> {
  const kinds = new Map<string, Resource>()
  const list = isRecord(answer) && Array.isArray(answer.resources) ? answer.resources : []
  for (const entry of list) {
    if (!isRecord(entry) || typeof entry.name !== 'string' || typeof entry.kind !== 'string') continue
    // `deployments/status` and the like are subresources.
    if (entry.name.includes('/') || kinds.has(entry.kind)) continue
    kinds.set(entry.kind, {
      group,
      version,
      plural: entry.name,
      kind: entry.kind,
      namespaced: entry.namespaced === true,
    })
  }
  return kinds
}

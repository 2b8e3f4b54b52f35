import type { Json } from './json.ts'
import type { Registry } from './registry.ts'
import { apiVersionIn, compareVersions, type ResourceType, type ServedVersion } from './resource-type.ts'

const verbs = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch']

/** One served version of one group, with its resources. */
interface GroupVersion {
  group: string
  version: string
  resources: { type: ResourceType; version: ServedVersion }[]
}

/** The served group-versions: groups by name, versions newest first. */
export function groupVersions(registry: Registry): GroupVersion[] {
  const found = new Map<string, GroupVersion>()
  for (const type of registry.all()) {
    for (const version of type.versions) {
      if (!version.served) continue
      const key = apiVersionIn(type, version.name)
      const entry = found.get(key) ?? { group: type.group, version: version.name, resources: [] }
      entry.resources.push({ type, version })
      found.set(key, entry)
    }
  }
  return [...found.values()].sort((a, b) => a.group.localeCompare(b.group) || compareVersions(b.version, a.version))
}

export function apiVersions(address: string): Json {
  return {
    kind: 'APIVersions',
    versions: ['v1'],
    serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress: address }],
  }
}

export function apiGroupList(registry: Registry): Json {
  const groups = [...new Set(groupVersions(registry).map(({ group }) => group))].filter((group) => group !== '')
  return { kind: 'APIGroupList', apiVersion: 'v1', groups: groups.map((group) => groupEntry(registry, group)) }
}

export function apiGroup(registry: Registry, group: string): Json | undefined {
  const entry = groupEntry(registry, group)
  return entry && { kind: 'APIGroup', apiVersion: 'v1', ...entry }
}

function groupEntry(registry: Registry, group: string): Json | undefined {
  const versions = groupVersions(registry)
    .filter((each) => each.group === group)
    .map(({ version }) => ({ groupVersion: `${group}/${version}`, version }))
  return versions.length === 0 ? undefined : { name: group, versions, preferredVersion: versions[0] }
}

export function apiResourceList(registry: Registry, group: string, version: string): Json | undefined {
  const found = groupVersions(registry).find((each) => each.group === group && each.version === version)
  if (!found) return undefined
  const resources: Json[] = []
  for (const { type, version: served } of found.resources) {
    resources.push({
      name: type.plural,
      singularName: type.singular,
      namespaced: type.namespaced,
      kind: type.kind,
      verbs: type.virtual ? ['create'] : verbs,
      ...(type.shortNames.length > 0 ? { shortNames: type.shortNames } : {}),
      ...(type.categories.length > 0 ? { categories: type.categories } : {}),
      ...(type.virtual ? {} : { storageVersionHash: Buffer.from(`${type.plural}.${type.group}`).toString('base64') }),
    })
    if (served.statusSubresource) {
      const name = `${type.plural}/status`
      resources.push({
        name,
        singularName: '',
        namespaced: type.namespaced,
        kind: type.kind,
        verbs: ['get', 'patch', 'update'],
      })
    }
    if (served.scale) {
      resources.push({
        name: `${type.plural}/scale`,
        singularName: '',
        namespaced: type.namespaced,
        group: 'autoscaling',
        version: 'v1',
        kind: 'Scale',
        verbs: ['get', 'patch', 'update'],
      })
    }
  }
  return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion: apiVersionIn({ group }, version), resources }
}

/** Aggregated discovery: everything of the core group (`/api`) or of all named groups (`/apis`) in one answer. */
export function aggregatedDiscovery(registry: Registry, core: boolean, apiVersion: string): Json {
  const groups = new Map<string, Json[]>()
  for (const each of groupVersions(registry)) {
    if ((each.group === '') !== core) continue
    const versions = groups.get(each.group) ?? []
    versions.push({ version: each.version, freshness: 'Current', resources: each.resources.map(aggregatedResource) })
    groups.set(each.group, versions)
  }
  const items = [...groups].map(([name, versions]) => ({
    metadata: { ...(name ? { name } : {}), creationTimestamp: null },
    versions,
  }))
  return { kind: 'APIGroupDiscoveryList', apiVersion, metadata: {}, items }
}

function aggregatedResource({ type, version }: { type: ResourceType; version: ServedVersion }): Json {
  const responseKind = { group: type.group, version: version.name, kind: type.kind }
  const subresources: Json[] = []
  const patchable = ['get', 'patch', 'update']
  if (version.statusSubresource) subresources.push({ subresource: 'status', responseKind, verbs: patchable })
  if (version.scale) {
    const scale = { group: 'autoscaling', version: 'v1', kind: 'Scale' }
    subresources.push({ subresource: 'scale', responseKind: scale, verbs: patchable })
  }
  return {
    resource: type.plural,
    responseKind,
    scope: type.namespaced ? 'Namespaced' : 'Cluster',
    singularResource: type.singular,
    verbs: type.virtual ? ['create'] : verbs,
    ...(type.shortNames.length > 0 ? { shortNames: type.shortNames } : {}),
    ...(type.categories.length > 0 ? { categories: type.categories } : {}),
    ...(subresources.length > 0 ? { subresources } : {}),
  }
}

/** The apiVersion of aggregated discovery the client accepts, if it asks for it. */
export function acceptsAggregated(accept: string | undefined): string | undefined {
  const match = /g=apidiscovery\.k8s\.io;v=(v2(?:beta1)?);as=APIGroupDiscoveryList/.exec(accept ?? '')
  return match ? `apidiscovery.k8s.io/${match[1]}` : undefined
}

export const serverVersion: Json = {
  major: '1',
  minor: '36',
  gitVersion: 'v1.36.0-sluice-sandbox',
  gitCommit: '0000000000000000000000000000000000000000',
  gitTreeState: 'clean',
  buildDate: '2026-01-01T00:00:00Z',
  goVersion: 'none',
  compiler: 'node',
  platform: 'linux/amd64',
}

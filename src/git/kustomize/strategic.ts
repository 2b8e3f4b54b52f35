import { isLeaf, type Traced, type TracedMap, textOf } from '../traced.ts'
import type { Kind } from './build.ts'
import { isBuiltIn, podSpecOf } from './kinds.ts'

/** Merge keys of the lists in the spec of a pod, by the path of field names from there. */
const container = (list: string): [string, string[]][] => [
  [list, ['name']],
  [`${list}.env`, ['name']],
  [`${list}.ports`, ['containerPort', 'protocol']],
  [`${list}.volumeMounts`, ['mountPath']],
  [`${list}.volumeDevices`, ['devicePath']],
  [`${list}.resources.claims`, ['name']],
]
const podKeys: [string, string[]][] = [
  ...container('containers'),
  ...container('initContainers'),
  ...container('ephemeralContainers'),
  ['volumes', ['name']],
  ['imagePullSecrets', ['name']],
  ['hostAliases', ['ip']],
  ['topologySpreadConstraints', ['topologyKey', 'whenUnsatisfiable']],
  ['resourceClaims', ['name']],
  ['schedulingGates', ['name']],
]
const otherKeys: Record<string, [string, string[]][]> = {
  Service: [['spec.ports', ['port', 'protocol']]],
  ServiceAccount: ['secrets', 'imagePullSecrets'].map((list) => [list, ['name']]),
  MutatingWebhookConfiguration: [['webhooks', ['name']]],
  ValidatingWebhookConfiguration: [['webhooks', ['name']]],
}

/**
 * What the merge of a kind needs: the keys of its lists, by path. A list without keys is replaced as a whole, as all lists of custom
 * resources are. https://github.com/kubernetes/kubernetes/blob/master/api/openapi-spec/swagger.json (x-kubernetes-patch-merge-key,
 * -list-map-keys)
 */
export function mergeKeysOf(kind: Kind): ReadonlyMap<string, string[]> {
  if (!isBuiltIn(kind)) return new Map()
  const pod = podSpecOf(kind)?.join('.')
  const own = pod === undefined ? [] : podKeys.map(([path, keys]) => [`${pod}.${path}`, keys] as const)
  return new Map([...own, ...(otherKeys[kind.kind] ?? [])])
}

/** A directive, or a list, that is not merged here as kustomize would. */
export class Unmergeable extends Error {
  override readonly name = 'Unmergeable'
}

/**
 * A strategic merge patch as kustomize applies it: mappings merge, null removes, lists with a merge key merge by it, with the patch's
 * items in front. Undefined when the patch deletes the whole. Throws Unmergeable where that is not all it takes.
 */
export function merge(dest: TracedMap, patch: TracedMap, keys: ReadonlyMap<string, string[]>): TracedMap | undefined {
  return mergeMap(dest, patch, keys, '')
}

function mergeMap(
  dest: TracedMap,
  patch: TracedMap,
  keys: ReadonlyMap<string, string[]>,
  path: string,
): TracedMap | undefined {
  const directive = directiveOf(patch)
  if (directive === 'delete') return undefined
  if (directive === 'replace') return without(patch)
  for (const [key, value] of patch) {
    if (key === '$patch') continue
    if (key.startsWith('$')) throw new Unmergeable(`uses ${key}`)
    const before = dest.get(key)
    const merged = mergeValue(before, value, keys, path === '' ? key : `${path}.${key}`)
    if (merged === undefined) dest.delete(key)
    else dest.set(key, merged)
  }
  return dest
}

function mergeValue(
  before: Traced | undefined,
  value: Traced,
  keys: ReadonlyMap<string, string[]>,
  path: string,
): Traced | undefined {
  if (isLeaf(value)) return value.value === null ? undefined : value
  if (value instanceof Map) return mergeMap(before instanceof Map ? before : new Map(), value, keys, path)
  const mergeKeys = keys.get(path)
  if (!mergeKeys) {
    if (value.some((item) => item instanceof Map && directiveOf(item) !== undefined))
      throw new Unmergeable(`has a $patch directive in the list ${path}`)
    return value
  }
  return mergeList(Array.isArray(before) ? before : [], value, mergeKeys, keys, path)
}

function mergeList(
  before: Traced[],
  patch: Traced[],
  mergeKeys: string[],
  keys: ReadonlyMap<string, string[]>,
  path: string,
): Traced[] {
  const items = patch.map((item) => {
    if (!(item instanceof Map)) throw new Unmergeable(`has an item of ${path} that is no mapping`)
    return item
  })
  if (items.some((item) => directiveOf(item) === 'replace')) {
    return items.filter((item) => directiveOf(item) === undefined)
  }
  const used = mergeKeys.filter((key) => [...before, ...items].some((item) => item instanceof Map && item.has(key)))
  const idOf = (item: Traced) =>
    JSON.stringify(used.map((key) => textOf(item instanceof Map ? item.get(key) : undefined)))
  const incomplete = [...before, ...items].some((item) => item instanceof Map && used.some((key) => !item.has(key)))
  if (incomplete) throw new Unmergeable(`has items of ${path} without ${used.join(' and ')}`)
  const left = new Map(before.map((item) => [idOf(item), item]))
  if (left.size !== before.length || new Set(items.map(idOf)).size !== items.length)
    throw new Unmergeable(`has several items of ${path} with the same ${used.join(' and ')}`)
  const front: Traced[] = []
  for (const item of items) {
    const target = left.get(idOf(item))
    const merged = mergeMap(target instanceof Map ? target : new Map(), item, keys, path)
    // With several keys, kustomize leaves items that were there in their place; with one, it puts all of the patch's in front.
    if (target && used.length > 1 && merged && merged.size > 0) left.set(idOf(item), merged)
    else {
      left.delete(idOf(item))
      if (merged && merged.size > 0) front.push(merged)
    }
  }
  return [...front, ...left.values()]
}

function directiveOf(patch: TracedMap): string | undefined {
  const directive = textOf(patch.get('$patch'))
  if (directive !== undefined && !['merge', 'replace', 'delete'].includes(directive))
    throw new Unmergeable(`uses $patch: ${directive}`)
  return directive === 'merge' ? undefined : directive
}

function without(patch: TracedMap): TracedMap {
  return new Map([...patch].filter(([key]) => key !== '$patch'))
}

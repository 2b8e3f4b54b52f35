import type { KubeObject } from '../../kube/object.ts'
import type { RuleCheck } from './cel-rules.ts'
import type { Column, Schema } from './schema.ts'
import type { Cause } from './status.ts'

/** Names a resource whatever its version, as `storage` does. */
export interface ResourceRef {
  group: string
  plural: string
}

/** The scale subresource, as a CRD declares it (JSON paths with a leading dot). */
export interface ScalePaths {
  specReplicasPath: string
  statusReplicasPath: string
  labelSelectorPath?: string
}

/** One version of a resource as it is served. */
export interface ServedVersion {
  name: string
  served: boolean
  schema?: Schema
  columns?: Column[]
  statusSubresource: boolean
  scale?: ScalePaths
  /** JSON paths with a leading dot, of fields a custom resource can be selected by. */
  selectableFields?: string[]
  deprecationWarning?: string
  /** The schema's CEL rules, compiled at first use. */
  rules?: RuleCheck
}

/** The rules of one kind beyond its schema; every hook may change the object it is given, never `old`. */
export interface TypeRules {
  /** Fills in what the real server would, after decoding, before admission. */
  defaults?(object: KubeObject, old: KubeObject | undefined): void
  /** Sets server-owned fields right before validation. */
  prepare?(object: KubeObject, old: KubeObject | undefined): void
  validate?(object: KubeObject, old: KubeObject | undefined): Cause[]
}

/** A kind of resource the server serves: everything the pipeline, discovery, tables and OpenAPI need to know of it. */
export interface ResourceType extends ResourceRef {
  kind: string
  listKind: string
  singular: string
  shortNames: string[]
  categories: string[]
  namespaced: boolean
  versions: ServedVersion[]
  /** The version objects are kept in. */
  storageVersion: string
  builtin: boolean
  /** Which changes raise metadata.generation. */
  generation: 'none' | 'spec' | 'spec and annotations' | 'all'
  /** Whether a PUT without resourceVersion is an unconditional update. */
  unconditionalUpdate: boolean
  /** Whether a PUT of what does not exist creates it. */
  createOnUpdate?: boolean
  rules: TypeRules
  /** Set on a second name for the same stored objects: which objects, and how each is shown and read. */
  alias?: { of: ResourceRef; show(stored: KubeObject): KubeObject; read(shown: KubeObject): KubeObject }
  /** Not stored: a POST is answered by this function (access and token reviews). */
  virtual?: boolean
}

/** `group/plural`: the key under which a resource's objects are kept. */
export function refKey(ref: ResourceRef): string {
  return `${ref.group}/${ref.plural}`
}

export function versionOf(type: ResourceType, name: string): ServedVersion | undefined {
  return type.versions.find((version) => version.name === name)
}

/** The version objects are stored in; there always is one. */
export function storedVersion(type: ResourceType): ServedVersion {
  const found = versionOf(type, type.storageVersion)
  if (!found) throw new Error(`${refKey(type)} has no version ${type.storageVersion}`)
  return found
}

/** Kubernetes' order of version names: GA above beta above alpha, then by number; others after, by name. */
export function compareVersions(a: string, b: string): number {
  const left = rank(a)
  const right = rank(b)
  if (!left || !right) return left ? 1 : right ? -1 : b.localeCompare(a)
  return left[0] - right[0] || left[1] - right[1] || left[2] - right[2]
}

function rank(name: string): [number, number, number] | undefined {
  const match = /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(name)
  if (!match) return undefined
  const stability = match[2] === 'alpha' ? 0 : match[2] === 'beta' ? 1 : 2
  return [stability, Number(match[1]), Number(match[3] ?? 0)]
}

/** `apps/v1`, or `v1` for the core group. */
export function apiVersionIn(type: Pick<ResourceRef, 'group'>, version: string): string {
  return type.group === '' ? version : `${type.group}/${version}`
}

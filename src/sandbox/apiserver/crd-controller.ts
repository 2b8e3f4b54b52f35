import type { KubeObject } from '../../kube/object.ts'
import type { Runtime } from '../../runtime.ts'
import { clone, equal, isObject, type Json, objects } from './json.ts'
import type { ObjectStore } from './object-store.ts'
import { timestamp } from './pipeline.ts'
import type { Registry } from './registry.ts'
import type { ResourceType, ScalePaths, ServedVersion } from './resource-type.ts'
import type { Column, Schema } from './schema.ts'

const crds = { group: 'apiextensions.k8s.io', plural: 'customresourcedefinitions' }

/**
 * Serves a resource for every CustomResourceDefinition from the moment it is stored, marks it NamesAccepted and
 * Established, and deletes its objects with it.
 */
export function runCrdController(store: ObjectStore, registry: Registry, runtime: Runtime): () => void {
  return store.subscribe(crds, ({ type, object }) => {
    const resource = resourceTypeOf(object)
    if (type === 'DELETED') {
      for (const each of store.list(resource)) store.remove(resource, each.metadata)
      registry.remove(resource)
      return
    }
    const present = registry.find(resource)
    if (!present || type === 'MODIFIED') registry.set(resource)
    const status = statusOf(object, timestamp(runtime))
    if (!equal(status, object.status)) store.put(crds, { ...clone(object), status })
  })
}

function statusOf(crd: KubeObject, now: string): Json {
  const spec = isObject(crd.spec) ? crd.spec : {}
  const present = isObject(crd.status) ? objects(crd.status.conditions) : []
  const condition = (type: string, reason: string, message: string) =>
    present.find((found) => found.type === type && found.status === 'True') ?? {
      type,
      status: 'True',
      reason,
      message,
      lastTransitionTime: now,
    }
  return {
    acceptedNames: spec.names,
    storedVersions: objects(spec.versions)
      .filter((version) => version.storage === true)
      .map((version) => version.name),
    conditions: [
      condition('NamesAccepted', 'NoConflicts', 'no conflicts found'),
      condition('Established', 'InitialNamesAccepted', 'the initial names have been accepted'),
    ],
  }
}

/** The resource a CRD describes. */
function resourceTypeOf(crd: KubeObject): ResourceType {
  const spec = isObject(crd.spec) ? crd.spec : {}
  const names = isObject(spec.names) ? spec.names : {}
  const versions = objects(spec.versions)
  const kind = String(names.kind)
  return {
    group: String(spec.group),
    plural: String(names.plural),
    kind,
    listKind: String(names.listKind ?? `${kind}List`),
    singular: String(names.singular ?? kind.toLowerCase()),
    shortNames: strings(names.shortNames),
    categories: strings(names.categories),
    namespaced: spec.scope !== 'Cluster',
    versions: versions.map(servedVersion),
    storageVersion: String(versions.find((version) => version.storage === true)?.name),
    builtin: false,
    generation: 'all',
    unconditionalUpdate: false,
    rules: {},
  }
}

function servedVersion(version: Json): ServedVersion {
  const schema = isObject(version.schema) ? version.schema.openAPIV3Schema : undefined
  const subresources = isObject(version.subresources) ? version.subresources : {}
  return {
    name: String(version.name),
    served: version.served !== false,
    ...(isObject(schema) ? { schema: schema as Schema } : {}),
    columns: objects(version.additionalPrinterColumns) as unknown as Column[],
    statusSubresource: isObject(subresources.status),
    selectableFields: objects(version.selectableFields).map(({ jsonPath }) => String(jsonPath)),
    ...(isObject(subresources.scale) ? { scale: subresources.scale as unknown as ScalePaths } : {}),
    ...(version.deprecated === true
      ? { deprecationWarning: String(version.deprecationWarning ?? `${String(version.name)} is deprecated`) }
      : {}),
  }
}

function strings(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : []
}

/** The parts of Kubernetes object metadata that Sluice reads; unknown fields stay on the object untouched. */
export interface ObjectMeta {
  name: string
  namespace?: string
  uid?: string
  resourceVersion?: string
  generation?: number
  creationTimestamp?: string
  deletionTimestamp?: string
  labels?: Record<string, string>
  annotations?: Record<string, string>
  finalizers?: string[]
  ownerReferences?: OwnerReference[]
  managedFields?: ManagedFieldsEntry[]
  generateName?: string
  [field: string]: unknown
}

export interface OwnerReference {
  apiVersion: string
  kind: string
  name: string
  uid: string
  controller?: boolean
  blockOwnerDeletion?: boolean
}

export interface ManagedFieldsEntry {
  manager: string
  operation: 'Apply' | 'Update'
  apiVersion?: string
  time?: string
  fieldsType?: string
  fieldsV1?: unknown
  subresource?: string
}

/** Any object of the API, as JSON: never a typed model, because models drop the fields they do not know. */
export interface KubeObject {
  apiVersion: string
  kind: string
  metadata: ObjectMeta
  [field: string]: unknown
}

/** A kind of resource as the API's paths name it, for example `networking.istio.io/v1 virtualservices`. */
export interface Resource {
  /** '' for the core group. */
  group: string
  version: string
  /** Lower-case plural, as in the path. */
  plural: string
  kind: string
  namespaced: boolean
}

/** Names one object of a known resource. */
export interface ObjectKey {
  namespace?: string
  name: string
}

/** `group/version`, or just the version for the core group. */
export function apiVersionOf(resource: Pick<Resource, 'group' | 'version'>): string {
  return resource.group === '' ? resource.version : `${resource.group}/${resource.version}`
}

/** `namespace/name`, or the name alone for cluster-scoped objects. */
export function keyOf(object: { metadata: { namespace?: string; name: string } }): string {
  const { namespace, name } = object.metadata
  return namespace ? `${namespace}/${name}` : name
}

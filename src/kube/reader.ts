import type { KubeObject, ObjectKey, Resource } from './object.ts'

/**
 * What caches know: synchronous, as of the last watch event. A resource is looked up by group and plural; whichever version of it is
 * cached is answered. Objects are shared: callers must not change them.
 */
export interface ObjectReader {
  get(resource: Resource, key: ObjectKey): KubeObject | undefined
  list(resource: Resource, namespace: string): KubeObject[]
}

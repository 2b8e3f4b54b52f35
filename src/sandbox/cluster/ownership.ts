import type { ObjectKey } from '../../kube/object.ts'

/** The key behind `namespace/name`. */
export function splitKey(key: string): ObjectKey {
  const slash = key.indexOf('/')
  return slash === -1 ? { name: key } : { namespace: key.slice(0, slash), name: key.slice(slash + 1) }
}

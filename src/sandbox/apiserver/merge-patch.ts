import type { KubeObject } from '../../kube/object.ts'
import { clone, isObject, type Json } from './json.ts'

/** Applies a JSON merge patch (RFC 7386) to a copy of an object. */
export function mergePatch(object: KubeObject, patch: Json): KubeObject {
  const result = clone(object)
  merge(result, patch)
  return result
}

function merge(target: Json, patch: Json): void {
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete target[name]
    else if (isObject(value)) {
      const present = target[name]
      const into = isObject(present) ? present : {}
      merge(into, value)
      target[name] = into
    } else target[name] = clone(value)
  }
}

import type { ResourceRef, ResourceType } from './resource-type.ts'
import { refKey } from './resource-type.ts'

/** The kinds of resource the server serves now; CRDs come and go. */
export interface Registry {
  find(ref: ResourceRef): ResourceType | undefined
  byKind(group: string, kind: string): ResourceType | undefined
  all(): ResourceType[]
  set(type: ResourceType): void
  remove(ref: ResourceRef): void
  /** Rises at every change, so that discovery and OpenAPI can be cached. */
  revision(): number
}

export function createRegistry(): Registry {
  const types = new Map<string, ResourceType>()
  let revision = 1
  return {
    find: (ref) => types.get(refKey(ref)),
    byKind: (group, kind) => [...types.values()].find((type) => type.group === group && type.kind === kind),
    all: () => [...types.values()],
    set(type) {
      types.set(refKey(type), type)
      revision++
    },
    remove(ref) {
      if (types.delete(refKey(ref))) revision++
    },
    revision: () => revision,
  }
}

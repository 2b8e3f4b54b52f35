import type { KubeObject } from '../../kube/object.ts'
import type { UserInfo } from './request-context.ts'
import type { ResourceType } from './resource-type.ts'

export type Operation = 'CREATE' | 'UPDATE' | 'DELETE' | 'CONNECT'

/** One write on its way through admission. */
export interface AdmissionRequest {
  operation: Operation
  type: ResourceType
  version: string
  subresource: string | undefined
  namespace: string | undefined
  name: string
  user: UserInfo
  dryRun: boolean
  /** Undefined on DELETE. Mutating hooks change it in place or return another. */
  object: KubeObject | undefined
  /** Undefined on CREATE. */
  oldObject: KubeObject | undefined
  warnings: string[]
}

/** May change `request.object` in place; refuses by throwing an ApiError. */
export type MutatingHook = (request: AdmissionRequest) => void
/** Refuses by throwing an ApiError. */
export type ValidatingHook = (request: AdmissionRequest) => void

/** The in-process admission chain: every mutating hook in order of registration, then every validating one. */
export interface Admission {
  addMutating(hook: MutatingHook): () => void
  addValidating(hook: ValidatingHook): () => void
  mutate(request: AdmissionRequest): void
  validate(request: AdmissionRequest): void
}

export function createAdmission(): Admission {
  const mutating: MutatingHook[] = []
  const validating: ValidatingHook[] = []
  const add = <T>(list: T[], hook: T) => {
    list.push(hook)
    return () => {
      const index = list.indexOf(hook)
      if (index >= 0) list.splice(index, 1)
    }
  }
  return {
    addMutating: (hook) => add(mutating, hook),
    addValidating: (hook) => add(validating, hook),
    mutate(request) {
      for (const hook of mutating) hook(request)
    },
    validate(request) {
      for (const hook of validating) hook(request)
    },
  }
}

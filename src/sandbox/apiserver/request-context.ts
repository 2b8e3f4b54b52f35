import type { KubeObject } from '../../kube/object.ts'
import type { ResourceType } from './resource-type.ts'

/** Who asks. */
export interface UserInfo {
  username: string
  groups: string[]
  uid?: string
  extra?: Record<string, string[]>
}

/** What a write carries besides its object. */
export interface WriteContext {
  user: UserInfo
  /** As the real server chooses it: the fieldManager parameter, else the User-Agent up to the first slash. */
  fieldManager: string
  version: string
  subresource?: 'status' | 'scale'
  dryRun: boolean
  fieldValidation: 'Strict' | 'Warn' | 'Ignore'
  /** Filled by the pipeline; the HTTP layer sends them as Warning headers. */
  warnings: string[]
  /** Managers were already settled (server-side apply). */
  tracked?: boolean
  /** What is decoded is the outcome of a patch: what is wrong with it is a 422 about the patch. */
  patched?: boolean
  /** A null in a custom resource is no missing value (server-side apply). */
  keepNulls?: boolean
  /** Throws unless the user may create; set where another verb creates what does not exist. */
  authorizeCreate?: () => void
}

/** The user in whose name the sandbox's own controllers write. */
export const sandboxUser: UserInfo = {
  username: 'system:kube-controller-manager',
  groups: ['system:masters', 'system:authenticated'],
}

/** A copy of an object in another of its kind's versions (versions differ in name only). */
export function inVersion(type: ResourceType, object: KubeObject, version: string): KubeObject {
  const apiVersion = type.group === '' ? version : `${type.group}/${version}`
  const shown = type.alias ? type.alias.show(object) : object
  return shown.apiVersion === apiVersion && shown.kind === type.kind ? shown : { ...shown, apiVersion, kind: type.kind }
}

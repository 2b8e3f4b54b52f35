import type { RolloutSourceSpec } from '../api/rolloutsource.ts'
import type { Credentials } from './credentials.ts'
import { normaliseUrl } from './url.ts'

/** A RolloutSource with its Secret read: all that is needed to read and write its branch. */
export interface SourceRef {
  namespace: string
  name: string
  url: string
  branch: string
  /** Folder inside the repository, without slashes at its ends; '' for all of it. */
  path: string
  apply: RolloutSourceSpec['apply']
  write: RolloutSourceSpec['write']
  allowedNamespaces: string[]
  credentials?: Credentials
  /** SSH private key that signs commits; set when `write.signingKeyRef` is. */
  signingKey?: string
  /** What opens pull requests, from the Secret of `write.pullRequest.secretRef`; without it the password does. */
  forgeToken?: string
}

export function sourceRef(
  metadata: { namespace?: string; name: string },
  spec: RolloutSourceSpec,
  credentials?: Credentials,
  signingKey?: string,
  forgeToken?: string,
): SourceRef {
  const { url, branch, apply, write, allowedNamespaces } = spec
  const path = spec.path
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .join('/')
  return {
    namespace: metadata.namespace ?? '',
    name: metadata.name,
    url,
    branch,
    path,
    apply,
    write,
    allowedNamespaces,
    credentials,
    ...(signingKey === undefined ? {} : { signingKey }),
    ...(forgeToken === undefined ? {} : { forgeToken }),
  }
}

/** Whether Rollouts of a namespace may commit here, and objects be applied into it. */
export function allowsNamespace(source: SourceRef, namespace: string): boolean {
  return (
    namespace === source.namespace ||
    source.allowedNamespaces.includes(namespace) ||
    source.allowedNamespaces.includes('*')
  )
}

/** Sources with the same key write to the same branch of the same remote, and so share one writer. */
export function branchKey(source: Pick<SourceRef, 'url' | 'branch'>): string {
  return `${normaliseUrl(source.url)}\n${source.branch}`
}

import { createHash } from 'node:crypto'
import type { Problem } from '../../errors.ts'
import type { Runtime } from '../../runtime.ts'
import type { SourceRef } from '../source-ref.ts'
import { normaliseUrl } from '../url.ts'
import type { Forge } from './forge.ts'
import { gitHub } from './github.ts'
import { gitLab } from './gitlab.ts'
import { forgeHttp } from './http.ts'

export type ForgeResult = { ok: true; forge: Forge } | { ok: false; problem: Problem }

/** The forges behind RolloutSources; one that is asked for again is the same, with what it knows of people. */
export interface Forges {
  of(source: SourceRef): ForgeResult
}

export interface ForgesOptions {
  runtime: Runtime
  timeoutMs?: number
  signal?: AbortSignal
}

const kept = 200

export function createForges(options: ForgesOptions): Forges {
  const known = new Map<string, ForgeResult>()
  return {
    of(source) {
      const { pullRequest } = source.write
      const told = JSON.stringify([source.url, pullRequest, source.forgeToken, source.credentials])
      const key = createHash('sha256').update(told).digest('hex')
      const found = known.get(key) ?? forgeOf(source, options)
      known.delete(key)
      known.set(key, found)
      for (const oldest of known.keys()) {
        if (known.size <= kept) break
        known.delete(oldest)
      }
      return found
    },
  }
}

/** The forge that serves a source's repository: told by its host, or by spec.write.pullRequest. */
export function forgeOf(source: SourceRef, options: ForgesOptions): ForgeResult {
  const { provider, apiUrl } = source.write.pullRequest ?? {}
  const remote = new URL(normaliseUrl(source.url))
  const repository = decodeURIComponent(remote.pathname).replace(/^\/+/, '')
  const host = remote.hostname
  const kind = provider ?? (host === 'github.com' ? 'GitHub' : host === 'gitlab.com' ? 'GitLab' : undefined)
  const name = `RolloutSource ${source.namespace}/${source.name}`
  const wrong = (message: string, field: string): ForgeResult => {
    return { ok: false, problem: { reason: 'InvalidSpec', message: `${name}: ${message}`, field } }
  }
  if (kind === undefined)
    return wrong(
      `it is not known which forge ${host || 'a file'} is; say GitHub or GitLab`,
      'spec.write.pullRequest.provider',
    )
  if (remote.protocol === 'file:' && apiUrl === undefined)
    return wrong('a repository in a folder has no forge', 'spec.write.pullRequest.apiUrl')
  if (!repository.includes('/') || (kind === 'GitHub' && repository.split('/').length !== 2))
    return wrong(`${source.url} names no repository of ${kind}`, 'spec.url')
  const token = source.forgeToken ?? source.credentials?.password ?? source.credentials?.bearerToken
  if (token === undefined) {
    const message = `${name} has no token for ${kind}`
    return { ok: false, problem: { reason: 'ForgeAuth', message, field: 'spec.write.pullRequest.secretRef' } }
  }
  // A clone over ssh tells nothing about the port of the API.
  const site = remote.protocol === 'http:' ? `http://${remote.host}` : `https://${webHost(remote)}`
  const usual =
    kind === 'GitLab' ? `${site}/api/v4` : host === 'github.com' ? 'https://api.github.com' : `${site}/api/v3`
  const http = forgeHttp({
    ...options,
    base: (apiUrl ?? usual).replace(/\/+$/, ''),
    headers:
      kind === 'GitHub'
        ? {
            accept: 'application/vnd.github+json',
            'x-github-api-version': '2022-11-28',
            authorization: `Bearer ${token}`,
          }
        : { 'private-token': token },
    secrets: [token],
    ...(source.credentials?.caCert === undefined ? {} : { caCert: source.credentials.caCert }),
  })
  return { ok: true, forge: kind === 'GitHub' ? gitHub(http, repository) : gitLab(http, repository) }
}

function webHost(remote: URL): string {
  return remote.protocol === 'https:' ? remote.host : remote.hostname
}

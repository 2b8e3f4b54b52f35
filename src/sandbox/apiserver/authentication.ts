import type { IncomingHttpHeaders } from 'node:http'
import type { UserInfo } from './request-context.ts'
import { ApiError } from './status.ts'

/** Static bearer tokens, as kube-apiserver's --token-auth-file. */
export type Tokens = Record<string, UserInfo>

export const adminToken = 'sandbox-admin'

export const adminUser: UserInfo = {
  username: 'kubernetes-admin',
  groups: ['system:masters', 'system:authenticated'],
}

export const anonymousUser: UserInfo = { username: 'system:anonymous', groups: ['system:unauthenticated'] }

/** Who sends a request, before and after the Impersonate-* headers. */
export interface Identity {
  /** Whose credentials were sent. */
  actor: UserInfo
  /** In whose name the request is served. */
  user: UserInfo
}

/** Throws a 401 for a token nobody has; a request without credentials is `anonymous`. */
export function authenticate(headers: IncomingHttpHeaders, tokens: Tokens, anonymous: UserInfo): Identity {
  const actor = actorOf(headers.authorization, tokens) ?? anonymous
  const name = headers['impersonate-user']
  if (typeof name !== 'string') return { actor, user: actor }
  const groups = listOf(headers['impersonate-group'])
  const serviceAccount = /^system:serviceaccount:([^:]+):[^:]+$/.exec(name)
  if (groups.length === 0 && serviceAccount) {
    groups.push('system:serviceaccounts', `system:serviceaccounts:${serviceAccount[1]}`)
  }
  if (!groups.includes('system:authenticated')) groups.push('system:authenticated')
  return { actor, user: { username: name, groups } }
}

function actorOf(authorization: string | undefined, tokens: Tokens): UserInfo | undefined {
  if (!authorization) return undefined
  const token = /^Bearer\s+(.+)$/i.exec(authorization)?.[1]?.trim()
  const found = token === undefined ? undefined : tokens[token]
  if (!found) throw new ApiError(401, 'Unauthorized', 'Unauthorized')
  const groups = found.groups.includes('system:authenticated')
    ? found.groups
    : [...found.groups, 'system:authenticated']
  return { ...found, groups }
}

function listOf(header: string | string[] | undefined): string[] {
  if (header === undefined) return []
  // node joins repeated headers it does not know with ", ".
  return (Array.isArray(header) ? header : header.split(',')).map((part) => part.trim()).filter((part) => part !== '')
}

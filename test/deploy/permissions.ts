import type { RequestRecord } from '../../src/sandbox/apiserver/index.ts'
import type { Manifest } from './kustomize.ts'

/** One verb on one resource, as roles grant it and requests need it: `patch virtualservices.networking.istio.io`. */
export type Permission = string

function permission(verb: string, resource: string, group: string): Permission {
  const [plural = '', subresource] = resource.split('/')
  return `${verb} ${plural}${group === '' ? '' : `.${group}`}${subresource ? `/${subresource}` : ''}`
}

/** Everything that a role grants. */
export function granted(role: Manifest): Permission[] {
  return role.rules.flatMap(({ apiGroups, resources, verbs }: Record<string, string[]>) =>
    apiGroups!.flatMap((group) =>
      resources!.flatMap((resource) => verbs!.map((verb) => permission(verb, resource, group))),
    ),
  )
}

/** What a request needs. An apply that creates needs both verbs of a real API server; the sandbox asks for the first only. */
export function needed(request: RequestRecord): Permission[] {
  if (request.resource === '') return []
  const resource = request.subresource ? `${request.resource}/${request.subresource}` : request.resource
  const creates = request.method === 'PATCH' && request.status === 201
  return [request.verb, ...(creates ? ['create'] : [])].map((verb) => permission(verb, resource, request.group))
}

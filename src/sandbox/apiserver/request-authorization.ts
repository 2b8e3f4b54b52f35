import type { ResourceRequest, ServerParts } from './server-parts.ts'
import { forbidden } from './status.ts'

/** Throws the 403 of the real server unless the user may do this verb to what the request names. */
export function authorizeRequest(request: ResourceRequest, parts: ServerParts, verb: string): void {
  const { user, route, type } = request
  const name = route.name ?? (verb === 'list' || verb === 'watch' ? selectedName(request) : undefined)
  // As upstream, a namespace is asked for in itself.
  const namespace = type.group === '' && type.plural === 'namespaces' ? route.name : route.namespace
  const attributes = {
    verb,
    group: route.group,
    resource: route.plural,
    ...(route.subresource ? { subresource: route.subresource } : {}),
    ...(namespace ? { namespace } : {}),
    ...(name ? { name } : {}),
  }
  if (parts.authorizer.authorize(user, attributes).allowed) return
  const resource = route.subresource ? `${route.plural}/${route.subresource}` : route.plural
  const where = route.namespace ? `in the namespace "${route.namespace}"` : 'at the cluster scope'
  throw forbidden(
    type,
    name ?? '',
    `User "${user.username}" cannot ${verb} resource "${resource}" in API group "${route.group}" ${where}`,
  )
}

/** The one name that a field selector allows: for that, permission for objects of this name suffices (apiserver, request/requestinfo.go). */
function selectedName({ query }: ResourceRequest): string | undefined {
  return /(?:^|,)metadata\.name==?([a-z0-9.-]+)(?:,|$)/.exec(query.get('fieldSelector') ?? '')?.[1]
}

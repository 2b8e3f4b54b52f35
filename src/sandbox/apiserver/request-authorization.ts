import type { ResourceRequest, ServerParts } from './server-parts.ts'
import { forbidden } from './status.ts'

/** Throws the 403 of the real server unless the user may do this verb to what the request names. */
export function authorizeRequest({ user, route, type }: ResourceRequest, parts: ServerParts, verb: string): void {
  // As upstream, a namespace is asked for in itself.
  const namespace = type.group === '' && type.plural === 'namespaces' ? route.name : route.namespace
  const attributes = {
    verb,
    group: route.group,
    resource: route.plural,
    ...(route.subresource ? { subresource: route.subresource } : {}),
    ...(namespace ? { namespace } : {}),
    ...(route.name ? { name: route.name } : {}),
  }
  if (parts.authorizer.authorize(user, attributes).allowed) return
  const resource = route.subresource ? `${route.plural}/${route.subresource}` : route.plural
  const where = route.namespace ? `in the namespace "${route.namespace}"` : 'at the cluster scope'
  throw forbidden(
    type,
    route.name ?? '',
    `User "${user.username}" cannot ${verb} resource "${resource}" in API group "${route.group}" ${where}`,
  )
}

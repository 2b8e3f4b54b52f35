/** What a request path asks for, as the real server's RequestInfo. */
export interface Route {
  group: string
  version: string
  plural: string
  namespace: string | undefined
  name: string | undefined
  subresource: string | undefined
}

/** Reads `/api/v1/…` and `/apis/<group>/<version>/…`; undefined when the path names no resource. */
export function parseRoute(path: string): Route | undefined {
  const parts = path
    .split('/')
    .filter((part) => part !== '')
    .map(decodeURIComponent)
  const [root, ...rest] = parts
  if (root === 'api') return fromParts('', rest)
  if (root === 'apis' && rest.length > 0) return fromParts(rest[0] ?? '', rest.slice(1))
  return undefined
}

function fromParts(group: string, [version, ...rest]: string[]): Route | undefined {
  if (version === undefined || rest.length === 0) return undefined
  const inNamespace = rest[0] === 'namespaces' && rest.length > 2 && !isNamespaceSubresource(rest)
  const [plural, name, ...sub] = inNamespace ? rest.slice(2) : rest
  if (plural === undefined) return undefined
  return {
    group,
    version,
    plural,
    namespace: inNamespace ? rest[1] : undefined,
    name,
    subresource: sub.length > 0 ? sub.join('/') : undefined,
  }
}

/** `/namespaces/x/status` is the namespace's own. */
function isNamespaceSubresource(rest: string[]): boolean {
  return rest.length === 3 && rest[2] === 'status'
}

/** The verb authorization and audit speak of. */
export function verbOf(method: string, route: Route, watch: boolean): string {
  switch (method) {
    case 'GET':
    case 'HEAD':
      return route.name !== undefined && !watch ? 'get' : watch ? 'watch' : 'list'
    case 'POST':
      return 'create'
    case 'PUT':
      return 'update'
    case 'PATCH':
      return 'patch'
    default:
      return route.name === undefined ? 'deletecollection' : 'delete'
  }
}

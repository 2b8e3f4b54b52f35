/**
 * What the RBAC authorizer of an API server says when it refuses, in words for the person who has to grant it: `sluice may not patch
 * virtualservices.networking.istio.io in namespace shop`. Undefined for any other refusal: an admission webhook also answers 403.
 * The phrase is that of `forbiddenMessage` in k8s.io/apiserver (pkg/endpoints/handlers/responsewriters/errors.go).
 */
export function missingPermission(said: string): string | undefined {
  const found = PHRASE.exec(said)?.groups
  if (!found) return undefined
  const { user = '', verb, resource = '', group, namespace } = found
  const [plural, subresource] = resource.split('/')
  const what = `${plural}${group ? `.${group}` : ''}${subresource ? `/${subresource}` : ''}`
  return `${nameOf(user)} may not ${verb} ${what} ${namespace ? `in namespace ${namespace}` : 'in the whole cluster'}`
}

const PHRASE =
  /User "(?<user>[^"]*)" cannot (?<verb>[a-z]+) resource "(?<resource>[^"]+)"(?: in API group "(?<group>[^"]*)")?(?: in the namespace "(?<namespace>[^"]+)")?/

/** A service account goes by its own name; its namespace is in the rest of the message. */
function nameOf(user: string): string {
  return /^system:serviceaccount:[^:]+:([^:]+)$/.exec(user)?.[1] ?? user
}

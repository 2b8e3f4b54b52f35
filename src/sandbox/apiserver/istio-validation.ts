import type { AdmissionRequest } from './admission.ts'
import { at, objects } from './json.ts'
import { ApiError } from './status.ts'

/**
 * What Istio's validating webhook refuses in a VirtualService: no hosts, no routes, negative weights, several
 * destinations whose weights sum to 0. It does not ask that weights sum to 100.
 */
export function validateVirtualService({ type, object, name, operation }: AdmissionRequest): void {
  if (type.group !== 'networking.istio.io' || type.plural !== 'virtualservices') return
  if (!object || operation === 'DELETE') return
  const problems: string[] = []
  const routes = ['http', 'tls', 'tcp'].flatMap((protocol) => objects(at(object, 'spec', protocol)))
  const hosts = at(object, 'spec', 'hosts')
  const isDelegate = !Array.isArray(hosts) || hosts.length === 0
  if (isDelegate && at(object, 'spec', 'gateways') !== undefined) {
    problems.push('virtual service must have at least one host')
  }
  if (routes.length === 0) problems.push('http, tcp or tls must be provided in virtual service')
  for (const http of objects(at(object, 'spec', 'http'))) {
    const destinations = objects(http.route)
    const acts = destinations.length > 0 || http.redirect || http.directResponse || http.delegate
    if (!acts) problems.push('HTTP route, redirect or direct_response is required')
  }
  for (const route of routes) {
    const destinations = objects(route.route)
    const weights = destinations.map((each) => Number(each.weight ?? 0))
    for (const weight of weights) if (weight < 0) problems.push(`weight ${weight} < 0`)
    if (destinations.length > 1 && weights.reduce((total, weight) => total + weight, 0) === 0) {
      problems.push('total destination weight = 0')
    }
  }
  if (problems.length === 0) return
  const list =
    problems.length === 1 ? problems[0] : `${problems.length} errors occurred:\n\t* ${problems.join('\n\t* ')}\n\n`
  throw new ApiError(
    400,
    'BadRequest',
    `admission webhook "validation.istio.io" denied the request: configuration is invalid: ${list}`,
    { name, group: type.group, kind: type.plural },
  )
}

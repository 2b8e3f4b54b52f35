/** A Service as routes name it. */
export interface ServiceName {
  name: string
  namespace: string
}

/** The suffix of every Service's full name, as in a default cluster. */
const CLUSTER_DOMAIN = 'svc.cluster.local'

/** The full name of a Service. */
export function fqdnOf(service: ServiceName): string {
  return `${service.name}.${service.namespace}.${CLUSTER_DOMAIN}`
}

/**
 * What a host in an Istio object means: a name without a dot is a Service of the object's own namespace; anything else stands as it is
 * (so `reviews.shop` is not `reviews.shop.svc.cluster.local`: Istio does not complete dotted names either).
 */
export function resolveHost(host: string, namespace: string): string {
  if (host === '' || host.startsWith('*') || host.includes('.')) return host
  return fqdnOf({ name: host, namespace })
}

/**
 * The Service an authority names for a client in `clientNamespace`: short (`checkout`, own namespace), dotted (`checkout.shop`,
 * `checkout.shop.svc`) or in full. Undefined when it has another form; whether the Service exists is not asked.
 */
export function serviceOfAuthority(authority: string, clientNamespace: string): ServiceName | undefined {
  const host = splitAuthority(authority).host
  const short = host.endsWith(`.${CLUSTER_DOMAIN}`) ? host.slice(0, -CLUSTER_DOMAIN.length + 3) : host
  const [name, namespace, svc, ...more] = short.split('.')
  if (!name || more.length > 0 || (svc !== undefined && svc !== 'svc')) return undefined
  return { name, namespace: namespace ?? clientNamespace }
}

/** Splits `host:port`; the host in lower case, the port undefined when absent. */
export function splitAuthority(authority: string): { host: string; port: number | undefined } {
  const match = /^(.*?)(?::(\d+))?$/.exec(authority)
  const port = match?.[2] === undefined ? undefined : Number(match[2])
  return { host: (match?.[1] ?? authority).toLowerCase(), port }
}

/** How specifically a host pattern (`*`, `*.example.com`, an exact name) covers a host: higher wins, 0 is not at all. */
export function hostSpecificity(pattern: string, host: string): number {
  const wanted = pattern.toLowerCase()
  if (wanted === host) return 1_000_000
  if (wanted === '*') return 1
  if (wanted.startsWith('*') && host.endsWith(wanted.slice(1)) && host.length >= wanted.length) return 1 + wanted.length
  return 0
}

/** The suffix that stands for Services in a host; clusters with another domain write it in full everywhere. */
const SERVICE_SUFFIX = /^([^.]+)\.([^.]+)\.svc(\..+)?$/

/**
 * One spelling for all spellings of a Service's host: `checkout`, `checkout.shop`, `checkout.shop.svc` and
 * `checkout.shop.svc.cluster.local` in namespace `shop` are all `checkout.shop`. Hosts that are no Service stay as they are, in lower case.
 */
export function canonicalHost(host: string, namespace: string): string {
  const lower = host.toLowerCase()
  if (!lower.includes('.')) return `${lower}.${namespace}`
  const service = SERVICE_SUFFIX.exec(lower)
  return service ? `${service[1]}.${service[2]}` : lower
}

/** Whether two hosts, written in objects of `namespace`, name the same Service. */
export function sameHost(a: string, b: string, namespace: string): boolean {
  return canonicalHost(a, namespace) === canonicalHost(b, namespace)
}

/** Name and namespace of the Service a host may name; whether it exists is not asked. */
export function serviceOf(host: string, namespace: string): { name: string; namespace: string } | undefined {
  const [name, ns, ...more] = canonicalHost(host, namespace).split('.')
  return name && ns && more.length === 0 ? { name, namespace: ns } : undefined
}

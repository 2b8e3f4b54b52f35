import type { KubeObject } from '../../../src/kube/object.ts'
import type { Traffic } from '../../../src/traffic/router.ts'

export const namespace = 'shop'
export const key = { namespace, name: 'checkout' }

/** A VirtualService shop/checkout with this spec. */
export function virtualService(spec: Record<string, unknown>, version = 'v1'): KubeObject {
  return {
    apiVersion: `networking.istio.io/${version}`,
    kind: 'VirtualService',
    metadata: { ...key, annotations: { owner: 'team-checkout' } },
    spec: { hosts: ['checkout'], ...spec },
  }
}

/** A destination of a route, by subset of `checkout` or of another host. */
export function to(subset: string | undefined, weight?: number, host = 'checkout') {
  return {
    destination: subset === undefined ? { host } : { host, subset },
    ...(weight === undefined ? {} : { weight }),
  }
}

export function destinationRule(name = 'checkout', host = 'checkout', subsets = ['v1', 'v2', 'v3']): KubeObject {
  return {
    apiVersion: 'networking.istio.io/v1',
    kind: 'DestinationRule',
    metadata: { name, namespace },
    spec: { host, subsets: subsets.map((subset) => ({ name: subset, labels: { version: subset } })) },
  }
}

export function traffic(routes?: string[], rule?: string): Traffic {
  return {
    istio: {
      virtualService: { name: 'checkout', routes },
      ...(rule === undefined ? {} : { destinationRule: { name: rule } }),
    },
  }
}

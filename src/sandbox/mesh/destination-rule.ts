import type { KubeObject } from '../../kube/object.ts'
import type { Labels } from '../cluster/objects.ts'

export interface OutlierDetection {
  consecutive5xxErrors?: number
  consecutiveGatewayErrors?: number
  baseEjectionTime?: string
  maxEjectionPercent?: number
}

export interface TrafficPolicy {
  loadBalancer?: { simple?: string; consistentHash?: unknown }
  connectionPool?: { http?: { http2MaxRequests?: number } }
  outlierDetection?: OutlierDetection
}

export interface Subset {
  name: string
  labels?: Labels
  trafficPolicy?: TrafficPolicy
}

/** A DestinationRule as stored: the API server has checked it against the CRD's schema. */
export interface DestinationRule extends KubeObject {
  spec: { host: string; subsets?: Subset[]; trafficPolicy?: TrafficPolicy }
}

/** The mesh's view of a stored object that the API server has already validated. */
export function asDestinationRule(object: KubeObject): DestinationRule {
  return { ...object, spec: (object.spec ?? { host: '' }) as DestinationRule['spec'] }
}

/** A subset's policy overrides the host's, section by section. */
export function policyFor(rule: DestinationRule | undefined, subset: Subset | undefined): TrafficPolicy {
  return { ...rule?.spec.trafficPolicy, ...subset?.trafficPolicy }
}

import { controllerOf, type Labels, type Pod } from '../cluster/objects.ts'
import type { Peer } from './istio-metrics.ts'

/** A workload that sends requests through the mesh without being a pod of the sandbox: a load generator, the ingress. */
export interface ClientWorkload {
  workload: string
  namespace: string
  app?: string
  version?: string
  labels?: Labels
}

/** The ingress gateway: who a client is that does not say so. */
export const INGRESS: ClientWorkload = {
  workload: 'istio-ingressgateway',
  namespace: 'istio-system',
  app: 'istio-ingressgateway',
  labels: { istio: 'ingressgateway' },
}

/** The request header by which a client says which workload it is; the mesh takes it off. */
export const SOURCE_HEADER = 'x-sandbox-source'

/** The value of SOURCE_HEADER for a workload. */
export function sourceHeader(client: ClientWorkload): string {
  return JSON.stringify(client)
}

/** The labels by which routes select a client. */
export function labelsOf({ app, version, labels }: ClientWorkload): Labels {
  return { ...(app ? { app } : {}), ...(version ? { version } : {}), ...labels }
}

/** Telemetry's name for a client workload. */
export function peerOfClient(client: ClientWorkload): Peer {
  return peerOf(client.namespace, client.workload, labelsOf(client), undefined)
}

/** Telemetry's name for a pod: its Deployment where a ReplicaSet owns it, with the labels Istio reads. */
export function peerOfPod(pod: Pod): Peer {
  const labels = pod.metadata.labels ?? {}
  const serviceAccount = pod.spec.serviceAccountName
  return peerOf(
    pod.metadata.namespace ?? 'default',
    workloadOf(pod),
    labels,
    typeof serviceAccount === 'string' ? serviceAccount : undefined,
  )
}

/** The workload a pod belongs to: the owner, or behind a ReplicaSet with a template hash the Deployment. */
function workloadOf(pod: Pod): string {
  const owner = controllerOf(pod)
  if (!owner) return pod.metadata.name
  const hash = pod.metadata.labels?.['pod-template-hash']
  return owner.kind === 'ReplicaSet' && hash && owner.name.endsWith(`-${hash}`)
    ? owner.name.slice(0, -hash.length - 1)
    : owner.name
}

function peerOf(namespace: string, workload: string, labels: Labels, serviceAccount = 'default'): Peer {
  return {
    workload,
    namespace,
    principal: `spiffe://cluster.local/ns/${namespace}/sa/${serviceAccount}`,
    app: labels.app ?? 'unknown',
    version: labels.version ?? 'unknown',
    canonicalService:
      labels['service.istio.io/canonical-name'] ?? labels['app.kubernetes.io/name'] ?? labels.app ?? workload,
    canonicalRevision:
      labels['service.istio.io/canonical-revision'] ??
      labels['app.kubernetes.io/version'] ??
      labels.version ??
      'latest',
    cluster: 'Kubernetes',
  }
}

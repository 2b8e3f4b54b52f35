import type { KubeObject, ObjectMeta, OwnerReference } from '../../kube/object.ts'

/** The resources the cluster's controllers read and write. */
export const DEPLOYMENTS = { group: 'apps', plural: 'deployments' }
export const REPLICA_SETS = { group: 'apps', plural: 'replicasets' }
export const PODS = { group: '', plural: 'pods' }
export const SERVICES = { group: '', plural: 'services' }
export const ENDPOINTS = { group: '', plural: 'endpoints' }
export const ENDPOINT_SLICES = { group: 'discovery.k8s.io', plural: 'endpointslices' }
export const HPAS = { group: 'autoscaling', plural: 'horizontalpodautoscalers' }

export const CONFIG_MAPS = { group: '', plural: 'configmaps' }
export const SECRETS = { group: '', plural: 'secrets' }
export const RESOURCE_QUOTAS = { group: '', plural: 'resourcequotas' }

export type Labels = Record<string, string>

export interface LabelSelector {
  matchLabels?: Labels
  matchExpressions?: { key: string; operator: string; values?: string[] }[]
}

export interface Condition {
  type: string
  status: 'True' | 'False' | 'Unknown'
  reason?: string
  message?: string
  lastTransitionTime?: string
  lastUpdateTime?: string
}

export interface HttpGetProbe {
  httpGet?: { path?: string; port?: number | string }
  initialDelaySeconds?: number
  periodSeconds?: number
  failureThreshold?: number
  successThreshold?: number
}

interface KeyRef {
  name: string
  key: string
  optional?: boolean
}

/** Where the value of a variable comes from; of other sources the sandbox knows nothing. */
export interface EnvSource {
  configMapKeyRef?: KeyRef
  secretKeyRef?: KeyRef
}

type WholeRef = Omit<KeyRef, 'key'>

export interface Container {
  name: string
  image: string
  env?: { name: string; value?: string; valueFrom?: EnvSource }[]
  envFrom?: { prefix?: string; configMapRef?: WholeRef; secretRef?: WholeRef }[]
  ports?: { name?: string; containerPort: number }[]
  readinessProbe?: HttpGetProbe
  resources?: { requests?: Record<string, string | number>; limits?: Record<string, string | number> }
}

export interface PodTemplate {
  metadata?: Partial<ObjectMeta>
  spec: { containers: Container[]; [field: string]: unknown }
}

interface DeploymentSpec {
  replicas?: number
  paused?: boolean
  selector: LabelSelector
  template: PodTemplate
  minReadySeconds?: number
  revisionHistoryLimit?: number
  progressDeadlineSeconds?: number
  strategy?: {
    type?: 'RollingUpdate' | 'Recreate'
    rollingUpdate?: { maxSurge?: number | string; maxUnavailable?: number | string }
  }
}

export interface DeploymentStatus {
  observedGeneration?: number
  replicas?: number
  updatedReplicas?: number
  readyReplicas?: number
  availableReplicas?: number
  unavailableReplicas?: number
  collisionCount?: number
  conditions?: Condition[]
}

export interface Deployment extends KubeObject {
  spec: DeploymentSpec
  status: DeploymentStatus
}

interface ReplicaSetSpec {
  replicas?: number
  minReadySeconds?: number
  selector: LabelSelector
  template: PodTemplate
}

export interface ReplicaSetStatus {
  observedGeneration?: number
  replicas?: number
  fullyLabeledReplicas?: number
  readyReplicas?: number
  availableReplicas?: number
  conditions?: Condition[]
}

export interface ReplicaSet extends KubeObject {
  spec: ReplicaSetSpec
  status: ReplicaSetStatus
}

export interface ContainerStatus {
  name: string
  image: string
  imageID: string
  ready: boolean
  started: boolean
  restartCount: number
  state: ContainerState
  lastState: ContainerState
  containerID?: string
}

export interface ContainerState {
  waiting?: { reason: string; message?: string }
  running?: { startedAt: string }
  terminated?: { exitCode: number; reason: string; startedAt: string; finishedAt: string; containerID?: string }
}

export interface PodStatus {
  phase?: string
  podIP?: string
  conditions?: Condition[]
  containerStatuses?: ContainerStatus[]
  startTime?: string
  [field: string]: unknown
}

export interface Pod extends KubeObject {
  spec: {
    containers: Container[]
    nodeName?: string
    nodeSelector?: Labels
    terminationGracePeriodSeconds?: number
    [field: string]: unknown
  }
  status: PodStatus
}

export interface ServicePort {
  name?: string
  port: number
  targetPort?: number | string
  protocol?: string
  appProtocol?: string
}

export interface Service extends KubeObject {
  spec: { selector?: Labels; ports?: ServicePort[]; clusterIP?: string }
}

export interface EndpointSlice extends KubeObject {
  endpoints?: {
    addresses: string[]
    conditions?: { ready?: boolean; serving?: boolean; terminating?: boolean }
    targetRef?: { kind: string; name: string; namespace: string; uid?: string }
    nodeName?: string
  }[]
  ports?: { name?: string; port?: number; protocol?: string; appProtocol?: string }[]
}

export interface ResourceQuota extends KubeObject {
  spec: { hard?: Record<string, string | number> }
  status: { hard?: Record<string, string | number>; used?: Record<string, string> }
}

export interface Hpa extends KubeObject {
  spec: {
    minReplicas?: number
    maxReplicas: number
    scaleTargetRef: { apiVersion?: string; kind: string; name: string }
    metrics?: { type: string; resource?: { name: string; target: { averageUtilization?: number } } }[]
  }
  status: Record<string, unknown>
}

/**
 * Gives a stored object the type of its kind. The API server has validated and defaulted it, which is what makes this sound;
 * a missing status reads as empty.
 */
export function view<T extends KubeObject>(object: KubeObject): T {
  return (object.status === undefined ? { ...object, status: {} } : object) as T
}

/** The owner that manages the object, if any. */
export function controllerOf(object: { metadata: Partial<ObjectMeta> }): OwnerReference | undefined {
  return object.metadata.ownerReferences?.find((owner) => owner.controller)
}

/** Whether the labels satisfy the selector; an empty selector matches everything, an undefined one nothing. */
export function selects(selector: LabelSelector | undefined, labels: Labels | undefined): boolean {
  if (!selector) return false
  const has = labels ?? {}
  for (const [key, value] of Object.entries(selector.matchLabels ?? {})) if (has[key] !== value) return false
  for (const { key, operator, values = [] } of selector.matchExpressions ?? []) {
    const value = has[key]
    const listed = value !== undefined && values.includes(value)
    const holds =
      operator === 'In'
        ? listed
        : operator === 'NotIn'
          ? !listed
          : operator === 'Exists'
            ? value !== undefined
            : operator === 'DoesNotExist' && value === undefined
    if (!holds) return false
  }
  return true
}

/** A metav1.Time: RFC 3339 in whole seconds. */
export function timestampOf(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`
}

/** A positive number resolved against `total` from a count or a percentage, rounded as asked. */
export function resolveIntOrPercent(value: number | string | undefined, total: number, round: 'up' | 'down'): number {
  if (value === undefined) return 0
  if (typeof value === 'number') return value
  const share = (Number.parseFloat(value) * total) / 100
  return round === 'up' ? Math.ceil(share) : Math.floor(share)
}

export function isPodReady(pod: Pod): boolean {
  return pod.status.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false
}

/** A pod that counts for its ReplicaSet: neither finished nor on its way out. */
export function isPodActive(pod: Pod): boolean {
  return pod.status.phase !== 'Succeeded' && pod.status.phase !== 'Failed' && !pod.metadata.deletionTimestamp
}

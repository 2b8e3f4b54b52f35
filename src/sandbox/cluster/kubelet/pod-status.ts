import type { Condition, ContainerState, ContainerStatus, Pod, PodStatus } from '../objects.ts'
import { timestampOf } from '../objects.ts'
import { appContainer } from './behaviour.ts'

/** What the kubelet knows of a pod's app container; the pod's status follows from it. */
export interface ContainerView {
  state: ContainerState
  lastState: ContainerState
  restartCount: number
  ready: boolean
  started: boolean
}

/** A container that has not run yet. */
export const CREATING: ContainerView = {
  state: { waiting: { reason: 'ContainerCreating' } },
  lastState: {},
  restartCount: 0,
  ready: false,
  started: false,
}

/** The pod status that kubectl, the ReplicaSet controller and health checks read. */
export function podStatus(pod: Pod, view: ContainerView, ip: string | undefined, nowMs: number): PodStatus {
  const everRan = view.state.running !== undefined || view.lastState.terminated !== undefined || view.state.terminated
  const name = appContainer(pod)?.name ?? 'app'
  const unready = {
    reason: 'ContainersNotReady',
    message: `containers with unready status: [${name}]`,
  }
  const set = (conditions: Condition[], type: string, holds: boolean, why: { reason?: string; message?: string }) =>
    transition(conditions, { type, status: holds ? 'True' : 'False', ...(holds ? {} : why) }, nowMs)
  let conditions = pod.status.conditions ?? []
  conditions = set(conditions, 'PodReadyToStartContainers', ip !== undefined, {})
  conditions = set(conditions, 'Initialized', true, {})
  conditions = set(conditions, 'Ready', view.ready, unready)
  conditions = set(conditions, 'ContainersReady', view.ready, unready)
  conditions = set(conditions, 'PodScheduled', true, {})
  return {
    ...pod.status,
    phase: everRan ? 'Running' : 'Pending',
    conditions,
    hostIP: '127.0.0.1',
    hostIPs: [{ ip: '127.0.0.1' }],
    ...(ip === undefined ? {} : { podIP: ip, podIPs: [{ ip }] }),
    startTime: pod.status.startTime ?? timestampOf(nowMs),
    qosClass: pod.status.qosClass ?? 'BestEffort',
    containerStatuses: pod.spec.containers.map((container) => containerStatus(container, view, pod)),
  }
}

/** The status of a pod that no node takes: pending, without containers, for the scheduler's reason. */
export function unschedulableStatus(pod: Pod, message: string, nowMs: number): PodStatus {
  const condition: Condition = { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message }
  const conditions = transition(pod.status.conditions ?? [], condition, nowMs)
  return { ...pod.status, phase: 'Pending', conditions, qosClass: pod.status.qosClass ?? 'BestEffort' }
}

function containerStatus(container: { name: string; image: string }, view: ContainerView, pod: Pod): ContainerStatus {
  const ran = view.state.running !== undefined || view.lastState.terminated !== undefined
  return {
    name: container.name,
    image: container.image,
    imageID: ran ? container.image : '',
    ...(ran ? { containerID: `sandbox://${pod.metadata.uid}-${view.restartCount}` } : {}),
    ready: view.ready,
    started: view.started,
    restartCount: view.restartCount,
    state: view.state,
    lastState: view.lastState,
  }
}

function transition(conditions: readonly Condition[], next: Condition, nowMs: number): Condition[] {
  const current = conditions.find(({ type }) => type === next.type)
  const lastTransitionTime = current?.status === next.status ? current.lastTransitionTime : timestampOf(nowMs)
  const updated = { ...next, lastTransitionTime }
  if (!current) return [...conditions, updated]
  return conditions.map((condition) => (condition === current ? updated : condition))
}

import { fieldAt, listAt, textAt } from '../kube/field.ts'
import type { KubeObject } from '../kube/object.ts'

/** Longest excerpt of a message that Kubernetes wrote. */
const EXCERPT = 160

/** From this rank on, a pod does not become ready by itself: no node takes it, it has ended, or a container cannot run. */
const FAILING = 2

/** Whether a pod takes requests: Ready, and not on its way out. */
export function isReady(pod: KubeObject): boolean {
  return pod.metadata.deletionTimestamp === undefined && condition(pod, 'Ready')?.status === 'True'
}

/**
 * Why some of the wanted pods do not take requests, in one sentence that names a pod where there is one (the first by name among those
 * that are worst off); undefined when all do. `deployments` are those behind the version, `pods` all that carry its labels.
 */
export function whyNotReady(deployments: readonly KubeObject[], pods: readonly KubeObject[]): string | undefined {
  const wanted = deployments.reduce((sum, deployment) => sum + replicasOf(deployment), 0)
  const ready = pods.filter(isReady).length
  if (wanted === 0 && ready === 0) {
    const names = deployments.map((d) => d.metadata.name).join(', ')
    return deployments.length === 1 ? `Deployment ${names} is scaled to 0` : `Deployments ${names} are scaled to 0`
  }
  if (ready >= wanted) return undefined
  const worst = worstPod(deployments, pods)
  if (worst) return worst.message
  const refused = deployments.map(whyNoPods).find((reason) => reason !== undefined)
  if (refused !== undefined) return refused
  return `${ready} of ${wanted} pods of ${deployments.map((d) => `Deployment ${d.metadata.name}`).join(', ')} exist and are ready`
}

/** A pod that is not ready, and why, in one sentence. `failing`: it will hardly become ready by waiting a little. */
export interface UnreadyPod {
  message: string
  failing: boolean
}

/** The pod that is worst off of those that are to be ready: the first by name where several are; undefined when there is none. */
export function worstPod(deployments: readonly KubeObject[], pods: readonly KubeObject[]): UnreadyPod | undefined {
  const probed = containersWithProbe(deployments)
  const [worst] = pods
    .filter((pod) => !isReady(pod) && pod.metadata.deletionTimestamp === undefined)
    .map((pod) => ({ name: pod.metadata.name, ...reasonOf(pod, probed) }))
    .sort((a, b) => b.rank - a.rank || (a.name < b.name ? -1 : 1))
  return worst && { message: `pod ${worst.name} is not ready: ${worst.reason}`, failing: worst.rank >= FAILING }
}

/** Why a Deployment has no pods where it wants some (a quota, an admission webhook), in one sentence. */
export function whyNoPods(deployment: KubeObject): string | undefined {
  const failure = condition(deployment, 'ReplicaFailure')
  if (failure?.status !== 'True') return undefined
  return `Deployment ${deployment.metadata.name} cannot create pods: ${excerpt(failure.message ?? failure.reason ?? '')}`
}

/**
 * Why some pods may still run what was there before the Deployments were changed, in one sentence: what such pods answer says nothing
 * about the new content. Undefined when every pod runs the newest.
 */
export function whyRolling(deployments: readonly KubeObject[]): string | undefined {
  for (const deployment of deployments) {
    const { name, generation = 0 } = deployment.metadata
    const count = (field: string) => Number(fieldAt(deployment, 'status', field) ?? 0)
    if (count('observedGeneration') < generation) return `Deployment ${name} has just been changed`
    const updated = `${count('updatedReplicas')} of ${count('replicas')} pods are updated`
    if (count('updatedReplicas') >= count('replicas')) continue
    const paused = fieldAt(deployment, 'spec', 'paused') === true
    return `Deployment ${name} is ${paused ? 'paused in the middle of a roll' : 'still rolling'} (${updated})`
  }
  return undefined
}

/** Wanted pods of a Deployment; 1 where it does not say. */
export function replicasOf(deployment: KubeObject): number {
  const replicas = fieldAt(deployment, 'spec', 'replicas')
  return typeof replicas === 'number' ? replicas : 1
}

/** `rank` orders reasons by how much they explain: a crash says more than a pod that is just starting. */
function reasonOf(pod: KubeObject, probed: ReadonlySet<string>): { rank: number; reason: string } {
  const phase = textAt(pod, 'status', 'phase')
  if (phase === 'Failed' || phase === 'Succeeded') {
    const why = textAt(pod, 'status', 'reason') ?? textAt(pod, 'status', 'message')
    return { rank: 3, reason: `it has ended (${phase}${why ? `, ${excerpt(why)}` : ''})` }
  }
  for (const status of [
    ...listAt(pod, 'status', 'initContainerStatuses'),
    ...listAt(pod, 'status', 'containerStatuses'),
  ]) {
    const reason = containerReason(status)
    if (reason) return { rank: 4, reason }
  }
  const scheduled = condition(pod, 'PodScheduled')
  if (scheduled?.status === 'False') {
    return {
      rank: 2,
      reason: `it cannot be scheduled (${excerpt(scheduled.message ?? scheduled.reason ?? 'no reason given')})`,
    }
  }
  const running = listAt(pod, 'status', 'containerStatuses').filter((c) => fieldAt(c, 'state', 'running') !== undefined)
  const unready = running.find((c) => fieldAt(c, 'ready') !== true)
  if (unready) {
    const name = textAt(unready, 'name') ?? '?'
    const how = probed.has(name) ? 'fails its readiness probe' : 'is not ready yet'
    return { rank: 1, reason: `container ${name} runs but ${how}` }
  }
  const ready = condition(pod, 'Ready')
  if (running.length > 0 && ready?.message) return { rank: 1, reason: excerpt(ready.message) }
  return { rank: 0, reason: 'it is starting' }
}

/** Names of containers whose template has a readiness probe; the pods in the cache need not carry their spec. */
function containersWithProbe(deployments: readonly KubeObject[]): ReadonlySet<string> {
  const containers = deployments.flatMap((d) => listAt(d, 'spec', 'template', 'spec', 'containers'))
  const probed = containers.filter((c) => fieldAt(c, 'readinessProbe') !== undefined)
  return new Set(probed.flatMap((c) => textAt(c, 'name') ?? []))
}

/** Why a container does not run, or undefined when it runs, waits its turn or is being created. */
function containerReason(status: unknown): string | undefined {
  const name = textAt(status, 'name') ?? '?'
  const waiting = textAt(status, 'state', 'waiting', 'reason')
  if (waiting !== undefined && waiting !== 'ContainerCreating' && waiting !== 'PodInitializing') {
    const ended = textAt(status, 'lastState', 'terminated', 'reason')
    const code = fieldAt(status, 'lastState', 'terminated', 'exitCode')
    const message = textAt(status, 'state', 'waiting', 'message')
    const last = typeof code === 'number' ? `it ended with ${ended ?? 'exit code'} ${code}` : undefined
    const details = [last, message === undefined ? undefined : excerpt(message)].filter((d) => d !== undefined)
    return `${waiting} of container ${name}${details.length > 0 ? ` (${details.join('; ')})` : ''}`
  }
  const code = fieldAt(status, 'state', 'terminated', 'exitCode')
  if (typeof code === 'number' && code !== 0) {
    return `container ${name} ended with ${textAt(status, 'state', 'terminated', 'reason') ?? 'exit code'} ${code}`
  }
  return undefined
}

/** The condition of this type in an object's status. */
export function condition(
  object: KubeObject,
  type: string,
): { status?: string; reason?: string; message?: string } | undefined {
  const found = listAt(object, 'status', 'conditions').find((c) => textAt(c, 'type') === type)
  return found === undefined
    ? undefined
    : { status: textAt(found, 'status'), reason: textAt(found, 'reason'), message: textAt(found, 'message') }
}

function excerpt(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ').trim()
  return line.length > EXCERPT ? `${line.slice(0, EXCERPT - 1)}…` : line
}

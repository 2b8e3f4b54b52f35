import { randomUUID } from 'node:crypto'
import { type KubernetesUser, whoAmI } from '../../approval/kubernetes.ts'
import {
  makeRequest,
  type RequestDetails,
  type RequestVerb,
  readRequest,
  requestAnnotation,
  requesterAnnotation,
} from '../../approval/request.ts'
import { SluiceError } from '../../errors.ts'
import { asKubeError } from '../../kube/kube-error.ts'
import { resources } from '../../kube/resources.ts'
import type { Runtime } from '../../runtime.ts'
import type { Cluster, RolloutName } from '../cluster.ts'
import { findRollout, type Rollout, readRollout } from '../rollouts.ts'
import { aim } from './aim.ts'

export interface Asking {
  cluster: Cluster
  runtime: Runtime
  named: RolloutName
  verb: RequestVerb
  details: RequestDetails
  /** Milliseconds to wait for the controller's answer; 0 does not wait. */
  waitMs: number
}

const ATTEMPTS = 5
const POLL_MS = 200

/**
 * Writes a request on a Rollout, for exactly what is seen there now, and waits for what the controller answers.
 * @returns one sentence: what was done
 * @throws {SluiceError} when it is void, refused or not answered, or when there is nothing to ask for; {KubeError}
 */
export async function askController(asking: Asking): Promise<string> {
  const { cluster, runtime, verb, waitMs } = asking
  const deadline = runtime.monotonic() + waitMs
  const seen = await findRollout(cluster, asking.named)
  const key = { namespace: seen.namespace, name: seen.name }
  const place = `${key.namespace}/${key.name}`
  const details = aim(seen, verb, asking.details)
  const requester = await nameOf(cluster)
  const id = randomUUID()
  const current = verb === 'abort' ? seen : await untilAnswered(asking, seen, deadline)
  await write(asking, current, { details, id, requester })
  if (waitMs === 0) return `Asked to ${verb} ${place}; not waiting for the answer.`

  for (;;) {
    const object = await cluster.client.get(resources.rollouts, key)
    if (object === undefined) throw failed(`${place} was deleted before it was done`)
    const { status } = readRollout(object)
    if (status.lastRequest?.id === id) {
      const { result, message } = status.lastRequest
      if (result === 'Done') return `Done: ${message}`
      throw failed(`${place}: ${result.toLowerCase()}: ${message}`)
    }
    if (idOf(object.metadata.annotations) !== id)
      throw failed(`${place}: another request replaced this one before it was answered`)
    if (runtime.monotonic() >= deadline) {
      const message = `no controller answered within ${waitMs / 1000} s that ${place} is to ${verb}; the request stays on the Rollout`
      throw new SluiceError({ reason: 'NoAnswer', message })
    }
    await runtime.sleep(POLL_MS)
  }
}

/** Waits until somebody else's request is answered: one that is overwritten would never be heard. An abort does not wait. */
async function untilAnswered({ cluster, runtime }: Asking, seen: Rollout, deadline: number): Promise<Rollout> {
  for (let rollout = seen; ; ) {
    const open = idOf(rollout.object.metadata.annotations)
    if (open === undefined || open === rollout.status.lastRequest?.id) return rollout
    if (runtime.monotonic() >= deadline) {
      const message = `an earlier request on ${seen.namespace}/${seen.name} has not been answered yet, so this one was not made`
      throw new SluiceError({ reason: 'NoAnswer', message })
    }
    await runtime.sleep(POLL_MS)
    rollout = await findRollout(cluster, seen)
  }
}

/** Patches exactly the version that was read; somebody else's write in between is read again and the aim taken anew. */
async function write(
  { cluster, runtime, verb }: Asking,
  from: Rollout,
  request: { details: RequestDetails; id: string; requester: string | undefined },
): Promise<void> {
  const { details, id, requester } = request
  const value = makeRequest(verb, details, id)
  const annotations = { [requestAnnotation]: value, [requesterAnnotation]: requester ?? null }
  const key = { namespace: from.namespace, name: from.name }
  for (let attempt = 1, rollout = from; ; attempt++) {
    if (verb !== 'retry' && rollout.status.canary?.revision !== details.revision)
      throw failed(`${key.namespace}/${key.name}: another revision is being rolled out since you looked`)
    const { uid, resourceVersion } = rollout.object.metadata
    const body = { metadata: { uid, resourceVersion, annotations } }
    try {
      await cluster.client.patch(resources.rollouts, key, { type: 'merge', body }, { fieldManager: 'sluice-cli' })
      return
    } catch (error) {
      if (!asKubeError(error)?.isConflict || attempt >= ATTEMPTS) throw error
    }
    await runtime.sleep(runtime.random() * 100)
    rollout = await findRollout(cluster, rollout)
  }
}

/** As an admission policy would stamp it; nobody where the API server does not say (Kubernetes before 1.28). */
async function nameOf({ client }: Cluster): Promise<string | undefined> {
  const user: KubernetesUser | undefined = await whoAmI(client).catch((error: unknown) => {
    const refusal = asKubeError(error)
    if (refusal?.isNotFound || refusal?.status === 403) return undefined
    throw error
  })
  return user && `user:${user.name}`
}

function idOf(annotations: Record<string, string> | undefined): string | undefined {
  const reading = readRequest(annotations)
  if (reading.kind === 'None') return undefined
  return reading.kind === 'Request' ? reading.request.id : reading.id
}

function failed(message: string): SluiceError {
  return new SluiceError({ reason: 'RequestFailed', message })
}

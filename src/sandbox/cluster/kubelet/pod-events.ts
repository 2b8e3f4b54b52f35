import type { Runtime } from '../../../runtime.ts'
import { ApiError } from '../../apiserver/status.ts'
import type { Storage } from '../../apiserver/storage.ts'
import { type Pod, timestampOf } from '../objects.ts'

const EVENTS = { group: '', plural: 'events' }

/** Says in an Event what keeps a pod from running, as `kubectl describe pod` shows it. */
export type PodWarner = (pod: Pod, reason: string, message: string) => void

/** Only warnings are recorded: what goes well would cost thousands of objects that nobody reads. */
export function createPodWarner(storage: Storage, runtime: Runtime): PodWarner {
  return (pod, reason, message) => {
    const { name, namespace = 'default', uid } = pod.metadata
    const now = timestampOf(runtime.now())
    try {
      storage.create(EVENTS, {
        apiVersion: 'v1',
        kind: 'Event',
        metadata: { name: '', generateName: `${name}.`, namespace },
        involvedObject: { apiVersion: 'v1', kind: 'Pod', name, namespace, uid },
        type: 'Warning',
        reason,
        message,
        source:
          reason === 'FailedScheduling'
            ? { component: 'default-scheduler' }
            : { component: 'kubelet', host: 'sandbox' },
        firstTimestamp: now,
        lastTimestamp: now,
        count: 1,
      })
    } catch (error) {
      // A namespace that is going away takes no more events; the pod goes with it.
      if (!(error instanceof ApiError)) throw error
    }
  }
}

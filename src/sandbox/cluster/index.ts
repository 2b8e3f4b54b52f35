import type { Runtime } from '../../runtime.ts'
import type { Admission } from '../apiserver/admission.ts'
import type { Storage } from '../apiserver/storage.ts'
import { startDeploymentController } from './deployment/controller.ts'
import { startEndpointsController } from './endpoints.ts'
import { startHpaController } from './hpa.ts'
import { type RunningPod, startKubelet } from './kubelet/kubelet.ts'
import { startQuotas } from './quota.ts'
import { startReplicaSetController } from './replica-set.ts'

export type { RunningPod } from './kubelet/kubelet.ts'
export type { Sidecar } from './kubelet/pod-server.ts'

export interface ClusterOptions {
  storage: Storage
  /** Where pods beyond a ResourceQuota are refused; without it quotas mean nothing. */
  admission?: Admission
  runtime: Runtime
  /** Repeats what pods draw; 1 unless told. */
  seed?: number
  /** False: pods become ready but nothing listens, for tests of many objects. */
  serve?: boolean
  /** The first delay before a crashed container starts again; 10 s as in Kubernetes. */
  crashBackOffMs?: number
  /** How often autoscalers look; 15 s as in Kubernetes. */
  hpaIntervalMs?: number
  /** A pod that could not be run for a reason that lies in the sandbox; thrown away unless told. */
  onError?(error: Error): void
}

/** What makes stored Deployments, Services and autoscalers do something. */
export interface ClusterRuntime {
  /** Tells of every pod that gets an address, those that have one first, and of its end; answers how to stop listening. */
  onPod(handler: (type: 'STARTED' | 'STOPPED', running: RunningPod) => void): () => void
  /** True while a controller has keys it has not looked at yet. */
  busy(): boolean
  /** Ends controllers and pods; nothing listens or waits afterwards. Stored objects stay as they are. */
  stop(): Promise<void>
}

/** Starts the sandbox's controllers over the storage: Deployments, ReplicaSets, pods, endpoints, autoscalers. */
export function startCluster(options: ClusterOptions): ClusterRuntime {
  const { storage, runtime, seed = 1, serve = true, crashBackOffMs = 10_000, hpaIntervalMs = 15_000 } = options
  const onError = options.onError ?? (() => undefined)
  const kubelet = startKubelet({ storage, runtime, seed, serve, crashBackOffMs, onError })
  const loops = [
    startDeploymentController(storage, runtime),
    startReplicaSetController(storage, runtime),
    startEndpointsController(storage, runtime),
    startHpaController(storage, runtime, hpaIntervalMs),
    ...(options.admission ? [startQuotas(storage, options.admission, runtime)] : []),
  ]
  return {
    onPod: (handler) => kubelet.onPod(handler),
    busy: () => loops.some((loop) => loop.busy()),
    async stop() {
      for (const loop of loops) loop.stop()
      await kubelet.stop()
    },
  }
}

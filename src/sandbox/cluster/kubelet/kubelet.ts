import { keyOf } from '../../../kube/object.ts'
import type { Runtime } from '../../../runtime.ts'
import type { Storage } from '../../apiserver/storage.ts'
import { PODS, type Pod, view } from '../objects.ts'
import { createAddressPool } from './listener.ts'
import type { PodServer } from './pod-server.ts'
import { type PodWorker, startPodWorker } from './pod-worker.ts'

/** A pod that has an address, as a mesh needs it. */
export interface RunningPod {
  /** The pod as it was stored last. */
  pod(): Pod
  server: PodServer
}

/** Runs every pod of the sandbox on one imagined node. */
export interface Kubelet {
  /** Tells of every pod that gets an address, those that have one first, and of its end. */
  onPod(handler: (type: 'STARTED' | 'STOPPED', running: RunningPod) => void): () => void
  stop(): Promise<void>
}

export interface KubeletOptions {
  storage: Storage
  runtime: Runtime
  seed: number
  /** False: pods become ready but nothing listens; for tests of many objects. */
  serve: boolean
  /** The first delay before a crashed container starts again; doubles up to five minutes. Kubernetes: 10 s. */
  crashBackOffMs: number
  onError(error: Error): void
}

interface Entry {
  uid: string | undefined
  pod: Pod
  worker: PodWorker
  running: RunningPod | undefined
}

/** Starts a worker per stored pod. */
export function startKubelet(options: KubeletOptions): Kubelet {
  const { storage, runtime } = options
  const pool = createAddressPool(runtime.random())
  const entries = new Map<string, Entry>()
  const ending = new Set<Promise<void>>()
  const handlers = new Set<(type: 'STARTED' | 'STOPPED', running: RunningPod) => void>()
  const created = new Map<string, number>()
  const unborn = new Set<string>()
  let stopped = false
  let birth: NodeJS.Immediate | undefined

  const unsubscribe = storage.subscribe(PODS, (type, object) => {
    const key = keyOf(object)
    const entry = entries.get(key)
    if (type === 'DELETED') {
      unborn.delete(key)
      if (entry) end(key, entry)
      return
    }
    if (entry && entry.uid === object.metadata.uid) {
      entry.pod = view<Pod>(object)
      entry.worker.update(entry.pod)
      return
    }
    if (entry) end(key, entry)
    // Off the writer's stack: starting a pod writes its status.
    unborn.add(key)
    birth ??= setImmediate(startUnborn)
  })

  function startUnborn(): void {
    birth = undefined
    for (const key of unborn) {
      const slash = key.indexOf('/')
      const object = storage.get(PODS, { namespace: key.slice(0, slash), name: key.slice(slash + 1) })
      if (object && !stopped) start(key, view<Pod>(object))
    }
    unborn.clear()
  }

  function start(key: string, pod: Pod): void {
    if (pod.status.phase === 'Succeeded' || pod.status.phase === 'Failed') return
    const image = pod.spec.containers[0]?.image ?? ''
    const ordinal = created.get(image) ?? 0
    created.set(image, ordinal + 1)
    const worker = startPodWorker({
      ...options,
      pool,
      pod,
      stream: `${image}/${ordinal}`,
      onServer(server) {
        const entry = entries.get(key)
        if (!entry || entry.worker !== worker) return
        entry.running = { pod: () => entry.pod, server }
        for (const handler of handlers) handler('STARTED', entry.running)
      },
    })
    entries.set(key, { uid: pod.metadata.uid, pod, worker, running: undefined })
    // What the worker wrote while it started came before the entry was there.
    const stored = storage.get(PODS, pod.metadata)
    if (stored) worker.update(view<Pod>(stored))
  }

  function end(key: string, entry: Entry): void {
    entries.delete(key)
    if (entry.running) for (const handler of handlers) handler('STOPPED', entry.running)
    const ended = entry.worker.kill().finally(() => ending.delete(ended))
    ending.add(ended)
  }

  return {
    onPod(handler) {
      handlers.add(handler)
      for (const { running } of entries.values()) if (running) handler('STARTED', running)
      return () => handlers.delete(handler)
    },
    async stop() {
      stopped = true
      unsubscribe()
      if (birth) clearImmediate(birth)
      for (const [key, entry] of [...entries]) end(key, entry)
      await Promise.all(ending)
    },
  }
}

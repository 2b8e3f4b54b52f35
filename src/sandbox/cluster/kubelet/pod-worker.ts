import { isDeepStrictEqual } from 'node:util'
import { keyOf } from '../../../kube/object.ts'
import type { Runtime } from '../../../runtime.ts'
import type { Storage } from '../../apiserver/storage.ts'
import { randomStream } from '../../mesh/random.ts'
import { PODS, type Pod, timestampOf, view } from '../objects.ts'
import { createApp } from './app.ts'
import { appContainer, type Behaviour, behaviourOf, isPullable, portsOf } from './behaviour.ts'
import { environmentOf } from './environment.ts'
import type { AddressPool } from './listener.ts'
import { createPodWarner } from './pod-events.ts'
import { createPodServer, type PodServer } from './pod-server.ts'
import { type ContainerView, CREATING, podStatus, unschedulableStatus } from './pod-status.ts'
import { createReadiness, type Readiness } from './readiness.ts'
import { NODE, whyUnschedulable } from './scheduler.ts'

/** The annotation that says where a container port listens when it could not be bound on the pod's address: JSON, port to host:port. */
const MOVED_PORTS = 'sandbox.sluice.dev/addresses'

export interface PodWorkerOptions {
  storage: Storage
  runtime: Runtime
  pool: AddressPool
  pod: Pod
  /** Names this pod's stream of draws, the same in every run. */
  stream: string
  seed: number
  /** Whether pods really listen. */
  serve: boolean
  crashBackOffMs: number
  /** The pod's server exists; called once. */
  onServer(server: PodServer): void
  /** The pod could not be run, for a reason that lies in the sandbox. */
  onError(error: Error): void
}

/** Runs one pod from its creation to its end. */
export interface PodWorker {
  /** The stored pod changed. */
  update(pod: Pod): void
  /** Ends the pod without ceremony: it was removed, or the sandbox stops. */
  kill(): Promise<void>
}

const MAX_BACK_OFF_MS = 300_000

/** How often a kubelet looks again for configuration that is missing. */
const CONFIG_RETRY_MS = 250

/** Starts a pod: schedules it, pulls, serves, watches readiness, restarts what crashes, ends it gracefully when it is deleted. */
export function startPodWorker(options: PodWorkerOptions): PodWorker {
  const { storage, runtime, pool, seed, serve } = options
  const key = { namespace: options.pod.metadata.namespace, name: options.pod.metadata.name }
  const uid = options.pod.metadata.uid
  const ended = new AbortController()
  // Aborted by either way to end: the pod is being deleted, or it is gone.
  const ending = new AbortController()
  const warn = createPodWarner(storage, runtime)
  let pod = options.pod
  let env: ReadonlyMap<string, string> | undefined
  let behaviour = behaviourOf(pod)
  let container: ContainerView = CREATING
  let server: PodServer | undefined
  let readiness: Readiness | undefined
  let onUpdate = () => {}

  const done = run().catch((error: unknown) => {
    // A pod removed under the worker's hands is no failure: its end is on its way here.
    if (live()) options.onError(new Error(`pod ${keyOf(pod)} could not be run`, { cause: error }))
  })

  async function run(): Promise<void> {
    await schedule()
    if (stopping()) {
      // Nothing runs yet: what is deleted before it has a node goes at once.
      if (!ended.signal.aborted) storage.remove(PODS, key, { gracePeriodSeconds: 0, preconditions: { uid } })
      return
    }
    publish(CREATING)
    const image = appContainer(pod)?.image ?? ''
    if (!isPullable(image)) await backOffPulling(image)
    server = await createPodServer(pool, portsOf(pod), serve && !behaviour.unreachable)
    if (ended.signal.aborted) return await server.close(0)
    options.onServer(server)
    try {
      await runContainers(server)
    } finally {
      readiness?.stop()
      await server.close(ended.signal.aborted ? 0 : graceMs())
      if (!ended.signal.aborted) storage.remove(PODS, key, { gracePeriodSeconds: 0, preconditions: { uid } })
    }
  }

  async function runContainers(server: PodServer): Promise<void> {
    let backOffMs = options.crashBackOffMs
    for (let run = 0; !stopping(); run++) {
      await configure()
      if (stopping()) return
      const startedMs = runtime.now()
      const exit = new AbortController()
      const random = randomStream(behaviour.seed ?? seed, `${options.stream}/${run}`)
      const app = createApp({ podName: key.name, behaviour: () => behaviour, random, runtime, ended: exit.signal })
      await server.start(app)
      publishMoved(server)
      publish({ ...container, state: { running: { startedAt: timestampOf(startedMs) } }, started: true, ready: false })
      readiness = createReadiness({
        runtime,
        probe: appContainer(pod)?.readinessProbe,
        upIn: (sinceStartMs) => (behaviour.ready ? Math.max(0, behaviour.readyAfterMs - sinceStartMs) : undefined),
        onChange: (ready) => publish({ ...container, ready }),
      })
      await pause(behaviour.crashAfterMs)
      if (stopping()) {
        readiness?.stop()
        if (!ended.signal.aborted) await runtime.sleep(Math.min(behaviour.shutdownMs, graceMs()), ended.signal)
        exit.abort()
        return
      }
      readiness?.stop()
      exit.abort()
      await server.crash()
      const finished = runtime.now()
      const terminated = {
        exitCode: 1,
        reason: 'Error',
        startedAt: timestampOf(startedMs),
        finishedAt: timestampOf(finished),
      }
      const crashed = { lastState: { terminated }, restartCount: run + 1, ready: false, started: false }
      if (run === 0) {
        // The first restart comes at once; only then does the back-off begin.
        container = { ...crashed, state: { terminated } }
        continue
      }
      const message = `back-off ${Math.round(backOffMs / 1000)}s restarting failed container=${appContainer(pod)?.name} pod=${key.name}_${key.namespace}(${uid})`
      publish({ ...crashed, restartCount: run, state: { waiting: { reason: 'CrashLoopBackOff', message } } })
      warn(pod, 'BackOff', `Back-off restarting failed container ${appContainer(pod)?.name} in pod ${key.name}`)
      await pause(backOffMs)
      container = { ...container, restartCount: run + 1 }
      backOffMs = Math.min(MAX_BACK_OFF_MS, backOffMs * 2)
    }
  }

  /** Reads the environment for the container that is about to start, as soon as all of it is there. */
  async function configure(): Promise<void> {
    let told: string | undefined
    for (let made = environment(); !stopping(); made = environment()) {
      if (made.ok) {
        env = made.env
        behaviour = behaviourOf(pod, env)
        return
      }
      const { message } = made
      if (message !== told) {
        publish({ ...container, state: { waiting: { reason: 'CreateContainerConfigError', message } } })
        warn(pod, 'Failed', `Error: ${message}`)
        told = message
      }
      await pause(CONFIG_RETRY_MS)
    }
  }

  function environment() {
    return environmentOf(storage, key.namespace ?? '', appContainer(pod))
  }

  async function backOffPulling(image: string): Promise<void> {
    const failed = `failed to pull and unpack image "${image}": failed to resolve reference "${image}": not found`
    publish({ ...CREATING, state: { waiting: { reason: 'ErrImagePull', message: failed } } })
    warn(pod, 'Failed', `Failed to pull image "${image}": ${failed}`)
    await pause(Math.min(1000, options.crashBackOffMs))
    const message = `Back-off pulling image "${image}": ErrImagePull: ${failed}`
    if (!stopping()) {
      publish({ ...CREATING, state: { waiting: { reason: 'ImagePullBackOff', message } } })
      warn(pod, 'BackOff', `Back-off pulling image "${image}"`)
    }
    await pause(undefined)
  }

  /** Waits that long, or for good, but no longer than the pod lives. */
  async function pause(ms: number | undefined): Promise<void> {
    const { signal } = ending
    if (signal.aborted) return
    if (ms !== undefined) return await runtime.sleep(ms, signal).catch(() => undefined)
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
  }

  function stopping(): boolean {
    return ending.signal.aborted
  }

  function graceMs(): number {
    return Number(pod.metadata.deletionGracePeriodSeconds ?? 30) * 1000
  }

  function live(): Pod | undefined {
    const found = storage.get(PODS, key)
    return found && found.metadata.uid === uid && !ended.signal.aborted ? view<Pod>(found) : undefined
  }

  /** Binds the pod to the node, as soon as the node can take it. */
  async function schedule(): Promise<void> {
    if (pod.spec.nodeName) return
    for (let why = whyUnschedulable(pod); why !== undefined && !stopping(); why = whyUnschedulable(pod)) {
      const current = live()
      const status = current && unschedulableStatus(current, why, runtime.now())
      if (current && !isDeepStrictEqual(status, current.status)) {
        storage.updateStatus(PODS, { ...current, status })
        warn(pod, 'FailedScheduling', why)
      }
      await changed()
    }
    if (!stopping()) storage.patchMerge(PODS, key, { spec: { nodeName: NODE } })
  }

  /** Waits for the next change of the stored pod, or for its end. */
  function changed(): Promise<void> {
    return new Promise((resolve) => {
      onUpdate = resolve
      ending.signal.addEventListener('abort', () => resolve(), { once: true })
    })
  }

  function publish(next: ContainerView): void {
    container = next
    const current = live()
    if (!current) return
    const status = podStatus(current, next, server?.ip, runtime.now())
    if (!isDeepStrictEqual(status, current.status)) storage.updateStatus(PODS, { ...current, status })
  }

  function publishMoved(server: PodServer): void {
    const moved = server.moved()
    if (Object.keys(moved).length === 0 || !live()) return
    storage.patchMerge(PODS, key, { metadata: { annotations: { [MOVED_PORTS]: JSON.stringify(moved) } } })
  }

  return {
    update(next) {
      pod = next
      const changed: Behaviour = behaviourOf(next, env)
      if (!isDeepStrictEqual(changed, behaviour)) {
        behaviour = changed
        readiness?.check()
      }
      onUpdate()
      if (next.metadata.deletionTimestamp) ending.abort(new Error(`pod ${keyOf(next)} is being deleted`))
    },
    async kill() {
      const gone = new Error(`pod ${key.namespace}/${key.name} is gone`)
      ended.abort(gone)
      ending.abort(gone)
      readiness?.stop()
      await done
    },
  }
}

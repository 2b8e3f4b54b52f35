import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { crdOf } from '../api/crd.ts'
import { kinds } from '../api/kinds.ts'
import type { KubeObject } from '../kube/object.ts'
import { type Runtime, systemRuntime } from '../runtime.ts'
import { type ApiServer, startApiServer } from './apiserver/index.ts'
import { type ClusterRuntime, startCluster } from './cluster/index.ts'
import { type GitRemote, startGitRemote } from './git/remote.ts'
import { installLatch } from './latch.ts'
import { type Mesh, startMesh } from './mesh/index.ts'
import { type SandboxPrometheus, startPrometheus } from './prometheus/server.ts'

/** The user as which the controller talks to the sandbox's API server: the service account that deploy/ gives it. */
export const CONTROLLER_USER = 'system:serviceaccount:sluice-system:sluice'

export interface SandboxOptions {
  /** Folder for the kubeconfig and the bare repository. */
  dir: string
  runtime?: Runtime
  scrapeIntervalMs?: number
  /** Repeats splits, errors and latencies. */
  seed?: number
  /** Milliseconds between a change of a route and the mesh's obeying it. */
  propagationMs?: number
  /** Authorize requests by the stored RBAC objects. */
  rbac?: boolean
  /** False: a cluster without the admission policy that latches Deployments. */
  latch?: boolean
  /** How often autoscalers look, and the first delay before a crashed container starts again; as in Kubernetes unless told. */
  hpaIntervalMs?: number
  crashBackOffMs?: number
}

/** A cluster in one process, over real HTTP on loopback. */
export interface Sandbox {
  dir: string
  api: ApiServer
  cluster: ClusterRuntime
  mesh: Mesh
  prometheus: SandboxPrometheus
  git: GitRemote
  /** Paths of kubeconfig files: for people (administrator) and for the controller. */
  kubeconfig: string
  controllerKubeconfig: string
  stop(): Promise<void>
}

/** Starts API server, pods, mesh, Prometheus and Git remote, with the CRDs of Sluice, Istio and the Gateway API and the latch installed. */
export async function startSandbox(options: SandboxOptions): Promise<Sandbox> {
  const { dir, runtime = systemRuntime, scrapeIntervalMs = 1_000, seed = 1, propagationMs = 100 } = options
  await mkdir(dir, { recursive: true, mode: 0o700 })
  const stops: (() => Promise<void>)[] = []
  const stop = async () => {
    for (const end of stops.splice(0).reverse()) await end()
  }
  try {
    const api = await startApiServer({
      runtime,
      tokens: {
        'sandbox-controller': { username: CONTROLLER_USER, groups: ['system:serviceaccounts', 'system:authenticated'] },
      },
      ...(options.rbac === undefined ? {} : { rbac: options.rbac }),
    })
    stops.push(() => api.stop())
    for (const kind of Object.values(kinds))
      api.storage.create(
        { group: 'apiextensions.k8s.io', plural: 'customresourcedefinitions' },
        crdOf(kind) as unknown as KubeObject,
      )
    if (options.latch ?? true) await installLatch(api.storage)
    const { hpaIntervalMs, crashBackOffMs } = options
    const cluster = startCluster({
      storage: api.storage,
      admission: api.admission,
      runtime,
      seed,
      ...(hpaIntervalMs === undefined ? {} : { hpaIntervalMs }),
      ...(crashBackOffMs === undefined ? {} : { crashBackOffMs }),
    })
    stops.push(() => cluster.stop())
    const mesh = await startMesh({ storage: api.storage, cluster, runtime, seed, propagationMs })
    stops.push(() => mesh.stop())
    const prometheus = await startPrometheus({ targets: () => mesh.targets(), scrapeIntervalMs, runtime })
    stops.push(() => prometheus.stop())
    const git = await startGitRemote({ dir: join(dir, 'config.git') })
    stops.push(() => git.stop())
    const kubeconfig = join(dir, 'kubeconfig')
    const controllerKubeconfig = join(dir, 'controller.kubeconfig')
    await writeFile(kubeconfig, api.kubeconfig(), { mode: 0o600 })
    await writeFile(controllerKubeconfig, api.kubeconfig(CONTROLLER_USER), { mode: 0o600 })
    return { dir, api, cluster, mesh, prometheus, git, kubeconfig, controllerKubeconfig, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

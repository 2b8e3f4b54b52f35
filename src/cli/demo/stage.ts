import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import type { Logger } from 'pino'
import { controllerConfig, environment } from '../../config.ts'
import { type Controller, startController } from '../../controller/manager.ts'
import { loadKubeconfig } from '../../kube/kubeconfig.ts'
import type { KubeObject } from '../../kube/object.ts'
import type { Runtime } from '../../runtime.ts'
import { type Load, startLoad } from '../../sandbox/mesh/index.ts'
import { type Sandbox, startSandbox } from '../../sandbox/sandbox.ts'
import { createDeveloper, type Developer } from './developer.ts'
import { NAMESPACE, type Story } from './story.ts'

/** Everything the story is played on: a cluster, a controller, a repository, and clients that never stop asking. */
export interface Stage {
  /** Epoch ms at which everything began. */
  startedAt: number
  sandbox: Sandbox
  controller: Controller
  developer: Developer
  load: Load
  /** Secret with which Slack would sign clicks. */
  slackSecret: string
  stop(): Promise<void>
}

export const ROLLOUTS = { group: 'sluice.dev', plural: 'rollouts' }
export const APPROVALS = { group: 'sluice.dev', plural: 'approvals' }
export const VIRTUAL_SERVICES = { group: 'networking.istio.io', plural: 'virtualservices' }
const BRANCH = 'main'
const PATH = 'clusters/demo'
/** Clients send this many requests a second through the mesh, all the time. */
export const REQUESTS_PER_SECOND = 100
/** The scripted approver, as Slack knows her. */
export const APPROVER = 'U0DANA'

export async function buildStage(options: {
  story: Story
  dir: string
  runtime: Runtime
  log: Logger
  onStep: (what: string) => void
  /** Authorize the controller by the stored RBAC objects. */
  rbac?: boolean
  /** Whatever else has to be in the cluster before the controller starts. */
  prepare?: (sandbox: Sandbox) => void
}): Promise<Stage> {
  const { story, dir, runtime, log, onStep, rbac = false, prepare } = options
  const startedAt = runtime.now()
  const stops: (() => Promise<unknown>)[] = []
  const stop = async () => {
    for (const end of stops.splice(0).reverse()) await end()
  }
  try {
    onStep('starting a cluster: API server, pods, mesh, Prometheus, Git remote')
    const sandbox = await startSandbox({ dir, runtime, rbac })
    stops.push(() => sandbox.stop())
    onStep('committing the app, its routes and a Rollout')
    const developer = await createDeveloper({
      remote: sandbox.git.fileUrl,
      dir: join(dir, 'clone'),
      path: PATH,
      branch: BRANCH,
    })
    const approvers = [`slack-user:${APPROVER}`, 'user:kubernetes-admin']
    await developer.commit(story.opening.commit, () => story.opening.files(approvers))
    const { storage } = sandbox.api
    storage.create(
      { group: '', plural: 'namespaces' },
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE } },
    )
    storage.create({ group: 'sluice.dev', plural: 'rolloutsources' }, rolloutSource(sandbox.git.url))
    prepare?.(sandbox)
    onStep('starting the controller')
    const slackSecret = randomBytes(16).toString('hex')
    const config = {
      ...controllerConfig(
        {
          kubeconfig: sandbox.controllerKubeconfig,
          prometheus: sandbox.prometheus.url,
          listen: '127.0.0.1:0',
          workDir: join(dir, 'work'),
        },
        // Nobody's SLUICE_* settings change the story; only where git is matters.
        { PATH: environment().PATH },
      ),
      checkpointMs: 1_000,
      slack: { signingSecrets: [slackSecret] },
    }
    const connection = await loadKubeconfig({ path: sandbox.controllerKubeconfig, env: {}, runtime })
    const controller = await startController(config, { connection, runtime, log })
    stops.push(() => controller.stop())
    await controller.synced
    const load = startLoad({
      url: sandbox.mesh.url,
      host: `${story.app}.${NAMESPACE}`,
      ratePerSecond: REQUESTS_PER_SECOND,
      runtime,
      source: { workload: 'shop-frontend', namespace: NAMESPACE, app: 'shop-frontend', version: 'v1' },
    })
    stops.push(() => load.stop())
    return { startedAt, sandbox, controller, developer, load, slackSecret, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/** The RolloutSource that points the cluster at the repository; applied once by whoever runs the cluster. */
function rolloutSource(url: string): KubeObject {
  return {
    apiVersion: 'sluice.dev/v1alpha1',
    kind: 'RolloutSource',
    metadata: { name: 'config', namespace: NAMESPACE },
    spec: {
      url,
      branch: BRANCH,
      path: PATH,
      interval: '1s',
      apply: 'All',
      write: { mode: 'Push', commits: 'EveryStep' },
    },
  }
}

import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { stringify } from 'yaml'
import { crdOf } from '../../src/api/crd.ts'
import { kinds } from '../../src/api/kinds.ts'
import { createDeveloper, type Developer } from '../../src/cli/demo/developer.ts'
import { systemRuntime as runtime } from '../../src/runtime.ts'
import { istioCrds } from '../../src/sandbox/apiserver/crds/istio.ts'
import { startGitRemote } from '../../src/sandbox/git/remote.ts'
import { startPrometheus } from '../../src/sandbox/prometheus/server.ts'
import { collectionOf } from '../deploy/collection.ts'
import { type Manifest, render } from '../deploy/kustomize.ts'
import { type SluiceProcess, sluiceController } from '../scenario/process.ts'
import { type Api, apiOf } from './api.ts'
import { startKeeper } from './keeper.ts'
import type { BareServer } from './server.ts'
import { createTraffic, type Traffic, type TrafficGiven } from './traffic.ts'

/** Long enough for any of this on a busy machine; never waited for when all is well. */
const PATIENCE_MS = 60_000

/** An installed controller, a Prometheus and Git beside an API server, and what that server lacks. */
export interface RealStage {
  api: Api
  /** Starts the controller as a process of its own, under the service account that deploy/ gives it. */
  controller(options?: { leaseSeconds?: number }): Promise<SluiceProcess>
  scene(name: string, options: SceneOptions): Promise<RealScene>
  stop(): Promise<void>
}

export interface SceneOptions {
  /** Created by people; each gets the scene's namespace. */
  objects: (namespace: string) => Manifest[]
  /** Files of the repository; the second argument is its address. */
  files?: (namespace: string) => Manifest[]
  /** Created last, when the Deployments are up. */
  last: (namespace: string, repository: string) => Manifest[]
  /** The workloads by the subsets of the route. */
  workloads: Record<string, string>
  /** Name of the VirtualService, the Service and the Rollout. */
  app: string
}

/** One Rollout on the API server, seen and disturbed through the API only. */
export interface RealScene {
  namespace: string
  traffic: Traffic
  developer: Developer
  rollout(): Promise<Manifest | undefined>
  get(plural: string, name?: string): Promise<Manifest | undefined>
  patch(plural: string, body: object, by?: string): Promise<Manifest>
  /** Weights of a subset that a watcher of the route saw, repetitions left out. */
  weights(subset: string): number[]
  /** Of the pods that are to stay: the Deployment, and what its first container runs. */
  pods(): Promise<{ name: string; workload: string; image: string }[]>
  until(what: string, test: (status: Manifest) => boolean | Promise<boolean>): Promise<void>
  /** Subjects of Sluice's commits, oldest first, without the namespace and what follows it. */
  commits(): Promise<string[]>
  git(...args: string[]): Promise<string>
}

const run = promisify(execFile)
/** What of the installation an API server needs to know; the controller itself runs beside it. */
const INSTALLED = /^(Namespace|ServiceAccount|(Cluster)?Role(Binding)?|(Mutating|Validating)AdmissionPolicy(Binding)?)$/

export async function openRealStage(start: () => Promise<BareServer>): Promise<RealStage> {
  const server = await start()
  const { client } = server
  const api = apiOf(client)
  const dir = await mkdtemp(join(tmpdir(), 'sluice-real-'))
  const stops: (() => Promise<unknown>)[] = [() => rm(dir, { recursive: true, force: true }), () => server.stop()]
  const stop = async () => {
    for (const end of stops.splice(0).reverse()) await end()
  }
  const stopped = new AbortController()
  const namespaces: string[] = []
  const scenes: Traffic[] = []
  const running = new Set<SluiceProcess>()
  let controllers = 0

  async function put(object: Manifest): Promise<void> {
    const answer = await client.request('POST', await collectionOf(client, object), { body: object })
    if (answer.status >= 300 && answer.body.reason !== 'AlreadyExists') throw new Error(JSON.stringify(answer.body))
  }

  /** As `kubectl apply -k deploy` does, with the CRDs of a mesh that is not there. */
  async function install(): Promise<void> {
    const rank = ({ kind }: Manifest) => (kind === 'Namespace' ? 0 : 1)
    const crds = [...Object.values(kinds).map(crdOf), ...istioCrds()]
    const installed = render('deploy').filter(({ kind }) => INSTALLED.test(kind))
    for (const each of [...crds, ...installed.sort((a, b) => rank(a) - rank(b))]) await put(each)
    await until('the CRDs are served', async () => {
      const plurals = ['rollouts', 'approvals', 'rolloutsources', 'virtualservices', 'destinationrules']
      const answers = await Promise.all(plurals.map((each) => client.request('GET', api.path(each))))
      return answers.every(({ status }) => status === 200)
    })
  }

  try {
    await install()
    const hasControllers = (await api.get('serviceaccounts', 'kube-system', 'default')) !== undefined
    const keeper = hasControllers ? undefined : startKeeper(api)
    stops.push(async () => keeper?.stop())
    const targets = () => scenes.flatMap((traffic) => traffic.targets())
    const prometheus = await startPrometheus({ targets, scrapeIntervalMs: 500, runtime })
    stops.push(() => prometheus.stop())
    stops.push(() => cleanUp())
    const kubeconfig = join(dir, 'kubeconfig')
    await writeFile(kubeconfig, kubeconfigOf(server.cluster, await server.controllerToken()), { mode: 0o600 })
    stops.push(() => Promise.all([...running].map(ends)))

    async function scene(name: string, options: SceneOptions): Promise<RealScene> {
      const { app } = options
      const namespace = `${name}-${Date.now().toString(36)}`
      const remote = await startGitRemote({ dir: join(dir, `${namespace}.git`) })
      stops.push(() => remote.stop())
      const clone = {
        remote: remote.fileUrl,
        dir: join(dir, `${namespace}-clone`),
        path: 'clusters/test',
        branch: 'main',
      }
      const developer = await createDeveloper(clone)
      const files = (options.files?.(namespace) ?? []).map((each): [string, string] => [
        `${each.kind.toLowerCase()}.yaml`,
        stringify(each),
      ])
      if (files.length > 0) await developer.commit('everything', () => new Map(files))
      await api.create('namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } })
      namespaces.push(namespace)
      keeper?.keep(namespace)
      const routes: Manifest[] = []
      follow(api.path('virtualservices', namespace), (object) => routes.push(object))
      for (const object of options.objects(namespace)) await put(object)
      const given: TrafficGiven = {
        namespace,
        service: app,
        route: () => api.get('virtualservices', namespace, app),
        workloads: options.workloads,
        ratePerSecond: 40,
      }
      const traffic = createTraffic(given)
      scenes.push(traffic)
      await until('the Deployments are up', async () =>
        (await api.list('deployments', namespace)).every((each) => each.status?.readyReplicas === each.spec.replicas),
      )
      for (const object of options.last(namespace, remote.fileUrl)) await put(object)
      const rollout = () => api.get('rollouts', namespace, app)

      return {
        namespace,
        traffic,
        developer,
        rollout,
        get: (plural, named = app) => api.get(plural, namespace, named),
        patch: (plural, body, by) => api.patch(plural, namespace, app, body, by),
        weights(subset) {
          const all = routes.map((object) => weightOf(object, subset))
          return all.filter((weight, i) => i === 0 || weight !== all[i - 1])
        },
        async pods() {
          const [pods, sets] = await Promise.all(['pods', 'replicasets'].map((each) => api.list(each, namespace)))
          return (pods ?? [])
            .filter((pod) => !pod.metadata.deletionTimestamp)
            .map(({ metadata, spec }) => {
              const set = sets?.find((each) => each.metadata.uid === metadata.ownerReferences?.[0]?.uid)
              const workload: string = set?.metadata.ownerReferences?.[0]?.name ?? '?'
              return { name: metadata.name, workload, image: spec.containers[0].image }
            })
        },
        until: (what, test) =>
          until(
            `${namespace}: ${what}`,
            async () => test((await rollout())?.status ?? {}),
            async () => {
              const { analysis: _, lastValid: __, ...status } = (await rollout())?.status ?? {}
              const deployments = (await api.list('deployments', namespace)).map(({ metadata, spec, status }) => ({
                [metadata.name]: { labels: metadata.labels, paused: spec.paused, wanted: spec.replicas, status },
              }))
              const said = [...running].flatMap((controller) => controller.stderr.slice(-12))
              return [JSON.stringify({ status, deployments }, null, 1), ...said].join('\n')
            },
          ),
        async commits() {
          const log = await run('git', [
            '-C',
            remote.dir,
            'log',
            '--reverse',
            '--format=%s',
            '--grep=^Rollout:',
            'main',
          ])
          return log.stdout
            .split('\n')
            .filter((line) => line !== '')
            .map((line) => line.replace(/ \(\S+\).*$/, ''))
        },
        git: async (...args) => (await run('git', ['-C', remote.dir, ...args])).stdout,
      }
    }

    return {
      api,
      async controller({ leaseSeconds = 60 } = {}) {
        const controller = sluiceController({
          kubeconfig,
          prometheus: prometheus.url,
          workDir: join(dir, `work-${++controllers}`),
          args: ['--leader-elect'],
          env: { SLUICE_LEASE_SECONDS: String(leaseSeconds) },
        })
        running.add(controller)
        void controller.ended.then(() => running.delete(controller))
        await until(
          'the controller is synced',
          () => controller.stderr.some((line) => line.includes('"synced"')),
          async () => controller.stderr.join('\n'),
        )
        return controller
      },
      scene,
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }

  /** Calls back with every version of the objects of a collection, across ends of the watch and of the server. */
  function follow(path: string, see: (object: Manifest) => void): void {
    let version = '0'
    async function again(): Promise<void> {
      while (!stopped.signal.aborted) {
        let done = 0
        await client
          .watch(`${path}?watch=true&timeoutSeconds=20&resourceVersion=${version}`, (events) => {
            for (const { type, object } of events.slice(done)) {
              // An answer that is no watch: the server is not quite there yet, or the version is too old for it.
              if (type === 'ERROR') version = '0'
              if (type === 'ERROR' || type === undefined) continue
              version = object.metadata.resourceVersion
              if (type !== 'DELETED') see(object)
            }
            done = events.length
            return stopped.signal.aborted
          })
          .catch(() => undefined)
        await runtime.sleep(50)
      }
    }
    void again()
  }

  /** Nothing of a test stays on a server that is not ours. */
  async function cleanUp(): Promise<void> {
    stopped.abort()
    for (const namespace of namespaces) {
      for (const { metadata } of await api.list('rollouts', namespace))
        await api.patch('rollouts', namespace, metadata.name, { metadata: { finalizers: null } })
      await client.request('DELETE', api.path('namespaces', undefined, namespace))
    }
  }
}

/** Asked to, a controller ends within the time that a kubelet gives it. */
async function ends(controller: SluiceProcess): Promise<void> {
  const patience = new AbortController()
  const late = runtime.sleep(30_000, patience.signal).then(
    () => 'late',
    () => '',
  )
  if ((await Promise.race([controller.kill('SIGTERM'), late])) === 'late') {
    await controller.kill('SIGKILL')
    throw new Error(`a controller did not end; its last words:\n${controller.stderr.slice(-20).join('\n')}`)
  }
  patience.abort()
}

async function until(
  what: string,
  test: () => boolean | Promise<boolean>,
  describe: () => Promise<string> = async () => '',
): Promise<void> {
  const end = runtime.monotonic() + PATIENCE_MS
  // The server may be away for a moment.
  while (!(await Promise.resolve(test()).catch(() => false))) {
    if (runtime.monotonic() >= end) throw new Error(`never: ${what}\n${await describe().catch(String)}`)
    await runtime.sleep(100)
  }
}

function weightOf(virtualService: Manifest, subset: string): number {
  const [{ route }] = virtualService.spec.http
  return route.find(({ destination }: Manifest) => destination.subset === subset)?.weight ?? 0
}

function kubeconfigOf(cluster: Record<string, unknown>, token: string): string {
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'it',
    clusters: [{ name: 'it', cluster }],
    users: [{ name: 'sluice', user: { token } }],
    contexts: [{ name: 'it', context: { cluster: 'it', user: 'sluice' } }],
  })
}

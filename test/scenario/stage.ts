import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import pino from 'pino'
import type { RolloutStatus } from '../../src/api/status.ts'
import { createDeveloper, type Developer } from '../../src/cli/demo/developer.ts'
import { type ControllerConfig, controllerConfig } from '../../src/config.ts'
import { type Controller, startController } from '../../src/controller/manager.ts'
import { fieldAt, listAt, textAt } from '../../src/kube/field.ts'
import { loadKubeconfig } from '../../src/kube/kubeconfig.ts'
import type { KubeObject } from '../../src/kube/object.ts'
import { systemRuntime as runtime } from '../../src/runtime.ts'
import type { ResourceRef } from '../../src/sandbox/apiserver/index.ts'
import { type GitRemote, startGitRemote } from '../../src/sandbox/git/remote.ts'
import { type Load, startLoad } from '../../src/sandbox/mesh/index.ts'
import { type SandboxPrometheus, startPrometheus } from '../../src/sandbox/prometheus/server.ts'
import { CONTROLLER_USER, type Sandbox, type SandboxOptions, startSandbox } from '../../src/sandbox/sandbox.ts'
import {
  deploymentOf,
  destinationRuleOf,
  type RolloutGiven,
  rolloutOf,
  serviceOf,
  sourceOf,
  type Version,
  virtualServiceOf,
  yamlOf,
} from './manifests.ts'

export const refs = {
  rollouts: { group: 'sluice.dev', plural: 'rollouts' },
  sources: { group: 'sluice.dev', plural: 'rolloutsources' },
  approvals: { group: 'sluice.dev', plural: 'approvals' },
  virtualServices: { group: 'networking.istio.io', plural: 'virtualservices' },
  destinationRules: { group: 'networking.istio.io', plural: 'destinationrules' },
  deployments: { group: 'apps', plural: 'deployments' },
  services: { group: '', plural: 'services' },
  pods: { group: '', plural: 'pods' },
  namespaces: { group: '', plural: 'namespaces' },
  events: { group: '', plural: 'events' },
} satisfies Record<string, ResourceRef>

const run = promisify(execFile)

/** Long enough for any of this on a busy machine; never waited for when all is well. */
export const PATIENCE_MS = 100_000

/** A cluster for one test file. */
export interface Stage {
  sandbox: Sandbox
  dir: string
  /** What the controllers of this process have logged, parsed. */
  logs: Record<string, unknown>[]
  /** Starts a controller in this process; stopped with the stage, or before. */
  controller(config?: Partial<ControllerConfig>): Promise<Controller>
  /** A namespace with the app in it. */
  scene(namespace: string, options?: SceneOptions): Promise<Scene>
  stop(): Promise<void>
}

export interface SceneOptions {
  /** The versions that run side by side; by default v1 and v2, both well. */
  versions?: Version[]
  rollout?: RolloutGiven
  /** Weights at the beginning; by default the first version has everything. */
  weights?: Record<string, number>
  /** More of the route: retries, timeouts. */
  route?: Record<string, unknown>
  /** Requests per second; 0 for none. */
  rate?: number
  /** Everything comes from a Git repository of this namespace. The value adds to the RolloutSource's spec. */
  git?: Record<string, unknown>
  /** Files of the repository instead of the usual ones. */
  files?: Record<string, string>
  /** The repository is that of a scene in another cluster, as it is. */
  from?: Pick<Scene, 'remote' | 'developer'>
  /** A Prometheus of its own, whose faults disturb nobody else. */
  ownPrometheus?: boolean
  /** Do not wait for the Rollout to become Healthy. */
  asleep?: boolean
}

/** One Rollout and its surroundings, looked at and disturbed from outside. Disposing of it ends its load and its namespace. */
export interface Scene extends AsyncDisposable {
  namespace: string
  load: Load | undefined
  prometheus: SandboxPrometheus
  remote: GitRemote
  developer: Developer
  status(): RolloutStatus
  /** The Rollout's present object. */
  rollout(): KubeObject | undefined
  /** The canary weights that a watcher of the VirtualService saw, repetitions left out. */
  weights(subset?: string): number[]
  /** Present weight of a subset. */
  weight(subset: string): number
  /** Every version of the VirtualService, oldest first. */
  routes(): readonly KubeObject[]
  /** Every status that was written, oldest first. */
  statuses(): readonly RolloutStatus[]
  /** Events about the Rollout: `reason: message`. */
  events(): string[]
  /** Waits for the world to be so; fails with everything that is known when it never is. */
  until(what: string, test: (status: RolloutStatus) => boolean | Promise<boolean>, ms?: number): Promise<void>
  /** Fails as soon as `test` holds within the next `looks` statuses of the clock; for "and it stays so". */
  stays(what: string, test: (status: RolloutStatus) => boolean, ms: number): Promise<void>
  /** Changes the Rollout's spec like kubectl edit. */
  edit(patch: Record<string, unknown>): void
  /** Makes a subset the desired one: in Git when the scene has Git. */
  desire(version: string): Promise<void>
  /** Sets weights by hand. */
  shift(weights: Record<string, number>, fieldManager?: string): void
  /** Changes how the pods of a version behave from now on. */
  behave(version: string, settings: Record<string, string>): void
  request(verb: string, details?: Record<string, unknown>, by?: string): void
  /** Subjects of the commits on the branch, oldest first. */
  commits(): Promise<string[]>
  /** Output of a git command in the remote. */
  git(...args: string[]): Promise<string>
  /** A file at the tip of the branch. */
  file(path: string): Promise<string>
}

let requests = 0

export async function openStage(options: Omit<SandboxOptions, 'dir'> = {}): Promise<Stage> {
  const dir = await mkdtemp(join(tmpdir(), 'sluice-scenario-'))
  const sandbox = await startSandbox({ dir, ...options })
  const stops: (() => Promise<unknown>)[] = [() => rm(dir, { recursive: true, force: true }), () => sandbox.stop()]
  const logs: Record<string, unknown>[] = []
  const log = pino({ level: 'debug' }, { write: (line: string) => void logs.push(JSON.parse(line)) })
  const { storage } = sandbox.api
  let controllers = 0

  async function controller(given: Partial<ControllerConfig> = {}): Promise<Controller> {
    const { controllerKubeconfig: kubeconfig, prometheus } = sandbox
    const flags = {
      kubeconfig,
      prometheus: prometheus.url,
      listen: '127.0.0.1:0',
      workDir: join(dir, `work-${++controllers}`),
    }
    const config = { ...controllerConfig(flags, {}), checkpointMs: 1_000, ...given }
    const connection = await loadKubeconfig({ path: kubeconfig, env: {}, runtime })
    const started = await startController(config, { connection, runtime, log })
    const stop = started.stop.bind(started)
    let stopping: Promise<void> | undefined
    const once = () => (stopping ??= stop())
    stops.push(once)
    return { ...started, stop: once }
  }

  const takes = new Map<string, number>()

  async function scene(namespace: string, o: SceneOptions = {}): Promise<Scene> {
    const versions = o.versions ?? [{ name: 'v1' }, { name: 'v2' }]
    const names = versions.map((version) => version.name)
    const weights = o.weights ?? Object.fromEntries(names.map((name, i) => [name, i === 0 ? 100 : 0]))
    // A test that is tried once more finds neither the namespace nor the repository of its first try.
    const take = (takes.get(namespace) ?? 0) + 1
    takes.set(namespace, take)
    const again = take > 1 ? `-${take}` : ''
    for (let i = 0; take > 1 && i < 600 && storage.get(refs.namespaces, { name: namespace }); i++)
      await runtime.sleep(100)
    const remote = o.from?.remote ?? (await startGitRemote({ dir: join(dir, `${namespace}${again}.git`) }))
    if (!o.from) stops.push(() => remote.stop())
    const developer =
      o.from?.developer ??
      (await createDeveloper({
        remote: remote.fileUrl,
        dir: join(dir, `${namespace}${again}-clone`),
        path: 'clusters/test',
        branch: 'main',
      }))
    const seen: KubeObject[] = []
    const statuses: RolloutStatus[] = []
    let present: KubeObject | undefined
    const unsubscribes = [
      storage.subscribe(refs.virtualServices, (type, object) => {
        if (type !== 'DELETED' && object.metadata.namespace === namespace) seen.push(object)
      }),
      storage.subscribe(refs.rollouts, (type, object) => {
        if (object.metadata.namespace !== namespace || object.metadata.name !== 'my-app') return
        present = type === 'DELETED' ? undefined : object
        if (JSON.stringify(object.status) !== JSON.stringify(statuses.at(-1)))
          statuses.push((object.status ?? {}) as RolloutStatus)
      }),
    ]

    let { prometheus } = sandbox
    let given = o.rollout
    if (o.ownPrometheus) {
      // Both reporters of this namespace's pods, and of its clients.
      const targets = () => sandbox.mesh.targets().filter((target) => JSON.stringify(target.labels).includes(namespace))
      prometheus = await startPrometheus({ targets, scrapeIntervalMs: 1_000, runtime })
      given = { ...given, analysis: { prometheus: { url: prometheus.url }, ...given?.analysis } }
    }
    storage.create(refs.namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } })
    const app = [
      ...versions.map((version): [ResourceRef, KubeObject] => [refs.deployments, deploymentOf(namespace, version)]),
      [refs.services, serviceOf(namespace)],
      [refs.destinationRules, destinationRuleOf(namespace, names)],
      [refs.virtualServices, virtualServiceOf(namespace, weights, o.route)],
      [refs.rollouts, rolloutOf(namespace, o.git ? { ...given, source: 'config' } : given)],
    ] satisfies [ResourceRef, KubeObject][]
    if (o.git) {
      const usual = Object.fromEntries(
        app.map(([, object]) => [`${object.kind.toLowerCase()}-${object.metadata.name}.yaml`, yamlOf(object)]),
      )
      if (!o.from) await developer.commit('everything', () => new Map(Object.entries(o.files ?? usual)))
      storage.create(refs.sources, sourceOf(namespace, remote.url, o.git))
    } else for (const [ref, object] of app) storage.create(ref, object)

    const rate = o.rate ?? 40
    const load =
      rate === 0
        ? undefined
        : startLoad({
            url: sandbox.mesh.url,
            host: `my-app.${namespace}`,
            ratePerSecond: rate,
            runtime,
            source: { workload: 'frontend', namespace, app: 'frontend', version: 'v1' },
          })
    if (load) stops.push(() => load.stop())

    const key = { namespace, name: 'my-app' }
    const self: Scene = {
      namespace,
      load,
      prometheus,
      remote,
      developer,
      status: () => (present?.status ?? {}) as RolloutStatus,
      rollout: () => present,
      weights(subset = 'v2') {
        const all = seen.map((object) => weightOf(object, subset))
        return all.filter((weight, i) => i === 0 || weight !== all[i - 1])
      },
      weight: (subset) => weightOf(storage.get(refs.virtualServices, key), subset),
      routes: () => seen,
      statuses: () => statuses,
      events: () =>
        storage
          .list(refs.events, { namespace })
          .filter((event) => textAt(event, 'involvedObject', 'kind') === 'Rollout')
          .map((event) => `${textAt(event, 'reason')}: ${textAt(event, 'message')}`),
      async until(what, test, ms = PATIENCE_MS) {
        const end = runtime.monotonic() + ms
        while (!(await test(self.status()))) {
          if (runtime.monotonic() >= end) throw new Error(`${namespace}: never ${what}\n${await describe()}`)
          await runtime.sleep(20)
        }
      },
      async stays(what, test, ms) {
        const end = runtime.monotonic() + ms
        while (runtime.monotonic() < end) {
          if (!test(self.status())) throw new Error(`${namespace}: not ${what} any more\n${await describe()}`)
          await runtime.sleep(20)
        }
      },
      edit: (patch) => void storage.patchMerge(refs.rollouts, key, { spec: patch }, { fieldManager: 'kubectl-edit' }),
      async desire(version) {
        if (!o.git) return self.edit({ workload: { subsets: { desired: version } } })
        await developer.commit(`release ${version}`, (files) => {
          const file = files.get('rollout-my-app.yaml') ?? ''
          return new Map(files).set('rollout-my-app.yaml', file.replace(/^( *desired: ).*$/m, `$1${version}`))
        })
      },
      shift(next, fieldManager = 'kubectl-edit') {
        const live = storage.get(refs.virtualServices, key)
        if (!live) throw new Error('there is no VirtualService')
        const changed = structuredClone(live) as KubeObject & {
          spec: { http: { route: { destination: { subset: string }; weight: number }[] }[] }
        }
        for (const route of changed.spec.http)
          for (const entry of route.route) entry.weight = next[entry.destination.subset] ?? entry.weight
        storage.update(refs.virtualServices, changed, { fieldManager })
      },
      behave(version, settings) {
        const annotations = Object.fromEntries(
          Object.entries(settings).map(([name, value]) => [`sandbox.sluice.dev/${name}`, value]),
        )
        const pods = storage.list(refs.pods, { namespace }).filter((pod) => pod.metadata.labels?.version === version)
        if (pods.length === 0) throw new Error(`${version} has no pods`)
        for (const pod of pods)
          storage.patchMerge(refs.pods, { namespace, name: pod.metadata.name }, { metadata: { annotations } })
      },
      request(verb, details = {}, by = 'user:dana') {
        const value = JSON.stringify({ id: `request-${++requests}`, verb, ...details })
        const annotations = { 'sluice.dev/request': value, 'sluice.dev/requested-by': by }
        storage.patchMerge(refs.rollouts, key, { metadata: { annotations } }, { fieldManager: 'kubectl-annotate' })
      },
      commits: async () => lines(await self.git('log', '--reverse', '--format=%s', 'main')),
      git: async (...args) => (await run('git', ['-C', remote.dir, ...args])).stdout,
      file: (path) => self.git('show', `main:${path}`),
      async [Symbol.asyncDispose]() {
        for (const unsubscribe of unsubscribes) unsubscribe()
        await load?.stop()
        storage.remove(refs.namespaces, { name: namespace })
        if (prometheus !== sandbox.prometheus) await prometheus.stop()
      },
    }

    async function describe(): Promise<string> {
      const { analysis, git, ...status } = self.status()
      const slis = analysis?.map(({ checkpoint, ...rest }) => rest)
      return [
        `status ${JSON.stringify({ ...status, analysis: slis, git }, null, 1)}`,
        `weights ${names.map((name) => `${name}: ${self.weights(name).join(' ')}`).join('; ')}`,
        `events ${self.events().join('\n       ')}`,
        `commits ${(await self.commits().catch(() => [])).join('\n        ')}`,
        `log ${logs
          .filter((line) => line.level !== 20)
          .slice(-12)
          .map((line) => JSON.stringify(line))
          .join('\n    ')}`,
      ].join('\n')
    }

    if (!o.asleep) await self.until('Healthy', (status) => status.phase === 'Healthy')
    return self
  }

  return {
    sandbox,
    dir,
    logs,
    controller,
    scene,
    async stop() {
      sandbox.api.faults.clear()
      await sandbox.prometheus.faults.clear()
      for (const stop of stops.splice(0).reverse()) await stop()
    },
  }
}

/** Disturbs the controller's own requests for something of one namespace. */
export function controllersRequests(namespace: string, verb: string, resource: string, subresource?: string) {
  return {
    user: CONTROLLER_USER,
    match: (target: {
      verb: string
      resource: string
      namespace: string | undefined
      subresource: string | undefined
    }) =>
      target.verb === verb &&
      target.resource === resource &&
      target.namespace === namespace &&
      target.subresource === subresource,
  }
}

export function weightOf(virtualService: KubeObject | undefined, subset: string): number {
  const entry = listAt(listAt(virtualService, 'spec', 'http')[0], 'route').find(
    (each) => textAt(each, 'destination', 'subset') === subset,
  )
  return Number(fieldAt(entry, 'weight') ?? 0)
}

function lines(text: string): string[] {
  return text.split('\n').filter((line) => line !== '')
}

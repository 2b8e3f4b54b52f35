import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect } from 'vitest'
import type { RolloutStatus } from '../../src/api/status.ts'
import { createDeveloper, type Developer } from '../../src/cli/demo/developer.ts'
import { createPodRegister, type PodSeen } from '../../src/cli/demo/pods.ts'
import { fieldAt, listAt, textAt } from '../../src/kube/field.ts'
import type { KubeObject } from '../../src/kube/object.ts'
import { systemRuntime as runtime } from '../../src/runtime.ts'
import type { ResourceRef } from '../../src/sandbox/apiserver/index.ts'
import { type GitRemote, startGitRemote } from '../../src/sandbox/git/remote.ts'
import { type Load, startLoad } from '../../src/sandbox/mesh/index.ts'
import {
  type AppGiven,
  deploymentOf,
  destinationRuleOf,
  type Release,
  type RolloutGiven,
  rolloutOf,
  serviceOf,
  templateOf,
  virtualServiceOf,
} from './deployment-manifests.ts'
import { sourceOf, yamlOf } from './manifests.ts'
import { PATIENCE_MS, refs, type Stage } from './stage.ts'

export const more = {
  autoscalers: { group: 'autoscaling', plural: 'horizontalpodautoscalers' },
  budgets: { group: 'policy', plural: 'poddisruptionbudgets' },
  quotas: { group: '', plural: 'resourcequotas' },
} satisfies Record<string, ResourceRef>

const DANA = { username: 'dana@example.com', groups: ['system:authenticated'] }
const run = promisify(execFile)

export interface DeploymentSceneOptions {
  first?: Release
  app?: AppGiven
  rollout?: RolloutGiven
  /** Requests per second; 0 for none. */
  rate?: number
  /** Everything comes from a Git repository of this namespace. */
  git?: boolean
  /** How the repository is laid out, from a file for every object; by default so. */
  layout?: (files: Map<string, string>) => Map<string, string>
  /** The repository is that of a scene in another cluster, as it is. */
  from?: Pick<DeploymentScene, 'remote' | 'developer'>
  /** In place of the usual objects of the app and its routes. */
  objects?: [ResourceRef, KubeObject][]
  /** Besides the app, before the Rollout. */
  besides?: [ResourceRef, KubeObject][]
  /** Do not wait for the Rollout to become Healthy. */
  asleep?: boolean
}

/**
 * One Deployment with its Rollout, looked at and disturbed from outside. When it is disposed of, what must be true of every scene is
 * checked: no pod of the Deployment ever ran what had not passed, and no canary pod was taken away while it had traffic.
 */
export interface DeploymentScene extends AsyncDisposable {
  namespace: string
  load: Load | undefined
  remote: GitRemote | undefined
  developer: Developer
  /** Requests of clients that failed, by status; `none` where nobody answered. */
  failures(): Record<string, number>
  status(): RolloutStatus
  statuses(): readonly RolloutStatus[]
  rollout(): KubeObject | undefined
  /** The user's Deployment. */
  deployment(): KubeObject
  get(ref: ResourceRef, name?: string): KubeObject | undefined
  isPaused(): boolean
  /** Canary weights that a watcher of the route saw, repetitions left out. */
  weights(): number[]
  weight(): number
  pods(workload?: string): PodSeen[]
  names(): string[]
  events(): string[]
  /** Changes the pod template, in Git where the scene has Git, else like kubectl set image. */
  release(release: Release): Promise<void>
  /** Changes the Deployment like a person with kubectl. */
  patch(patch: Record<string, unknown>): void
  /** Changes anything like a person with kubectl. */
  change(ref: ResourceRef, patch: Record<string, unknown>, name?: string): void
  /** Changes how the pods of a version behave from now on. */
  behave(tag: string, settings: Record<string, string>): void
  /** From now on a person answers for pods of this version in the Deployment. */
  allow(tag: string): void
  until(what: string, test: (status: RolloutStatus) => boolean | Promise<boolean>): Promise<void>
  stays(what: string, test: (status: RolloutStatus) => boolean, ms: number): Promise<void>
  /** Waits until nothing of a flight is left. */
  rest(result: string, stable: string): Promise<void>
  commits(): Promise<string[]>
  file(name: string): Promise<string>
}

/** Opens the scenes of Deployment mode on a stage. */
export function deploymentScenes(stage: Stage) {
  const { sandbox, dir } = stage
  const { storage } = sandbox.api
  const takes = new Map<string, number>()

  return async function scene(name: string, o: DeploymentSceneOptions = {}): Promise<DeploymentScene> {
    // A test that is tried once more starts from nothing.
    const take = (takes.get(name) ?? 0) + 1
    takes.set(name, take)
    const namespace = take > 1 ? `${name}-${take}` : name
    const key = { namespace, name: 'checkout' }
    const first = o.first ?? { tag: 'v1' }
    const remote: GitRemote | undefined =
      o.from?.remote ?? (o.git ? await startGitRemote({ dir: join(dir, `${namespace}.git`) }) : undefined)
    const developer =
      o.from?.developer ??
      (await createDeveloper({
        remote: remote?.fileUrl ?? '',
        dir: join(dir, `${namespace}-clone`),
        path: 'clusters/test',
        branch: 'main',
      }))
    const routes: number[] = []
    const statuses: RolloutStatus[] = []
    const passed = new Set([first.tag])
    const violations: string[] = []
    let present: KubeObject | undefined
    const inHere = (object: KubeObject) => object.metadata.namespace === namespace
    storage.create(refs.namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } })
    const register = createPodRegister(storage, runtime, () => undefined, namespace)
    const ending = new Set<string>()
    const stops = [
      storage.subscribe(refs.virtualServices, (type, object) => {
        const weight = canaryWeight(object)
        if (type !== 'DELETED' && inHere(object) && weight !== routes.at(-1)) routes.push(weight)
      }),
      storage.subscribe(refs.rollouts, (type, object) => {
        if (!inHere(object)) return
        present = type === 'DELETED' ? undefined : object
        const status = (object.status ?? {}) as RolloutStatus
        if (JSON.stringify(status) !== JSON.stringify(statuses.at(-1))) statuses.push(status)
        if (status.stable) passed.add(status.stable.name)
      }),
      storage.subscribe(refs.pods, (type, object) => {
        if (!inHere(object)) return
        const pod = register.of(object)
        if (type === 'ADDED' && pod.workload === 'checkout' && !passed.has(pod.version))
          violations.push(`${object.metadata.name} runs ${pod.version}, which never passed`)
        const goes = type === 'DELETED' || object.metadata.deletionTimestamp !== undefined
        if (!goes || ending.has(object.metadata.name)) return
        ending.add(object.metadata.name)
        const isEmptied = storage.get(refs.namespaces, { name: namespace })?.metadata.deletionTimestamp !== undefined
        if (pod.workload === 'checkout-canary' && self.weight() > 0 && !isEmptied)
          violations.push(`${object.metadata.name} was taken away with ${self.weight()}% of the traffic`)
      }),
      register.stop,
    ]
    const app: [ResourceRef, KubeObject][] = [
      [refs.deployments, deploymentOf(namespace, first, o.app)],
      ...(o.objects ??
        ([
          [refs.services, serviceOf(namespace)],
          [refs.destinationRules, destinationRuleOf(namespace)],
          [refs.virtualServices, virtualServiceOf(namespace)],
        ] satisfies [ResourceRef, KubeObject][])),
      ...(o.besides ?? []).map(([ref, object]): [ResourceRef, KubeObject] => [
        ref,
        { ...object, metadata: { ...object.metadata, namespace } },
      ]),
    ]
    const rollout = rolloutOf(namespace, o.git ? { ...o.rollout, source: 'config' } : o.rollout)
    let load: Load | undefined
    const self: DeploymentScene = {
      namespace,
      get load() {
        return load
      },
      remote,
      developer,
      failures() {
        const { status = {}, errors = 0 } = load?.counts() ?? {}
        const bad = Object.entries(status).filter(([code]) => Number(code) >= 500)
        return { ...Object.fromEntries(bad), ...(errors > 0 ? { none: errors } : {}) }
      },
      status: () => (present?.status ?? {}) as RolloutStatus,
      statuses: () => statuses,
      rollout: () => present,
      deployment() {
        const found = storage.get(refs.deployments, key)
        if (!found) throw new Error('the Deployment is not there')
        return found
      },
      get: (ref, name = 'checkout') => storage.get(ref, { namespace, name }),
      isPaused: () => fieldAt(self.deployment(), 'spec', 'paused') === true,
      weights: () => routes,
      weight: () => canaryWeight(storage.get(refs.virtualServices, key)),
      pods: (workload) => register.present().filter((pod) => !workload || pod.workload === workload),
      names: () =>
        storage
          .list(refs.pods, { namespace })
          .filter((pod) => register.of(pod).workload === 'checkout' && !pod.metadata.deletionTimestamp)
          .map((pod) => pod.metadata.name)
          .sort(),
      events: () =>
        storage
          .list(refs.events, { namespace })
          .filter((event) => textAt(event, 'involvedObject', 'kind') === 'Rollout')
          .map((event) => `${textAt(event, 'reason')}: ${textAt(event, 'message')}`),
      async release(release) {
        const template = templateOf(release, o.app?.labels)
        if (!remote) return self.patch({ spec: { template } })
        const file = 'deployment-checkout.yaml'
        const text = yamlOf(deploymentOf(namespace, release, o.app))
        await developer.commit(`release ${release.tag}`, (files) => new Map(files).set(file, text))
      },
      patch: (patch) => self.change(refs.deployments, patch),
      change: (ref, patch, name = 'checkout') =>
        void storage.patchMerge(ref, { namespace, name }, patch, { fieldManager: 'kubectl-edit', user: DANA }),
      behave(tag, settings) {
        const annotations = Object.fromEntries(
          Object.entries(settings).map(([name, value]) => [`sandbox.sluice.dev/${name}`, value]),
        )
        const pods = storage.list(refs.pods, { namespace }).filter((pod) => register.of(pod).version === tag)
        if (pods.length === 0) throw new Error(`${tag} has no pods`)
        for (const pod of pods) storage.patchMerge(refs.pods, pod.metadata, { metadata: { annotations } })
      },
      allow: (tag) => void passed.add(tag),
      async until(what, test) {
        const end = runtime.monotonic() + PATIENCE_MS
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
      async rest(result, stable) {
        await self.until(
          `at rest after ${result}`,
          (status) =>
            status.lastOutcome?.result === result &&
            status.phase === 'Healthy' &&
            status.canary === undefined &&
            status.stable?.name === stable &&
            !self.isPaused() &&
            self.pods('checkout-canary').length === 0 &&
            self.get(refs.deployments, 'checkout-canary') === undefined,
        )
        expect(self.pods('checkout').map((pod) => pod.version)).toEqual(self.pods('checkout').map(() => stable))
        expect(self.weight()).toBe(0)
      },
      commits: async () =>
        (await run('git', ['-C', remote?.dir ?? '', 'log', '--reverse', '--format=%s', 'main'])).stdout
          .split('\n')
          .filter((line) => line !== ''),
      file: (file) => developer.read(file),
      async [Symbol.asyncDispose]() {
        for (const stop of stops) stop()
        await load?.stop()
        storage.remove(refs.namespaces, { name: namespace })
        if (!o.from) await remote?.stop()
        expect(violations, namespace).toEqual([])
      },
    }

    async function describe(): Promise<string> {
      const { analysis, lastValid, ...status } = self.status()
      const slis = analysis?.map(({ checkpoint, ...rest }) => rest)
      return [
        `status ${JSON.stringify({ ...status, analysis: slis }, null, 1)}`,
        `weights ${routes.join(' ')}`,
        `pods ${JSON.stringify(self.pods())}`,
        `paused ${fieldAt(storage.get(refs.deployments, key), 'spec', 'paused')}`,
        `violations ${violations.join('; ')}`,
        `events ${self.events().join('\n       ')}`,
        `commits ${remote ? (await self.commits().catch(() => [])).join('\n        ') : 'none'}`,
        `log ${stage.logs
          .filter((line) => line.level !== 20)
          .slice(-8)
          .map((line) => JSON.stringify(line))
          .join('\n    ')}`,
      ].join('\n')
    }

    if (remote) {
      const files = [...app, [refs.rollouts, rollout] as const].map(([, object]): [string, string] => [
        `${object.kind.toLowerCase()}-${object.metadata.name}.yaml`,
        yamlOf(object),
      ])
      const { layout = (plain: Map<string, string>) => plain } = o
      if (!o.from) await developer.commit('everything', () => layout(new Map(files)))
      storage.create(refs.sources, sourceOf(namespace, remote.url))
    } else {
      for (const [ref, object] of app) storage.create(ref, object, { user: DANA })
      const { replicas = 2 } = o.app ?? {}
      await self.until('up', () => fieldAt(self.deployment(), 'status', 'readyReplicas') === replicas)
      storage.create(refs.rollouts, rollout, { user: DANA })
    }
    if (!o.asleep) await self.until('Healthy', (status) => status.phase === 'Healthy')
    if (o.rate !== 0)
      load = startLoad({
        url: sandbox.mesh.url,
        host: `checkout.${namespace}`,
        ratePerSecond: o.rate ?? 12,
        // A busy machine sends fewer requests instead of drowning in them.
        maxInFlight: 16,
        runtime,
        source: { workload: 'frontend', namespace, app: 'frontend', version: 'v1' },
      })
    return self
  }
}

function canaryWeight(route: KubeObject | undefined): number {
  const canary = listAt(listAt(route, 'spec', 'http')[0], 'route')[1]
  return Number(fieldAt(canary, 'weight') ?? 0)
}

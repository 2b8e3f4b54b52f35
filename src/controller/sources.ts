import { join } from 'node:path'
import type { Logger } from 'pino'
import type { RolloutSpec } from '../api/rollout.ts'
import type { PendingCommit, RolloutStatus } from '../api/status.ts'
import type { Approvals } from '../approval/approvals.ts'
import { createPullRequests, type PullRequests } from '../approval/pull-requests.ts'
import { createBranches } from '../git/branch.ts'
import { createForges } from '../git/forge/find.ts'
import type { Operation } from '../git/history.ts'
import type { ProposedWeights } from '../git/owned.ts'
import { createGitRecorder, type GitRecorder } from '../git/record.ts'
import type { Hook } from '../git/source.ts'
import { allowsNamespace, type SourceRef } from '../git/source-ref.ts'
import { createSources as createGitSources, type Sources as GitSources } from '../git/sources.ts'
import type { KubeClient } from '../kube/client.ts'
import { listAt, textAt } from '../kube/field.ts'
import { type KubeObject, keyOf } from '../kube/object.ts'
import type { StateFile } from '../plan/effects.ts'
import type { GitObservation } from '../plan/observation.ts'
import type { Runtime } from '../runtime.ts'
import type { Metrics } from '../server/metrics.ts'
import type { Caches } from './caches.ts'
import type { GitPort } from './context.ts'

/** Git as the controller uses it: every RolloutSource is read and applied, and Rollouts commit through it. */
export interface Sources extends GitPort {
  /** Reads and writes from now on. `cluster` names this cluster in state files. */
  start(cluster: string): void
  /** A RolloutSource was added, changed or removed. */
  changed(key: string, object: KubeObject | undefined): void
  /** A forge tells of news for this RolloutSource. */
  poke(key: string, hook: Hook): void
  /** Every operation of a Rollout that Git tells, oldest first; undefined without Git. @throws {SluiceError} when it cannot be read. */
  history(rollout: KubeObject): Promise<Operation[] | undefined>
  /** An Approval was asked or changed: where its Rollout's state goes by pull requests, one of them asks. */
  show(approval: KubeObject): void
  /** A Rollout is gone. */
  forget(key: string): void
  stop(): Promise<void>
}

export interface SourcesOptions {
  client: KubeClient
  caches: Caches
  approvals: Approvals
  runtime: Runtime
  log: Logger
  metrics: Metrics
  workDir: string
  /** The only variables that git sees besides its own. */
  gitEnv: Record<string, string>
  takeOver: boolean
  mayWrite: () => boolean
  /** What Git says about a Rollout has changed. */
  onChange: (rollout: string) => void
}

const off: GitObservation = { mode: 'Off', commits: 'Outcomes', results: {}, known: true }

export function createSources(options: SourcesOptions): Sources {
  const { client, caches, approvals, runtime, log, metrics, workDir, gitEnv, takeOver, mayWrite, onChange } = options
  let running: { recorder: GitRecorder; sources: GitSources; questions: PullRequests } | undefined
  const stopping = new AbortController()
  const onError = (error: unknown) => log.warn({ err: error }, 'git work failed')

  /** Which routes of a VirtualService are owned by Rollouts: their weights are never applied from Git. */
  function owners(namespace: string, virtualService: string): { routes?: string[] } | undefined {
    const found = caches
      .of('rollouts')
      .byIndex('namespace', namespace)
      .filter((rollout) => textAt(rollout, 'spec', 'traffic', 'istio', 'virtualService', 'name') === virtualService)
    if (found.length === 0) return undefined
    const routes = found.map((rollout) =>
      listAt(rollout, 'spec', 'traffic', 'istio', 'virtualService', 'routes').map(String),
    )
    return routes.some((names) => names.length === 0) ? {} : { routes: routes.flat() }
  }

  function rolloutsOf(source: string): string[] {
    const all = caches.of('rollouts').list()
    return all.filter((rollout) => sourceKeyOf(rollout) === source).map((rollout) => keyOf(rollout))
  }

  /** The source to which a Rollout's state goes by pull requests. */
  function proposingSource(namespace: string, name: string): SourceRef | undefined {
    const rollout = caches.of('rollouts').get(`${namespace}/${name}`)
    const found = rollout && running?.sources.lookup(sourceKeyOf(rollout) ?? '')
    if (found?.state !== 'ready' || found.source.write.mode !== 'PullRequest') return undefined
    return allowsNamespace(found.source, namespace) ? found.source : undefined
  }

  function unavailable(problem: GitObservation['problem']): GitObservation {
    return { mode: 'Push', commits: 'EveryStep', results: {}, known: false, ...(problem ? { problem } : {}) }
  }

  function refOf(source: SourceRef, rollout: KubeObject, spec: RolloutSpec, status: RolloutStatus) {
    return {
      namespace: rollout.metadata.namespace ?? '',
      name: rollout.metadata.name,
      spec,
      ...(status.git?.accepted ? { accepted: status.git.accepted } : {}),
      ...(source.write.mode === 'PullRequest' ? { proposed: proposedOf(status) } : {}),
    }
  }

  return {
    observe(rollout, spec, status) {
      const key = sourceKeyOf(rollout)
      if (!spec.source || !key) return off
      if (!running) return unavailable({ reason: 'GitUnreachable', message: 'Git has not been read yet' })
      const found = running.sources.lookup(key)
      if (found.state === 'unknown')
        return unavailable({ reason: 'GitUnreachable', message: `RolloutSource ${key} has not been read yet` })
      if (found.state === 'problem') return unavailable(found.problem)
      if (found.source.write.mode === 'Off')
        return {
          ...running.recorder.observe(found.source, refOf(found.source, rollout, spec, status)),
          mode: 'Off',
          commits: 'Outcomes',
        }
      return running.recorder.observe(found.source, refOf(found.source, rollout, spec, status))
    },
    submit(rollout, spec, status, entry: PendingCommit, memory: StateFile) {
      const found = running?.sources.lookup(sourceKeyOf(rollout) ?? '')
      if (found?.state === 'ready')
        running?.recorder.submit(found.source, refOf(found.source, rollout, spec, status), entry, memory)
    },
    changed(key, object) {
      if (object) running?.sources.set(object)
      else running?.sources.remove(key)
      for (const rollout of rolloutsOf(key)) onChange(rollout)
    },
    poke: (key, hook) => running?.sources.poke(key, hook),
    async history(rollout) {
      const found = running?.sources.lookup(sourceKeyOf(rollout) ?? '')
      const { namespace = '', name } = rollout.metadata
      if (found?.state !== 'ready' || !allowsNamespace(found.source, namespace)) return undefined
      return running?.recorder.history(found.source, { namespace, name })
    },
    forget: (key) => running?.recorder.forget(key),
    start(cluster) {
      if (running) return
      const branches = createBranches({ workDir: join(workDir, 'repositories'), runtime, inherit: gitEnv })
      const forges = createForges({ runtime, signal: stopping.signal })
      const identity = { cluster, takeOver }
      const recorder = createGitRecorder({
        branches,
        forges,
        runtime,
        identity,
        onError,
        onAttempt: (result) => metrics.gitPush(result),
        onLockedOut: (source) => running?.sources.poke(`${source.namespace}/${source.name}`),
      })
      const sources = createGitSources({
        client,
        branches,
        runtime,
        owners,
        mayWrite,
        onError,
        onReady: (source) => {
          for (const rollout of rolloutsOf(`${source.namespace}/${source.name}`)) onChange(rollout)
        },
        onLook: (source) => {
          recorder.look(source)
          questions.look(source)
        },
      })
      const questions = createPullRequests({
        approvals,
        branches,
        forges,
        identity,
        sourceOf: proposingSource,
        runtime,
        log,
        onResult: (result) => metrics.approvalDecision('git', result),
      })
      recorder.onChange(onChange)
      recorder.onPush((source, commit, at) => {
        sources.pushed(source, commit, at)
      })
      running = { recorder, sources, questions }
      for (const object of caches.of('rolloutSources').list()) sources.set(object)
    },
    show: (approval) => running?.questions.show(approval),
    async stop() {
      stopping.abort(new Error('stopped'))
      await running?.sources.stop()
      await running?.questions.stop()
      await running?.recorder.stop()
    },
  }
}

/** What Sluice has proposed, and what of it was merged last. */
function proposedOf({ git }: RolloutStatus): ProposedWeights {
  const weights = (git?.pending ?? []).flatMap((entry) => entry.weights ?? [])
  return { weights, ...(git?.lastCommit ? { merged: git.lastCommit } : {}) }
}

/** `namespace/name` of the RolloutSource that a Rollout names. */
function sourceKeyOf(rollout: KubeObject): string | undefined {
  const name = textAt(rollout, 'spec', 'source', 'name')
  return name === undefined
    ? undefined
    : `${textAt(rollout, 'spec', 'source', 'namespace') ?? rollout.metadata.namespace}/${name}`
}

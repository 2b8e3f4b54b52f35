import type { Logger } from 'pino'
import type { RolloutSpec } from '../api/rollout.ts'
import type { PendingCommit, RolloutStatus } from '../api/status.ts'
import type { Approvals } from '../approval/approvals.ts'
import type { KubeClient } from '../kube/client.ts'
import type { EventRecorder } from '../kube/events.ts'
import type { KubeObject } from '../kube/object.ts'
import type { ObjectReader } from '../kube/reader.ts'
import type { StateFile } from '../plan/effects.ts'
import type { GitObservation } from '../plan/observation.ts'
import type { Runtime } from '../runtime.ts'
import type { Metrics } from '../server/metrics.ts'
import type { Router } from '../traffic/router.ts'
import type { Workload } from '../workload/workload.ts'
import type { Chronicle } from './chronicle.ts'
import type { Configs } from './configs.ts'
import type { Errands } from './errands.ts'
import type { AnalysisFeed } from './feed.ts'
import type { Handwork } from './handwork.ts'
import type { Notices } from './notices.ts'
import type { Recorder } from './record.ts'
import type { Rival } from './rivals.ts'

/** A Rollout as it is referred to by everything that acts on it. */
export interface RolloutRef {
  key: string
  namespace: string
  name: string
  uid: string
}

/** What one Rollout sees of Git, and how it hands over commits. */
export interface GitPort {
  observe(rollout: KubeObject, spec: RolloutSpec, status: RolloutStatus): GitObservation
  submit(rollout: KubeObject, spec: RolloutSpec, status: RolloutStatus, entry: PendingCommit, memory: StateFile): void
  /** The Rollout is gone. */
  forget(key: string): void
}

/** Everything a reconcile uses. */
export interface Context {
  client: KubeClient
  reader: ObjectReader
  router: Router
  workload: Workload
  /** Does what Deployment mode decides. */
  handwork: Handwork
  feed: AnalysisFeed
  git: GitPort
  approvals: Approvals
  errands: Errands
  events: EventRecorder
  /** Tells people; never waits and never throws. Questions are shown when the Approval object appears. */
  people: Pick<Notices, 'tell'>
  recorder: Recorder
  /** What rollouts in flight go through, for people who look. */
  chronicle: Chronicle
  metrics: Metrics
  runtime: Runtime
  log: Logger
  /** When a verdict of breach first came in, monotonic ms, until the weight is 0. */
  breaches: Map<string, number>
  /** Remembers which Deployments a Rollout looks at, so that changes of their pods wake it. */
  interest(key: string, deployments: readonly string[]): void
  /** The ConfigMaps and Secrets that Rollouts refer to. */
  configs: Pick<Configs, 'interest'>
  /** An older Rollout on the same route or Deployment. */
  rivalOf(rollout: KubeObject, spec: RolloutSpec): Rival | undefined
  /** Checked on the monotonic clock right before every forward write (I6). */
  isLeader(): boolean
  /** The process has been asked to end: what is under way is finished, nothing long is begun. */
  isStopping(): boolean
  /** Resolves when it is the caller's turn among all that is not urgent. */
  turn(): Promise<void>
}

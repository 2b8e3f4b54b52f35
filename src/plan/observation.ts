import type { RolloutSpec } from '../api/rollout.ts'
import type { RevisionRecord, SliStatus } from '../api/status.ts'
import type { Problem } from '../errors.ts'
import type { ContentIdentity } from './revision.ts'

/**
 * Everything Sluice knows about one Rollout at one instant, as plain data.
 * `plan` sees nothing else: it can be printed, kept, and replayed.
 */
export interface Observation {
  rollout: {
    uid: string
    namespace: string
    name: string
    generation: number
    deleting: boolean
    /** When deletion was asked for, epoch ms. */
    deletedAt?: number
    /** The namespace is going away: do not wait for Git. */
    namespaceTerminating?: boolean
    hasFinalizer: boolean
  }
  /** The declared spec, or why it cannot work. */
  spec: { ok: true; value: RolloutSpec } | { ok: false; problem: Problem }
  /** An older Rollout that owns the same route or workload, or a problem found outside the spec. */
  conflict?: Problem
  workload: WorkloadObservation
  traffic: TrafficObservation
  analysis: AnalysisObservation
  git: GitObservation
  /** The Approval object named in status, with its state already worked out. */
  approval?: ApprovalObservation
  /** The annotation sluice.dev/request, when there is one. */
  request?: RequestObservation
  /** The annotation is there but nobody can act on it; it is acknowledged once. */
  unreadableRequest?: { id: string; verb: string; by?: string; message: string }
}

export type WorkloadObservation =
  | {
      ok: false
      problem: Problem
      /** What is known all the same: the desired name, and what is behind the recorded names. Absent when nothing could be read. */
      seen?: {
        desired: string
        stable?: RevisionObservation
        canary?: RevisionObservation
        /** Deployment mode: the content of the template, which tells more than a name. */
        template?: RevisionRecord
      }
      deployment?: DeploymentObservation
    }
  | {
      ok: true
      /** The revision behind the desired name. */
      desired: RevisionObservation
      /** The revision now behind the recorded stable name, when one is recorded and exists. */
      stable?: RevisionObservation
      /** The revision now behind the recorded canary name, when one is recorded and exists. */
      canary?: RevisionObservation
      /** Every subset there is, for adoption; in Deployment mode, every content that has pods in the Deployment. */
      all: RevisionObservation[]
      /** Deployment mode only. */
      deployment?: DeploymentObservation
    }

/**
 * Deployment mode: the user's Deployment and the canary's. In the observation around it, `desired` is the content of the Deployment's
 * template; `stable` is the content of its ReplicaSets (the recorded one while that has pods, else the only one), with the wanted and
 * ready pods of the whole Deployment; `canary` is the recorded one while the canary Deployment carries it.
 */
export interface DeploymentObservation {
  name: string
  uid: string
  resourceVersion: string
  /** Wanted pods, as people or an autoscaler set them. */
  replicas: number
  /** Ready pods of all its ReplicaSets. */
  ready: number
  /** A new template does not roll. */
  paused: boolean
  /** Carries the label that latches it, naming this Rollout. */
  labelled: boolean
  /** A person has asked, by annotation, that templates roll without Sluice. */
  breakGlass: boolean
  /** The contents that have pods, the one with most first: one when settled, several in the middle of a native roll, none at zero. */
  running: RunningContent[]
  /** All wanted pods run the template's content and are available, and no other pods are left. */
  settled: boolean
  /** Why the native roll does not come to an end, in one sentence with the pod's own reason. */
  stuck?: string
  /** What this process knows about the admission policy that latches; `at` is epoch ms. */
  latch: { state: 'Unknown' } | { state: 'Proven'; at: number } | { state: 'Missing'; at: number; message: string }
  /** The canary Deployment, whatever it runs. */
  canary?: CanaryObservation
  /** The autoscaler that scales the user's Deployment. `floored`: its minimum is the one Sluice set. */
  autoscaler?: { name: string; min: number; floored: boolean }
  /** With trackConfig only. */
  configuration?: ConfigurationObservation
}

/** The ConfigMaps and Secrets that the template refers to, which are part of `desired`, and how they stand to what the Deployment rolls. */
export interface ConfigurationObservation {
  /** What is referred to, as `ConfigMap/checkout-env`. */
  objects: string[]
  /** Why the configuration of new pods cannot be told now, in one sentence; `desired` is then what is recorded with the same template. */
  waits?: string
  /** It cannot be told only because it has not been read, or may not be: looked at again soon. */
  unread?: boolean
  /** The content that the Deployment's template has by itself: with the configuration in its annotation, or else the one recorded. */
  rolls: ContentIdentity
  /** The Deployment has come to the end of rolling that. */
  rolled: boolean
  /** The configuration in the annotation of the template, and the one it needs for stable's pods not to be replaced. */
  carried?: string
  keeps?: string
}

export interface RunningContent {
  revision: string
  hash: string
  /** Where configuration counts: the hash without it. */
  template?: string
  pods: number
  ready: number
}

export interface CanaryObservation {
  name: string
  /** The revision it was made of, as Sluice wrote it there. */
  revision: string
  /** Pods that Sluice asked for last; an autoscaler may want more. */
  asked: number
  replicas: number
  ready: number
  /** Pods that exist, terminating ones included. */
  pods: number
  /** Its template is still what Sluice made of the revision. */
  intact: boolean
  deleting: boolean
  notReady?: string
}

export interface RevisionObservation extends RevisionRecord {
  /** Wanted and ready pods behind it. */
  replicas: number
  ready: number
  /** Why pods are not ready, in one sentence that names a pod. */
  notReady?: string
  /** Why some of the pods still run the content before this one, in one sentence; absent when all run this. */
  rolling?: string
}

export interface TrafficObservation {
  /** Weight of every subset in the owned routes, as percent of the route; the greatest where routes differ. */
  shares: Record<string, number>
  /** The route as a whole cannot be owned (it is missing, delegates, is ambiguous). */
  problem?: Problem
  /** The pair stable / recorded canary, when a canary is recorded. */
  recorded?: PairObservation
  /** The pair stable / desired, when they differ. */
  desired?: PairObservation
}

export type PairObservation =
  | { ok: false; problem: Problem }
  | {
      ok: true
      stable: string
      canary: string
      /** The canary's share of the pair in percent, 0..100; the greatest where routes differ. */
      weight: number
      /** The sum of the pair's points, in the route where it is smallest. */
      sum: number
      /** Routes do not agree with each other. */
      uneven: boolean
      /** The canary's smallest share, in percent, where routes do not agree. */
      lowest?: number
      resourceVersion: string
      /** The field manager that wrote the weights last. */
      writer?: { manager: string; time?: string }
    }

export interface AnalysisObservation {
  /** One per SLI of the spec, in its order. Empty while nothing is measured. */
  slis: SliObservation[]
  /** A latency threshold that is no bucket bound, or another reason why the analysis can never answer. */
  problem?: Problem
}

export interface SliObservation {
  name: string
  kind: 'successRate' | 'latency' | 'query'
  /** What the last look brought. `Fresh`: a sample newer than the last one, younger than maxSampleAge. */
  answer: 'Fresh' | 'NoData' | 'Error'
  /** Why there is no fresh answer, in one sentence. */
  message?: string
  verdict: SliStatus['verdict']
  good: number
  bad: number
  /** Canary events, and complete windows, since the current step's weight was accepted. */
  stepEvents: number
  stepWindows: number
  /** For people: what was measured ("93.10 %") and what was promised ("99.5 %"). */
  observed?: string
  objective: string
  /** log10 of the evidence. */
  evidence?: number
  /** Epoch ms of the newest sample that was used. */
  newestAt?: number
  /** The evidence has no hole up to here, epoch ms. */
  completeThrough?: number
  /** Events are missing for good (Prometheus does not have them any more). */
  gap?: boolean
  /** Is stable failing its objective too? For the message. */
  stableBad?: boolean
  /** Events of stable over the same windows, where they are counted: for people who compare. */
  stable?: { good: number; bad: number }
  /** Opaque; resumes the evidence after a restart. */
  checkpoint?: string
}

export interface GitObservation {
  /** How state is committed; `Off` without a source. */
  mode: 'Off' | 'Push' | 'PullRequest'
  commits: 'EveryStep' | 'Outcomes'
  /** The source exists but cannot be used (not ready, namespace not allowed, another cluster's state file …). */
  problem?: Problem
  /** What became of each submitted commit, by op. */
  results: Record<string, CommitResult>
  /** An owned weight in Git differs from what Sluice wrote there last. */
  conflict?: { weight: number; commit: string; author: string }
  /** What the state file remembers; undefined when there is none or it is not known yet. */
  memory?: Memory
  /** The source has been read at least once, so that an absent memory means there is none. */
  known: boolean
  /** Tip of the branch, when known. */
  tip?: string
  /** Who brought the desired content, from the commit that did. */
  author?: string
  /** What separates the desired content from stable, for people who are asked. */
  change?: Change
}

/** The commits that brought the desired content. */
export interface Change {
  /** Where the forge shows the difference, when the remote is one that is known. */
  compareUrl?: string
  /** The newest of them, newest first; our own are left out. */
  commits: { sha: string; subject: string; author: string }[]
  /** How many there are, where more than are named. */
  commitCount?: number
}

export type CommitResult =
  /** Committed; or everything was as wanted already (no sha). */
  | { state: 'Done'; sha?: string; at: number; note?: string }
  /**
   * Not in Git yet; `message` says what stands in the way, when something does. `proposed`: it lies in a pull request, where people
   * decide when, and nobody waits for it.
   */
  | { state: 'Waiting'; message?: string; proposed?: string }
  /** A person's change stands in the way; nothing was written. */
  | { state: 'Conflict'; message: string; commit: string; author: string; weight?: number }
  /** Can never work as it is (protected branch, file that cannot be edited). */
  | { state: 'Refused'; problem: Problem }

/** What the state file in Git says about a Rollout. */
export interface Memory {
  cluster: string
  /** Another cluster wrote it, and this one was told to take over. */
  takenOver?: boolean
  stable?: { revision: string; name: string; hash: string; image?: string } & LastDesired
  step?: { index: number; weight: number }
  knownBad: ({
    revision: string
    name: string
    hash: string
    image?: string
    reason: string
    at: string
  } & LastDesired)[]
  attempt?: number
}

/** Where Git last wanted a revision: what a rollback or a retry restores. Known and kept by the Git layer. */
export interface LastDesired {
  commit?: string
  file?: string
}

export interface ApprovalObservation {
  name: string
  digest: string
  state: 'Pending' | 'Approved' | 'Rejected' | 'Expired'
  /** Who approved, or who rejected. */
  by: string[]
  reason?: string
  /** Approved, but the move is not to be made before, epoch ms. */
  notBefore?: number
  /** Approved as an emergency, for this reason. */
  override?: string
}

export interface RequestObservation {
  id: string
  verb: 'pause' | 'resume' | 'promote' | 'abort' | 'retry'
  revision?: string
  step?: number
  reason?: string
  full?: boolean
  by?: string
}

import type { ApprovalSpec } from '../api/approval.ts'
import type { Topic } from '../api/notify.ts'
import type { PendingCommit, RevisionRecord, RolloutStatus } from '../api/status.ts'
import type { Memory } from './observation.ts'

/**
 * One thing to do to the world. Each is idempotent: doing it twice is doing it once.
 * Effects are done in the order of the list; one that is `required` and fails ends the list.
 */
export type Effect =
  | SetWeight
  | { kind: 'commit'; entry: PendingCommit; memory: StateFile }
  | { kind: 'askApproval'; approval: ApprovalQuestion }
  | { kind: 'closeApproval'; name: string; state: 'Void' | 'Consumed'; reason: string }
  | { kind: 'event'; type: 'Normal' | 'Warning'; reason: string; message: string }
  | {
      kind: 'notify'
      topic: Topic
      message: string
    }
  | { kind: 'addFinalizer' }
  | { kind: 'removeFinalizer' }
  | DeploymentEffect

/** Deployment mode: what is done to the user's Deployment and to the canary's. */
export type DeploymentEffect =
  /** Labels the Deployment, so that the admission policy latches it, or pauses it besides (`latch: Pause`). No pod restarts. */
  | { kind: 'adopt'; pause: boolean }
  /** Tries, as a dry run, whether a changed template would be latched; the answer is part of later observations. */
  | { kind: 'proveLatch' }
  /** Makes the canary Deployment run `revision` with at least `replicas` pods, with an autoscaler of its own where stable has one. */
  | { kind: 'scaleCanary'; revision: RevisionRecord; replicas: number }
  /** Deletes the canary Deployment and what was copied for it. */
  | { kind: 'removeCanary' }
  /**
   * Lets the Deployment roll its template: only at this resourceVersion, so that no newer template rolls with it. `config` becomes the
   * annotation of the template in the same write, and makes it roll onto that configuration.
   */
  | { kind: 'resume'; resourceVersion: string; config?: string }
  /** Puts the pod template of `to` back, from its ReplicaSet, and lets it roll. */
  | { kind: 'restoreTemplate'; to: RevisionRecord }
  /** Keeps the autoscaler of stable from going below; without `replicas`, gives its own minimum back. */
  | { kind: 'floor'; replicas?: number }
  /** Takes the label away, and the pause of `latch: Pause` where `resume` says that the template is safe to roll. */
  | { kind: 'release'; resume: boolean }

/** Writes the two owned weights. */
export interface SetWeight {
  kind: 'setWeight'
  /** Subset or host names of the pair, as the router knows them. */
  stable: string
  canary: string
  /** Percent for the canary. */
  weight: number
  /**
   * `forward` carries the resourceVersion that was observed, so that nobody's write is overrun, and may fail.
   * `retreat` tests only who the destinations are, so that nobody's write can stop it (I2).
   */
  direction: 'forward' | 'retreat'
  resourceVersion?: string
  /** Written as the field manager `sluice-retreat.<reason>`, by which a restarted controller knows its own retreat. */
  reason?: string
}

/** What goes into `.sluice/<namespace>/<name>.yaml`. */
export interface StateFile extends Omit<Memory, 'cluster'> {
  outcome?: { revision: string; result: string; reason: string; message: string; at: string }
  evidence: string[]
  approvals: string[]
}

export interface ApprovalQuestion {
  name: string
  digest: string
  revision: string
  step: number
  steps: number
  from: number
  to: number
  required: number
  allowed: string[]
  /** Somebody of each of these must be among the approvers. */
  requiredFrom?: string[]
  /** What would change, for people. */
  change?: ApprovalSpec['change']
  /** When the question closes, epoch ms. */
  expiresAt: number
  onExpiry: 'Reject' | 'Hold'
  separationOfDuties: boolean
  /** Who may not be the only approver. */
  authors: string[]
  /** Evidence so far, one line per SLI. */
  evidence: string[]
}

/** What `plan` decides: the next status, and what to do to the world, in order. */
export interface Plan {
  /** To be recorded when every required effect was done. */
  status: RolloutStatus
  effects: Effect[]
  /** To be recorded instead when a required effect failed. */
  fallback: RolloutStatus
  /** Look again after this long at the latest; undefined: only when something changes. */
  requeueAfterMs?: number
  /** Whether Prometheus has to be asked at the next look. */
  measuring: boolean
}

/** Whether the planned status is only true once this effect has been done; the others may fail and are tried again. */
export function isRequired(effect: Effect): boolean {
  return effect.kind === 'setWeight' || effect.kind === 'addFinalizer'
}

const onDeployments: ReadonlySet<string> = new Set<DeploymentEffect['kind']>([
  'adopt',
  'proveLatch',
  'scaleCanary',
  'removeCanary',
  'resume',
  'restoreTemplate',
  'floor',
  'release',
])

/** Whether it is about the user's Deployment or the canary's: such effects come after all others and are never waited for. */
export function isDeploymentEffect(effect: Effect): effect is DeploymentEffect {
  return onDeployments.has(effect.kind)
}

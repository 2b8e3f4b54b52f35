import type { PendingCommit, RolloutStatus } from '../api/status.ts'
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
      topic: 'started' | 'step' | 'approval' | 'promoted' | 'rolledBack' | 'paused' | 'stuck'
      message: string
    }
  | { kind: 'addFinalizer' }
  | { kind: 'removeFinalizer' }

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

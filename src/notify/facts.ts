import { createHash } from 'node:crypto'
import type { RolloutStatus } from '../api/status.ts'
import { fieldAt } from '../kube/field.ts'
import { type KubeObject, keyOf } from '../kube/object.ts'
import type { Effect, Plan } from '../plan/effects.ts'
import type { Notification } from './notifier.ts'

/** What a program gets to know about something that happened to a Rollout. Names of fields are a contract; see docs/notifications.md. */
export interface Facts {
  cluster?: string
  uid: string
  phase?: string
  /** Why, in one word: the outcome's, else the Ready condition's. */
  reason?: string
  attempt?: number
  /** The revision that is tried, or was. */
  revision?: string
  stable?: string
  /** `of` left out where the spec is not known. */
  step?: { index: number; of?: number }
  /** Percent of the traffic for the canary, before and after. */
  weight?: { from: number; to: number }
  approval?: {
    name: string
    digest: string
    step: number
    required?: number
    from?: string[]
    expiresAt?: string
    /** Where a key holder may decide, on the controller's address; only where the question lets one. */
    respondTo?: string
  }
  git?: { commit: string }
}

type Notify = Extract<Effect, { kind: 'notify' }>

/**
 * The notification of what a plan decided. Its id is the same when the same plan is made again from the same object, as it is after a crash
 * before the status was written, and another one when it happens again.
 */
export function notificationOf(
  rollout: KubeObject,
  effect: Notify,
  plan: Plan,
  at: number,
  cluster?: string,
): Notification {
  const { topic, message } = effect
  const { uid = '', resourceVersion = '' } = rollout.metadata
  const id = createHash('sha256')
    .update(JSON.stringify([uid, resourceVersion, topic, message]))
    .digest('hex')
  return {
    id: id.slice(0, 32),
    at: new Date(at).toISOString(),
    rollout: keyOf(rollout),
    topic,
    message,
    details: detailsOf(plan.status),
    facts: { ...(cluster ? { cluster } : {}), uid, ...factsOf(rollout, topic, plan) },
  }
}

function factsOf(rollout: KubeObject, topic: Notify['topic'], { status, effects }: Plan): Omit<Facts, 'uid'> {
  const { phase, attempt, canary, stable, step, lastOutcome, git } = status
  const ended = topic === 'promoted' || topic === 'rolledBack' ? lastOutcome : undefined
  const reason = ended?.reason ?? status.conditions?.find(({ type }) => type === 'Ready')?.reason
  const revision = ended?.revision ?? canary?.revision
  const of = Number(status.stepSummary?.split('/')[1]) || undefined
  const before = fieldAt(rollout, 'status', 'step', 'weight')
  const approval = approvalOf(rollout, topic, status, effects)
  return {
    ...(phase ? { phase } : {}),
    ...(reason ? { reason } : {}),
    ...(attempt === undefined ? {} : { attempt }),
    ...(revision ? { revision } : {}),
    ...(stable ? { stable: stable.revision } : {}),
    ...(step ? { step: { index: step.index, ...(of ? { of } : {}) } } : {}),
    ...(step ? { weight: { from: typeof before === 'number' ? before : step.weight, to: step.weight } } : {}),
    ...(approval ? { approval } : {}),
    ...(git?.lastCommit ? { git: { commit: git.lastCommit } } : {}),
  }
}

/** The question that is being asked, or the one that was answered by an emergency. */
function approvalOf(
  rollout: KubeObject,
  topic: Notify['topic'],
  { approval }: RolloutStatus,
  effects: readonly Effect[],
): Facts['approval'] {
  const asked = effects.find((effect) => effect.kind === 'askApproval')?.approval
  if (asked) {
    const { name, digest, step, required, allowed } = asked
    const respondTo = `/hooks/approvals/${rollout.metadata.namespace}/${name}`
    return {
      ...{ name, digest, step, required, from: allowed, expiresAt: new Date(asked.expiresAt).toISOString() },
      ...(allowed.some((who) => who.startsWith('webhook:')) ? { respondTo } : {}),
    }
  }
  if (!approval || (topic !== 'approval' && topic !== 'override')) return undefined
  return { name: approval.name, digest: approval.digest, step: approval.step }
}

/** For the second line of a message to people. */
function detailsOf({ attempt, canary, step, lastOutcome }: RolloutStatus): Notification['details'] {
  return {
    ...(attempt === undefined ? {} : { attempt }),
    ...(canary ? { revision: canary.revision } : lastOutcome ? { revision: lastOutcome.revision } : {}),
    ...(step ? { weight: step.weight } : {}),
  }
}

import type { Logger } from 'pino'
import type { Approvals } from '../approval/approvals.ts'
import type { ApprovalChannel } from '../approval/channels.ts'
import { readApproval } from '../approval/object.ts'
import { outcomeFor } from '../approval/outcome.ts'
import { textAt } from '../kube/field.ts'
import type { KubeObject } from '../kube/object.ts'

/** What the leader does about questions besides asking them: shows them, writes what they amount to, and notes what became of it. */
export interface Questions {
  /** An Approval is new, or has changed. */
  changed(object: KubeObject): void
  /** An Approval is gone; its message must not ask on. */
  gone(last: KubeObject): void
  /** A Rollout has changed. */
  rolloutChanged(rollout: KubeObject, previous: KubeObject | undefined): void
}

export interface QuestionsParts {
  channel: Pick<ApprovalChannel, 'show'>
  approvals: Pick<Approvals, 'record' | 'recordOutcome'>
  rollout(key: string): KubeObject | undefined
  /** The Approvals of a namespace. */
  approvalsIn(namespace: string): readonly KubeObject[]
  now(): number
  log: Logger
}

export function createQuestions({ channel, approvals, rollout, approvalsIn, now, log }: QuestionsParts): Questions {
  function written(work: Promise<void>, object: KubeObject): void {
    work.catch((err: unknown) => log.warn({ err, approval: object.metadata.name }, 'status of an Approval not written'))
  }

  function noteOutcome(object: KubeObject, of: KubeObject | undefined): void {
    const approval = readApproval(object)
    const outcome = approval && outcomeFor(approval, of)
    if (approval && outcome) written(approvals.recordOutcome(approval, outcome), object)
  }

  return {
    changed(object) {
      channel.show(object)
      written(approvals.record(object), object)
      const name = textAt(object, 'spec', 'rollout')
      if (textAt(object, 'status', 'state') === 'Consumed')
        noteOutcome(object, rollout(`${object.metadata.namespace}/${name}`))
    },
    gone(last) {
      const deletionTimestamp = last.metadata.deletionTimestamp ?? new Date(now()).toISOString()
      channel.show({ ...last, metadata: { ...last.metadata, deletionTimestamp } })
    },
    rolloutChanged(of, previous) {
      const at = textAt(of, 'status', 'lastOutcome', 'at')
      if (at === undefined || at === textAt(previous, 'status', 'lastOutcome', 'at')) return
      const { namespace = '', name } = of.metadata
      for (const object of approvalsIn(namespace)) {
        if (textAt(object, 'spec', 'rollout') === name) noteOutcome(object, of)
      }
    },
  }
}

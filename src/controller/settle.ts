import type { RolloutStatus } from '../api/status.ts'
import { type Approval, readApproval } from '../approval/object.ts'
import { textAt } from '../kube/field.ts'
import { resources } from '../kube/resources.ts'
import type { Context } from './context.ts'
import type { Work } from './perform.ts'

/** When questions that could not be closed are tried again, though nothing else happens. */
const CLOSE_AGAIN_MS = 10_000

/**
 * Does what must not be done before the status that makes it true is recorded: commits are handed to Git, and questions
 * are closed. A question that was left open by a crash in between is closed here later. Never throws: all of it is tried
 * again, or derived from status again, at the next look; answers with when that has to be, if it has to be.
 */
export async function settle(
  c: Pick<Context, 'reader' | 'approvals' | 'errands' | 'git' | 'log'>,
  work: Work,
): Promise<number | undefined> {
  const { rollout, ref, spec, decided } = work
  const closing = new Map<string, { state: 'Void' | 'Consumed'; reason: string }>()
  for (const name of leftOpen(c, work)) {
    const spent = decided.status.approval?.name === name && decided.status.approval.state === 'Consumed'
    closing.set(
      name,
      spent
        ? { state: 'Consumed', reason: 'the move it allowed is being made' }
        : { state: 'Void', reason: 'the move is not asked for any more' },
    )
  }
  for (const effect of decided.effects) {
    if (effect.kind === 'commit' && spec) c.git.submit(rollout, spec, decided.status, effect.entry, effect.memory)
    if (effect.kind === 'closeApproval') closing.set(effect.name, effect)
  }
  if (closing.size === 0) return undefined
  try {
    await c.errands.run(ref.key, `close ${[...closing.keys()].join(' ')}`, async () => {
      for (const [name, { state, reason }] of closing)
        await c.approvals.close({ namespace: ref.namespace, name }, state, reason)
      await c.approvals.prune({ namespace: ref.namespace, name: ref.name, uid: ref.uid })
    })
  } catch (error) {
    c.log.warn({ rollout: ref.key, err: error }, 'questions not closed')
    return CLOSE_AGAIN_MS
  }
  return undefined
}

/** What is recorded of a question that nobody has closed, expired or not. */
const unclosed = new Set<string | undefined>([undefined, 'Pending', 'Approved'])

/** Names of questions of this Rollout that its status has left behind, and that do not say so yet. */
function leftOpen(c: Pick<Context, 'reader'>, { ref, decided }: Work): string[] {
  return c.reader
    .list(resources.approvals, ref.namespace)
    .filter(
      (object) => textAt(object, 'spec', 'rollout') === ref.name && unclosed.has(textAt(object, 'status', 'state')),
    )
    .map((object) => readApproval(object))
    .filter((approval) => approval !== undefined)
    .filter((approval) => !approval.deleting && isPast(approval, decided.status))
    .map((approval) => approval.name)
}

/** Whether nothing can come of an answer any more. A question whose asking was not recorded yet is none of these. */
function isPast({ name, spec }: Approval, { canary, step, approval }: RolloutStatus): boolean {
  if (!canary || spec.revision !== canary.revision) return true
  if (approval) return approval.name !== name || approval.state === 'Consumed'
  return spec.step <= (step?.entering?.index ?? step?.index ?? 0)
}

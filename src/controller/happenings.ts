import type { RolloutStatus } from '../api/status.ts'

/** Something that people want to find again when they look back. */
export interface Happening {
  /** Epoch ms. */
  at: number
  kind: 'Start' | 'Weight' | 'Asked' | 'Answered' | 'Paused' | 'Resumed' | 'Closed' | 'Breach' | 'Request' | 'Outcome'
  /** One sentence or less. */
  text: string
}

/** What has happened to a Rollout between two statuses, in the order in which people tell it. Pure. */
export function happenings(before: RolloutStatus, after: RolloutStatus, now: number): Happening[] {
  const all: Happening[] = []
  const tell = (kind: Happening['kind'], text: string) => all.push({ at: now, kind, text: text.slice(0, 500) })
  const started = after.canary !== undefined && after.attempt !== before.attempt

  if (after.lastRequest && after.lastRequest.id !== before.lastRequest?.id) {
    const { verb, by, message } = after.lastRequest
    tell('Request', `${verb}${by ? ` by ${by}` : ''}: ${message}`)
  }
  if (started) {
    tell('Start', `${after.canary?.revision} is to replace ${after.stable?.revision ?? 'what serves'}`)
  }
  for (const sli of after.analysis ?? []) {
    const was = before.analysis?.find(({ name }) => name === sli.name)
    if (sli.verdict !== 'Breach' || (was?.verdict === 'Breach' && !started)) continue
    // Where the retreat is done in the same turn, its outcome says this.
    if (!after.canary) continue
    tell('Breach', `${sli.name} ${sli.observed ?? ''}, objective ${sli.objective}`.replace(' ,', ','))
  }
  answered(before, after, tell)
  const [was, is] = [before.canary ? (before.step?.weight ?? 0) : 0, after.canary ? (after.step?.weight ?? 0) : 0]
  if (after.canary && was !== is && !(started && is === 0)) {
    tell('Weight', `${points(was)} → ${points(is)}`)
  }
  if (after.paused && after.paused.at !== before.paused?.at) tell('Paused', after.paused.message)
  if (before.paused && !after.paused && after.canary) tell('Resumed', 'goes on')
  if (after.window?.open === false && before.window?.open !== false) {
    tell('Closed', after.window.reason ?? 'no window is open')
  }
  if (after.lastOutcome && after.lastOutcome.at !== before.lastOutcome?.at) {
    tell(
      'Outcome',
      `${outcomeWords[after.lastOutcome.result] ?? after.lastOutcome.result}: ${after.lastOutcome.message}`,
    )
  }
  return all
}

const outcomeWords: Readonly<Record<string, string>> = {
  Promoted: 'promoted',
  RolledBack: 'rolled back',
  Aborted: 'aborted',
  Superseded: 'superseded',
  Reverted: 'reverted',
}

function answered(
  { approval: was }: RolloutStatus,
  { approval: is, canary, step }: RolloutStatus,
  tell: (kind: Happening['kind'], text: string) => void,
): void {
  if (!is || !canary || (was?.name === is.name && was.state === is.state)) return
  const by = is.by?.length ? ` by ${is.by.join(', ')}` : ''
  if (is.state === 'Pending') tell('Asked', `people are asked about step ${is.step}`)
  if (is.state === 'Approved') tell('Answered', `approved${by}`)
  if (is.state === 'Rejected') tell('Answered', `rejected${by}`)
  if (is.state === 'Expired') tell('Answered', 'nobody answered in time')
  // An answer may have been used in the very turn that saw it.
  if (is.state === 'Consumed' && was?.state === 'Pending') {
    tell('Answered', `approved${by || (step?.approvedBy?.length ? ` by ${step.approvedBy.join(', ')}` : '')}`)
  }
}

function points(weight: number): string {
  return `${Math.round(weight * 10) / 10} %`
}

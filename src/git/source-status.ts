import type { RolloutSourceStatus } from '../api/rolloutsource.ts'
import { errors as errorTable, type Problem } from '../errors.ts'
import type { SyncResult } from './sync.ts'

/** What a look at the source came to. */
export type SourceOutcome =
  | { kind: 'suspended' }
  | { kind: 'problem'; problem: Problem; transient: boolean }
  /** The branch was read; `result` is missing when nothing had to be applied. `problem`: something the spec wants is not done. */
  | { kind: 'synced'; tip: string; branch: string; rewritten?: string; result?: SyncResult; problem?: Problem }

export interface StatusQuestion {
  before: RolloutSourceStatus
  generation: number
  outcome: SourceOutcome
  lastPush?: { commit: string; at: string }
  lastWebhook?: RolloutSourceStatus['lastWebhook']
  now: string
}

const shownErrors = 50

/** The next status. Equal to `before` when there is no news, so that a quiet repository costs no writes. */
export function nextStatus({
  before,
  generation,
  outcome,
  lastPush,
  lastWebhook,
  now,
}: StatusQuestion): RolloutSourceStatus {
  const result = outcome.kind === 'synced' ? outcome.result : undefined
  const verdict = verdictOf(before, outcome)
  const conditions = (['Ready', 'Reconciling', 'Stalled'] as const).map((type) => {
    const { status, reason } = verdict[type]
    const old = before.conditions?.find((condition) => condition.type === type)
    const lastTransitionTime = old && old.status === status ? old.lastTransitionTime : now
    return { type, status, reason, message: verdict.message, lastTransitionTime, observedGeneration: generation }
  })
  const same = result && before.lastSync && sameCounts(before.lastSync, counts(outcome, result))
  return {
    observedGeneration: generation,
    message: verdict.message,
    lastSync: result ? { ...counts(outcome, result), at: same ? before.lastSync!.at : now } : before.lastSync,
    errors: result ? result.errors.slice(0, shownErrors) : before.errors,
    inventory: result ? result.inventory : before.inventory,
    lastPush: lastPush ?? before.lastPush,
    lastWebhook: later(lastWebhook, before.lastWebhook),
    conditions,
  }
}

/** The newer of the one that arrived here and the one that another replica has written. */
function later(mine: Hook, known: Hook): Hook {
  return (mine?.at ?? '') > (known?.at ?? '') ? mine : known
}

type Hook = RolloutSourceStatus['lastWebhook']
type Sync = NonNullable<RolloutSourceStatus['lastSync']>

function counts(outcome: SourceOutcome, { applied, unchanged, pruned, failed }: SyncResult): Omit<Sync, 'at'> {
  return { commit: outcome.kind === 'synced' ? outcome.tip : '', applied, unchanged, pruned, failed }
}

/** A repeated look that changed nothing is no news, although nothing is now "unchanged" instead of "applied". */
function sameCounts(before: Sync, now: Omit<Sync, 'at'>): boolean {
  return before.commit === now.commit && now.applied === 0 && now.pruned === 0 && before.failed === now.failed
}

type Truth = 'True' | 'False' | 'Unknown'
type Condition = { status: Truth; reason: string }
type Verdict = Record<'Ready' | 'Reconciling' | 'Stalled', Condition> & { message: string }

function verdictOf(before: RolloutSourceStatus, outcome: SourceOutcome): Verdict {
  if (outcome.kind === 'suspended') return suspended(before)
  if (outcome.kind === 'problem') {
    const { problem, transient } = outcome
    return verdict('False', problem.reason, said(problem), transient ? 'trying' : 'stalled')
  }
  const where = `${outcome.branch}@${outcome.tip.slice(0, 8)}`
  const failed = outcome.result ? outcome.result.errors : (before.errors ?? [])
  const [first] = failed
  if (first) {
    const at = `${first.file}${first.line ? `:${first.line}` : ''}${first.object ? ` ${first.object}` : ''}`
    const rest = failed.length > 1 ? ` (and ${failed.length - 1} more)` : ''
    const reason = first.object ? 'ManifestRefused' : 'ManifestInvalid'
    return verdict('False', reason, `Read ${where}, but ${at}: ${first.message}${rest}`, 'trying')
  }
  if (outcome.problem) return verdict('False', outcome.problem.reason, said(outcome.problem), 'stalled')
  const lost = outcome.rewritten?.slice(0, 8)
  const rewritten = lost ? `; somebody has rewritten the branch, and ${lost} is no longer in it` : ''
  return verdict('True', 'Synced', `In step with ${where}${rewritten}`, 'idle')
}

/** As with Flux, whether it was well stays as it was found last: whoever waits for it is not to wait for the end of the suspension. */
function suspended(before: RolloutSourceStatus): Verdict {
  const truth = (type: string, otherwise: Truth) =>
    before.conditions?.find((condition) => condition.type === type)?.status ?? otherwise
  const reason = 'Suspended'
  return {
    Ready: { status: truth('Ready', 'Unknown'), reason },
    Reconciling: { status: 'False', reason },
    Stalled: { status: truth('Stalled', 'False'), reason },
    message: 'Suspended: neither read nor written',
  }
}

function verdict(
  ready: 'True' | 'False',
  reason: string,
  message: string,
  state: 'idle' | 'trying' | 'stalled',
): Verdict {
  return {
    Ready: { status: ready, reason },
    Reconciling: { status: state === 'trying' ? 'True' : 'False', reason },
    Stalled: { status: state === 'stalled' ? 'True' : 'False', reason },
    message,
  }
}

function said(problem: Problem): string {
  const place = problem.field && !problem.message.includes(problem.field) ? `${problem.field}: ` : ''
  return `${place}${problem.message}. ${errorTable[problem.reason].fix}`
}

import type { PendingCommit } from '../api/status.ts'
import { sentence } from '../errors.ts'
import { destinationsOf } from './destinations.ts'
import { opOf } from './digest.ts'
import type { StateFile } from './effects.ts'
import { withNewest, withoutWeights } from './owed.ts'
import { templateOf } from './revision.ts'
import { event, iso, liveWeight, oneLine, percent, type Turn } from './turn.ts'

/** Does this Rollout commit at all? */
export function writesGit(turn: Turn): boolean {
  return turn.o.git.mode !== 'Off'
}

/** Must a forward weight be in Git before traffic moves (I3)? */
export function gitLeads(turn: Turn): boolean {
  return turn.o.git.mode === 'Push' && turn.o.git.commits === 'EveryStep'
}

interface Draft {
  kind: PendingCommit['kind']
  subject: string
  /** Percent for the canary, and what it had before where that is not what is live. */
  weights?: { weight: number; from?: number }
  desired?: PendingCommit['desired']
  template?: PendingCommit['template']
  trailers?: Record<string, string | undefined>
}

/** Records that a commit is owed. It is made by the outbox, which is derived from status: an outage loses nothing. */
export function owe(turn: Turn, draft: Draft): PendingCommit | undefined {
  if (!writesGit(turn)) return undefined
  const { status, o, now } = turn
  status.move = (status.move ?? 0) + 1
  const entry: PendingCommit = {
    op: opOf(turn, draft.kind),
    kind: draft.kind,
    subject: oneLine(draft.subject),
    trailers: present({
      Revision: status.canary?.revision,
      Weight: draft.weights && moveText(draft.weights.from ?? liveWeight(turn), draft.weights.weight),
      ...draft.trailers,
    }),
    at: iso(now),
  }
  const pair = destinationsOf(turn.spec, { stable: status.stable?.name, canary: status.canary?.name })
  if (draft.weights && pair && status.canary) entry.weights = { ...pair, weight: draft.weights.weight }
  if (draft.desired) entry.desired = draft.desired
  if (draft.template) entry.template = draft.template
  if (o.git.tip) entry.base = o.git.tip
  if (status.git?.accepted) entry.accept = status.git.accepted
  // What people have declined lies in no pull request any more; the one of this outcome carries the whole state.
  const standing = (status.git?.pending ?? []).filter((e) => !e.declined)
  status.git = { ...status.git, pending: withNewest(standing, entry) }
  return entry
}

/** Takes what became of submitted commits into the status. */
export function absorbResults(turn: Turn): void {
  const { git } = turn.status
  if (!git?.pending) return
  if (!writesGit(turn)) {
    // Nobody is owed anything any more: the source was taken away, or is only read.
    delete git.pending
    delete git.message
    git.committed = true
    return
  }
  const left: PendingCommit[] = []
  for (const entry of git.pending) {
    const result = turn.o.git.results[entry.op]
    if (result?.state === 'Done') {
      if (result.sha) {
        git.lastCommit = result.sha
        git.lastCommitAt = iso(result.at)
        event(turn, 'Normal', 'Committed', `${entry.subject} (${result.sha.slice(0, 8)})`)
      }
      if (result.note) tellOfGit(turn, 'CommitIncomplete', result.note)
      // An intent's commit stays listed until the intent is carried out: that it is in Git is what lets traffic move.
      if (turn.status.step?.entering?.op === entry.op) left.push(entry)
    } else if (result?.state === 'Conflict' && entry.op !== turn.status.step?.entering?.op) {
      tellOfGit(turn, 'NotCommitted', `${entry.subject}: ${result.message}`)
      const rest = withoutWeights(entry)
      if (rest) left.push(rest)
    } else if (result?.state === 'Refused' && entry.void) {
      event(turn, 'Warning', 'NotCommitted', `${entry.subject}: ${result.problem.message}`)
    } else {
      const reason =
        result?.state === 'Waiting'
          ? result.message
          : result?.state === 'Refused'
            ? sentence(result.problem)
            : undefined
      const { proposed: _, declined: __, ...owed } = entry
      if (result?.state === 'Refused' && reason && entry.reason !== oneLine(reason))
        tellOfGit(turn, 'NotCommitted', `${entry.subject}: ${reason}`)
      left.push({
        ...owed,
        reason: reason && oneLine(reason),
        ...(result?.state === 'Waiting' && result.proposed ? { proposed: result.proposed } : {}),
        ...(result?.state === 'Refused' && result.problem.reason === 'PullRequestDeclined' ? { declined: true } : {}),
      })
    }
  }
  git.pending = left.map((entry) => compact(entry))
}

/** Git and the cluster do not say the same, and it will not pass by itself. */
function tellOfGit(turn: Turn, reason: string, message: string): void {
  event(turn, 'Warning', reason, message)
  turn.effects.push({ kind: 'notify', topic: 'git', message: oneLine(message) })
}

/** Asks for every owed commit that may be made now. A commit of an intent is asked for by the intent alone, after its gates. */
export function submitOwed(turn: Turn): void {
  const { git } = turn.status
  if (!git || !writesGit(turn)) return
  const entering = turn.status.step?.entering
  const owed = (git.pending ?? []).filter((entry) => entry.op !== entering?.op)
  const memory = owed.length > 0 ? stateFile(turn) : undefined
  for (const entry of owed) if (memory) turn.effects.push({ kind: 'commit', entry, memory })
  git.committed = (git.pending ?? []).length === 0
  const stuck = turn.o.git.problem ?? (git.pending ?? []).find((e) => e.reason)
  const message = stuck && ('message' in stuck ? stuck.message : stuck.reason)
  if (message && !git.committed) git.message = message
  else delete git.message
}

/**
 * What the repository remembers, so that a cluster rebuilt from it knows what is good and what is not. It holds templates, so a revision
 * is told by the hash of its template there, whatever configuration came with it.
 */
export function stateFile(turn: Turn): StateFile {
  const { stable, canary, step, knownBad = [], lastOutcome, attempt, analysis = [] } = turn.status
  return compact({
    stable:
      stable &&
      compact({ revision: stable.revision, name: stable.name, hash: templateOf(stable), image: stable.image }),
    step:
      canary && step
        ? { index: step.entering?.index ?? step.index, weight: step.entering?.weight ?? step.weight }
        : undefined,
    outcome: lastOutcome && {
      revision: lastOutcome.revision,
      result: lastOutcome.result,
      reason: lastOutcome.reason,
      message: lastOutcome.message,
      at: lastOutcome.at,
    },
    knownBad: knownBad.map((bad) => {
      const { revision, name, image, reason, at } = bad
      return compact({ revision, name, hash: templateOf(bad), image, reason, at })
    }),
    attempt,
    evidence: analysis.map(
      (sli) => `${sli.name}: ${sli.verdict}, ${sli.observed ?? 'no data'} against ${sli.objective}`,
    ),
    approvals: (step?.entering?.approvedBy ?? step?.approvedBy ?? []).map(
      (by) => `${by} (step ${step?.entering?.index ?? step?.index})${overrideNote(step?.entering ?? step)}`,
    ),
  })
}

/** How an emergency is told wherever approvers are named. */
export function overrideNote(step: { override?: string } | undefined): string {
  return step?.override === undefined ? '' : ` [emergency: ${step.override}]`
}

/** `10% → 50%`, as subjects and messages say it. */
export function moveText(from: number, to: number): string {
  return `${percent(from)} → ${percent(to)}`
}

/** Evidence so far, one line per SLI that has seen something, for commits and questions. */
export function evidenceLines(turn: Turn): string[] {
  const seen = turn.o.analysis.slis.filter((sli) => sli.observed !== undefined)
  return seen.map(
    (sli) => `${sli.name} ${sli.observed} (objective ${sli.objective}), ${sli.good + sli.bad} requests, ${sli.verdict}`,
  )
}

function present(trailers: Record<string, string | undefined>): Record<string, string> {
  const entries = Object.entries(trailers).flatMap(([key, value]): [string, string][] =>
    value === undefined ? [] : [[key, value]],
  )
  return Object.fromEntries(entries.map(([key, value]) => [key, oneLine(value)]))
}

function compact<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, v]) => v !== undefined)) as T
}

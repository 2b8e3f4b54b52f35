import type { Operation } from '../../git/history.ts'
import type { Branch } from './read.ts'

/** One line of the trail, as `-o json` prints it. */
export interface Entry {
  rollout: string
  /** What was done: the kind of the operation, or `person` for a person's commit. */
  what: string
  /** ISO: when it was decided, and when it was committed. */
  at: string
  committedAt: string
  /** Which rollout of this Rollout in this branch it belongs to, from 1. */
  attempt: number
  /** Since the operation before in the same attempt. */
  tookSeconds?: number
  op?: string
  step?: string
  /** The canary's percentage. */
  weight?: { from?: number; to: number }
  revision?: { from?: string; to?: string }
  verdict?: string
  evidence: string[]
  approvedBy: string[]
  requestedBy: string[]
  override: string[]
  /** What a person changed. */
  change?: { file: string; what: 'weight' | 'desired' | 'image'; from?: string; to?: string }
  commit: string
  author: string
  subject: string
}

const backwards: readonly (string | undefined)[] = ['rollback', 'abort', 'delete']

/** One attempt of a Rollout as far as it was read. */
interface Attempt {
  number: number
  revision?: string
  stable?: string
  weight?: number
  at?: number
  over: boolean
}

/** The trail of a branch: attempts in the order in which they began, the entries of each together and oldest first. */
export function trailOf({ chapters, people, commits }: Branch, only?: string): Entry[] {
  const at = (commit: string) => commits.get(commit) ?? 0
  const seen = new Set<string>()
  const told = [
    ...chapters.flatMap(({ commit, operations }) => operations.map((operation) => ({ commit, operation }))),
    ...people.map((person) => ({ commit: person.commit, person })),
  ].sort((a, b) => at(a.commit) - at(b.commit))

  const attempts = new Map<string, Attempt>()
  const entries: (Entry & { order: number })[] = []
  const began = new Map<string, number>()
  for (const one of told) {
    const rollout = 'operation' in one ? one.operation.rollout : one.person.rollout
    if (only !== undefined && rollout !== only) continue
    let entry: Entry
    if ('operation' in one) {
      if (seen.has(one.operation.op)) continue
      seen.add(one.operation.op)
      const attempt = attemptOf(attempts.get(rollout), one.operation)
      attempts.set(rollout, attempt)
      entry = entryOf(one.operation, attempt)
    } else {
      const attempt = attempts.get(rollout)
      const { person } = one
      if (attempt && person.what === 'weight') attempt.weight = Number.parseFloat(person.to ?? '') || 0
      const open = attempt && !attempt.over
      entry = {
        rollout,
        what: 'person',
        at: iso(person.at),
        committedAt: iso(person.at),
        attempt: open ? attempt.number : (attempt?.number ?? 0) + 1,
        evidence: [],
        approvedBy: [],
        requestedBy: [],
        override: [],
        change: { file: person.file, what: person.what, ...defined({ from: person.from, to: person.to }) },
        commit: person.commit,
        author: person.author,
        subject: person.subject,
      }
    }
    const group = `${rollout} ${entry.attempt}`
    if (!began.has(group)) began.set(group, entries.length)
    entries.push({ ...entry, order: began.get(group) ?? 0 })
  }
  // A stable sort: within an attempt the order of the branch stays.
  return entries.sort((a, b) => a.order - b.order).map(({ order, ...entry }) => entry)
}

/** The attempt that an operation belongs to: the open one, or a new one. */
function attemptOf(open: Attempt | undefined, { kind, revision }: Operation): Attempt {
  const other = open?.revision !== undefined && revision !== undefined && open.revision !== revision
  const goesOn = open && !open.over && kind !== 'retry' && !(other && kind === 'step')
  return goesOn ? open : { number: (open?.number ?? 0) + 1, over: false }
}

function entryOf(operation: Operation, attempt: Attempt): Entry {
  const { kind, revision, from, weights, before, decidedAt, committedAt } = operation
  const took = attempt.at === undefined ? undefined : Math.max(0, Math.round((decidedAt - attempt.at) / 1000))
  const weightFrom = before ?? attempt.weight ?? (kind === 'step' ? 0 : undefined)
  const back = backwards.includes(kind) || (kind === 'restore' && weights?.weight === 0)
  if (kind === 'step' && from !== undefined) attempt.stable = from
  const moved = back ? defined({ from: revision, to: attempt.stable }) : defined({ from, to: revision })
  attempt.at = decidedAt
  attempt.revision ??= revision
  attempt.weight = weights?.weight ?? attempt.weight
  attempt.over = back || kind === 'promote'
  return {
    rollout: operation.rollout,
    what: kind ?? 'operation',
    at: iso(decidedAt),
    committedAt: iso(committedAt),
    attempt: attempt.number,
    ...defined({ tookSeconds: took }),
    op: operation.op,
    ...defined({ step: operation.step }),
    ...(weights ? { weight: { ...defined({ from: weightFrom }), to: weights.weight } } : {}),
    ...(Object.keys(moved).length > 0 ? { revision: moved } : {}),
    ...defined({ verdict: operation.verdict }),
    evidence: operation.evidence,
    approvedBy: operation.approvedBy,
    requestedBy: operation.requestedBy,
    override: operation.override,
    commit: operation.commit,
    author: operation.author,
    subject: operation.subject,
  }
}

/** Without what is undefined. */
function defined<T extends object>(value: T): { [K in keyof T]?: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(value).filter(([, v]) => v !== undefined)) as {
    [K in keyof T]?: NonNullable<T[K]>
  }
}

function iso(ms: number): string {
  return new Date(ms).toISOString().replace('.000Z', 'Z')
}

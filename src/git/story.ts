import type { Operation } from './history.ts'
import type { StoredState } from './statefile.ts'

/** One commit of a branch that matters to the story, with what verification needs to know of it. */
export interface Chapter {
  commit: string
  /** `Name <email>` */
  author: string
  committer: string
  /** What its message records, oldest first. */
  operations: readonly Operation[]
  /** State files that it wrote or deleted, by Rollout. */
  states: readonly StateChange[]
  /** Weights that it wrote into a route, by Rollout: the canary's percentage. */
  weights: readonly { rollout: string; from: number | undefined; to: number }[]
  /** Undefined where signatures are not asked for. */
  signature?: { good: boolean; by: string }
}

export type StateChange = { rollout: string; file: string } & (
  | { is: 'written'; state: StoredState }
  | { is: 'unreadable' }
  | { is: 'deleted' }
)

/** One place where the story does not hold. */
export interface Break {
  commit: string
  rollout: string
  kind: 'Repeated' | 'Missing' | 'Order' | 'Weights' | 'Step' | 'State' | 'Author' | 'Signature' | 'Tip'
  /** For people: what does not fit. */
  message: string
}

export interface StoryQuestion {
  /** In the order of the branch, oldest first. */
  chapters: readonly Chapter[]
  /** Who may write operations, as e-mail addresses; empty: whoever wrote most of them. */
  writers?: readonly string[]
  /** The beginning of the branch is not here: that something came before is no break. */
  shallow?: boolean
  /** Only this Rollout, `namespace/name`; operations of all of them still count as used. */
  rollout?: string
}

/** The story of one Rollout as far as it was read. */
interface Reading {
  last?: Operation
  /** Position of every operation, to tell what is missing from what is out of place. */
  seen: Set<string>
  /** The newest operation about weights, unless a person wrote others since. */
  weight?: number
  step?: { index: number; of: number; revision: string | undefined }
  state?: StateChange
}

/**
 * Whether the operations of a branch tell an unbroken story: each once, each after the one it says it follows, steps in order and from the
 * weight that was, each state file as its operation says, and the last one saying what the last operation says. Pure.
 *
 * It cannot prove what Git does not hold: a history that was rewritten whole, messages and files alike, is as good as an honest one
 * unless commits are signed; and newest operations that were cut off leave nothing behind.
 */
export function verifyStory({ chapters, writers = [], shallow = false, rollout }: StoryQuestion): Break[] {
  const breaks: Break[] = []
  const readings = new Map<string, Reading>()
  const everyOp = new Set(chapters.flatMap(({ operations }) => operations.map(({ op }) => op)))
  const first = new Map<string, string>()
  const allowed = writers.length > 0 ? new Set(writers) : mostly(chapters)

  for (const chapter of chapters) {
    const say = (about: string, kind: Break['kind'], message: string) => {
      if (rollout === undefined || about === rollout)
        breaks.push({ commit: chapter.commit, rollout: about, kind, message })
    }
    const told = new Map<string, Operation[]>()
    for (const operation of chapter.operations) {
      told.set(operation.rollout, [...(told.get(operation.rollout) ?? []), operation])
      const reading = readings.get(operation.rollout) ?? { seen: new Set() }
      readings.set(operation.rollout, reading)
      const earlier = first.get(operation.op)
      if (earlier !== undefined) {
        say(operation.rollout, 'Repeated', `tells operation ${operation.op} again, which ${short(earlier)} records`)
        continue
      }
      first.set(operation.op, chapter.commit)
      const sayIt = (kind: Break['kind'], message: string) => say(operation.rollout, kind, message)
      follow(operation, reading, { everyOp, shallow, say: sayIt })
      move(operation, reading, sayIt)
      reading.seen.add(operation.op)
      reading.last = operation
    }
    for (const [about, operations] of told) {
      const sayIt = (kind: Break['kind'], message: string) => say(about, kind, message)
      if (allowed && !emailsOf(chapter).some((email) => allowed.has(email)))
        sayIt('Author', `records ${nameOf(operations.at(-1)!)}, but is by ${chapter.author}, not by ${list(allowed)}`)
      if (chapter.signature && !chapter.signature.good)
        sayIt('Signature', `records ${nameOf(operations.at(-1)!)}, but ${chapter.signature.by}`)
      agree(operations.at(-1)!, chapter, sayIt)
    }
    for (const change of chapter.states) {
      const reading = readings.get(change.rollout) ?? { seen: new Set() }
      readings.set(change.rollout, reading)
      const question = isQuestion(change, reading.state)
      reading.state = change
      if (told.has(change.rollout) || question) continue
      // That people may delete it, to have everything forgotten, is written in its first line.
      if (change.is === 'deleted') readings.set(change.rollout, { seen: reading.seen, state: change })
      else say(change.rollout, 'State', `changes ${change.file} without an operation; it is by ${chapter.author}`)
    }
    for (const { rollout: about, to } of chapter.weights) {
      const reading = readings.get(about)
      if (!reading || told.has(about)) continue
      // A person's weights are followed; the position is found anew from them.
      reading.weight = to
      delete reading.step
    }
  }

  for (const [about, { last, state }] of readings) {
    if ((rollout !== undefined && about !== rollout) || !last || state?.is !== 'written' || !state.state.op) continue
    if (state.state.op !== last.op)
      breaks.push({
        commit: last.commit,
        rollout: about,
        kind: 'Tip',
        message: `is the last to record an operation, but ${state.file} at the tip is of operation ${state.state.op}`,
      })
  }
  return breaks
}

/** A merged pull request that asked for a move adds the question to the file and leaves the rest to the operation before it. */
function isQuestion(change: StateChange, before: StateChange | undefined): boolean {
  if (change.is !== 'written' || !change.state.asked) return false
  return change.state.op === (before?.is === 'written' ? before.state.op : undefined)
}

type Say = (kind: Break['kind'], message: string) => void

/** Each operation names the one before it. */
function follow(
  operation: Operation,
  { last, seen }: Reading,
  { everyOp, shallow, say }: { everyOp: Set<string>; shallow: boolean; say: Say },
): void {
  const { after } = operation
  const name = nameOf(operation)
  // An earlier version of Sluice did not say.
  if (after === undefined || after === last?.op) return
  if (after === 'none') {
    if (last)
      say('Order', `records ${name} as the first of its Rollout, but ${short(last.commit)} records ${nameOf(last)}`)
    return
  }
  if (seen.has(after))
    say(
      'Order',
      `records ${name} as what follows operation ${after}, but ${last ? `${nameOf(last)} (${short(last.commit)})` : 'its state file being deleted'} came between`,
    )
  else if (everyOp.has(after)) say('Order', `records ${name} before operation ${after}, which it says it follows`)
  else if (!(shallow && !last))
    say('Missing', `records ${name}, which follows operation ${after}; that is not in the branch`)
}

const endings: readonly (string | undefined)[] = ['rollback', 'abort', 'promote', 'delete', 'retry']

/** Steps are taken one by one, each from the weight at which the one before it ended. */
function move(operation: Operation, reading: Reading, say: Say): void {
  const { kind, revision, weights, before } = operation
  const position = stepOf(operation)
  const name = nameOf(operation)
  const same = reading.step?.revision === revision
  if (kind === 'step' && position) {
    const previous = same ? reading.step : undefined
    const edited = previous && previous.of !== position.of
    if (previous && !edited && position.index !== previous.index + 1)
      say('Step', `records ${name}, but the step before it is ${previous.index}/${previous.of}`)
    const found = before === undefined || before > 0
    if (!previous && position.index > 1 && !found)
      say('Step', `records ${name} as the first step of ${revision ?? 'its revision'}`)
    if (previous && before !== undefined && reading.weight !== undefined && before !== reading.weight)
      say('Weights', `moves from ${before}%, but the operation before it ended at ${reading.weight}%`)
    if (before !== undefined && weights && weights.weight <= before)
      say('Weights', `records ${name} as a step forward, but goes from ${before}% to ${weights.weight}%`)
    reading.step = { ...position, revision }
  } else if (kind === 'promote') {
    if (same && reading.step && reading.step.index !== reading.step.of)
      say('Step', `promotes ${revision}, but the step before it is ${reading.step.index}/${reading.step.of}`)
  } else if (kind === 'restore' && position && weights && weights.weight > 0) {
    reading.step = { ...position, revision: reading.step?.revision ?? revision }
  }
  const over = endings.includes(kind) || (kind === 'restore' && weights?.weight === 0)
  if (over) delete reading.step
  if (weights) reading.weight = weights.weight
  if (over && kind !== 'restore') delete reading.weight
}

/** Files say what the message says. */
function agree(operation: Operation, { states, weights }: Chapter, say: Say): void {
  const { rollout, op, kind, revision } = operation
  const name = nameOf(operation)
  const change = states.find((each) => each.rollout === rollout)
  const written = weights.find((each) => each.rollout === rollout)
  if (written && operation.weights && Math.abs(written.to - operation.weights.weight) > 1)
    say('Weights', `records ${operation.weights.weight}%, but writes ${written.to}% into the route`)
  if (!change) return
  if (change.is !== 'written') {
    say('State', `records ${name}, but leaves ${change.file} ${change.is}`)
    return
  }
  const { state, file } = change
  if (state.op !== undefined && state.op !== op)
    say('State', `records ${name}, but ${file} is of operation ${state.op}`)
  if (operation.weights && state.weights && state.weights.weight !== operation.weights.weight)
    say('State', `records ${operation.weights.weight}%, but ${file} says ${state.weights.weight}%`)
  const bad = (kind === 'rollback' || kind === 'abort') && revision !== undefined
  if (bad && !state.knownBad.some((each) => each.revision === revision) && state.stable?.revision === revision)
    say('State', `rolls back ${revision}, but ${file} says that it is stable`)
}

/** The e-mail address that wrote more than half of the commits of operations. */
function mostly(chapters: readonly Chapter[]): Set<string> | undefined {
  const recording = chapters.filter(({ operations }) => operations.length > 0)
  const counts = new Map<string, number>()
  for (const email of recording.flatMap(emailsOf)) counts.set(email, (counts.get(email) ?? 0) + 1)
  const [most] = [...counts].sort(([, a], [, b]) => b - a)
  return most && most[1] * 2 > recording.length ? new Set([most[0]]) : undefined
}

/** Of author and committer: a forge that merges is the committer, and an author may be worded anew for every commit. */
function emailsOf({ author, committer }: Chapter): string[] {
  return [...new Set([author, committer].map(emailOf))]
}

/** `Step: 2/3` as numbers. */
export function stepOf({ step }: Pick<Operation, 'step'>): { index: number; of: number } | undefined {
  const match = /^([0-9]+)\/([0-9]+)$/.exec(step ?? '')
  return match ? { index: Number(match[1]), of: Number(match[2]) } : undefined
}

function nameOf({ kind, step, op }: Operation): string {
  if (kind === 'step' && step) return `step ${step}`
  return kind ? `a ${kind}` : `operation ${op}`
}

export function emailOf(author: string): string {
  return /<([^<>]*)>$/.exec(author)?.[1] ?? author
}

function short(commit: string): string {
  return commit.slice(0, 8)
}

function list(set: ReadonlySet<string>): string {
  return [...set].join(' or ')
}

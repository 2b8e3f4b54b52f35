import { isDeepStrictEqual } from 'node:util'
import type { PendingCommit } from '../api/status.ts'
import { type Problem, SluiceError } from '../errors.ts'
import type { StateFile } from '../plan/effects.ts'
import type { CommitResult, GitObservation } from '../plan/observation.ts'
import type { Runtime } from '../runtime.ts'
import type { Branch, Branches, RefreshResult } from './branch.ts'
import { createForges, type Forges } from './forge/find.ts'
import { auditTrail, type Operation } from './history.ts'
import { createLooks } from './looks.ts'
import { rolloutTrailer } from './message.ts'
import type { Identity, Job } from './operation.ts'
import type { RolloutRef } from './owned.ts'
import { createPullWriter, type PullWriter } from './pull-writer.ts'
import { branchKey, type SourceRef } from './source-ref.ts'
import { type View, viewOf } from './view.ts'
import { createWriter, type PushAttempt, type Writer } from './writer.ts'

export type { Operation, RolloutRef }

/**
 * Writes what was decided to Git and says what Git says. Nothing here is remembered across a restart: pending operations live in
 * status and are submitted again, and each is in Git at most once, by its `op`.
 */
export interface GitRecorder {
  /** Wants an operation committed. Submitting it again is harmless, and after a restart necessary. */
  submit(source: SourceRef, rollout: RolloutRef, entry: PendingCommit, state: StateFile): void
  /** What is known about a Rollout, from memory. The first call begins to look; `onChange` tells when there is more. */
  observe(source: SourceRef, rollout: RolloutRef): GitObservation
  /** Looks what people did with the pull requests of a source. Called at its interval and on webhooks; costs nothing where none is open. */
  look(source: SourceRef): void
  /** Asks the remote now. */
  refresh(source: SourceRef): Promise<RefreshResult>
  /** Called with `namespace/name` when what `observe` answers has changed. Returns the way to stop. */
  onChange(listener: (key: string) => void): () => void
  /** Called after a push, with what the RolloutSource's status says about it. */
  onPush(listener: (source: SourceRef, commit: string, at: number) => void): () => void
  /** Every operation of a Rollout that the branch's newest thousand commits (and those seen since) tell, oldest first. Throws SluiceError. */
  history(source: SourceRef, rollout: { namespace: string; name: string }): Promise<Operation[]>
  /** The results of these operations are recorded; without `ops`, the Rollout is gone. */
  forget(key: string, ops?: string[]): void
  /** Ends everything under way; what was not pushed is submitted again after a restart. */
  stop(): Promise<void>
}

export interface GitRecorderOptions {
  branches: Branches
  /** Where pull requests are opened; by default the forges that the sources name. */
  forges?: Forges
  runtime: Runtime
  identity: Identity
  /** Milliseconds after which a refused operation that is still wanted is tried again. Default 10 minutes. */
  refusedRetryMs?: number
  onError?: (error: unknown) => void
  /** Every attempt to push, for metrics. */
  onAttempt?: (result: PushAttempt) => void
  /** The remote does not take the credentials of this source: its Secret is worth another look. */
  onLockedOut?: (source: SourceRef) => void
}

interface Entry {
  source: SourceRef
  rollout: RolloutRef
  branch: Branch
  view?: View
  results: Map<string, Settled>
}

/** A result, and what it was the result of. */
interface Settled {
  result: CommitResult
  wanted: string
  tip?: string
  at: number
}

/** Views that are read at the same time; each may run a git command. */
const looksAtOnce = 2
const lookAgainMs = 5_000

export function createGitRecorder(options: GitRecorderOptions): GitRecorder {
  const { branches, runtime, identity, refusedRetryMs = 600_000, onError, onAttempt, onLockedOut } = options
  const entries = new Map<string, Entry>()
  const writers = new Map<string, Writer | PullWriter>()
  const watched = new Map<Branch, () => void>()
  const unseen = new Map<Branch, Set<string>>()
  const changed = new Set<(key: string) => void>()
  const pushed = new Set<(source: SourceRef, commit: string, at: number) => void>()
  const stopping = new AbortController()
  const { signal } = stopping
  const forges = options.forges ?? createForges({ runtime, signal })
  const looks = createLooks({ atOnce: looksAtOnce, look, onError: (error) => onError?.(error), signal })

  const tell = (key: string) => {
    for (const listener of changed) listener(key)
  }

  function entryOf(source: SourceRef, rollout: RolloutRef): Entry {
    const key = `${rollout.namespace}/${rollout.name}`
    const known = entries.get(key)
    const branch = branches.of(source)
    if (known && known.branch === branch && writerKey(known.source) === writerKey(source)) {
      const judged = !isDeepStrictEqual(known.rollout.proposed, rollout.proposed)
      const moved = known.source.path !== source.path || known.rollout.accepted !== rollout.accepted || judged
      const edited = known.rollout.spec !== rollout.spec && ownedOf(known.rollout) !== ownedOf(rollout)
      known.source = source
      known.rollout = rollout
      if (moved || edited) looks.soon(key)
      return known
    }
    if (known) moveAway(known)
    const entry: Entry = { source, rollout, branch, results: known?.results ?? new Map() }
    entries.set(key, entry)
    if (!watched.has(branch))
      watched.set(
        branch,
        branch.onTip(() => {
          lookAll(branch)
          for (const writer of writers.values()) if ('look' in writer && writer.branch === branch) writer.look()
        }),
      )
    if (branch.tip === undefined) looks.track(branch.refresh(source.credentials).then(() => tell(key)))
    else looks.soon(key)
    return entry
  }

  /** The Rollout commits elsewhere now: what was not written to the old place is submitted again for the new one. */
  function moveAway(old: Entry): void {
    const writer = writers.get(writerKey(old.source))
    for (const [op, { result }] of old.results) {
      if (result.state === 'Done') continue
      writer?.drop(idOf(old.rollout, op))
      old.results.delete(op)
    }
  }

  function lookAll(branch: Branch): void {
    for (const [key, entry] of entries) if (entry.branch === branch) looks.soon(key)
  }

  /** Brings the view of a Rollout up to date. */
  async function look(key: string): Promise<void> {
    const entry = entries.get(key)
    if (!entry) return
    const { branch, source, rollout, view } = entry
    if (!(await isLetIn(entry))) return
    try {
      entry.view = await viewOf({ branch, source, rollout, previous: view, ...identity })
    } catch (error) {
      lookAgain(key, entry)
      throw error
    }
    if (entries.get(key) === entry && contentOf(entry.view) !== contentOf(view)) tell(key)
  }

  /** Another source of the same URL may have brought here what the credentials of this one do not open. */
  async function isLetIn({ branch, source }: Entry): Promise<boolean> {
    return branch.repository.admits(source.credentials) || (await branch.refresh(source.credentials)).ok
  }

  /** The clone was damaged, or the remote did not give a file: both may be well when the remote has been asked anew. */
  function lookAgain(key: string, { branch, source }: Entry): void {
    const waiting = unseen.get(branch)
    if (waiting) return void waiting.add(key)
    const keys = new Set([key])
    unseen.set(branch, keys)
    const asked = runtime.sleep(lookAgainMs, signal).then(() => branch.refresh(source.credentials))
    const done = () => {
      unseen.delete(branch)
      for (const each of keys) looks.soon(each)
    }
    looks.track(asked.finally(done))
  }

  function writerOf(source: SourceRef): Writer {
    const key = writerKey(source)
    const known = writers.get(key)
    if (known) return known
    const branch = branches.of(source)
    const both = { branch, runtime, identity, signal, onResult: settle, ...(onAttempt ? { onAttempt } : {}) }
    const onPush = (sha: string, jobs: Job[]) => {
      for (const listener of pushed) listener(jobs[0]!.source, sha, runtime.now())
    }
    const proposes = source.write.mode === 'PullRequest'
    const writer = proposes
      ? createPullWriter({ ...both, forges })
      : createWriter({ ...both, onPush, ...(onLockedOut ? { onLockedOut } : {}) })
    writers.set(key, writer)
    return writer
  }

  function settle(job: Job, result: CommitResult): void {
    const key = `${job.rollout.namespace}/${job.rollout.name}`
    const entry = entries.get(key)
    if (!entry) return
    const before = entry.results.get(job.entry.op)
    entry.results.set(job.entry.op, { result, wanted: wantedOf(job.entry), tip: entry.branch.tip, at: runtime.now() })
    if (JSON.stringify(before?.result) !== JSON.stringify(result)) tell(key)
  }

  /** Whether an operation with this result should be tried (again). */
  function isDue(settled: Settled | undefined, entry: Entry, wanted: PendingCommit): boolean {
    if (!settled || settled.result.state === 'Waiting') return true
    if (settled.result.state === 'Done') return false
    const elsewhere = settled.wanted !== wantedOf(wanted) || settled.tip !== entry.branch.tip
    return elsewhere || runtime.now() - settled.at >= refusedRetryMs
  }

  return {
    submit(source, rollout, entry, state) {
      if (signal.aborted || source.write.mode === 'Off') return
      const known = entryOf(source, rollout)
      if (!isDue(known.results.get(entry.op), known, entry)) return
      const job = { source, rollout, entry, state }
      const writer = writerOf(source)
      const id = idOf(rollout, entry.op)
      const queued = writer.get(id)
      const same = queued && isDeepStrictEqual(queued.source, source) && wantedOf(queued.entry) === wantedOf(entry)
      if (same) return
      if (!known.results.has(entry.op)) {
        const waiting: CommitResult = { state: 'Waiting' }
        known.results.set(entry.op, { result: waiting, wanted: wantedOf(entry), at: runtime.now() })
      }
      writer.add(id, job)
    },

    observe(source, rollout) {
      const { view, results, branch } = entryOf(source, rollout)
      const { mode, commits } = source.write
      const unread = view === undefined ? branch.problem : undefined
      return {
        mode,
        commits,
        problem: view?.problem ?? unread,
        results: Object.fromEntries([...results].map(([op, settled]) => [op, settled.result])),
        conflict: view?.conflict,
        memory: view?.memory,
        known: view !== undefined,
        tip: view?.tip,
        author: view?.author,
        ...(view?.change ? { change: view.change } : {}),
      }
    },

    look(source) {
      // The remote has let it in, perhaps for the first time.
      for (const [key, entry] of entries)
        if (entry.view === undefined && sameSource(entry.source, source)) looks.soon(key)
      const writer = writers.get(writerKey(source))
      if (writer && 'look' in writer) writer.look()
    },

    refresh: (source) => branches.of(source).refresh(source.credentials),

    onChange(listener) {
      changed.add(listener)
      return () => changed.delete(listener)
    },

    onPush(listener) {
      pushed.add(listener)
      return () => pushed.delete(listener)
    },

    async history(source, rollout) {
      const branch = branches.of(source)
      const isRead = branch.tip !== undefined && branch.repository.admits(source.credentials)
      const fetched = isRead ? undefined : await branch.refresh(source.credentials)
      if (branch.tip === undefined || fetched?.ok === false) throw new SluiceError(branch.problem ?? unread(source))
      const own = [`--grep=${rolloutTrailer}: ${rollout.namespace}/${rollout.name}`, '--fixed-strings', '--topo-order']
      return auditTrail(await branch.repository.log([...own, branch.tip]), rollout)
    },

    forget(key, ops) {
      const entry = entries.get(key)
      if (!entry) return
      for (const op of ops ?? [...entry.results.keys()]) {
        entry.results.delete(op)
        writers.get(writerKey(entry.source))?.drop(idOf(entry.rollout, op))
      }
      if (ops === undefined) entries.delete(key)
    },

    async stop() {
      stopping.abort(new Error('the recorder was stopped'))
      for (const unwatch of watched.values()) unwatch()
      await Promise.allSettled([...writers.values()].map((writer) => writer.idle()))
      await looks.idle()
    },
  }
}

/** One writer for all that is pushed to a branch, and one for all that is proposed for it. */
function writerKey(source: SourceRef): string {
  return `${source.write.mode === 'PullRequest' ? 'proposed ' : ''}${branchKey(source)}`
}

function sameSource(a: SourceRef, b: SourceRef): boolean {
  return a.namespace === b.namespace && a.name === b.name
}

function idOf(rollout: { namespace: string; name: string }, op: string): string {
  return `${rollout.namespace}/${rollout.name} ${op}`
}

/** What of a spec says which files are looked at. */
function ownedOf({ spec }: RolloutRef): string {
  return JSON.stringify([spec.traffic, spec.workload.deployment?.name, spec.source?.values])
}

/** What the result of an operation depends on. */
function wantedOf({ weights, desired, template, accept, void: given, base }: PendingCommit): string {
  return JSON.stringify([weights, desired, template, accept, given, base])
}

/** What of a view is worth telling: a tip that has moved is not. */
function contentOf(view: View | undefined): string {
  return JSON.stringify(view && { ...view, tip: '', signature: '' })
}

function unread(source: SourceRef): Problem {
  return { reason: 'GitUnreachable', message: `${source.namespace}/${source.name} was not read` }
}

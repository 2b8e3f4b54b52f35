import { isDeepStrictEqual } from 'node:util'
import { sentence } from '../errors.ts'
import { type Backoff, createBackoff } from '../kube/backoff.ts'
import type { CommitResult } from '../plan/observation.ts'
import type { Runtime } from '../runtime.ts'
import type { Branch } from './branch.ts'
import type { Draft } from './commit.ts'
import { type Identity, type Job, type Prepared, prepare } from './operation.ts'
import type { PushResult } from './repository.ts'
import type { SourceRef } from './source-ref.ts'

/** What came of an attempt to write to the remote. */
export type PushAttempt = 'ok' | 'lost-race' | 'refused' | 'unreachable' | 'error'

export interface WriterOptions {
  branch: Branch
  runtime: Runtime
  identity: Identity
  /** Called for every job whose result is new, waiting ones included. */
  onResult: (job: Job, result: CommitResult) => void
  /** Called after a push, with the commit that is the tip now. */
  onPush?: (sha: string, jobs: Job[]) => void
  /** Called after every attempt to push, or to read the branch before, with what came of it. */
  onAttempt?: (result: PushAttempt) => void
  /** The remote does not take the credentials of this source: there may be newer ones. */
  onLockedOut?: (source: SourceRef) => void
  signal: AbortSignal
}

/** The one writer of a branch, which tries at once what it gets with other credentials than before: takes operations in order, makes a commit of each, and pushes all that wait at once. */
export interface Writer {
  /** Queues a job; one with the same operation is replaced in its place. */
  add(id: string, job: Job): void
  /** The job, while it waits. */
  get(id: string): Job | undefined
  drop(id: string): void
  /** Resolves when nothing is under way. */
  idle(): Promise<void>
}

interface Plan {
  tip: string
  settled: { id: string; job: Job; result: CommitResult }[]
  commits: { id: string; job: Job; draft: Draft; note?: string }[]
}

const outage = { initialMs: 500, maxMs: 60_000 }
const race = { initialMs: 20, maxMs: 2_000, jitter: 3 }
const batchLimit = 100

export function createWriter(options: WriterOptions): Writer {
  const { branch, runtime, identity, onResult, onPush, onAttempt, onLockedOut, signal } = options
  const queue = new Map<string, Job>()
  const outages = createBackoff(outage, runtime.random)
  const races = createBackoff(race, runtime.random)
  let running: Promise<void> | undefined
  let limit = batchLimit
  let wake = new AbortController()

  function settle(id: string, job: Job, result: CommitResult): void {
    if (queue.get(id) === job) queue.delete(id)
    onResult(job, result)
  }

  /** The next jobs that can share a push: those of one source, in order. */
  function batch(): [id: string, job: Job][] {
    const [first] = queue.values()
    const jobs = [...queue].filter(([, job]) => sameSource(job, first!))
    return jobs.slice(0, limit)
  }

  async function plan(jobs: [id: string, job: Job][]): Promise<Plan> {
    const tip = branch.tip!
    let tree = await branch.tree(tip, jobs[0]![1].source.path)
    const result: Plan = { tip, settled: [], commits: [] }
    const ownWeights = new Set<string>()
    for (const [id, job] of jobs) {
      await new Promise((resume) => setImmediate(resume))
      const rollout = `${job.rollout.namespace}/${job.rollout.name}`
      const now = runtime.now()
      const prepared: Prepared = await prepare(job, tree, branch, ownWeights.has(rollout), identity, now)
      if (prepared.state === 'settled') {
        result.settled.push({ id, job, result: prepared.result })
        continue
      }
      tree = tree.with(prepared.changes)
      if (job.entry.weights) ownWeights.add(rollout)
      const decidedAt = Date.parse(job.entry.at)
      const files = [...prepared.changes].map(([path, content]) => {
        return { path, content, mode: tree.entries.get(path)?.mode ?? '100644' }
      })
      const { message, author, note } = prepared
      const draft = { message, author, files, at: now, decidedAt: Number.isFinite(decidedAt) ? decidedAt : now }
      result.commits.push({ id, job, draft, note })
    }
    return result
  }

  async function round(): Promise<void> {
    const jobs = batch()
    const [, first] = jobs[0]!
    const fetched = await branch.refresh(first.source.credentials)
    if (signal.aborted) return
    if (!fetched.ok) {
      onAttempt?.('unreachable')
      if (fetched.problem.reason === 'GitAuth') lockedOut(first)
      return await waitOut(jobs, sentence(fetched.problem), outages)
    }
    const planned = await plan(jobs)
    for (const { id, job, result } of planned.settled) settle(id, job, result)
    if (planned.commits.length === 0) return done()

    const shas = await branch.repository.commit(
      planned.tip,
      planned.commits.map((commit) => commit.draft),
      first.source.signingKey,
    )
    const pushed = await branch.repository.push(shas.at(-1)!, branch.name, first.source.credentials)
    if (signal.aborted) return
    onAttempt?.(pushed.ok ? 'ok' : attemptOf(pushed))
    if (pushed.ok) {
      await branch.advance(shas.at(-1)!)
      const at = runtime.now()
      for (const [i, { id, job, note }] of planned.commits.entries()) {
        settle(id, job, { state: 'Done', sha: shas[i]!, at, note })
      }
      onPush?.(
        shas.at(-1)!,
        planned.commits.map(({ job }) => job),
      )
      return done()
    }
    await afterRefusal(pushed, planned)
  }

  async function afterRefusal(pushed: PushResult & { ok: false }, planned: Plan): Promise<void> {
    const { failure } = pushed
    if (failure.kind === 'lostRace') return await runtime.sleep(races.next(), signal).catch(() => undefined)
    if (failure.kind === 'problem' && !failure.transient) {
      if (planned.commits.length > 1) {
        limit = 1
        return
      }
      const { id, job } = planned.commits[0]!
      settle(id, job, { state: 'Refused', problem: failure.problem })
      return done()
    }
    if (failure.kind === 'problem' && failure.problem.reason === 'GitAuth') lockedOut(planned.commits[0]!.job)
    const reason =
      failure.kind === 'problem' ? sentence(failure.problem) : `the clone is being repaired: ${failure.detail}`
    const waiting = planned.commits.map(({ id, job }): [string, Job] => [id, job])
    await waitOut(waiting, reason, outages)
  }

  /** The other sources of this branch come first now: they may have better credentials. */
  function lockedOut(job: Job): void {
    for (const [id, other] of [...queue].filter(([, each]) => sameSource(each, job))) {
      queue.delete(id)
      queue.set(id, other)
    }
    onLockedOut?.(job.source)
  }

  function done(): void {
    outages.reset()
    races.reset()
    limit = queue.size === 0 ? batchLimit : Math.min(batchLimit, limit * 2)
  }

  async function waitOut(jobs: [id: string, job: Job][], message: string, backoff: Backoff): Promise<void> {
    wake = new AbortController()
    for (const [id, job] of jobs) if (queue.has(id)) onResult(job, { state: 'Waiting', message })
    await runtime.sleep(backoff.next(), AbortSignal.any([signal, wake.signal])).catch(() => undefined)
  }

  async function drain(): Promise<void> {
    while (queue.size > 0 && !signal.aborted) {
      try {
        await round()
      } catch (error) {
        if (signal.aborted) return
        const message = error instanceof Error ? error.message : String(error)
        await waitOut(batch(), message, outages)
      }
    }
  }

  function start(): void {
    running ??= drain().finally(() => {
      running = undefined
      if (queue.size > 0 && !signal.aborted) start()
    })
  }

  return {
    get: (id) => queue.get(id),
    add(id, job) {
      const before = queue.get(id)
      queue.set(id, job)
      if (before && !sameKeys(before.source, job.source)) {
        outages.reset()
        wake.abort()
      }
      start()
    },
    drop(id) {
      queue.delete(id)
    },
    async idle() {
      while (running) await running
    },
  }
}

function attemptOf({ failure }: PushResult & { ok: false }): PushAttempt {
  if (failure.kind === 'lostRace') return 'lost-race'
  if (failure.kind !== 'problem') return 'error'
  return failure.transient ? 'unreachable' : 'refused'
}

function sameKeys(a: SourceRef, b: SourceRef): boolean {
  return isDeepStrictEqual([a.credentials, a.signingKey], [b.credentials, b.signingKey])
}

function sameSource(a: Job, b: Job): boolean {
  return a.source.namespace === b.source.namespace && a.source.name === b.source.name && a.source.path === b.source.path
}

import { type Problem, SluiceError, sentence } from '../errors.ts'
import type { CommitResult } from '../plan/observation.ts'
import type { Runtime } from '../runtime.ts'
import type { Branch } from './branch.ts'
import { authorOf, type Draft } from './commit.ts'
import type { Forges } from './forge/find.ts'
import { type Forge, ForgeFailure, type PullRequest } from './forge/forge.ts'
import { operationOf } from './history.ts'
import { committed, type Identity, type Job, prepare, whyNot } from './operation.ts'
import {
  collides,
  headsOf,
  isQuestionBranch,
  type OwnBranch,
  outcomeBranch,
  pullPrefix,
  pushFailure,
  readOwnBranch,
  stateOn,
} from './pull-branch.ts'
import { declined, isClosedByOthers, opsOf } from './pull-outcome.ts'
import { createRounds } from './pull-rounds.ts'
import { closedBody, outcomeWords, readMarker } from './pull-words.ts'
import type { PushAttempt, Writer } from './writer.ts'

export interface PullWriterOptions {
  branch: Branch
  forges: Forges
  runtime: Runtime
  identity: Identity
  onResult: (job: Job, result: CommitResult) => void
  onAttempt?: (result: PushAttempt) => void
  signal: AbortSignal
}

/** The one writer of pull requests into a branch. Jobs stay with it until people have merged or closed what carries them. */
export interface PullWriter extends Writer {
  readonly branch: Branch
  /** Looks what people did with the pull requests, where any is waited for. */
  look(): void
}

/**
 * Everything a Rollout owes lies on one branch, named by the newest operation, in one pull request. What there is, is read from the
 * remote and the forge every time, so that a process that died goes on with the same ones: nothing is remembered here but the jobs.
 */
export function createPullWriter(options: PullWriterOptions): PullWriter {
  const { branch, forges, runtime, identity, onResult, onAttempt, signal } = options
  const queue = new Map<string, Job>()
  /** What could not be written, by operation, for the day of its merge. */
  const notes = new Map<string, string>()
  const rounds = createRounds({ round, onFailure, runtime, signal })

  function settle(id: string, job: Job, result: CommitResult): void {
    const over = result.state !== 'Waiting' && queue.get(id) === job
    if (over) queue.delete(id)
    const note = notes.get(job.entry.op)
    if (over) notes.delete(job.entry.op)
    onResult(job, result.state === 'Done' && note ? { note, ...result } : result)
  }

  /** What a Rollout owes, oldest first. */
  function jobsOf(key: string): [id: string, job: Job][] {
    return [...queue].filter(([, job]) => keyOf(job) === key).sort(([, a], [, b]) => compare(a.entry.at, b.entry.at))
  }

  function onFailure(key: string, error: unknown): void {
    const problem = problemOf(error)
    if (problem && error instanceof ForgeFailure && !error.transient) {
      for (const [id, job] of jobsOf(key)) settle(id, job, { state: 'Refused', problem })
      return
    }
    const why = problem ? sentence(problem) : error instanceof Error ? error.message : String(error)
    for (const [id, job] of jobsOf(key)) settle(id, job, { state: 'Waiting', message: why })
  }

  async function round(key: string): Promise<void> {
    const [first] = jobsOf(key)
    if (!first) return
    const { source, rollout } = first[1]
    const found = forges.of(source)
    if (!found.ok) return onFailure(key, new SluiceError(found.problem))
    const { forge } = found
    const fetched = await branch.refresh(source.credentials)
    if (signal.aborted) return
    if (!fetched.ok) {
      onAttempt?.('unreachable')
      throw new SluiceError(fetched.problem)
    }
    await settleWhatIsDone(key)
    const open = await hearPeople(key, forge)
    const heads = await headsOf(branch, source, pullPrefix(rollout))
    const jobs = jobsOf(key)
    const lying = jobs.length > 0 ? await propose(jobs, forge, heads, { tip: fetched.tip, open }) : undefined
    await tidyUp({ forge, source, rollout }, heads, lying, key)
  }

  async function settleWhatIsDone(key: string): Promise<void> {
    for (const [id, job] of jobsOf(key)) {
      const sha = await committed(branch, job.entry)
      const refusal = whyNot(job)
      if (sha) settle(id, job, { state: 'Done', sha, at: runtime.now() })
      else if (job.entry.void)
        settle(id, job, { state: 'Done', at: runtime.now(), note: 'given up before it was merged' })
      else if (refusal) settle(id, job, { state: 'Refused', problem: refusal })
    }
  }

  /** Takes in what was merged or closed, the newest operation first: what it carried of older ones needs no question. */
  async function hearPeople(key: string, forge: Forge): Promise<Map<string, PullRequest>> {
    const open = new Map<string, PullRequest>()
    const carried = new Set<string>()
    for (const [, { source, rollout, entry }] of jobsOf(key).reverse()) {
      if (carried.has(entry.op) || !jobsOf(key).some(([, job]) => job.entry.op === entry.op)) continue
      const [pull] = await forge.find(outcomeBranch(rollout, entry.op))
      if (!pull) continue
      if (pull.state !== 'open') {
        await hear(key, pull, entry.op, source.branch, forge)
        continue
      }
      open.set(entry.op, pull)
      for (const op of opsOf(pull, entry.op)) carried.add(op)
    }
    return open
  }

  async function hear(key: string, pull: PullRequest, op: string, base: string, forge: Forge): Promise<void> {
    const { ops = [], closed: byUs } = readMarker(pull.body)
    const arrived = pull.state === 'merged' && pull.base === base
    if (!arrived && byUs && pull.state === 'closed' && !(await isClosedByOthers(pull, forge))) return
    // A branch is named by the newest that lies on it; the mark, which others may edit, cannot make it carry what came later.
    const newest = jobsOf(key).find(([, job]) => job.entry.op === op)?.[1].entry.at
    const problem = arrived ? undefined : await declined(pull, base, forge)
    for (const [id, job] of jobsOf(key)) {
      if (job.entry.op !== op && !ops.includes(job.entry.op)) continue
      if (newest !== undefined && compare(job.entry.at, newest) > 0) continue
      if (problem) settle(id, job, { state: 'Refused', problem })
      else settle(id, job, { state: 'Done', at: runtime.now(), ...(pull.mergedAs ? { sha: pull.mergedAs } : {}) })
    }
  }

  /** Has the branch and the pull request of these jobs, and says so in their results. */
  async function propose(
    jobs: [id: string, job: Job][],
    forge: Forge,
    heads: Map<string, string>,
    heard: { tip: string; open: Map<string, PullRequest> },
  ): Promise<{ name: string; pull?: PullRequest } | undefined> {
    const [, newest] = jobs.at(-1)!
    const { source, rollout, entry } = newest
    const name = outcomeBranch(rollout, entry.op)
    const open = heard.open.get(entry.op)
    let own = heads.has(name) ? await readOwnBranch(branch, source, rollout, name) : undefined
    if (own?.foreign) {
      const who = authorOf(own.foreign)
      const message = open
        ? `lies in pull request ${open.reference}, to which ${who} has pushed: it is left as it is`
        : `${who} has pushed to the branch ${name}; delete it to have it proposed`
      for (const [id, job] of jobs)
        settle(id, job, { state: 'Waiting', message, ...(open ? { proposed: open.url } : {}) })
      return { name, ...(open ? { pull: open } : {}) }
    }
    if (!own || !carries(own, jobs) || (await collides(own, branch, source))) {
      // What was merged since people were heard would look as if Git said so by itself.
      const news = open && (await forge.find(name))[0]?.state !== 'open'
      if (news || branch.tip !== heard.tip) return void rounds.soon(keyOf(newest))
      const built = await build(jobs, name, own)
      if (!built) return undefined
      heads.set(name, built)
      own = await readOwnBranch(branch, source, rollout, name)
      if (!own || own.foreign) throw new SluiceError(moved(name))
    }
    const words = outcomeWords({
      rollout,
      cluster: identity.cluster,
      commits: own.commits.toReversed(),
      labels: source.write.pullRequest?.labels ?? [],
      state: await stateOn(branch, source, rollout, own.head),
    })
    if (open) await forge.update(open, words)
    const pull = open ?? (await forge.open(name, source.branch, words))
    const message = `lies in pull request ${pull.reference}`
    for (const [id, job] of jobs) settle(id, job, { state: 'Waiting', message, proposed: pull.url })
    return { name, pull }
  }

  /** Makes the commits anew on the present tip, and the branch with them. Undefined when some turned out to need none: then look again. */
  async function build(
    jobs: [id: string, job: Job][],
    name: string,
    own: OwnBranch | undefined,
  ): Promise<string | undefined> {
    const [, { source }] = jobs[0]!
    const tip = branch.tip!
    let tree = await branch.tree(tip, source.path)
    const drafts: Draft[] = []
    let ownWeights = false
    let settledAny = false
    for (const [id, job] of jobs) {
      const prepared = await prepare(job, tree, branch, ownWeights, identity, runtime.now())
      if (prepared.state === 'settled') {
        settle(id, job, prepared.result)
        settledAny = true
        continue
      }
      const files = [...prepared.changes].map(([path, content]) => {
        return { path, content, mode: tree.entries.get(path)?.mode ?? '100644' }
      })
      tree = tree.with(prepared.changes)
      ownWeights ||= job.entry.weights !== undefined
      const at = Date.parse(job.entry.at) || runtime.now()
      const { message, author, note } = prepared
      if (note) notes.set(job.entry.op, note)
      drafts.push({ message, author, files, at: runtime.now(), decidedAt: at })
    }
    if (settledAny || drafts.length === 0) {
      if (jobsOf(keyOf(jobs[0]![1])).length < jobs.length) rounds.soon(keyOf(jobs[0]![1]))
      return undefined
    }
    const sha = (await branch.repository.commit(tip, drafts, source.signingKey)).at(-1)!
    const pushed = await branch.repository.replace(name, own?.head, sha, source.credentials)
    if (!pushed.ok) {
      onAttempt?.(
        pushed.failure.kind === 'lostRace' ? 'lost-race' : pushed.failure.kind === 'problem' ? 'refused' : 'error',
      )
      throw pushFailure(pushed)
    }
    onAttempt?.('ok')
    return sha
  }

  /** Closes what a newer pull request carries too, and removes branches that have done their service. */
  async function tidyUp(
    at: { forge: Forge } & Pick<Job, 'source' | 'rollout'>,
    heads: Map<string, string>,
    lying: { name: string; pull?: PullRequest } | undefined,
    key: string,
  ): Promise<void> {
    const { forge, source, rollout } = at
    for (const [name, sha] of heads) {
      if (name === lying?.name || isQuestionBranch(rollout, name)) continue
      const [pull] = await forge.find(name)
      const isDone = pull?.state === 'merged'
      const isOver = pull?.state === 'open' && jobsOf(key).length === 0
      if (!isDone && !isOver && !lying?.pull) continue
      const own = await readOwnBranch(branch, source, rollout, name)
      // Two clusters may write to one repository, each with its own path.
      if (!own || (!isDone && (await stateOn(branch, source, rollout, sha))?.cluster !== identity.cluster)) continue
      if (pull?.state === 'merged') await hear(key, pull, name.slice(pullPrefix(rollout).length), source.branch, forge)
      if (pull?.state === 'open') {
        const why = lying?.pull
          ? `Superseded by ${lying.pull.reference}, which carries the whole state.`
          : 'Closed: Git says so already, or is not to say so any more.'
        await forge.say(pull, 'superseded', why)
        await forge.close(pull, closedBody(pull))
      }
      if (!own.foreign && (!isDone || own.head === pull?.head))
        await branch.repository.replace(name, own.head, undefined, source.credentials)
    }
  }

  return {
    branch,
    get: (id) => queue.get(id),
    add(id, job) {
      queue.set(id, job)
      rounds.soon(keyOf(job))
    },
    drop(id) {
      queue.delete(id)
    },
    look() {
      for (const job of queue.values()) rounds.soon(keyOf(job))
    },
    idle: () => rounds.idle(),
  }
}

function carries(own: OwnBranch, jobs: [id: string, job: Job][]): boolean {
  const there = own.commits.map((commit) => operationOf(commit)?.op).reverse()
  return there.length === jobs.length && jobs.every(([, job], i) => job.entry.op === there[i])
}

function moved(name: string): Problem {
  return { reason: 'GitUnreachable', message: `somebody else changes the branch ${name} at the same moment` }
}

function problemOf(error: unknown): Problem | undefined {
  return error instanceof ForgeFailure || error instanceof SluiceError ? error.problem : undefined
}

function keyOf({ rollout }: Job): string {
  return `${rollout.namespace}/${rollout.name}`
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

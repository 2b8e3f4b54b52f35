import { createHash } from 'node:crypto'
import { SluiceError } from '../errors.ts'
import type { Branch } from './branch.ts'
import type { Commit } from './commit.ts'
import { ForgeFailure } from './forge/forge.ts'
import { rolloutTrailer } from './message.ts'
import type { PushResult } from './repository.ts'
import type { SourceRef } from './source-ref.ts'
import { parseStateFile, type StoredState, stateFilePath } from './statefile.ts'
import { parseTrailers, trailer } from './trailers.ts'

interface Named {
  namespace: string
  name: string
}

/** Branches of one Rollout begin with this. */
export function pullPrefix({ namespace, name }: Named): string {
  // Forges take 255 characters for a branch; and a part of a ref may not end in `.lock`, as a Rollout may.
  const short =
    name.length <= 100 ? name : `${name.slice(0, 80)}-${createHash('sha256').update(name).digest('hex').slice(0, 16)}`
  return `sluice/${namespace}/${short.replace(/\.lock$/, '-lock')}/`
}

/** The branch whose pull request carries what a Rollout owes up to this operation. */
export function outcomeBranch(rollout: Named, op: string): string {
  return pullPrefix(rollout) + op
}

const question = 'approve-'

/** The branch whose pull request asks for the move with this digest. */
export function questionBranch(rollout: Named, digest: string): string {
  return `${pullPrefix(rollout)}${question}${digest.replace(/[^A-Za-z0-9-]+/g, '-')}`
}

export function isQuestionBranch(rollout: Named, branch: string): boolean {
  return branch.startsWith(pullPrefix(rollout) + question)
}

/** A branch of ours as it stands at the remote. */
export interface OwnBranch {
  name: string
  head: string
  /** What it has and the base branch has not, newest first. */
  commits: Commit[]
  /** The commit it begins at. */
  from: string
  /** A commit on it that is not ours. */
  foreign?: Commit
}

/** More commits than any of ours has. */
const longest = 100

/** Reads a branch of ours; undefined when it is gone meanwhile. Throws SluiceError when the remote does not answer. */
export async function readOwnBranch(
  branch: Branch,
  source: SourceRef,
  rollout: Named,
  name: string,
): Promise<OwnBranch | undefined> {
  const { repository, tip } = branch
  const fetched = await repository.fetch(name, source.credentials)
  if (!fetched.ok && fetched.problem.reason === 'GitBranchMissing') return undefined
  if (!fetched.ok) throw new SluiceError(fetched.problem)
  const head = fetched.tip
  const commits = await repository.log([`--max-count=${longest}`, '--topo-order', head, `^${tip}`])
  const foreign = commits.find((commit) => !isOurs(commit, rollout))
  const from = commits.at(-1)?.parents[0] ?? head
  return { name, head, commits, from, ...(foreign ? { foreign } : {}) }
}

/** A commit that Sluice made for this Rollout, and nobody changed since: an amendment or a rebase has another committer. */
function isOurs(commit: Commit, { namespace, name }: Named): boolean {
  const { author, committer, parents } = commit
  const untouched = author.name === committer.name && author.email === committer.email
  return (
    parents.length === 1 &&
    untouched &&
    trailer(parseTrailers(commit.message), rolloutTrailer) === `${namespace}/${name}`
  )
}

/** Whether the base branch has changed since in a file that the branch changes too. */
export async function collides(own: OwnBranch, branch: Branch, source: SourceRef): Promise<boolean> {
  const { tip } = branch
  if (tip === undefined || own.from === tip) return false
  if (own.commits.length === 0) return true
  if (await isGone(branch, own.from, source)) return true
  const [before, ours, theirs] = await Promise.all(
    [own.from, own.head, tip].map((commit) => branch.tree(commit, source.path)),
  )
  const versions = (path: string) => [before, ours, theirs].map((tree) => tree!.entries.get(path)?.sha)
  for (const path of ours!.entries.keys()) {
    const [then, here, there] = versions(path)
    if (here !== then && there !== then) return true
  }
  return false
}

async function isGone(branch: Branch, commit: string, source: SourceRef): Promise<boolean> {
  return (await branch.repository.fetchCommit(commit, source.credentials)) !== 'here'
}

/** What the state file says at a commit; nothing where there is none that can be read. */
export async function stateOn(
  branch: Branch,
  source: SourceRef,
  rollout: Named,
  commit: string,
): Promise<StoredState | undefined> {
  const file = stateFilePath(source.path, rollout)
  const [version] = await branch.repository.versions(file, [commit])
  const stored = version && parseStateFile(file, version.content)
  return stored?.ok ? stored.state : undefined
}

/** Where the branches of a Rollout stand. Throws SluiceError when the remote does not answer. */
export async function headsOf(branch: Branch, source: SourceRef, prefix: string): Promise<Map<string, string>> {
  const listed = await branch.repository.heads(prefix, source.credentials)
  if (!listed.ok) throw new SluiceError(listed.problem)
  return listed.heads
}

/** Turns a refused push into what the rounds understand. */
export function pushFailure({ failure }: PushResult & { ok: false }): Error {
  if (failure.kind === 'problem') {
    return new ForgeFailure(failure.problem, { transient: failure.transient })
  }
  const message =
    failure.kind === 'lostRace'
      ? 'somebody pushed to the branch of the pull request at the same moment'
      : failure.detail
  return new ForgeFailure({ reason: 'GitUnreachable', message }, { transient: true })
}

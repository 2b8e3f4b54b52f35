import type { PendingCommit } from '../api/status.ts'
import { type Problem, sentence } from '../errors.ts'
import type { StateFile } from '../plan/effects.ts'
import type { CommitResult } from '../plan/observation.ts'
import type { Branch } from './branch.ts'
import type { Author } from './commit.ts'
import { knownBadPart } from './known-bad.ts'
import { saysAll, withLastDesired } from './last-desired.ts'
import { commitMessage } from './message.ts'
import type { RolloutRef } from './owned.ts'
import { desiredPart, type Edited, weightsPart } from './parts.ts'
import { allowsNamespace, type SourceRef } from './source-ref.ts'
import { formatStateFile, parseStateFile, type StoredState, stateFilePath } from './statefile.ts'
import { templatePart } from './template-part.ts'
import type { Tree } from './tree.ts'
import { worded, wordingProblem, wordingValues } from './wording.ts'

/** One operation that is to be in Git. */
export interface Job {
  source: SourceRef
  rollout: RolloutRef
  entry: PendingCommit
  state: StateFile
}

export interface Identity {
  /** Names the cluster in state files. */
  cluster: string
  /** Write although the state file names another cluster. */
  takeOver: boolean
}

export type Prepared =
  | { state: 'settled'; result: CommitResult }
  | { state: 'commit'; message: string; author: Author; changes: Map<string, Buffer>; note?: string }

/**
 * What an operation changes on top of `tree`, or why it changes nothing. The rules, in order: an operation is committed once; a given-up
 * one never; one cluster per path; people's weights stand; then the weights, the desired version or the pod template where it is still
 * the one to be replaced, and the state file.
 */
export async function prepare(
  job: Job,
  tree: Tree,
  branch: Branch,
  ownBefore: boolean,
  identity: Identity,
  now: number,
): Promise<Prepared> {
  const { source, rollout, entry } = job
  const done = await committed(branch, entry)
  if (done) return settled({ state: 'Done', sha: done, at: now })
  if (entry.void) return settled({ state: 'Done', at: now, note: 'given up before it was committed' })
  const refusal = whyNot(job)
  if (refusal) return refused(refusal)
  const obstacle = wordingProblem(source.write) ?? unsigned(source)
  if (obstacle) return settled({ state: 'Waiting', message: sentence(obstacle) })

  if (source.path !== '' && tree.absent !== undefined) {
    return settled({ state: 'Waiting', message: sentence(pathMissing(source, tree.absent)) })
  }
  const stateFile = stateFilePath(source.path, rollout)
  const before = await tree.read(stateFile)
  const stored = before && parseStateFile(stateFile, before)
  if (stored && !stored.ok) return refused(stored.problem)
  if (stored && stored.state.cluster !== identity.cluster && !identity.takeOver) {
    return refused(otherCluster(stateFile, stored.state.cluster, identity.cluster))
  }
  // Said once: that Git has it may be known here a moment before the file that was written is.
  if (stored && entry.kind === 'adopt' && stored.state.cluster === identity.cluster) {
    return settled({ state: 'Done', at: now })
  }

  const changes = new Map<string, Buffer>()
  const notes: string[] = []
  const weights = await weightsPart(job, tree, branch, ownBefore)
  if (weights.state !== 'edited') return settled(weights)
  take(weights)
  take(await desiredPart(job, tree.with(changes)))
  const template = await templatePart(job, tree.with(changes), branch, stored?.state)
  take(template)

  const state: StoredState = {
    ...(await withLastDesired(job, branch, stored?.state)),
    cluster: identity.cluster,
    weights: entry.weights ?? stored?.state.weights,
    op: entry.op,
  }
  const content = Buffer.from(formatStateFile(rollout, state), 'utf8')
  const news = changes.size > 0 || !stored || !saysAll(stored.state, state)
  if (news && !before?.equals(content)) changes.set(stateFile, content)
  const bad = news || entry.kind === 'delete' ? await knownBadPart(job, state, tree, template.images) : undefined
  if (bad) changes.set(bad.file, bad.content)
  const after = stored ? stored.state.op : 'none'
  const note = notes.length > 0 ? notes.join('; ') : undefined
  if (changes.size === 0) return settled({ state: 'Done', at: now, note: note ?? 'Git says so already' })
  const { author, ...wording } = worded(source.write, wordingValues(rollout, entry, identity.cluster))
  return { state: 'commit', message: commitMessage(rollout, entry, after, wording), author, changes, note }

  function take({ changes: edited, note }: Edited): void {
    for (const [file, content] of edited ?? []) changes.set(file, content)
    if (note) notes.push(note)
  }
}

function settled(result: CommitResult): Prepared & { state: 'settled' } {
  return { state: 'settled', result }
}

function refused(problem: Problem): Prepared & { state: 'settled' } {
  return settled({ state: 'Refused', problem })
}

/** The commit that carries this operation already; beyond the indexed commits it is searched from the base on. */
export async function committed(branch: Branch, entry: PendingCommit): Promise<string | undefined> {
  const { history, repository, tip } = branch
  const indexed = history.commitOf(entry.op)
  if (indexed) return indexed.sha
  const outside = entry.base !== undefined && history.position(entry.base) === undefined && !history.complete
  if (!outside || tip === undefined) return undefined
  const found = await repository.log(['--max-count=1', '--fixed-strings', `--grep=Rollout-Op: ${entry.op}`, tip])
  return found[0]?.sha
}

/** Why an operation is not written here at all. */
export function whyNot({ source, rollout }: Job): Problem | undefined {
  if (!allowsNamespace(source, rollout.namespace)) return notAllowed(source, rollout.namespace)
  return undefined
}

/** Commits wait for the key: none is made without the signature that was asked for. */
function unsigned({ namespace, name, write, signingKey }: SourceRef): Problem | undefined {
  if (!write.signingKeyRef || signingKey !== undefined) return undefined
  const message = `RolloutSource ${namespace}/${name} wants signed commits, and the Secret ${namespace}/${write.signingKeyRef.name} has no key for it`
  return { reason: 'GitSigningKey', message, field: 'spec.write.signingKeyRef' }
}

export function notAllowed(source: SourceRef, namespace: string): Problem {
  const message = `RolloutSource ${source.namespace}/${source.name} does not allow the namespace ${namespace}`
  return { reason: 'SourceNotAllowed', message, field: 'spec.allowedNamespaces' }
}

/** `absent`: what there is instead, as trees say it. */
export function pathMissing(source: SourceRef, absent: string): Problem {
  const message = `the branch ${source.branch} has ${absent}`
  return { reason: 'GitPathMissing', message, field: 'spec.path' }
}

export function otherCluster(file: string, theirs: string, ours: string): Problem {
  return { reason: 'GitOtherCluster', message: `belongs to the cluster ${theirs}, and this is ${ours}`, file }
}

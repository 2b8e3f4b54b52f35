import type { PendingCommit } from '../api/status.ts'
import { type Problem, sentence } from '../errors.ts'
import type { StateFile } from '../plan/effects.ts'
import type { CommitResult } from '../plan/observation.ts'
import type { Branch } from './branch.ts'
import { conflictOf } from './conflict.ts'
import type { EditResult } from './edit.ts'
import { commitMessage } from './message.ts'
import { desiredOf, editDesired, editWeights, type RolloutRef, rolloutManifest, routeManifest } from './owned.ts'
import { allowsNamespace, type SourceRef } from './source-ref.ts'
import { formatStateFile, parseStateFile, type StoredState, stateFilePath } from './statefile.ts'
import type { Tree } from './tree.ts'

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
  | { state: 'commit'; message: string; changes: Map<string, Buffer>; note?: string }

/**
 * What an operation changes on top of `tree`, or why it changes nothing. The rules, in order: an operation is committed once; a given-up
 * one never; one cluster per path; people's weights stand; then the weights, the desired version where it is still the one
 * to be replaced, and the state file.
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

  if (source.path !== '' && tree.entries.size === 0) {
    return settled({ state: 'Waiting', message: sentence(pathMissing(source)) })
  }
  const stateFile = stateFilePath(source.path, rollout)
  const before = await tree.read(stateFile)
  const stored = before && parseStateFile(stateFile, before)
  if (stored && !stored.ok) return refused(stored.problem)
  if (stored && stored.state.cluster !== identity.cluster && !identity.takeOver) {
    return refused(otherCluster(stateFile, stored.state.cluster, identity.cluster))
  }

  const changes = new Map<string, Buffer>()
  const notes: string[] = []
  const weights = await weightsPart(job, tree, branch, ownBefore)
  if (weights.state === 'settled') return weights
  if (weights.edited) changes.set(weights.edited.file, weights.edited.content)
  if (weights.note) notes.push(weights.note)
  const desired = await desiredPart(job, tree.with(changes))
  if (desired.edited) changes.set(desired.edited.file, desired.edited.content)
  if (desired.note) notes.push(desired.note)

  const state: StoredState = {
    ...job.state,
    cluster: identity.cluster,
    weights: entry.weights ?? stored?.state.weights,
  }
  const content = Buffer.from(formatStateFile(rollout, state), 'utf8')
  if (!before?.equals(content)) changes.set(stateFile, content)
  const note = notes.length > 0 ? notes.join('; ') : undefined
  if (changes.size === 0) return settled({ state: 'Done', at: now, note: note ?? 'Git says so already' })
  return { state: 'commit', message: commitMessage(rollout, entry), changes, note }
}

function settled(result: CommitResult): Prepared & { state: 'settled' } {
  return { state: 'settled', result }
}

function refused(problem: Problem): Prepared & { state: 'settled' } {
  return settled({ state: 'Refused', problem })
}

/** The commit that carries this operation already; beyond the indexed commits it is searched from the base on. */
async function committed(branch: Branch, entry: PendingCommit): Promise<string | undefined> {
  const { history, repository, tip } = branch
  const indexed = history.commitOf(entry.op)
  if (indexed) return indexed.sha
  const outside = entry.base !== undefined && history.position(entry.base) === undefined && !history.complete
  if (!outside || tip === undefined) return undefined
  const found = await repository.log(['--max-count=1', '--fixed-strings', `--grep=Rollout-Op: ${entry.op}`, tip])
  return found[0]?.sha
}

function whyNot({ source, rollout }: Job): Problem | undefined {
  const name = `${source.namespace}/${source.name}`
  if (!allowsNamespace(source, rollout.namespace)) return notAllowed(source, rollout.namespace)
  if (source.write.mode === 'PullRequest') {
    return { reason: 'NotYet', message: `RolloutSource ${name} wants pull requests`, field: 'spec.write.mode' }
  }
  if (source.write.signingKeyRef) {
    return {
      reason: 'NotYet',
      message: `RolloutSource ${name} wants signed commits`,
      field: 'spec.write.signingKeyRef',
    }
  }
  return undefined
}

export function notAllowed(source: SourceRef, namespace: string): Problem {
  const message = `RolloutSource ${source.namespace}/${source.name} does not allow the namespace ${namespace}`
  return { reason: 'SourceNotAllowed', message, field: 'spec.allowedNamespaces' }
}

export function pathMissing(source: SourceRef): Problem {
  const message = `the branch ${source.branch} has no files under ${source.path}`
  return { reason: 'GitPathMissing', message, field: 'spec.path' }
}

export function otherCluster(file: string, theirs: string, ours: string): Problem {
  return { reason: 'GitOtherCluster', message: `belongs to the cluster ${theirs}, and this is ${ours}`, file }
}

interface Edited {
  edited?: { file: string; content: Buffer }
  note?: string
}

async function weightsPart(
  job: Job,
  tree: Tree,
  branch: Branch,
  ownBefore: boolean,
): Promise<(Edited & { state: 'edited' }) | (Prepared & { state: 'settled' })> {
  const { source, rollout, entry } = job
  const { weights } = entry
  if (!weights) return { state: 'edited' }
  const located = await routeManifest(tree, source, rollout)
  if (located.state === 'refused') return refused(located.problem)
  if (located.state === 'missing')
    return { state: 'edited', note: 'the repository does not hold the route, so only the state file says the weight' }
  const { manifest } = located
  const content = await tree.read(manifest.file)
  if (!content) return { state: 'edited' }
  const edit = editWeights(content, manifest, rollout, weights)
  if (edit.ok && !edit.changed) return { state: 'edited' }
  const { base, accept = rollout.accepted } = entry
  const conflict = ownBefore
    ? undefined
    : await conflictOf({ branch, source, rollout, pair: weights, manifest, base, accept })
  if (conflict) {
    const { weight, commit, author } = conflict
    const message = `${author} set the weight of ${weights.canary} to ${weight}% in ${manifest.file} (${commit.slice(0, 8)})`
    return settled({ state: 'Conflict', message, commit, author, weight })
  }
  if (!edit.ok) return refused(edit.problem)
  return { state: 'edited', edited: { file: manifest.file, content: edit.content } }
}

async function desiredPart({ source, rollout, entry }: Job, tree: Tree): Promise<Edited> {
  const { desired } = entry
  if (!desired) return {}
  const located = await rolloutManifest(tree, source, rollout)
  if (located.state === 'missing')
    return { note: `the repository does not hold the Rollout, so ${desired.to} was not written as desired` }
  if (located.state === 'refused') return { note: why(located.problem) }
  const { manifest } = located
  const wanted = desiredOf(manifest)
  if (wanted === desired.to) return {}
  if (wanted !== desired.from)
    return { note: `desired is ${wanted ?? 'not there'} and no more ${desired.from}, so it was left alone` }
  const content = await tree.read(manifest.file)
  const edit: EditResult | undefined = content && editDesired(content, manifest, desired.to)
  if (!edit) return {}
  return edit.ok ? { edited: { file: manifest.file, content: edit.content } } : { note: why(edit.problem) }
}

function why({ file, line, message }: Problem): string {
  return `desired was not written: ${file}${line ? `:${line}` : ''}: ${message}`
}

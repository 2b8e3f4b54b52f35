import type { Pair } from '../traffic/router.ts'
import { blame } from './blame.ts'
import type { Branch } from './branch.ts'
import type { Manifest } from './manifest.ts'
import { rolloutTrailer, type WrittenWeights, weightsTrailer } from './message.ts'
import {
  canaryPercent,
  type PairWeights,
  pairWeights,
  type RolloutRef,
  routeManifest,
  sameSplit,
  weightEditsFor,
} from './owned.ts'
import type { SourceRef } from './source-ref.ts'
import { parseStateFile, stateFilePath } from './statefile.ts'
import type { Tree } from './tree.ts'

/** A person's change to weights that Sluice owns. */
export interface WeightConflict {
  /** Percent for the canary that Git now says. */
  weight: number
  commit: string
  author: string
}

export interface ConflictQuestion {
  branch: Branch
  source: SourceRef
  rollout: RolloutRef
  pair: Pair
  /** Where `manifest` was found: the tip, or a commit of ours on top of it. */
  manifest: Manifest
  /** Tip when the operation was decided, where there is one. */
  base?: string
  /** Commit up to which weights are accepted. */
  accept?: string
}

/**
 * Whether the weights in Git are somebody else's (I13): they differ from what they were at the newest commit in which this Rollout wrote
 * weights, or at a person's commit that was accepted later; before the first of those, from what they were when the operation was decided.
 * Without any of these there is nothing to compare with, and the weights are taken as they are.
 */
export async function conflictOf(question: ConflictQuestion): Promise<WeightConflict | undefined> {
  const { branch, rollout, pair, manifest } = question
  const now = pairWeights(manifest, rollout, pair)
  const written = branch.history.weightsOf(rollout)
  if (!now || (written && isAsWritten(question, written.weights) && !isNewer(question, written.commit)))
    return undefined
  // A merge of ours, also where it was squashed and its message rewritten.
  if (rollout.proposed?.weights.some((weights) => isAsWritten(question, weights))) return undefined
  const baseline = await baselineOf(question)
  if (!branch.tip || baseline === undefined || baseline === branch.tip) return undefined
  const then = await weightsAt(question, baseline)
  if (!then || sameSplit(now, then)) return undefined
  const changed = await blame(branch, [`${baseline}..${branch.tip}`], manifest, (m) =>
    normal(pairWeights(m, rollout, pair)),
  )
  const weight = Math.round(canaryPercent(now) * 100) / 100
  return { weight, commit: changed?.commit ?? branch.tip, author: changed?.author ?? 'somebody unknown' }
}

/** The cheap answer, and nearly always the right one: the manifest says what we wrote last. */
function isAsWritten({ manifest, rollout, pair }: ConflictQuestion, written: WrittenWeights): boolean {
  if (written.stable !== pair.stable || written.canary !== pair.canary) return false
  const found = weightEditsFor(manifest, rollout, written)
  return found.ok && found.edits.every((edit) => edit.from === edit.value)
}

/** Whether a person's commit was accepted after ours. */
function isNewer({ branch, accept }: ConflictQuestion, own: string): boolean {
  const position = accept === undefined ? undefined : branch.history.position(accept)
  return position !== undefined && position < (branch.history.position(own) ?? Number.POSITIVE_INFINITY)
}

/** The commit whose weights are ours: the newest in which we wrote them, or the accepted one; else the base. */
async function baselineOf(question: ConflictQuestion): Promise<string | undefined> {
  const { branch, rollout, base, accept } = question
  const { history, repository, tip } = branch
  const [newest] = [history.weightsOf(rollout)?.commit, accept, await mergedWeights(question)]
    .filter((sha) => sha !== undefined)
    .map((sha) => ({ sha, position: history.position(sha) ?? Number.POSITIVE_INFINITY }))
    .filter(({ position }) => Number.isFinite(position))
    .sort((a, b) => a.position - b.position)
  if (newest) return newest.sha
  if (history.complete || tip === undefined) return base
  const trailers = [`--grep=^${rolloutTrailer}: ${rollout.namespace}/${rollout.name}$`, `--grep=^${weightsTrailer}: `]
  const [older] = await repository.log(['--max-count=1', '--all-match', ...trailers, tip])
  return older?.sha ?? base
}

/** The last merge of ours, when it brought weights: they stand there in the state file too. */
async function mergedWeights(question: ConflictQuestion): Promise<string | undefined> {
  const { branch, source, rollout } = question
  const merged = rollout.proposed?.merged
  const tree = merged === undefined ? undefined : await treeAt(branch, source, merged)
  const file = stateFilePath(source.path, rollout)
  const content = await tree?.read(file)
  const stored = content && parseStateFile(file, content)
  if (!tree || !stored?.ok || !stored.state.weights) return undefined
  const located = await routeManifest(tree, source, rollout)
  if (located.state !== 'found') return undefined
  return isAsWritten({ ...question, manifest: located.manifest }, stored.state.weights) ? merged : undefined
}

async function weightsAt(question: ConflictQuestion, commit: string): Promise<PairWeights | undefined> {
  const { branch, source, rollout, pair } = question
  const tree = await treeAt(branch, source, commit)
  if (!tree) return undefined
  const located = await routeManifest(tree, source, rollout)
  return located.state === 'found' ? pairWeights(located.manifest, rollout, pair) : undefined
}

async function treeAt(branch: Branch, source: SourceRef, commit: string): Promise<Tree | undefined> {
  const here = branch.history.position(commit) !== undefined
  if (!here && (await branch.repository.fetchCommit(commit, source.credentials)) !== 'here') return undefined
  return branch.tree(commit, source.path)
}

function normal(weights: PairWeights | undefined): string | undefined {
  return (
    weights &&
    JSON.stringify(weights.map(({ stable, canary }) => (stable + canary === 0 ? -1 : canary / (stable + canary))))
  )
}

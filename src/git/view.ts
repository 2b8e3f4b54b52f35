import type { Problem } from '../errors.ts'
import type { Change, Memory } from '../plan/observation.ts'
import type { Branch } from './branch.ts'
import { changeOf } from './change.ts'
import { authorsOf, type Commit } from './commit.ts'
import { conflictOf, type WeightConflict } from './conflict.ts'
import { type Desired, desiredIn } from './desired.ts'
import { operationOf } from './history.ts'
import type { Located } from './locate.ts'
import { notAllowed, otherCluster, pathMissing } from './operation.ts'
import { type RolloutRef, routeManifest } from './owned.ts'
import { versionOf } from './rendered.ts'
import { allowsNamespace, type SourceRef } from './source-ref.ts'
import { memoryOf, parseStateFile, type StoredState, stateFilePath } from './statefile.ts'
import type { Tree } from './tree.ts'
import { versionsOf } from './versions.ts'

/** What the branch's tip says about one Rollout. */
export interface View {
  tip: string
  problem?: Problem
  conflict?: WeightConflict
  memory?: Memory
  author?: string
  /** What separates what is desired from stable. */
  change?: Change
  /** Version of the file that says what is desired, when `author` was found. */
  declared?: string
  /** The stable version that `change` begins at. */
  stable?: string
  /** Changes whenever anything that this was made from does. */
  signature: string
}

export interface ViewQuestion {
  branch: Branch
  source: SourceRef
  rollout: RolloutRef
  cluster: string
  takeOver: boolean
  /** The last one, to be kept when nothing it was made from has changed. */
  previous?: View
}

/** Reads the tip. Throws RepositoryDamaged when the clone cannot be read. */
export async function viewOf(question: ViewQuestion): Promise<View | undefined> {
  const { branch, source, rollout, previous } = question
  const { tip } = branch
  if (tip === undefined) return undefined
  const tree = await branch.tree(tip, source.path)
  if (source.path !== '' && tree.absent !== undefined)
    return { tip, signature: tip, problem: pathMissing(source, tree.absent) }
  if (!allowsNamespace(source, rollout.namespace))
    return { tip, signature: tip, problem: notAllowed(source, rollout.namespace) }

  const stateFile = stateFilePath(source.path, rollout)
  const desired = desiredIn(source, rollout)
  const [route, declared] = [await routeManifest(tree, source, rollout), await desired.locate(tree)]
  const weights = branch.history.weightsOf(rollout)
  const versions = [route, declared].map((l) => (l.state === 'found' ? versionOf(tree, l.manifest) : l.state))
  const signature = JSON.stringify([
    tree.version(stateFile),
    ...versions,
    weights?.commit,
    rollout.accepted,
    rollout.proposed,
    rollout.spec.traffic,
    rollout.spec.workload.deployment?.name,
  ])
  if (previous?.signature === signature) return { ...previous, tip }

  const { state, problem } = await stored(question, tree, stateFile)
  const pair = weights?.weights ?? state?.weights
  const conflict =
    pair && route.state === 'found'
      ? await conflictOf({ branch, source, rollout, pair, manifest: route.manifest, accept: rollout.accepted })
      : undefined
  const version = declared.state === 'found' ? versionOf(tree, declared.manifest) : undefined
  const author =
    previous && version === previous.declared
      ? previous.author
      : await bringer(desired, declared, { branch, tip, path: source.path })
  const memory = state && { ...memoryOf(state), ...(state.cluster === question.cluster ? {} : { takenOver: true }) }
  const stable = JSON.stringify(state?.stable && [desired.of(state.stable), state.stable.commit])
  const change =
    previous && version === previous.declared && stable === previous.stable
      ? previous.change
      : declared.state === 'found' && state?.stable
        ? await changeOf({ branch, source, tip, desired, manifest: declared.manifest, stable: state.stable })
        : undefined
  return { tip, signature, problem, conflict, memory, author, change, declared: version, stable }
}

/** Who brought the version that is desired; when that was a rollback of ours, whoever wanted it first. */
async function bringer(
  desired: Desired,
  declared: Located,
  at: { branch: Branch; tip: string; path: string },
): Promise<string | undefined> {
  if (declared.state !== 'found') return undefined
  const now = desired.read(declared.manifest)
  let candidate: Commit | undefined
  for await (const { commit, manifest } of versionsOf({ ...at, manifest: declared.manifest })) {
    const isWanted = desired.read(manifest) === now
    if (!isWanted && candidate && operationOf(candidate) === undefined) break
    candidate = isWanted ? commit : undefined
  }
  return candidate && operationOf(candidate) === undefined ? authorsOf(candidate) : undefined
}

async function stored(
  { cluster, takeOver }: ViewQuestion,
  tree: Tree,
  file: string,
): Promise<{ state?: StoredState; problem?: Problem }> {
  const content = await tree.read(file)
  if (!content) return {}
  const parsed = parseStateFile(file, content)
  if (!parsed.ok) return { problem: parsed.problem }
  const foreign = parsed.state.cluster !== cluster && !takeOver
  if (foreign) return { problem: otherCluster(file, parsed.state.cluster, cluster) }
  return { state: parsed.state }
}

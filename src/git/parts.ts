import type { Problem } from '../errors.ts'
import type { CommitResult } from '../plan/observation.ts'
import type { Branch } from './branch.ts'
import { conflictOf } from './conflict.ts'
import type { Job } from './operation.ts'
import { desiredOf, editDesired, editWeights, rolloutManifest, routeManifest } from './owned.ts'
import type { Tree } from './tree.ts'

/** What one part of an operation changes. */
export interface Edited {
  changes?: ReadonlyMap<string, Buffer>
  note?: string
  /** The images that the version which goes away had changed. */
  images?: string[]
}

/** The weights in the route's manifest; or why nothing of the operation may be written. */
export async function weightsPart(
  job: Job,
  tree: Tree,
  branch: Branch,
  ownBefore: boolean,
): Promise<(Edited & { state: 'edited' }) | Extract<CommitResult, { state: 'Conflict' | 'Refused' }>> {
  const { source, rollout, entry } = job
  const { weights } = entry
  if (!weights) return { state: 'edited' }
  const located = await routeManifest(tree, source, rollout)
  if (located.state === 'refused') return { state: 'Refused', problem: located.problem }
  if (located.state === 'missing') {
    const note = `the repository does not hold the route${await because(tree, 'VirtualService', located)}, so only the state file says the weight`
    return { state: 'edited', note }
  }
  const { manifest } = located
  const edit = await editWeights(tree, manifest, rollout, weights)
  if (edit.ok && edit.changes.size === 0) return { state: 'edited' }
  const { base, accept = rollout.accepted } = entry
  const conflict = ownBefore
    ? undefined
    : await conflictOf({ branch, source, rollout, pair: weights, manifest, base, accept })
  if (conflict) {
    const { weight, commit, author } = conflict
    const message = `${author} set the weight of ${weights.canary} to ${weight}% in ${manifest.file} (${commit.slice(0, 8)})`
    return { state: 'Conflict', message, commit, author, weight }
  }
  if (!edit.ok) return { state: 'Refused', problem: edit.problem }
  return { state: 'edited', changes: edit.changes }
}

/** The desired subset in the Rollout's manifest. */
export async function desiredPart({ source, rollout, entry }: Job, tree: Tree): Promise<Edited> {
  const { desired } = entry
  if (!desired) return {}
  const located = await rolloutManifest(tree, source, rollout)
  if (located.state === 'missing')
    return {
      note: `the repository does not hold the Rollout${await because(tree, 'Rollout', located)}, so ${desired.to} was not written as desired`,
    }
  if (located.state === 'refused') return { note: `desired was not written: ${placed(located.problem)}` }
  const { manifest } = located
  const wanted = desiredOf(manifest)
  if (wanted === desired.to) return {}
  if (wanted !== desired.from)
    return { note: `desired is ${wanted ?? 'not there'} and no more ${desired.from}, so it was left alone` }
  const edit = await editDesired(tree, manifest, desired.to)
  return edit.ok ? { changes: edit.changes } : { note: `desired was not written: ${placed(edit.problem)}` }
}

/** What could not be read, where that may be why something is missing. */
async function because(tree: Tree, kind: string, { hint }: { hint?: Problem }): Promise<string> {
  const unread = hint ?? (await tree.unreadable(kind))[0]
  return unread ? ` as far as it can be read (${placed(unread)})` : ''
}

/** A problem with the place where it is. */
export function placed({ file, line, message }: Problem): string {
  return file === undefined ? message : `${file}${line ? `:${line}` : ''}: ${message}`
}

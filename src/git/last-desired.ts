import type { StateFile } from '../plan/effects.ts'
import type { LastDesired } from '../plan/observation.ts'
import type { Branch } from './branch.ts'
import { type Desired, desiredIn } from './desired.ts'
import type { Job } from './operation.ts'
import type { StoredState } from './statefile.ts'
import { versionsOf } from './versions.ts'

type Place = Required<LastDesired>
type Named = { revision: string; name: string; hash: string; image?: string } & LastDesired

/**
 * The state with the commit and the file where Git last wanted stable and each known-bad revision: the tip where it is wanted now; else what
 * was known of it before; else the newest commit in the clone that wanted it. Nothing is written where none of them tells.
 */
export async function withLastDesired(
  { source, rollout, state }: Job,
  branch: Branch,
  stored: StoredState | undefined,
): Promise<StateFile> {
  const desired = desiredIn(source, rollout)
  const search = await searchOf(desired, branch, source.path)
  const before = recordsOf(stored)
  const claimed = new Set<string>()

  async function place(record: Named): Promise<LastDesired> {
    const wanted = desired.of(record)
    const isNewest = !claimed.has(wanted)
    claimed.add(wanted)
    if (isNewest && search?.now === wanted) return search.here
    const known = placeOf(before.find(({ revision }) => revision === record.revision)) ?? placeOf(record)
    return known ?? (isNewest ? await search?.find(wanted) : undefined) ?? {}
  }

  const stable = state.stable && { ...state.stable, ...(await place(state.stable)) }
  const knownBad: StateFile['knownBad'] = []
  for (const bad of state.knownBad.toReversed()) knownBad.unshift({ ...bad, ...(await place(bad)) })
  return { ...state, stable, knownBad }
}

/** Where the state file says that Git last wanted a content. */
export function placeOnRecord(
  stored: StoredState | undefined,
  isWanted: (record: Named) => boolean,
): Place | undefined {
  return placeOf(recordsOf(stored).find((record) => isWanted(record) && placeOf(record)))
}

/** Whether `before` holds everything of `now`. That a commit is a newer one by now is no news. */
export function saysAll(before: StoredState, now: StoredState): boolean {
  const places = recordsOf(before)
  const complete = recordsOf(now).every(
    (record) => !placeOf(record) || placeOf(places.find(({ revision }) => revision === record.revision)),
  )
  return complete && JSON.stringify(withoutPlaces(before)) === JSON.stringify(withoutPlaces(now))
}

interface Search {
  /** What the tip wants, and where. */
  now: string
  here: Place
  /** The newest commit in the clone that wanted it. */
  find(wanted: string): Promise<Place | undefined>
}

async function searchOf(desired: Desired, branch: Branch, path: string): Promise<Search | undefined> {
  const { tip } = branch
  if (tip === undefined) return undefined
  const located = await desired.locate(await branch.tree(tip, path))
  const now = located.state === 'found' ? desired.read(located.manifest) : undefined
  if (located.state !== 'found' || now === undefined) return undefined
  const { manifest } = located
  const versions = versionsOf({ branch, path, manifest, tip })
  const found = new Map<string, Place>()
  return {
    now,
    here: { commit: tip, file: manifest.file },
    async find(wanted) {
      while (!found.has(wanted)) {
        const { value: version, done } = await versions.next()
        if (done) break
        const content = desired.read(version.manifest)
        if (content !== undefined && !found.has(content))
          found.set(content, { commit: version.commit.sha, file: version.manifest.file })
      }
      return found.get(wanted)
    },
  }
}

function recordsOf(state: StateFile | undefined): Named[] {
  if (!state) return []
  return state.stable ? [state.stable, ...state.knownBad.toReversed()] : state.knownBad.toReversed()
}

function placeOf(record: LastDesired | undefined): Place | undefined {
  const { commit, file } = record ?? {}
  return commit !== undefined && file !== undefined ? { commit, file } : undefined
}

function withoutPlaces(state: StoredState): unknown {
  const { cluster, stable, step, weights, attempt, outcome, evidence, approvals, knownBad } = state
  const named = ({ revision, name, hash }: Named) => [revision, name, hash]
  return [
    cluster,
    stable && [...named(stable), stable.image],
    step && [step.index, step.weight],
    weights && [weights.stable, weights.canary, weights.weight],
    attempt,
    outcome && [outcome.revision, outcome.result, outcome.reason, outcome.message, outcome.at],
    evidence,
    approvals,
    knownBad.map((bad) => [...named(bad), bad.image, bad.reason, bad.at]),
  ]
}

import type { Branch } from './branch.ts'
import { authorOf, type Commit } from './commit.ts'
import type { Manifest } from './manifest.ts'
import { readManifests } from './manifest.ts'
import { renderedVersions } from './rendered-versions.ts'
import { sameObject } from './versions.ts'

/** Who gave a value in a file what it is. */
export interface Blame {
  commit: string
  author: string
}

/** How far back a value is followed. */
const searched = 50

/**
 * The newest commit in `range` at which the value of an object in `file` became what it is now. `read` reads the value from the
 * object; equal texts are equal values.
 */
export async function blame(
  branch: Branch,
  range: string[],
  manifest: Manifest,
  read: (manifest: Manifest) => string | undefined,
): Promise<Blame | undefined> {
  if (manifest.rendered) return await blameRendered(branch, range, manifest, read)
  const { repository } = branch
  const { file } = manifest
  const commits = await repository.log([`--max-count=${searched}`, '--topo-order', ...range, '--', file])
  const contents = await repository.versions(
    file,
    commits.map((commit) => commit.sha),
  )
  const values = contents.map((version) => {
    const found = version && sameObject(readManifests(file, version.content).manifests, manifest)
    return found && read(found)
  })
  const now = read(manifest)
  for (const [i, commit] of commits.entries()) {
    const introduced = values[i] === now && values[i + 1] !== now
    if (introduced) return { commit: commit.sha, author: authorOf(commit) }
  }
  return undefined
}

async function blameRendered(
  branch: Branch,
  range: string[],
  manifest: Manifest,
  read: (manifest: Manifest) => string | undefined,
): Promise<Blame | undefined> {
  const now = read(manifest)
  let candidate: Commit | undefined
  for await (const version of renderedVersions(branch, range, manifest, searched)) {
    if (read(version.manifest) !== now) break
    candidate = version.commit
  }
  return candidate && { commit: candidate.sha, author: authorOf(candidate) }
}

import { authorOf, type Commit } from './commit.ts'
import type { Manifest } from './manifest.ts'
import { readManifests } from './manifest.ts'
import type { Repository } from './repository.ts'

/** Who gave a value in a file what it is. */
export interface Blame {
  commit: string
  author: string
}

/** How far back a value is followed. */
const searched = 50

/**
 * The newest commit in `range` at which the value of an object in `file` became what it is now. `read` reads the value from the
 * object; equal texts are equal values. `skip` leaves commits out (our own), so that whoever first wrote the same value is named.
 */
export async function blame(
  repository: Repository,
  range: string[],
  manifest: Manifest,
  read: (manifest: Manifest) => string | undefined,
  skip: (commit: Commit) => boolean = () => false,
): Promise<Blame | undefined> {
  const { file } = manifest
  const commits = await repository.log([`--max-count=${searched}`, '--topo-order', ...range, '--', file])
  const contents = await repository.versions(
    file,
    commits.map((commit) => commit.sha),
  )
  const values = contents.map((content) => {
    const found = content && readManifests(file, content).manifests.find((m) => sameObject(m, manifest))
    return found && read(found)
  })
  const now = read(manifest)
  for (const [i, commit] of commits.entries()) {
    const introduced = values[i] === now && values[i + 1] !== now
    if (introduced && !skip(commit)) return { commit: commit.sha, author: authorOf(commit) }
  }
  return undefined
}

function sameObject(a: Manifest, b: Manifest): boolean {
  const { kind, metadata } = b.object
  return (
    a.object.kind === kind &&
    a.object.metadata.name === metadata.name &&
    a.object.metadata.namespace === metadata.namespace
  )
}

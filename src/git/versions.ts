import { posix } from 'node:path'
import type { Branch } from './branch.ts'
import type { Commit } from './commit.ts'
import { groupOf } from './group.ts'
import { isManifestFile, type Manifest } from './manifest.ts'
import type { Read } from './rendered.ts'
import { renderedVersions } from './rendered-versions.ts'
import { isStateFile } from './statefile.ts'

/** An object as one commit left it. */
export interface Version {
  commit: Commit
  manifest: Manifest
  /** Of the manifest's file. */
  content: Buffer
  /** Other files at that commit; only where the object is made of several. */
  read?: Read
}

export interface VersionsQuestion {
  branch: Branch
  /** Folder of the source. */
  path: string
  /** Where the object is at the tip. */
  manifest: Manifest
  tip: string
}

/** How many commits an object is followed back, and how many are read at once. */
const searched = 300
const readAtOnce = 30

/** How many files of one commit are searched for an object that came to its file with it; those of the same name first. */
const replacedRead = 50

/**
 * The versions of an object, newest first: one for every commit that changed the file it stood in. When the file begins, or the object in
 * it, it is looked for in the other files that the commit replaced, so that a renamed file, or one that was split, does not end the search;
 * the shallow clone does.
 */
export async function* versionsOf({ branch, path, manifest, tip }: VersionsQuestion): AsyncGenerator<Version> {
  if (manifest.rendered) {
    for await (const version of renderedVersions(branch, [tip], manifest, searched))
      yield { ...version, content: (await version.read(version.manifest.file)) ?? Buffer.alloc(0) }
    return
  }
  let left = searched
  let from: string | undefined = tip
  let here = manifest
  while (from !== undefined && left > 0) {
    let oldest: Commit | undefined
    let without: Commit | undefined
    for await (const { commit, version } of fileVersions(branch, from, here, left)) {
      left -= 1
      if (!version) {
        without = commit
        break
      }
      oldest = commit
      here = version.manifest
      yield version
    }
    const before: { commit: string; manifest: Manifest } | undefined =
      oldest && (await placeBefore(branch, path, oldest, here))
    from = before?.commit ?? without?.parents[0]
    here = before?.manifest ?? here
  }
}

/** What became of an object in one file, newest first; no version where a commit left the file without it. */
async function* fileVersions(
  branch: Branch,
  from: string,
  manifest: Manifest,
  limit: number,
): AsyncGenerator<{ commit: Commit; version?: Version }> {
  const { file } = manifest
  let here = manifest
  const commits = await branch.repository.log(['--topo-order', `--max-count=${limit}`, from, '--', file])
  for (let i = 0; i < commits.length; i += readAtOnce) {
    const some = commits.slice(i, i + readAtOnce)
    const shas = some.map(({ sha }) => sha)
    const files = await branch.repository.versions(file, shas)
    for (const [n, commit] of some.entries()) {
      const read = files[n]
      const found = read && sameObject(branch.manifestsOf(file, read.sha, read.content).manifests, here)
      if (found) here = found
      yield { commit, version: found && { commit, manifest: found, content: read.content } }
    }
    await new Promise((resume) => setImmediate(resume))
  }
}

/** Where an object was before the commit that brought it to where it is: in a file which that commit changed or took away. */
async function placeBefore(
  branch: Branch,
  path: string,
  { sha, parents }: Commit,
  manifest: Manifest,
): Promise<{ commit: string; manifest: Manifest } | undefined> {
  const { kind } = manifest.object
  const likely = (file: string) => (posix.basename(file) === posix.basename(manifest.file) ? 0 : 1)
  for (const parent of parents) {
    const replaced = await branch.repository.replaced(parent, sha, path)
    const manifests = replaced.filter((file) => isManifestFile(file) && !isStateFile(file))
    for (const file of manifests.sort((a, b) => likely(a) - likely(b)).slice(0, replacedRead)) {
      const [read] = await branch.repository.versions(file, [parent])
      if (!read?.content.includes(kind)) continue
      const found = sameObject(branch.manifestsOf(file, read.sha, read.content).manifests, manifest)
      if (found) return { commit: parent, manifest: found }
    }
  }
  return undefined
}

/** The object among those of a file; its namespace may have been written down since. */
export function sameObject(manifests: Manifest[], { object }: Manifest): Manifest | undefined {
  const named = manifests.filter(
    (m) =>
      m.object.kind === object.kind &&
      groupOf(m.object.apiVersion) === groupOf(object.apiVersion) &&
      m.object.metadata.name === object.metadata.name,
  )
  return (
    named.find((m) => m.object.metadata.namespace === object.metadata.namespace) ??
    (named.length === 1 ? named[0] : undefined)
  )
}

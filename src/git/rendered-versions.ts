import type { Branch } from './branch.ts'
import type { Commit } from './commit.ts'
import type { Manifest } from './manifest.ts'
import type { Read } from './rendered.ts'

/** A rendered object as one commit left it. */
export interface RenderedVersion {
  commit: Commit
  manifest: Manifest
  /** Files at that commit. */
  read: Read
}

/** How many commits are read at once. */
const readAtOnce = 20

/**
 * The versions of a rendered object, newest first: one for every commit in `range` that changed a file of which it is made. Files that it
 * was made of earlier and is not now are followed from where they come in. It ends where the object cannot be rendered.
 */
export async function* renderedVersions(
  branch: Branch,
  range: string[],
  manifest: Manifest,
  limit: number,
): AsyncGenerator<RenderedVersion> {
  const { repository } = branch
  const { rendered } = manifest
  if (!rendered) return
  const files = new Set(rendered.files)
  let from = range
  let left = limit
  search: while (left > 0) {
    const commits = await repository.log([`--max-count=${left}`, '--topo-order', ...from, '--', ...files])
    for (let i = 0; i < commits.length; i += readAtOnce) {
      const some = commits.slice(i, i + readAtOnce)
      const reads = await readsAt(branch, some, files)
      for (const [n, commit] of some.entries()) {
        left -= 1
        const version = await rendered.again(reads[n]!)
        if (!version?.rendered) return
        yield { commit, manifest: version, read: reads[n]! }
        const more = [...version.rendered.files].filter((file) => !files.has(file))
        if (more.length === 0) continue
        for (const file of more) files.add(file)
        const [parent] = commit.parents
        if (parent === undefined) return
        from = [parent, ...range.filter((word) => word.startsWith('^')), ...excluded(range)]
        continue search
      }
      await new Promise((resume) => setImmediate(resume))
    }
    return
  }
}

/** What `base..tip` leaves out. */
function excluded(range: string[]): string[] {
  return range.flatMap((word) => (word.includes('..') ? [`^${word.split('..')[0]}`] : []))
}

/** The known files of some commits, read together; others are read when they are asked for. */
async function readsAt({ repository }: Branch, commits: Commit[], files: ReadonlySet<string>): Promise<Read[]> {
  const known = commits.map(() => new Map<string, Buffer | undefined>())
  const shas = commits.map(({ sha }) => sha)
  for (const file of files) {
    const versions = await repository.versions(file, shas)
    for (const [i, version] of versions.entries()) known[i]!.set(file, version?.content)
  }
  return commits.map(({ sha }, i) => async (file) => {
    if (known[i]!.has(file)) return known[i]!.get(file)
    const [version] = await repository.versions(file, [sha])
    known[i]!.set(file, version?.content)
    return version?.content
  })
}

/** Reads the files of one commit. */
export function readAt({ repository }: Pick<Branch, 'repository'>, commit: string): Read {
  return async (file) => (await repository.versions(file, [commit]))[0]?.content
}

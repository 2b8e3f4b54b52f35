import type { Problem } from '../errors.ts'
import { isRegular, type TreeRepository } from './listing.ts'
import { isManifestFile, type Manifest, type ManifestFile, readManifests } from './manifest.ts'
import type { TreeEntry } from './plumbing.ts'
import { isStateFile } from './statefile.ts'

/** Reads the objects of a file; remembers them by content, so that a new commit costs only the files it changed. */
export type ManifestReader = (path: string, sha: string, content: Buffer) => ManifestFile

const filesRemembered = 20_000
/** Files parsed between two turns of the event loop, so that reading a large repository delays no retreat. */
const filesPerTurn = 10

export function createManifestReader(): ManifestReader {
  const known = new Map<string, ManifestFile>()
  return (path, sha, content) => {
    const key = `${sha} ${path}`
    const before = known.get(key)
    if (before) return before
    if (known.size >= filesRemembered) known.clear()
    const file = readManifests(path, content)
    known.set(key, file)
    return file
  }
}

/** The objects of some kinds in a folder. */
export interface ManifestIndex {
  /** By kind and name. */
  manifests: Map<string, Manifest[]>
  /** By kind. */
  unreadable: Map<string, Problem[]>
}

/** Reads the files that have one of the kinds in their text. */
export async function indexManifests(
  entries: ReadonlyMap<string, TreeEntry>,
  { repository, manifestsOf }: { repository: TreeRepository; manifestsOf: ManifestReader },
  kinds: readonly string[],
): Promise<ManifestIndex> {
  const index: ManifestIndex = { manifests: new Map(), unreadable: new Map() }
  const files = [...entries.values()].filter(
    (entry) => isRegular(entry) && isManifestFile(entry.path) && !isStateFile(entry.path),
  )
  const contents = await repository.contents(files.map((entry) => entry.sha))
  let turn = 0
  for (const [i, { path, sha }] of files.entries()) {
    const content = contents[i]!
    const mentioned = kinds.filter((kind) => content.includes(kind))
    if (mentioned.length === 0) continue
    const { manifests, problems } = manifestsOf(path, sha, content)
    for (const manifest of manifests) {
      const key = `${manifest.object.kind}/${manifest.object.metadata.name}`
      index.manifests.set(key, [...(index.manifests.get(key) ?? []), manifest])
    }
    for (const kind of mentioned) {
      if (problems.length > 0) index.unreadable.set(kind, [...(index.unreadable.get(kind) ?? []), ...problems])
    }
    turn = (turn + 1) % filesPerTurn
    if (turn === 0) await new Promise((resume) => setImmediate(resume))
  }
  return index
}

import type { Problem } from '../errors.ts'
import { isKustomization, type KustomizationFile, readKustomization } from './kustomization.ts'
import { referencesOf } from './kustomize/layer.ts'
import { isManifestFile } from './manifest.ts'
import { largestFile, tooLarge } from './objects.ts'
import type { TreeEntry } from './plumbing.ts'
import type { Repository } from './repository.ts'

/** All of a repository that reading a tree needs. */
export type TreeRepository = Pick<Repository, 'files' | 'contents'> & Partial<Pick<Repository, 'sizes'>>

/** Files by path, without submodules and without the manifests that are too large, which are `refused`. */
export interface Listing {
  entries: Map<string, TreeEntry>
  refused: Problem[]
}

/** How far kustomizations are followed out of their folder. */
const reachLimit = 20
const submodule = '160000'

/** Files under a folder at a commit. */
export async function filesUnder(repository: TreeRepository, commit: string, path: string): Promise<Listing> {
  const inside = path === '' ? '' : `${path}/`
  const files = (await repository.files(commit, path)).filter((entry) => entry.path.startsWith(inside))
  return await readable(repository, files)
}

/** One place, a file or a folder. */
export async function filesAt(repository: TreeRepository, commit: string, place: string): Promise<Listing> {
  return await readable(repository, await repository.files(commit, place))
}

async function readable(repository: TreeRepository, files: TreeEntry[]): Promise<Listing> {
  const listing: Listing = { entries: new Map(), refused: [] }
  const manifests = files.filter((e) => isRegular(e) && (isManifestFile(e.path) || isKustomization(e.path)))
  const sizes = (await repository.sizes?.(manifests.map(({ sha }) => sha))) ?? []
  const large = new Map(
    manifests.map(({ path }, i) => [path, sizes[i] ?? 0] as const).filter(([, n]) => n > largestFile),
  )
  for (const entry of files) {
    const size = large.get(entry.path)
    if (size !== undefined) listing.refused.push(tooLarge(size, entry.path))
    else if (entry.mode !== submodule) listing.entries.set(entry.path, entry)
  }
  return listing
}

/** Adds what kustomizations name outside of what is listed, and what the kustomizations there name. */
export async function reachOut(repository: TreeRepository, commit: string, listing: Listing): Promise<void> {
  const followed = new Set<string>()
  for (let round = 0; round < reachLimit; round++) {
    const kustomizations = await kustomizationsIn(listing.entries, repository)
    const places = placesOf(listing.entries)
    const named = kustomizations.flatMap(({ folder, content }) => referencesOf(folder, content))
    const outside = [...new Set(named)].filter((place) => place !== '' && !followed.has(place) && !places.has(place))
    if (outside.length === 0) return
    for (const place of outside) {
      followed.add(place)
      const { entries, refused } = await filesAt(repository, commit, place)
      for (const [file, entry] of entries) listing.entries.set(file, entry)
      listing.refused.push(...refused)
    }
  }
}

/** Files, and the folders they stand in. */
function placesOf(entries: ReadonlyMap<string, TreeEntry>): Set<string> {
  const places = new Set<string>()
  for (const file of entries.keys()) {
    places.add(file)
    for (let at = file.lastIndexOf('/'); at > 0; at = file.lastIndexOf('/', at - 1)) {
      const folder = file.slice(0, at)
      if (places.has(folder)) break
      places.add(folder)
    }
  }
  return places
}

/** Looks at the folder and at each folder above it for something that is none. */
export async function whyAbsent(repository: TreeRepository, commit: string, path: string): Promise<string> {
  const names = path === '' ? [] : path.split('/')
  for (let i = 1; i <= names.length; i++) {
    const place = names.slice(0, i).join('/')
    const entry = (await repository.files(commit, place)).find((file) => file.path === place)
    if (entry?.mode === '120000') return `a symbolic link at ${place}, and links are not followed`
    if (entry?.mode === submodule) return `a submodule at ${place}, whose files are in another repository`
    if (entry) return `a file at ${place}, and not a folder`
  }
  return path === '' ? 'no files' : `no files under ${path}`
}

/** The kustomizations among files, read all at once. */
export async function kustomizationsIn(
  files: ReadonlyMap<string, TreeEntry>,
  repository: TreeRepository,
): Promise<KustomizationFile[]> {
  const entries = [...files.values()].filter((entry) => isRegular(entry) && isKustomization(entry.path))
  const contents = await repository.contents(entries.map((entry) => entry.sha))
  return entries.map((entry, i) => readKustomization(entry.path, contents[i]!))
}

/** Symbolic links are never followed: they may lead out of the folder. */
export function isRegular(entry: TreeEntry): boolean {
  return entry.mode === '100644' || entry.mode === '100755'
}

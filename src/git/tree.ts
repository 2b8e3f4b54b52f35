import type { Problem } from '../errors.ts'
import type { KustomizationFile } from './kustomization.ts'
import {
  filesAt,
  filesUnder,
  isRegular,
  kustomizationsIn,
  reachOut,
  type TreeRepository,
  whyAbsent,
} from './listing.ts'
import { isManifestFile, type Manifest, readManifests } from './manifest.ts'
import { createManifestReader, indexManifests, type ManifestIndex, type ManifestReader } from './manifest-index.ts'
import type { TreeEntry } from './plumbing.ts'
import { createRemembered, type Remembered, type Versions } from './remembered.ts'
import { isStateFile } from './statefile.ts'

/** The files under one folder at one commit, with changes that are not committed yet laid over them. */
export interface Tree extends Versions {
  readonly commit: string
  /** The folder; '' for the whole repository. */
  readonly path: string
  readonly entries: ReadonlyMap<string, TreeEntry>
  /** Files that are not read, and so not among `entries`: too large. */
  readonly refused: readonly Problem[]
  /** Why there are no files, in words that follow "the branch main has"; undefined when there are. */
  readonly absent: string | undefined
  /** Content of a regular file, also of one outside the folder; undefined when there is none. */
  read(path: string): Promise<Buffer | undefined>
  /** As `version`, also for files outside the folder. */
  versionAt(path: string): Promise<string | undefined>
  /** Object name of the content, or a word that differs from all others for content that is not committed. */
  version(path: string): string | undefined
  /** Objects that Sluice may have to edit (Rollouts and routes), by kind and name; files that cannot be read are left out. */
  declared(kind: string, name: string): Promise<Manifest[]>
  /** Files that cannot be read and have this kind in their text, as a template of Helm has; why, and where. */
  unreadable(kind: string): Promise<Problem[]>
  kustomizations(): Promise<KustomizationFile[]>
  /** Those of the whole repository. Costs a listing of all of it. */
  allKustomizations(): Promise<KustomizationFile[]>
  /** Something that is made from this tree and nothing else, made once. */
  derived<T>(key: string, make: () => Promise<T>): Promise<T>
  /** As `derived`, of no more than what `make` reads: kept for other commits until one of these files changes (see Remembered). */
  made<T>(key: string, make: (read: Versions['read']) => Promise<T>, size: (made: T) => number): Promise<T>
  /** The same tree with other contents of some files. */
  with(changes: ReadonlyMap<string, Buffer>): Tree
}

/** Kinds that are looked for; only files that contain one of the words are parsed. Deployments are only read where a Rollout has one. */
const routeKinds = ['VirtualService', 'HTTPRoute', 'Rollout']
const workloadKinds = ['Deployment']

/** What is kept of what was made of files; see `Tree.made`. A scalar counts one. */
export const rememberedLimit = 2_000_000

export interface TreeOptions {
  manifestsOf?: ManifestReader
  remembered?: Remembered
  /** Also the files outside the folder to which its kustomizations refer. */
  reach?: boolean
}

/**
 * Lists a folder and brings the manifests in it here, all of them at once. Throws SluiceError when the remote does not give them, and
 * RepositoryDamaged.
 */
export async function openTree(
  repository: TreeRepository,
  commit: string,
  path: string,
  {
    manifestsOf = createManifestReader(),
    remembered = createRemembered(rememberedLimit),
    reach = false,
  }: TreeOptions = {},
): Promise<Tree> {
  const listing = await filesUnder(repository, commit, path)
  const { entries, refused } = listing
  const absent = entries.size + refused.length === 0 ? await whyAbsent(repository, commit, path) : undefined
  if (reach && path !== '') await reachOut(repository, commit, listing)
  return treeOf({ repository, manifestsOf, remembered }, { commit, path, entries, refused, absent })
}

interface Readers {
  repository: TreeRepository
  manifestsOf: ManifestReader
  remembered: Remembered
}

type Files = Pick<Tree, 'commit' | 'path' | 'entries' | 'refused' | 'absent'>

function treeOf(readers: Readers, files: Files): Tree {
  const { entries } = files
  const indexes = new Map<readonly string[], Promise<ManifestIndex>>()
  const indexOf = (kind: string) => {
    const kinds = workloadKinds.includes(kind) ? workloadKinds : routeKinds
    const index = indexes.get(kinds) ?? indexManifests(entries, readers, kinds)
    indexes.set(kinds, index)
    index.catch(() => indexes.delete(kinds))
    return index
  }
  let kustomizations: Promise<KustomizationFile[]> | undefined
  let all: Promise<KustomizationFile[]> | undefined
  const made = new Map<string, Promise<unknown>>()
  const folders = new Map<string, Promise<Map<string, TreeEntry>>>()
  const list = async (place: string) => (await filesAt(readers.repository, files.commit, place)).entries
  /** Files outside are listed by folder; those of the root one by one. */
  const outside = async (file: string) => {
    const place = file.includes('/') ? file.slice(0, file.lastIndexOf('/')) : file
    const found = folders.get(place) ?? list(place)
    folders.set(place, found)
    return (await found).get(file)
  }
  const entryOf = async (file: string) => {
    const entry = entries.get(file) ?? (isUnder(files.path, file) ? undefined : await outside(file))
    return entry && isRegular(entry) ? entry : undefined
  }
  const tree: Tree = {
    ...files,
    async read(file) {
      const entry = await entryOf(file)
      return entry && (await readers.repository.contents([entry.sha]))[0]
    },
    version: (file) => entries.get(file)?.sha,
    versionAt: async (file) => (await entryOf(file))?.sha,
    async declared(kind, name) {
      return (await indexOf(kind)).manifests.get(`${kind}/${name}`) ?? []
    },
    async unreadable(kind) {
      return (await indexOf(kind)).unreadable.get(kind) ?? []
    },
    kustomizations() {
      if (kustomizations) return kustomizations
      const read = kustomizationsIn(entries, readers.repository)
      kustomizations = read
      read.catch(() => {
        kustomizations = undefined
      })
      return read
    },
    allKustomizations() {
      all ??= list('').then((found) => kustomizationsIn(found, readers.repository))
      return all
    },
    derived: (key, make) => once(made, key, make),
    made: (key, make, size) => readers.remembered.of(key, tree, make, size),
    with: (changes) =>
      overlaid(
        tree,
        readers.remembered,
        new Map([...changes].map(([file, content]) => [file, changed(file, content)])),
      ),
  }
  return tree
}

/** Keys are chosen so that one stands for one type. */
function once<T>(made: Map<string, Promise<unknown>>, key: string, make: () => Promise<T>): Promise<T> {
  const known = made.get(key) as Promise<T> | undefined
  const result = known ?? make()
  if (!known) made.set(key, result)
  return result
}

function isUnder(folder: string, file: string): boolean {
  return folder === '' || file.startsWith(`${folder}/`)
}

/** A file with content that is not committed, and the objects in it. */
interface Changed {
  content: Buffer
  manifests: Manifest[]
}

function changed(file: string, content: Buffer): Changed {
  return {
    content,
    manifests: isManifestFile(file) && !isStateFile(file) ? readManifests(file, content).manifests : [],
  }
}

/** Only what changed is parsed: a batch of a hundred commits costs no more than its own files. */
function overlaid(base: Tree, remembered: Remembered, changes: ReadonlyMap<string, Changed>): Tree {
  const made = new Map<string, Promise<unknown>>()
  const tree: Tree = {
    commit: base.commit,
    path: base.path,
    entries: base.entries,
    refused: base.refused,
    absent: base.absent,
    read: async (file) => changes.get(file)?.content ?? (await base.read(file)),
    version: (file) =>
      changes.has(file) ? `changed:${changes.get(file)!.content.toString('base64')}` : base.version(file),
    versionAt: async (path) => (changes.has(path) ? tree.version(path) : await base.versionAt(path)),
    async declared(kind, name) {
      const before = (await base.declared(kind, name)).filter((manifest) => !changes.has(manifest.file))
      const now = [...changes.values()].flatMap(({ manifests }) => manifests)
      return [...before, ...now.filter(({ object }) => object.kind === kind && object.metadata.name === name)]
    },
    unreadable: base.unreadable,
    kustomizations: base.kustomizations,
    allKustomizations: base.allKustomizations,
    derived: (key, make) => once(made, key, make),
    made: (key, make, size) => remembered.of(key, tree, make, size),
    with: (more) =>
      overlaid(
        base,
        remembered,
        new Map([...changes, ...[...more].map(([file, content]) => [file, changed(file, content)] as const)]),
      ),
  }
  return tree
}

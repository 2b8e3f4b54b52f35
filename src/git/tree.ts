import type { Problem } from '../errors.ts'
import { fieldAt, listAt } from '../kube/field.ts'
import { isKustomization, type KustomizationFile, readKustomization, resolve } from './kustomization.ts'
import { isManifestFile, type Manifest, type ManifestFile, readManifests } from './manifest.ts'
import { largestFile, tooLarge } from './objects.ts'
import type { TreeEntry } from './plumbing.ts'
import type { Repository } from './repository.ts'
import { isStateFile } from './statefile.ts'

/** The files under one folder at one commit, with changes that are not committed yet laid over them. */
export interface Tree {
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
  /** The same tree with other contents of some files. */
  with(changes: ReadonlyMap<string, Buffer>): Tree
}

/** Kinds that are looked for; only files that contain one of the words are parsed. Deployments are only read where a Rollout has one. */
const routeKinds = ['VirtualService', 'HTTPRoute', 'Rollout']
const workloadKinds = ['Deployment']

/** Files parsed between two turns of the event loop, so that reading a large repository delays no retreat. */
const filesPerTurn = 10

/** Reads the objects of a file; remembers them by content, so that a new commit costs only the files it changed. */
export type ManifestReader = (path: string, sha: string, content: Buffer) => ManifestFile

const filesRemembered = 20_000

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

/** All of a repository that reading a tree needs. */
export type TreeRepository = Pick<Repository, 'files' | 'contents'> & Partial<Pick<Repository, 'sizes'>>

export interface TreeOptions {
  manifestsOf?: ManifestReader
  /** Also the files outside the folder to which its kustomizations refer. */
  reach?: boolean
}

/** How far kustomizations are followed out of their folder. */
const reachLimit = 20

/**
 * Lists a folder and brings the manifests in it here, all of them at once. Throws SluiceError when the remote does not give them, and
 * RepositoryDamaged.
 */
export async function openTree(
  repository: TreeRepository,
  commit: string,
  path: string,
  { manifestsOf = createManifestReader(), reach = false }: TreeOptions = {},
): Promise<Tree> {
  const listed = await manifestsUnder(repository, commit, path)
  const { entries, refused } = listed
  const absent = entries.size + refused.length === 0 ? await whyAbsent(repository, commit, path) : undefined
  if (reach && path !== '') await reachOut(repository, commit, listed)
  return treeOf({ repository, manifestsOf }, { commit, path, entries, refused, absent })
}

interface Listed {
  entries: Map<string, TreeEntry>
  refused: Problem[]
}

/** Regular files, links and all others but submodules; without the manifests that are too large. */
async function manifestsUnder(repository: TreeRepository, commit: string, path: string): Promise<Listed> {
  const inside = path === '' ? '' : `${path}/`
  const files = (await repository.files(commit, path)).filter((entry) => entry.path.startsWith(inside))
  return await readable(repository, files)
}

async function readable(repository: TreeRepository, files: TreeEntry[]): Promise<Listed> {
  const listed: Listed = { entries: new Map(), refused: [] }
  const manifests = files.filter((e) => isRegular(e) && (isManifestFile(e.path) || isKustomization(e.path)))
  const sizes = (await repository.sizes?.(manifests.map(({ sha }) => sha))) ?? []
  const large = new Map(
    manifests.map(({ path }, i) => [path, sizes[i] ?? 0] as const).filter(([, n]) => n > largestFile),
  )
  for (const entry of files) {
    const size = large.get(entry.path)
    if (size !== undefined) listed.refused.push(tooLarge(size, entry.path))
    else if (entry.mode !== submodule) listed.entries.set(entry.path, entry)
  }
  return listed
}

/** Adds what kustomizations name outside of what is listed, and what the kustomizations there name. */
async function reachOut(repository: TreeRepository, commit: string, listed: Listed): Promise<void> {
  const followed = new Set<string>()
  for (let round = 0; round < reachLimit; round++) {
    const kustomizations = await readKustomizations(listed.entries, repository)
    const named = kustomizations.flatMap((k) => [...k.resources, ...namedPaths(k)])
    const outside = [...new Set(named)].filter(
      (place) => place !== '' && place !== '.' && !followed.has(place) && !isListed(listed, place),
    )
    if (outside.length === 0) return
    const found: TreeEntry[] = []
    for (const place of outside) {
      followed.add(place)
      if (!place.startsWith('..')) found.push(...(await repository.files(commit, place)))
    }
    const { entries, refused } = await readable(repository, found)
    for (const [file, entry] of entries) listed.entries.set(file, entry)
    listed.refused.push(...refused)
  }
}

/** Bases, components and files of patches, which `resources` leaves out. */
function namedPaths({ folder, content }: KustomizationFile): string[] {
  const lists = ['bases', 'components', 'patchesStrategicMerge'].flatMap((field) => listAt(content, field))
  const files = ['patches', 'patchesJson6902'].flatMap((field) => listAt(content, field).map((p) => fieldAt(p, 'path')))
  return [...lists, ...files]
    .filter((name) => typeof name === 'string' && !name.includes('\n') && !name.includes('://'))
    .map((name) => resolve(folder, String(name)))
}

function isListed({ entries }: Listed, place: string): boolean {
  if (entries.has(place)) return true
  for (const file of entries.keys()) if (file.startsWith(`${place}/`)) return true
  return false
}

/** Looks at the folder and at each folder above it for something that is none. */
async function whyAbsent(repository: TreeRepository, commit: string, path: string): Promise<string> {
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

const submodule = '160000'

interface Readers {
  repository: TreeRepository
  manifestsOf: ManifestReader
}

type Listing = Pick<Tree, 'commit' | 'path' | 'entries' | 'refused' | 'absent'>

function treeOf(readers: Readers, listing: Listing): Tree {
  const { entries } = listing
  const indexes = new Map<readonly string[], Promise<Index>>()
  const indexOf = (kind: string) => {
    const kinds = workloadKinds.includes(kind) ? workloadKinds : routeKinds
    const index = indexes.get(kinds) ?? buildIndex(entries, readers, kinds)
    indexes.set(kinds, index)
    index.catch(() => indexes.delete(kinds))
    return index
  }
  let kustomizations: Promise<KustomizationFile[]> | undefined
  let all: Promise<KustomizationFile[]> | undefined
  const made = new Map<string, Promise<unknown>>()
  const folders = new Map<string, Promise<Map<string, TreeEntry>>>()
  const list = async (place: string) => {
    const { entries: found } = await readable(readers.repository, await readers.repository.files(listing.commit, place))
    return found
  }
  /** Files outside are listed by folder; those of the root one by one. */
  const outside = async (file: string) => {
    const place = file.includes('/') ? file.slice(0, file.lastIndexOf('/')) : file
    const found = folders.get(place) ?? list(place)
    folders.set(place, found)
    return (await found).get(file)
  }
  const tree: Tree = {
    ...listing,
    async read(file) {
      const entry = entries.get(file) ?? (isUnder(listing.path, file) ? undefined : await outside(file))
      if (!entry || !isRegular(entry)) return undefined
      return (await readers.repository.contents([entry.sha]))[0]
    },
    version: (file) => entries.get(file)?.sha,
    async declared(kind, name) {
      return (await indexOf(kind)).manifests.get(`${kind}/${name}`) ?? []
    },
    async unreadable(kind) {
      return (await indexOf(kind)).unreadable.get(kind) ?? []
    },
    kustomizations() {
      if (kustomizations) return kustomizations
      const read = readKustomizations(entries, readers.repository)
      kustomizations = read
      read.catch(() => {
        kustomizations = undefined
      })
      return read
    },
    allKustomizations() {
      all ??= list('').then((found) => readKustomizations(found, readers.repository))
      return all
    },
    derived: (key, make) => once(made, key, make),
    with: (changes) => overlaid(tree, new Map([...changes].map(([file, content]) => [file, changed(file, content)]))),
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
function overlaid(base: Tree, changes: ReadonlyMap<string, Changed>): Tree {
  const made = new Map<string, Promise<unknown>>()
  return {
    commit: base.commit,
    path: base.path,
    entries: base.entries,
    refused: base.refused,
    absent: base.absent,
    read: async (file) => changes.get(file)?.content ?? (await base.read(file)),
    version: (file) =>
      changes.has(file) ? `changed:${changes.get(file)!.content.toString('base64')}` : base.version(file),
    async declared(kind, name) {
      const before = (await base.declared(kind, name)).filter((manifest) => !changes.has(manifest.file))
      const now = [...changes.values()].flatMap(({ manifests }) => manifests)
      return [...before, ...now.filter(({ object }) => object.kind === kind && object.metadata.name === name)]
    },
    unreadable: base.unreadable,
    kustomizations: base.kustomizations,
    allKustomizations: base.allKustomizations,
    derived: (key, make) => once(made, key, make),
    with: (more) =>
      overlaid(
        base,
        new Map([...changes, ...[...more].map(([file, content]) => [file, changed(file, content)] as const)]),
      ),
  }
}

interface Index {
  /** By kind and name. */
  manifests: Map<string, Manifest[]>
  /** By kind. */
  unreadable: Map<string, Problem[]>
}

async function buildIndex(
  entries: ReadonlyMap<string, TreeEntry>,
  { repository, manifestsOf }: Readers,
  kinds: readonly string[],
): Promise<Index> {
  const index: Index = { manifests: new Map(), unreadable: new Map() }
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

async function readKustomizations(
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

import type { Problem } from '../errors.ts'
import { isKustomization, type KustomizationFile, readKustomization } from './kustomization.ts'
import { isManifestFile, type Manifest, type ManifestFile, readManifests } from './manifest.ts'
import type { TreeEntry } from './plumbing.ts'
import type { Repository } from './repository.ts'
import { isStateFile } from './statefile.ts'

/** The files under one folder at one commit, with changes that are not committed yet laid over them. */
export interface Tree {
  readonly commit: string
  /** The folder; '' for the whole repository. */
  readonly path: string
  readonly entries: ReadonlyMap<string, TreeEntry>
  /** Content of a regular file; undefined when there is none. */
  read(path: string): Promise<Buffer | undefined>
  /** Object name of the content, or a word that differs from all others for content that is not committed. */
  version(path: string): string | undefined
  /** Objects that Sluice may have to edit (Rollouts and routes), by kind and name; files that cannot be read are left out. */
  declared(kind: string, name: string): Promise<Manifest[]>
  /** Files that cannot be read and have this kind in their text, as a template of Helm has; why, and where. */
  unreadable(kind: string): Promise<Problem[]>
  kustomizations(): Promise<KustomizationFile[]>
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
export type TreeRepository = Pick<Repository, 'files' | 'contents'>

export async function openTree(
  repository: TreeRepository,
  commit: string,
  path: string,
  manifestsOf: ManifestReader = createManifestReader(),
): Promise<Tree> {
  const files = await repository.files(commit, path)
  return treeOf({ repository, manifestsOf }, commit, path, new Map(files.map((entry) => [entry.path, entry])))
}

interface Readers {
  repository: TreeRepository
  manifestsOf: ManifestReader
}

function treeOf(readers: Readers, commit: string, path: string, entries: ReadonlyMap<string, TreeEntry>): Tree {
  const indexes = new Map<readonly string[], Promise<Index>>()
  const indexOf = (kind: string) => {
    const kinds = workloadKinds.includes(kind) ? workloadKinds : routeKinds
    const index = indexes.get(kinds) ?? buildIndex(entries, readers, kinds)
    indexes.set(kinds, index)
    return index
  }
  let kustomizations: Promise<KustomizationFile[]> | undefined
  const tree: Tree = {
    commit,
    path,
    entries,
    async read(file) {
      const entry = entries.get(file)
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
      kustomizations ??= readKustomizations(entries, readers.repository)
      return kustomizations
    },
    with: (changes) => overlaid(tree, new Map([...changes].map(([file, content]) => [file, changed(file, content)]))),
  }
  return tree
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
  return {
    commit: base.commit,
    path: base.path,
    entries: base.entries,
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

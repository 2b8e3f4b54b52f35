import { isKustomization, type KustomizationFile, readKustomization } from './kustomization.ts'
import { isManifestFile, type Manifest, readManifests } from './manifest.ts'
import type { Repository, TreeEntry } from './repository.ts'
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
  kustomizations(): Promise<KustomizationFile[]>
  /** The same tree with other contents of some files. */
  with(changes: ReadonlyMap<string, Buffer>): Tree
}

/** Kinds that are looked for; only files that contain one of the words are parsed. */
const editedKinds = ['VirtualService', 'HTTPRoute', 'Rollout'] as const

/** Files parsed between two turns of the event loop, so that reading a large repository delays no retreat. */
const filesPerTurn = 10

export async function openTree(repository: Repository, commit: string, path: string): Promise<Tree> {
  const files = await repository.files(commit, path)
  return treeOf(repository, commit, path, new Map(files.map((entry) => [entry.path, entry])), new Map())
}

function treeOf(
  repository: Repository,
  commit: string,
  path: string,
  entries: ReadonlyMap<string, TreeEntry>,
  changes: ReadonlyMap<string, Buffer>,
): Tree {
  let index: Promise<Map<string, Manifest[]>> | undefined
  let kustomizations: Promise<KustomizationFile[]> | undefined

  const tree: Tree = {
    commit,
    path,
    entries,
    async read(file) {
      const changed = changes.get(file)
      if (changed) return changed
      const entry = entries.get(file)
      if (!entry || !isRegular(entry)) return undefined
      return (await repository.contents([entry.sha]))[0]
    },
    version(file) {
      const changed = changes.get(file)
      return changed ? `changed:${changed.toString('base64')}` : entries.get(file)?.sha
    },
    async declared(kind, name) {
      index ??= buildIndex(tree, repository, changes)
      return (await index).get(`${kind}/${name}`) ?? []
    },
    kustomizations() {
      kustomizations ??= readKustomizations(tree, repository)
      return kustomizations
    },
    with: (more) => treeOf(repository, commit, path, entries, new Map([...changes, ...more])),
  }
  return tree
}

async function buildIndex(
  tree: Tree,
  repository: Repository,
  changes: ReadonlyMap<string, Buffer>,
): Promise<Map<string, Manifest[]>> {
  const index = new Map<string, Manifest[]>()
  const files = [...tree.entries.values()].filter(
    (entry) => isRegular(entry) && isManifestFile(entry.path) && !isStateFile(entry.path),
  )
  const contents = await repository.contents(files.map((entry) => entry.sha))
  let parsed = 0
  for (const [i, { path }] of files.entries()) {
    const content = changes.get(path) ?? contents[i]!
    if (!editedKinds.some((kind) => content.includes(kind))) continue
    for (const manifest of readManifests(path, content).manifests) {
      const key = `${manifest.object.kind}/${manifest.object.metadata.name}`
      index.set(key, [...(index.get(key) ?? []), manifest])
    }
    parsed += 1
    if (parsed % filesPerTurn === 0) await new Promise((resume) => setImmediate(resume))
  }
  return index
}

async function readKustomizations(tree: Tree, repository: Repository): Promise<KustomizationFile[]> {
  const entries = [...tree.entries.values()].filter((entry) => isRegular(entry) && isKustomization(entry.path))
  const contents = await repository.contents(entries.map((entry) => entry.sha))
  return entries.map((entry, i) => readKustomization(entry.path, contents[i]!))
}

/** Symbolic links are never followed: they may lead out of the folder. */
export function isRegular(entry: TreeEntry): boolean {
  return entry.mode === '100644' || entry.mode === '100755'
}

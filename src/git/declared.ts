import type { RolloutSourceSpec, RolloutSourceStatus } from '../api/rolloutsource.ts'
import type { Problem } from '../errors.ts'
import type { KubeObject } from '../kube/object.ts'
import { groupOf } from './group.ts'
import type { KustomizationFile } from './kustomization.ts'
import { noObject } from './kustomize/build.ts'
import { usedBy } from './kustomized.ts'
import { isRegular } from './listing.ts'
import { isManifestFile, readManifests } from './manifest.ts'
import type { TreeEntry } from './plumbing.ts'
import { declarationsOf } from './rendered-declarations.ts'
import type { Repository } from './repository.ts'
import { isStateFile } from './statefile.ts'
import type { Tree } from './tree.ts'

export type SourceError = NonNullable<RolloutSourceStatus['errors']>[number]

/** One object that the repository wants, and where it says so. */
export interface Declared {
  file: string
  line: number
  object: KubeObject
}

export interface Declarations {
  /** In the order in which they are to be applied. */
  objects: Declared[]
  errors: SourceError[]
}

type Mode = RolloutSourceSpec['apply']

/**
 * What a folder declares: what its kustomizations make, and every object of the YAML and JSON files that are not a part of one. As with
 * kustomize, a kustomization stands for all of its folder; one that another uses is applied as a part of that. A file or a kustomization
 * that cannot be read is an error and stops nothing else.
 */
export async function readDeclarations(
  tree: Tree,
  repository: Pick<Repository, 'contents'>,
  path: string,
  mode: Mode,
): Promise<Declarations> {
  if (mode === 'None') return { objects: [], errors: [] }
  const { roots, parts, files } = divide(tree, path, await tree.kustomizations())
  const result: Declarations = { objects: [], errors: tree.refused.map((problem) => errorOf(problem, '')) }
  const covered = new Set<string>()
  for (const root of roots) {
    const rendered = await declarationsOf(tree, root, mode)
    result.objects.push(...rendered.objects)
    result.errors.push(...rendered.errors)
    for (const file of rendered.files) covered.add(file)
    await new Promise((resume) => setImmediate(resume))
  }
  for (const { file } of parts.filter((part) => !covered.has(part.file)))
    result.errors.push({ file, line: 1, message: 'is a part of other kustomizations, of which none is applied' })
  const alone = files.filter(({ path: file }) => !covered.has(file))
  const contents = await repository.contents(alone.map(({ sha }) => sha))
  for (const [i, { path: file }] of alone.entries()) {
    const content = contents[i]!
    if (mode === 'Rollouts' && !content.includes('sluice.dev/')) continue
    const { manifests, problems, others } = readManifests(file, content)
    for (const problem of problems) result.errors.push(errorOf(problem, file))
    if (mode === 'All') for (const line of others) result.errors.push({ file, line, message: noObject })
    for (const { object, line } of manifests) {
      if (inScope(object.apiVersion, object.kind, mode)) result.objects.push({ file, line, object })
    }
    if (i % 10 === 9) await new Promise((resume) => setImmediate(resume))
  }
  result.objects.sort((a, b) => rank(a.object) - rank(b.object))
  return result
}

/** Whether a kind is applied in a mode: Rollouts bring the AnalysisTemplates they use. */
export function inScope(apiVersion: string, kind: string, mode: Mode): boolean {
  if (mode === 'All') return true
  return (
    mode === 'Rollouts' && groupOf(apiVersion) === 'sluice.dev' && (kind === 'Rollout' || kind === 'AnalysisTemplate')
  )
}

/** The uppermost kustomizations of a folder, of which some are parts of others, and its files that are in the folder of none. */
function divide(
  tree: Tree,
  path: string,
  kustomizations: KustomizationFile[],
): { roots: KustomizationFile[]; parts: KustomizationFile[]; files: TreeEntry[] } {
  const byFolder = new Map(kustomizations.map((k) => [k.folder, k]))
  const isUsed = usedBy(kustomizations)
  const found = new Set<KustomizationFile>()
  const files: TreeEntry[] = []
  for (const entry of tree.entries.values()) {
    if (path !== '' && !entry.path.startsWith(`${path}/`)) continue
    const root = foldersOf(entry.path, path)
      .map((folder) => byFolder.get(folder))
      .find((k) => k !== undefined)
    if (root) found.add(root)
    if (!root && isRegular(entry) && isManifestFile(entry.path) && !isStateFile(entry.path)) files.push(entry)
  }
  const isRoot = (one: KustomizationFile) => one.folder === path || !isUsed(one)
  const parts = [...found].filter((one) => !isRoot(one) && one.content.kind !== 'Component')
  return { roots: [...found].filter(isRoot), parts, files }
}

/** The folders that a file is in, from `top` down. */
function foldersOf(file: string, top: string): string[] {
  const folders = [top]
  for (let at = file.indexOf('/', top.length + 1); at >= 0; at = file.indexOf('/', at + 1))
    folders.push(file.slice(0, at))
  return folders
}

function errorOf(problem: Problem, file: string): SourceError {
  return { file: problem.file ?? file, line: problem.line, message: problem.message }
}

/** Namespaces and CRDs before what lives in them; Rollouts when all they refer to is there. */
function rank({ apiVersion, kind }: KubeObject): number {
  if (kind === 'Namespace' && apiVersion === 'v1') return 0
  if (kind === 'CustomResourceDefinition') return 1
  if (groupOf(apiVersion) !== 'sluice.dev') return 2
  return kind === 'Rollout' ? 4 : 3
}

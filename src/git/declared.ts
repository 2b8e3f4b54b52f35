import type { RolloutSourceSpec, RolloutSourceStatus } from '../api/rolloutsource.ts'
import type { Problem } from '../errors.ts'
import type { KubeObject } from '../kube/object.ts'
import { groupOf } from './group.ts'
import type { KustomizationFile } from './kustomization.ts'
import { isManifestFile, readManifests } from './manifest.ts'
import type { Repository } from './repository.ts'
import { isStateFile } from './statefile.ts'
import { isRegular, type Tree } from './tree.ts'

export type SourceError = NonNullable<RolloutSourceStatus['errors']>[number]

/** One object that the repository wants, and where it says so. */
export interface Declared {
  file: string
  line: number
  object: KubeObject
  /** Namespace that a kustomization gives to everything below it. */
  namespace?: string
}

export interface Declarations {
  /** In the order in which they are to be applied. */
  objects: Declared[]
  errors: SourceError[]
}

type Mode = RolloutSourceSpec['apply']

/**
 * What a folder declares: every object of its YAML and JSON files, or, where a kustomization stands, what that lists. A file that
 * cannot be read is an error and stops nothing else.
 */
export async function readDeclarations(
  tree: Tree,
  repository: Repository,
  path: string,
  mode: Mode,
): Promise<Declarations> {
  if (mode === 'None') return { objects: [], errors: [] }
  const kustomizations = new Map((await tree.kustomizations()).map((k) => [k.folder, k]))
  const walk: Walk = { tree, kustomizations, files: [], errors: [], visited: new Set() }
  folder(walk, path, undefined)
  const shas = walk.files.map(({ file }) => tree.entries.get(file)!.sha)
  const contents = await repository.contents(shas)
  const tooLarge = tree.refused.map((problem) => errorOf(problem, problem.file ?? ''))
  const result: Declarations = { objects: [], errors: [...walk.errors, ...tooLarge] }
  for (const [i, { file, namespace }] of walk.files.entries()) {
    const content = contents[i]!
    if (mode === 'Rollouts' && !content.includes('sluice.dev/')) continue
    const { manifests, problems, others } = readManifests(file, content)
    for (const problem of problems) result.errors.push(errorOf(problem, file))
    if (mode === 'All') {
      for (const line of others)
        result.errors.push({ file, line, message: 'is no Kubernetes object: it has no apiVersion and kind' })
    }
    for (const { object, line } of manifests) {
      if (inScope(object.apiVersion, object.kind, mode)) result.objects.push({ file, line, object, namespace })
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

interface Walk {
  tree: Tree
  kustomizations: Map<string, KustomizationFile>
  files: { file: string; namespace?: string }[]
  errors: SourceError[]
  visited: Set<string>
}

function folder(walk: Walk, path: string, namespace: string | undefined): void {
  if (walk.visited.has(path)) return
  walk.visited.add(path)
  const kustomization = walk.kustomizations.get(path)
  if (kustomization) {
    listed(walk, kustomization, namespace)
    return
  }
  const prefix = path === '' ? '' : `${path}/`
  const below = new Set<string>()
  for (const [file, entry] of walk.tree.entries) {
    if (!file.startsWith(prefix) || !isRegular(entry) || isStateFile(file)) continue
    const rest = file.slice(prefix.length)
    if (rest.includes('/')) below.add(prefix + rest.slice(0, rest.indexOf('/')))
    else if (isManifestFile(file)) walk.files.push({ file, namespace })
  }
  for (const child of below) folder(walk, child, namespace)
}

function listed(walk: Walk, kustomization: KustomizationFile, outer: string | undefined): void {
  if (kustomization.problem) {
    walk.errors.push(errorOf(kustomization.problem, kustomization.file))
    return
  }
  const namespace = outer ?? kustomization.namespace
  for (const resource of kustomization.resources) {
    const entry = walk.tree.entries.get(resource)
    if (entry && isRegular(entry)) walk.files.push({ file: resource, namespace })
    else if ([...walk.tree.entries.keys()].some((file) => file.startsWith(`${resource}/`)))
      folder(walk, resource, namespace)
    else walk.errors.push({ file: kustomization.file, message: `lists ${resource}, which does not exist` })
  }
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

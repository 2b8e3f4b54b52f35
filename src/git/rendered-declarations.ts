import type { RolloutSourceSpec } from '../api/rolloutsource.ts'
import type { Problem } from '../errors.ts'
import type { KubeObject } from '../kube/object.ts'
import type { Declared, SourceError } from './declared.ts'
import type { KustomizationFile } from './kustomization.ts'
import { type Build, build, type Wanted } from './kustomize/build.ts'
import { isObject } from './manifest.ts'
import { plain } from './traced.ts'
import type { Tree } from './tree.ts'

/** What a kustomization declares; nothing where any of it cannot be rendered. */
export interface RenderedDeclarations {
  objects: Declared[]
  errors: SourceError[]
  /** Files that are a part of it. */
  files: ReadonlySet<string>
}

/** Generators that may make what is wanted: those of ConfigMaps and Secrets make no Rollouts. */
const makesAnything = new Set(['generators', 'helmCharts', 'helmChartInflationGenerator'])

/**
 * Renders a kustomization for the cluster, all of it or what `apply: Rollouts` applies. A part of it that Sluice does not render refuses
 * the whole, as kustomize does: half of an overlay is what nobody has written. Rendered again only when one of its files has changed.
 */
export function declarationsOf(
  tree: Tree,
  root: KustomizationFile,
  mode: Exclude<RolloutSourceSpec['apply'], 'None'>,
): Promise<RenderedDeclarations> {
  const wanted: Wanted =
    mode === 'All' ? 'All' : ['Rollout', 'AnalysisTemplate'].map((kind) => ({ group: 'sluice.dev', kind }))
  return tree.made(
    `declared ${mode} ${root.file}`,
    async (read) => declared(await build(read, root.folder, wanted), root, mode),
    ({ objects, files }) => objects.reduce((sum, { object }) => sum + scalarsIn(object), files.size),
  )
}

function declared(
  { objects, files, problems, generators }: Build,
  root: KustomizationFile,
  mode: RolloutSourceSpec['apply'],
): RenderedDeclarations {
  const made = generators.filter(({ field }) => mode === 'All' || makesAnything.has(field))
  const found = [
    ...problems,
    ...made.map(({ problem }) => problem),
    ...objects.flatMap(({ obstacle }) => obstacle ?? []),
  ]
  if (found.length > 0) return { objects: [], errors: errorsOf(found, root), files }
  const rendered = objects.flatMap(({ object, base: { file, line } }): Declared[] => {
    const value = plain(object)
    return isKubeObject(value) ? [{ file, line, object: value }] : []
  })
  return { objects: rendered, errors: [], files }
}

/** Each place and sentence once: what stands in a kustomization often concerns many objects. */
function errorsOf(problems: Problem[], root: KustomizationFile): SourceError[] {
  const errors = new Map<string, SourceError>()
  for (const { file = root.file, line, message } of problems)
    errors.set(`${file}:${line} ${message}`, {
      file,
      line,
      message: `${message}; nothing of the kustomization ${root.file} is applied`,
    })
  return [...errors.values()]
}

function isKubeObject(value: unknown): value is KubeObject {
  return (
    isObject(value) &&
    typeof value.apiVersion === 'string' &&
    typeof value.kind === 'string' &&
    isObject(value.metadata)
  )
}

function scalarsIn(value: unknown): number {
  if (value === null || typeof value !== 'object') return 1
  return Object.values(value).reduce((sum: number, inner) => sum + scalarsIn(inner), 0)
}

import { isDeepStrictEqual } from 'node:util'
import type { RolloutSourceSpec } from '../api/rolloutsource.ts'
import type { Problem } from '../errors.ts'
import type { KubeObject } from '../kube/object.ts'
import type { Declared, SourceError } from './declared.ts'
import type { KustomizationFile } from './kustomization.ts'
import { type Build, build, type Rendering, type Wanted } from './kustomize/build.ts'
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

/** They make no Rollouts. */
const makesSettings = ['configMapGenerator', 'secretGenerator']

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
  { objects, files, problems, unrendered }: Build,
  root: KustomizationFile,
  mode: RolloutSourceSpec['apply'],
): RenderedDeclarations {
  const made = unrendered.filter(({ field }) => mode === 'All' || !makesSettings.includes(field))
  const fields = made.map(({ problem }) => problem)
  const found = [...problems, ...fields, ...obstaclesOf(objects, fields)]
  if (found.length > 0) return { objects: [], errors: errorsOf(found, root), files }
  const rendered = objects.flatMap(({ object, base: { file, line } }): Declared[] => {
    const value = plain(object)
    return isKubeObject(value) ? [{ file, line, object: value }] : []
  })
  return { objects: rendered, errors: [], files }
}

/** What stands in a kustomization often concerns many objects: each place and sentence once, with the first of them. */
function obstaclesOf(objects: Rendering[], said: Problem[]): Problem[] {
  const isSaid = (problem: Problem) => said.some((other) => isDeepStrictEqual(other, problem))
  const groups = Map.groupBy(
    objects.filter(({ obstacle }) => obstacle && !isSaid(obstacle)),
    ({ obstacle }) => `${obstacle?.file}:${obstacle?.line} ${obstacle?.message}`,
  )
  return [...groups.values()].map(([first, ...others]) => {
    const { obstacle, kind, base } = first!
    const more = others.length > 0 ? ` and ${others.length} more` : ''
    return { ...obstacle!, message: `${obstacle!.message} (${kind.kind} ${base.object.metadata.name}${more})` }
  })
}

function errorsOf(problems: Problem[], root: KustomizationFile): SourceError[] {
  const errors = problems.map(({ file = root.file, line, message }): SourceError => {
    return { file, line, message: `${message}; nothing of the kustomization ${root.file} is applied` }
  })
  return [...new Map(errors.map((error) => [JSON.stringify(error), error])).values()]
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

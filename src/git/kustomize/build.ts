import type { Problem } from '../../errors.ts'
import { groupOf } from '../group.ts'
import { type Manifest, readManifests } from '../manifest.ts'
import { at, type TracedMap, textOf, tracedAt } from '../traced.ts'
import { kustomizationNames, type Layer, pathFrom, readLayer } from './layer.ts'
import { unrenderedIn } from './obstacles.ts'
import { followNames } from './references.ts'
import { transform } from './transform.ts'

/** Reads a file of the repository; undefined where there is none. */
export type Read = (path: string) => Promise<Buffer | undefined>

export interface Kind {
  group: string
  kind: string
}

/** The kinds of objects that are rendered; others are passed over. */
export type Wanted = readonly Kind[] | 'All'

/** One object as a kustomization renders it. */
export interface Rendering {
  kind: Kind
  object: TracedMap
  /** Where it is declared, before any kustomization changed it. */
  base: Manifest
  /** What it was called on the way, and in which namespace; the last is what it is called now. */
  ids: { name: string; namespace: string | undefined }[]
  /** Something in a kustomization may change it in a way that is not rendered here. */
  obstacle?: Problem
}

export interface Build {
  objects: Rendering[]
  /** Every file that was read for it. */
  files: Set<string>
  /** Folders of its kustomizations. */
  folders: Set<string>
  /** What could not be read. */
  problems: Problem[]
  /** Fields of its kustomizations that are not rendered and would make objects, or may: charts, generators, unknown ones. */
  unrendered: { field: string; problem: Problem }[]
}

const filesRead = 5_000
const deepest = 32
/** Kustomizations that are rendered for one, each time they are used: two that use another twice each make four. */
const rendered = 1_000

/**
 * Renders objects as `kustomize build` of a folder does. What is not supported is an obstacle of the objects that it may
 * change, never a guess. Kustomize's order: resources, components, then patches, namespace, names, labels, annotations, images.
 */
export async function build(read: Read, folder: string, wanted: Wanted): Promise<Build> {
  const result: Build = { objects: [], files: new Set(), folders: new Set(), problems: [], unrendered: [] }
  let renderings = 0
  const problem = (found: Problem) => void result.problems.push(found)
  const everything = wanted === 'All'
  const objects = (await accumulate(folder, [])).filter((rendering) => !isLocal(rendering))
  if (everything) followNames(objects)
  result.objects = objects
  return result

  async function accumulate(path: string, within: string[], onto: Rendering[] = []): Promise<Rendering[]> {
    const layer = await layerIn(path)
    if (!layer) return onto
    if (within.includes(path) || within.length >= deepest) {
      result.problems.push(refusal(layer, 'uses itself', 'resources'))
      return onto
    }
    renderings += 1
    if (renderings > rendered) {
      if (renderings === rendered + 1)
        result.problems.push(
          refusal(layer, `is used by too many others: ${rendered} are rendered for one`, 'resources'),
        )
      return onto
    }
    result.folders.add(path)
    result.unrendered.push(...unrenderedIn(layer))
    const objects = [...onto]
    for (const field of ['resources', 'bases']) {
      for (const [i, entry] of listIn(layer, field).entries()) {
        const from = pathFrom(layer.folder, entry)
        if (from === undefined) {
          result.problems.push(refusal(layer, `names ${entry}, which is not in this repository`, field, i))
          continue
        }
        objects.push(...(await resource(layer, from, [...within, path], [field, i])))
      }
    }
    let all = objects
    for (const [i, entry] of listIn(layer, 'components').entries()) {
      const from = pathFrom(layer.folder, entry)
      if (from !== undefined && (await layerIn(from))) all = await accumulate(from, [...within, path], all)
      else {
        const problem = refusal(layer, `uses the component ${entry}, which is not in this repository`, 'components', i)
        for (const object of all) object.obstacle ??= problem
      }
    }
    return await transform(layer, all, { read: readTracked, everything, problem })
  }

  async function resource(
    layer: Layer,
    path: string,
    within: string[],
    field: (string | number)[],
  ): Promise<Rendering[]> {
    const looksLikeFile = /\.(ya?ml|json)$/i.test(path)
    const content = looksLikeFile ? await readTracked(path) : undefined
    if (content) return objectsIn(path, content)
    if (await layerIn(path)) return accumulate(path, within)
    const other = looksLikeFile ? undefined : await readTracked(path)
    if (other) return objectsIn(path, other)
    result.problems.push(refusal(layer, `lists ${path}, which does not exist`, ...field))
    return []
  }

  function objectsIn(file: string, content: Buffer): Rendering[] {
    if (!everything && !wanted.some(({ kind }) => content.includes(kind))) return []
    const { manifests, problems, others } = readManifests(file, content)
    result.problems.push(...problems)
    if (everything) for (const line of others) problem({ reason: 'ManifestInvalid', message: noObject, file, line })
    return manifests.flatMap((base): Rendering[] => {
      const kind = { group: groupOf(base.object.apiVersion), kind: base.object.kind }
      if (!everything && !wanted.some((one) => one.kind === kind.kind && one.group === kind.group)) return []
      const object = tracedAt(base.object, { file, document: base.document, path: base.path })
      const { name, namespace } = base.object.metadata
      return object instanceof Map ? [{ kind, object, base, ids: [{ name, namespace }] }] : []
    })
  }

  async function layerIn(path: string): Promise<Layer | undefined> {
    for (const name of kustomizationNames) {
      const file = path === '' ? name : `${path}/${name}`
      const content = await readTracked(file)
      if (!content) continue
      const read = readLayer(file, content)
      if (read.ok) return read.layer
      result.problems.push(read.problem)
      return undefined
    }
    return undefined
  }

  async function readTracked(path: string): Promise<Buffer | undefined> {
    if (result.files.size >= filesRead) return undefined
    const content = await read(path)
    if (content) result.files.add(path)
    return content
  }
}

export const noObject = 'is no Kubernetes object: it has no apiVersion and kind'

/** Objects that are there for kustomize alone. */
function isLocal({ object }: Rendering): boolean {
  const said = textOf(at(object, ['metadata', 'annotations', 'config.kubernetes.io/local-config']))
  return said !== undefined && said !== 'false'
}

export function refusal(layer: Layer, message: string, ...field: (string | number)[]): Problem {
  return { reason: 'GitRefusedEdit', message, file: layer.file, line: layer.lineOf(...field) }
}

function listIn(layer: Layer, field: string): string[] {
  const list = layer.content[field]
  return Array.isArray(list) ? list.filter((entry) => typeof entry === 'string') : []
}

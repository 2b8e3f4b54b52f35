import { dirname, posix } from 'node:path'
import { isMap, isNode } from 'yaml'
import type { Problem } from '../../errors.ts'
import { fieldAt, listAt, textAt } from '../../kube/field.ts'
import { own } from '../edit.ts'
import { isObject } from '../manifest.ts'
import { type Traced, type TracedMap, tracedAt } from '../traced.ts'
import { parseYaml, plainJson } from '../yaml-document.ts'

/** One kustomization as it is rendered. */
export interface Layer {
  file: string
  /** The folder it stands in; '' for the root. */
  folder: string
  content: Record<string, unknown>
  traced: TracedMap
  /** The line of one of its fields. */
  lineOf(...path: (string | number)[]): number | undefined
}

export type LayerResult = { ok: true; layer: Layer } | { ok: false; problem: Problem }

/** Reads a kustomization; an empty one is one. */
export function readLayer(file: string, content: Buffer): LayerResult {
  const refused = (message: string, line?: number): LayerResult => ({
    ok: false,
    problem: { reason: 'GitRefusedEdit', message, file, line },
  })
  const yaml = parseYaml(content)
  if (!yaml) return refused('is not UTF-8')
  if (yaml.error) return refused(yaml.error.message, yaml.error.line)
  const [document] = yaml.documents
  let value: unknown
  try {
    value = document ? (plainJson(document) ?? {}) : {}
  } catch (error) {
    return refused(error instanceof Error ? error.message : String(error), 1)
  }
  const traced: Traced = tracedAt(value, { file, document: 0, path: [] })
  if (!isObject(value) || !(traced instanceof Map)) return refused('is no kustomization', 1)
  const folder = dirname(file) === '.' ? '' : dirname(file)
  const misshapen = Object.keys(value).find((field) => !isShaped(field, value[field]))
  if (misshapen !== undefined)
    return refused(`has ${misshapen} in a form that kustomize does not read`, lineOf(misshapen))
  return { ok: true, layer: { file, folder, content: value, traced, lineOf } }

  function lineOf(...path: (string | number)[]): number | undefined {
    let node: unknown = document?.contents
    let offset: number | undefined
    for (const segment of path) {
      const next: unknown = isMap(node)
        ? own(node, segment)
        : isNode(node) && 'items' in node && Array.isArray(node.items)
          ? node.items[Number(segment)]
          : undefined
      if (next === undefined) break
      const start = isNode(next) ? next : fieldAt(next, 'key')
      if (isNode(start) && start.range) offset = start.range[0]
      node = isNode(next) ? next : fieldAt(next, 'value')
    }
    return offset === undefined ? undefined : yaml?.lineAt(offset)
  }
}

/** Whether a field is of the kind that kustomize takes; nothing is nothing, and other fields are not looked at. */
function isShaped(field: string, value: unknown): boolean {
  if (value === null) return true
  if (['resources', 'bases', 'components', 'patchesStrategicMerge'].includes(field))
    return Array.isArray(value) && value.every((entry) => typeof entry === 'string')
  if (['patches', 'patchesJson6902', 'images', 'replicas', 'labels'].includes(field))
    return Array.isArray(value) && value.every(isObject)
  if (['namespace', 'namePrefix', 'nameSuffix'].includes(field)) return typeof value === 'string'
  return !['commonLabels', 'commonAnnotations'].includes(field) || isObject(value)
}

export const kustomizationNames = ['kustomization.yaml', 'kustomization.yml', 'Kustomization']

/** A path that a file of `folder` names, from the root of the repository; undefined where it leads out of it, or to another one. */
export function pathFrom(folder: string, path: string): string | undefined {
  if (/^[a-z][a-z0-9+.-]*:|^[^/]+@[^/]+:|[?&]ref=|^\/|\.git\/?$|\.git\/\/|^github\.com[/:]/i.test(path))
    return undefined
  const resolved = posix.normalize(posix.join(folder === '' ? '.' : folder, path)).replace(/\/$/, '')
  if (resolved === '.' || resolved === '') return ''
  return resolved === '..' || resolved.startsWith('../') ? undefined : resolved
}

/** The files and folders that a kustomization names, from the root of the repository. */
export function referencesOf(folder: string, content: unknown): string[] {
  const texts = ['resources', 'bases', 'components', 'transformers', 'generators', 'configurations'].flatMap((field) =>
    listAt(content, field).filter((entry) => typeof entry === 'string'),
  )
  const merged = listAt(content, 'patchesStrategicMerge').filter((entry) => typeof entry === 'string')
  const patches = [...listAt(content, 'patches'), ...listAt(content, 'patchesJson6902')].flatMap(
    (patch) => textAt(patch, 'path') ?? [],
  )
  return [...texts, ...merged.filter((text) => !text.includes('\n')), ...patches].flatMap(
    (path) => pathFrom(folder, path) ?? [],
  )
}

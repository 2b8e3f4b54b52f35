import { isCollection, isMap, isSeq } from 'yaml'
import type { Problem } from '../errors.ts'
import type { KubeObject } from '../kube/object.ts'
import type { Rendered } from './rendered.ts'
import { parseYaml, plainJson } from './yaml-document.ts'

export type Path = (string | number)[]

/** One Kubernetes object as a file declares it. */
export interface Manifest {
  file: string
  /** First line of the object, from 1. */
  line: number
  /** Which document of the file, from 0. */
  document: number
  /** Where in the document: empty, or `['items', n]` in a List. */
  path: Path
  object: KubeObject
  /** Set where the object is not what this file alone says: a kustomization, or a tool that renders values, has a part in it. */
  rendered?: Rendered
}

export interface ManifestFile {
  manifests: Manifest[]
  /** What could not be read; the file's other documents are still there where that is safe. */
  problems: Problem[]
  /** Documents that are YAML but no Kubernetes objects, by line. */
  others: number[]
}

/** Whether a file may hold manifests, by its name. */
export function isManifestFile(path: string): boolean {
  return /\.(ya?ml|json)$/i.test(path)
}

/** Reads every object of a file: several documents, Lists, JSON. Never throws. */
export function readManifests(file: string, content: Buffer): ManifestFile {
  const result: ManifestFile = { manifests: [], problems: [], others: [] }
  const invalid = (message: string, line?: number) => {
    result.problems.push({ reason: 'ManifestInvalid', message, file, line })
    return result
  }
  const yaml = parseYaml(content)
  if (!yaml) return invalid('is not UTF-8')
  if (yaml.error) return invalid(yaml.error.message, yaml.error.line)
  yaml.documents.forEach((document, index) => {
    if (document.contents === null) return
    const line = yaml.lineAt(document.contents.range[0])
    let value: unknown
    try {
      value = plainJson(document)
    } catch (error) {
      invalid(error instanceof Error ? error.message : String(error), line)
      return
    }
    if (value === null) return
    if (!isObject(value) || typeof value.apiVersion !== 'string' || typeof value.kind !== 'string') {
      result.others.push(line)
      return
    }
    if (value.kind.endsWith('List') && Array.isArray(value.items)) {
      const items = isMap(document.contents) ? document.contents.get('items', true) : undefined
      value.items.forEach((item, i) => {
        const node = isSeq(items) ? items.items[i] : undefined
        const at = isCollection(node) && node.range ? yaml.lineAt(node.range[0]) : line
        add(item, at, index, ['items', i])
      })
      return
    }
    add(value, line, index, [])
  })
  return result

  function add(value: unknown, line: number, document: number, path: Path): void {
    if (isKubeObject(value)) result.manifests.push({ file, line, document, path, object: value })
    else
      invalid(
        isObject(value) && value.kind ? `${value.kind} has no metadata.name` : 'an item of the List is no object',
        line,
      )
  }
}

function isKubeObject(value: unknown): value is KubeObject {
  if (!isObject(value) || typeof value.apiVersion !== 'string' || typeof value.kind !== 'string') return false
  if (!isObject(value.metadata)) return false
  const { name, namespace, generateName } = value.metadata
  const named = (typeof name === 'string' && name !== '') || (name === undefined && typeof generateName === 'string')
  return named && (namespace === undefined || typeof namespace === 'string')
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object' && !Array.isArray(value)
}

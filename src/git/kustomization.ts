import { dirname } from 'node:path'
import { textAt } from '../kube/field.ts'
import { readLayer } from './kustomize/layer.ts'
import { isKnownField } from './kustomize/obstacles.ts'

/** A kustomization.yaml, as far as Sluice understands them. */
export interface KustomizationFile {
  file: string
  /** The folder it stands in; '' for the root. */
  folder: string
  namespace?: string
  /**
   * All that it says, as plain JSON. Where kustomize would not read it, `resources` is every word of it, so that
   * no base of it is taken for a whole.
   */
  content: Record<string, unknown>
}

export function isKustomization(path: string): boolean {
  return /(^|\/)(kustomization\.ya?ml|Kustomization)$/.test(path)
}

/** Reads one; never throws. */
export function readKustomization(file: string, content: Buffer): KustomizationFile {
  const folder = dirname(file) === '.' ? '' : dirname(file)
  const read = readLayer(file, content)
  if (!read.ok) return { file, folder, content: { resources: wordsOf(content) } }
  const { content: value } = read.layer
  const isStrange = Object.keys(value).some((field) => !isKnownField(field))
  const all = isStrange ? { ...value, resources: wordsOf(content) } : value
  return { file, folder, namespace: textAt(value, 'namespace'), content: all }
}

const mostWords = 200

function wordsOf(content: Buffer): string[] {
  return [...new Set(content.toString('latin1').match(/[\w./-]+/g))].slice(0, mostWords)
}

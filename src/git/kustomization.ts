import { dirname } from 'node:path'
import { z } from 'zod'
import { isObject } from './manifest.ts'
import { parseYaml, plainJson } from './yaml-document.ts'

/** A kustomization.yaml, as far as Sluice understands them. */
export interface KustomizationFile {
  file: string
  /** The folder it stands in; '' for the root. */
  folder: string
  namespace?: string
  /** All that it says, as plain JSON; empty where it cannot be read. */
  content: Record<string, unknown>
}

const schema = z.looseObject({ namespace: z.string().optional() })

export function isKustomization(path: string): boolean {
  return /(^|\/)(kustomization\.ya?ml|Kustomization)$/.test(path)
}

/** Reads one; never throws. */
export function readKustomization(file: string, content: Buffer): KustomizationFile {
  const folder = dirname(file) === '.' ? '' : dirname(file)
  const nothing: KustomizationFile = { file, folder, content: {} }
  const yaml = parseYaml(content)
  if (!yaml || yaml.error || !yaml.documents[0]) return nothing
  try {
    const value = plainJson(yaml.documents[0])
    const parsed = schema.safeParse(value)
    if (!isObject(value) || !parsed.success) return nothing
    return { file, folder, namespace: parsed.data.namespace, content: value }
  } catch {
    return nothing
  }
}

import { dirname, posix } from 'node:path'
import { z } from 'zod'
import type { Problem } from '../errors.ts'
import { isObject, readManifests } from './manifest.ts'
import { parseYaml, plainJson } from './yaml-document.ts'

/** A kustomization.yaml, as far as Sluice understands them. */
export interface KustomizationFile {
  file: string
  /** The folder it stands in; '' for the root. */
  folder: string
  namespace?: string
  /** Paths of its resources from the root of the repository, in its order. */
  resources: string[]
  /** What it patches, where it says so; an empty name matches any. */
  patches: { kind: string; name: string }[]
  /** All that it says, as plain JSON; empty where it cannot be read. */
  content: Record<string, unknown>
  /** Why it cannot be applied as it is; undefined when it only lists resources and a namespace. */
  problem?: Problem
}

const understood = new Set(['apiVersion', 'kind', 'metadata', 'namespace', 'resources', 'patches', 'patchesJson6902'])

const target = z.looseObject({
  kind: z.string().default(''),
  name: z.string().default(''),
})
const schema = z.looseObject({
  namespace: z.string().optional(),
  resources: z.array(z.string()).default([]),
  patches: z.array(z.looseObject({ target: target.optional(), patch: z.string().optional() })).default([]),
  patchesJson6902: z.array(z.looseObject({ target: target.optional() })).default([]),
})

export function isKustomization(path: string): boolean {
  return /(^|\/)(kustomization\.ya?ml|Kustomization)$/.test(path)
}

/** Reads one; never throws. */
export function readKustomization(file: string, content: Buffer): KustomizationFile {
  const folder = dirname(file) === '.' ? '' : dirname(file)
  const nothing: KustomizationFile = { file, folder, resources: [], patches: [], content: {} }
  const invalid = (message: string, line?: number): KustomizationFile => ({
    ...nothing,
    problem: { reason: 'ManifestInvalid', message, file, line },
  })
  const yaml = parseYaml(content)
  if (!yaml) return invalid('is not UTF-8')
  if (yaml.error) return invalid(yaml.error.message, yaml.error.line)
  const value = yaml.documents[0] ? plainJson(yaml.documents[0]) : {}
  const parsed = schema.safeParse(value)
  if (!isObject(value) || !parsed.success) return invalid('is no kustomization that Sluice can read')
  const { namespace, resources, patches, patchesJson6902 } = parsed.data
  const foreign = Object.keys(value).filter((key) => !understood.has(key) || /^patches/.test(key))
  const outside = resources.find(
    (path) => /^[a-z]+:\/\/|^[^/]+@|\?ref=|^\//.test(path) || resolve(folder, path).startsWith('..'),
  )
  return {
    file,
    folder,
    namespace,
    resources: resources.map((path) => resolve(folder, path)),
    patches: [...patches.map((p) => p.target ?? inline(file, p.patch)), ...patchesJson6902.map((p) => p.target)].filter(
      (p) => p !== undefined,
    ),
    content: value,
    problem:
      foreign.length > 0
        ? refusal(file, `uses ${foreign.join(', ')}; Sluice applies only kustomizations with resources and namespace`)
        : outside !== undefined
          ? refusal(file, `names the resource ${outside}, which is not in this repository`)
          : undefined,
  }
}

/** What a patch that is written into the kustomization itself is about. */
function inline(file: string, patch: string | undefined): { kind: string; name: string } | undefined {
  const [manifest] = patch === undefined ? [] : readManifests(file, Buffer.from(patch)).manifests
  return manifest && { kind: manifest.object.kind, name: manifest.object.metadata.name }
}

function refusal(file: string, message: string): Problem {
  return { reason: 'ManifestInvalid', message, file }
}

/** A path that a file of `folder` names, from the root of the repository. */
export function resolve(folder: string, path: string): string {
  return posix.normalize(posix.join(folder === '' ? '.' : folder, path)).replace(/\/$/, '')
}

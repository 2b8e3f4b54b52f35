import type { Problem } from '../errors.ts'
import { fieldAt, listAt, textAt } from '../kube/field.ts'
import { type KustomizationFile, resolve } from './kustomization.ts'
import type { ManifestRef } from './locate.ts'
import { isObject, type Manifest } from './manifest.ts'
import type { Tree } from './tree.ts'
import { parseYaml, plainJson } from './yaml-document.ts'

/** Fields of a kustomization that may change every pod template below it. */
const transformers = [
  'commonLabels',
  'commonAnnotations',
  'namePrefix',
  'nameSuffix',
  'replacements',
  'vars',
  'components',
  'transformers',
  'helmCharts',
  'helmChartInflationGenerator',
]

/** Files that kustomizations use as patches: they look like manifests, and are none. */
export function patchFiles(kustomizations: KustomizationFile[]): Set<string> {
  return new Set(kustomizations.flatMap((k) => patchesOf(k).flatMap(({ path }) => path ?? [])))
}

/**
 * Why the pod template of a Deployment is not simply what its manifest says: a kustomization that uses the file changes the template
 * (patches, images, labels …), or several use it, so that an edit would reach further than the one Deployment. Undefined when it is.
 */
export async function templateObstacle(tree: Tree, manifest: Manifest, ref: ManifestRef): Promise<Problem | undefined> {
  const users = usersOf(manifest.file, await tree.kustomizations())
  const refused = (message: string): Problem => ({
    reason: 'GitRefusedEdit',
    message: `${ref.kind} ${ref.namespace}/${ref.name} ${message}`,
    file: manifest.file,
    line: manifest.line,
  })
  for (const user of users) {
    const how = changes(user, manifest) ?? ((await isPatched(tree, user, ref)) ? 'patches' : undefined)
    if (how) return refused(`does not have its pod template from this file alone: ${user.file} changes it (${how})`)
  }
  const roots = users.filter((user) => !users.some((other) => other !== user && other.resources.includes(user.folder)))
  if (roots.length > 1)
    return refused(`is used by several kustomizations: ${roots.map(({ file }) => file).join(' and ')}`)
  return undefined
}

/** Kustomizations that bring a file to a cluster, directly or through others. */
function usersOf(file: string, kustomizations: KustomizationFile[]): KustomizationFile[] {
  const found = new Set(kustomizations.filter((k) => k.resources.includes(file)))
  for (const user of found) {
    for (const k of kustomizations) {
      const bases = listAt(k.content, 'bases').map((base) => resolve(k.folder, String(base)))
      if ([...k.resources, ...bases].includes(user.folder)) found.add(k)
    }
  }
  return [...found]
}

/** The field by which a kustomization changes the template, wherever it stands. */
function changes({ content }: KustomizationFile, { object }: Manifest): string | undefined {
  const transformer = transformers.find((field) => !isEmpty(content[field]))
  if (transformer) return transformer
  const template = JSON.stringify(fieldAt(object, 'spec', 'template') ?? {})
  const images = imagesIn(object)
  if (listAt(content, 'images').some((image) => images.has(textAt(image, 'name') ?? ''))) return 'images'
  const labels = listAt(content, 'labels')
  if (labels.some((l) => fieldAt(l, 'includeTemplates') === true || fieldAt(l, 'includeSelectors') === true))
    return 'labels'
  return ['configMapGenerator', 'secretGenerator'].find((field) =>
    listAt(content, field).some((generator) => template.includes(JSON.stringify(textAt(generator, 'name') ?? ''))),
  )
}

/** Names of all images of a Deployment, without tag and digest. */
function imagesIn(object: unknown): Set<string> {
  const pod = fieldAt(object, 'spec', 'template', 'spec')
  const containers = [...listAt(pod, 'containers'), ...listAt(pod, 'initContainers')]
  const images = containers.flatMap((container) => textAt(container, 'image') ?? [])
  return new Set(images.map((image) => image.replace(/@.*$/, '').replace(/:[^:/]+$/, '')))
}

interface KustomizePatch {
  target?: unknown
  path?: string
  text?: string
}

function patchesOf({ folder, content }: KustomizationFile): KustomizePatch[] {
  const named = [...listAt(content, 'patches'), ...listAt(content, 'patchesJson6902')].map((entry) => {
    const path = textAt(entry, 'path')
    return {
      target: fieldAt(entry, 'target'),
      text: textAt(entry, 'patch'),
      path: path === undefined ? undefined : resolve(folder, path),
    }
  })
  const merged = listAt(content, 'patchesStrategicMerge').map((entry) =>
    String(entry).includes('\n') ? { text: String(entry) } : { path: resolve(folder, String(entry)) },
  )
  return [...named, ...merged]
}

/** Whether a patch of this kustomization reaches into the pod template of the object. What cannot be read is taken to. */
async function isPatched(tree: Tree, kustomization: KustomizationFile, ref: ManifestRef): Promise<boolean> {
  for (const { target, path, text } of patchesOf(kustomization)) {
    if (target !== undefined && !isTarget(target, ref)) continue
    const content = text === undefined ? path && (await tree.read(path)) : Buffer.from(text)
    const yaml = content ? parseYaml(content) : undefined
    if (!yaml || yaml.error) return true
    const documents = yaml.documents.map(plainJson)
    const mine = target === undefined ? documents.filter((d) => isAbout(d, ref)) : documents
    if (mine.some(reachesTemplate)) return true
  }
  return false
}

function isTarget(target: unknown, { kind, name }: ManifestRef): boolean {
  return matches(textAt(target, 'kind'), kind) && matches(textAt(target, 'name'), name)
}

/** Kustomize reads the fields of a target as expressions that match the whole. */
function matches(pattern: string | undefined, value: string): boolean {
  if (pattern === undefined || pattern === '' || pattern === value) return true
  try {
    return new RegExp(`^(?:${pattern})$`).test(value)
  } catch {
    return true
  }
}

function isAbout(patch: unknown, { kind, name }: ManifestRef): boolean {
  return textAt(patch, 'kind') === kind && textAt(patch, 'metadata', 'name') === name
}

function reachesTemplate(patch: unknown): boolean {
  if (!Array.isArray(patch)) return fieldAt(patch, 'spec', 'template') !== undefined
  return patch.some((operation) => /^\/spec(\/template(\/|$)|$)/.test(textAt(operation, 'path') ?? '/spec'))
}

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === '') return true
  return isObject(value) || Array.isArray(value) ? Object.keys(value).length === 0 : false
}

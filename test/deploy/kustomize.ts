import { existsSync, readFileSync, statSync } from 'node:fs'
import { join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parse, parseAllDocuments } from 'yaml'

// Manifests are of every kind.
// biome-ignore lint/suspicious/noExplicitAny: YAML of any shape
export type Manifest = any

interface Kustomization {
  resources?: string[]
  components?: string[]
  images?: { name: string; newName?: string; newTag?: string }[]
  patches?: { target: { kind: string; name?: string }; patch: string }[]
}

const understood = ['apiVersion', 'kind', 'resources', 'components', 'images', 'patches']
export const top = fileURLToPath(new URL('../../', import.meta.url))

/**
 * What `kubectl kustomize` makes of a folder of this repository, for machines without kubectl: the few features that deploy/ uses,
 * and an error for any other. Where kubectl is there, a test compares the two.
 */
export function render(folder: string): Manifest[] {
  const name = ['kustomization.yaml', 'Kustomization'].find((each) => existsSync(join(top, folder, each)))
  if (!name) throw new Error(`${folder} has no kustomization`)
  const declared: Kustomization = parse(readFileSync(join(top, folder, name), 'utf8'))
  const unknown = Object.keys(declared).filter((key) => !understood.includes(key))
  if (unknown.length > 0) throw new Error(`${folder}/${name}: this reader does not know ${unknown.join(', ')}`)
  const paths = [...(declared.resources ?? []), ...(declared.components ?? [])]
  const objects = paths.flatMap((path) => {
    const inside = normalize(join(folder, path))
    return statSync(join(top, inside)).isDirectory() ? render(inside) : documentsOf(inside)
  })
  for (const { target, patch } of declared.patches ?? []) {
    const matching = objects.filter((o) => o.kind === target.kind && (!target.name || o.metadata.name === target.name))
    if (matching.length === 0)
      throw new Error(`${folder}/${name}: a patch finds no ${target.kind} ${target.name ?? ''}`)
    for (const object of matching) for (const operation of parse(patch)) change(object, operation)
  }
  for (const image of declared.images ?? []) for (const object of objects) rename(object, image)
  return objects
}

/** The documents of a file of this repository, as kubectl reads them: YAML 1.1, where a bare `Off` is a boolean. */
export function documentsOf(file: string): Manifest[] {
  return parseAllDocuments(readFileSync(join(top, file), 'utf8'), { version: '1.1' }).map((document) => document.toJS())
}

/** `add` of RFC 6902, to a map or to the end of a list; the only operation that deploy/ uses. */
function change(object: Manifest, { op, path, value }: { op: string; path: string; value: unknown }): void {
  if (op !== 'add') throw new Error(`this reader does not know the operation ${op}`)
  const steps = path.split('/').slice(1)
  const last = steps.pop() ?? ''
  const parent = steps.reduce((at, step) => at[step], object)
  if (last === '-') parent.push(value)
  else parent[last] = value
}

function rename(node: Manifest, image: NonNullable<Kustomization['images']>[number]): void {
  if (typeof node !== 'object' || node === null) return
  for (const container of node.containers ?? []) {
    const [name, tag] = String(container.image).split(':')
    if (name === image.name) container.image = `${image.newName ?? name}:${image.newTag ?? tag}`
  }
  for (const child of Object.values(node)) rename(child, image)
}

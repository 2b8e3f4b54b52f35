import type { Problem } from '../errors.ts'
import { groupOf } from './group.ts'
import type { KustomizationFile } from './kustomization.ts'
import { kustomizedIn } from './kustomized.ts'
import type { Manifest } from './manifest.ts'
import { sharedFile } from './shared-file.ts'
import type { Tree } from './tree.ts'

export { groupOf }

/** The object that is looked for in a repository. */
export interface ManifestRef {
  group: string
  kind: string
  namespace: string
  name: string
}

export type Located =
  | { state: 'found'; manifest: Manifest }
  /** `hint`: what could not be read, where that may be why. */
  | { state: 'missing'; hint?: Problem }
  /** It is there, but not in one place that could be edited. */
  | { state: 'refused'; problem: Problem }

export interface NamespaceRule {
  /** Namespace of objects that name none. */
  fallback: string
  /** Somebody else applies the repository and may choose another namespace for such objects. */
  anyNamespace: boolean
}

interface Candidate {
  manifest: Manifest
  namespace: string | undefined
  /** The kustomization that makes it; undefined for a manifest that stands alone. */
  root?: string
  folders?: ReadonlySet<string>
  obstacle?: Problem
}

/**
 * The one manifest of an object: as the kustomizations under the source's path make it, or where none does, as a file declares it. There
 * a `namespace:` in a kustomization of the same folder outranks the object's own; an object without either is in the fallback namespace.
 */
export async function locateManifest(tree: Tree, ref: ManifestRef, rule: NamespaceRule): Promise<Located> {
  const { objects, covered, problems } = await kustomizedIn(tree, ref)
  const kustomizations = await tree.kustomizations()
  const declared = (await tree.declared(ref.kind, ref.name)).filter(
    (manifest) => groupOf(manifest.object.apiVersion) === ref.group && !covered.has(manifest.file),
  )
  const candidates: Candidate[] = [
    ...objects.filter(({ name }) => name === ref.name),
    ...declared.map((manifest) => ({ manifest, namespace: namespaceOf(manifest, kustomizations) })),
  ]
  const exact = candidates.filter(({ namespace }) => (namespace ?? rule.fallback) === ref.namespace)
  const unnamed = rule.anyNamespace ? candidates.filter(({ namespace }) => namespace === undefined) : []
  const found = exact.length > 0 ? exact : unnamed
  const [one] = found
  if (!one) return { state: 'missing', ...(problems[0] ? { hint: problems[0] } : {}) }
  if (found.length > 1) return refused(severally(ref, found), one.manifest)
  if (one.obstacle) {
    const message = `${nameOf(ref)} is not what its manifest ${one.manifest.file} says: the kustomization ${one.obstacle.message}`
    return { state: 'refused', problem: { ...one.obstacle, message } }
  }
  const { manifest, folders } = one
  const shared = folders && !manifest.rendered ? await sharedFile(tree, folders, [manifest.file]) : undefined
  if (shared) return refused(`${nameOf(ref)} ${shared.message}`, manifest)
  return { state: 'found', manifest }
}

function severally(ref: ManifestRef, found: Candidate[]): string {
  const roots = [...new Set(found.map(({ root }) => root))]
  const isShared = new Set(found.map(({ manifest }) => `${manifest.file}:${manifest.line}`)).size === 1
  if (isShared && roots.every((root) => root !== undefined))
    return `${nameOf(ref)} is used by several kustomizations: ${roots.join(' and ')}`
  const places = found.map(({ manifest: m, root }) => `${m.file}:${m.line}${root && m.rendered ? ` (${root})` : ''}`)
  return `${nameOf(ref)} is declared in several places: ${places.join(' and ')}`
}

function nameOf({ kind, namespace, name }: ManifestRef): string {
  return `${kind} ${namespace}/${name}`
}

/** The namespace that the repository gives an object; undefined when it gives none. */
function namespaceOf(manifest: Manifest, kustomizations: KustomizationFile[]): string | undefined {
  const folder = manifest.file.includes('/') ? manifest.file.slice(0, manifest.file.lastIndexOf('/')) : ''
  const kustomization = kustomizations.find((k) => k.folder === folder && k.namespace !== undefined)
  return kustomization?.namespace ?? manifest.object.metadata.namespace
}

function refused(message: string, at: Manifest): Located {
  return { state: 'refused', problem: { reason: 'GitRefusedEdit', message, file: at.file, line: at.line } }
}

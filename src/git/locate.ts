import type { Problem } from '../errors.ts'
import { groupOf } from './group.ts'
import type { KustomizationFile } from './kustomization.ts'
import type { Manifest } from './manifest.ts'
import type { Tree } from './tree.ts'

/** The object that is looked for in a repository. */
export interface ManifestRef {
  group: string
  kind: string
  namespace: string
  name: string
}

export type Located =
  | { state: 'found'; manifest: Manifest }
  | { state: 'missing' }
  /** It is there, but not in one place that could be edited. */
  | { state: 'refused'; problem: Problem }

export interface NamespaceRule {
  /** Namespace of objects that name none. */
  fallback: string
  /** Somebody else applies the repository and may choose another namespace for such objects. */
  anyNamespace: boolean
}

/**
 * The one manifest of an object. A `namespace:` in a kustomization of the same folder outranks the object's own, as it does
 * in kustomize; an object without either is in the fallback namespace.
 */
export async function locateManifest(tree: Tree, ref: ManifestRef, rule: NamespaceRule): Promise<Located> {
  const located = await locateDeclaration(tree, ref, rule)
  if (located.state !== 'found') return located
  const kustomizations = await tree.kustomizations()
  const patch = kustomizations.find((k) => k.patches.some((p) => patches(p, ref)))
  if (!patch) return located
  const message = `${nameOf(ref)} is patched by ${patch.file}, so that its own file does not decide`
  return refused(message, located.manifest)
}

/** The same, whatever patches say of it; files for which `skip` says so are passed over. */
export async function locateDeclaration(
  tree: Tree,
  ref: ManifestRef,
  rule: NamespaceRule,
  skip: (file: string) => boolean = () => false,
): Promise<Located> {
  const declared = await tree.declared(ref.kind, ref.name)
  const candidates = declared.filter(
    (manifest) => groupOf(manifest.object.apiVersion) === ref.group && !skip(manifest.file),
  )
  if (candidates.length === 0) return { state: 'missing' }
  const kustomizations = await tree.kustomizations()
  const namespaces = candidates.map((manifest) => namespaceOf(manifest, kustomizations))
  const exact = candidates.filter((_, i) => (namespaces[i] ?? rule.fallback) === ref.namespace)
  const unnamed = rule.anyNamespace ? candidates.filter((_, i) => namespaces[i] === undefined) : []
  const found = exact.length > 0 ? exact : unnamed
  const [manifest] = found
  if (!manifest) return { state: 'missing' }
  if (found.length > 1) {
    const places = found.map((m) => `${m.file}:${m.line}`).join(' and ')
    return refused(`${nameOf(ref)} is declared in several places: ${places}`, manifest)
  }
  return { state: 'found', manifest }
}

function nameOf({ kind, namespace, name }: ManifestRef): string {
  return `${kind} ${namespace}/${name}`
}

/** The namespace that the repository gives an object; undefined when it gives none. */
export function namespaceOf(manifest: Manifest, kustomizations: KustomizationFile[]): string | undefined {
  const folder = manifest.file.includes('/') ? manifest.file.slice(0, manifest.file.lastIndexOf('/')) : ''
  const kustomization = kustomizations.find((k) => k.folder === folder && k.namespace !== undefined)
  return kustomization?.namespace ?? manifest.object.metadata.namespace
}

function patches(target: { kind: string; name: string }, ref: ManifestRef): boolean {
  return target.kind === ref.kind && (target.name === '' || target.name === ref.name)
}

function refused(message: string, at: Manifest): Located {
  return { state: 'refused', problem: { reason: 'GitRefusedEdit', message, file: at.file, line: at.line } }
}

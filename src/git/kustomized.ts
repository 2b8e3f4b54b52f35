import { isDeepStrictEqual } from 'node:util'
import type { Problem } from '../errors.ts'
import { fieldAt } from '../kube/field.ts'
import type { KustomizationFile } from './kustomization.ts'
import { build, type Kind, type Rendering } from './kustomize/build.ts'
import { fieldOf } from './kustomize/kinds.ts'
import { referencesOf } from './kustomize/layer.ts'
import type { Manifest, Path } from './manifest.ts'
import { type Read, type Rendered, renderedManifest } from './rendered.ts'
import { at, leavesOf, plain } from './traced.ts'
import type { Tree } from './tree.ts'

/** One object that a kustomization under the source's path makes. */
export interface Kustomized {
  manifest: Manifest
  name: string
  namespace: string | undefined
  /** The kustomization that makes it, as nothing else uses that one. */
  root: string
  folders: ReadonlySet<string>
  /** It may be something else than is known here. */
  obstacle?: Problem
}

export interface KustomizedObjects {
  objects: Kustomized[]
  /** Files that are part of a kustomization: what they declare is not taken for itself. */
  covered: ReadonlySet<string>
  /** What could not be read, as a base in another repository. */
  problems: Problem[]
}

/**
 * Every object of a kind as the kustomizations under the source's path make it. Each is rendered once for a tree, and not again for the next
 * one unless a file has changed that it was rendered from.
 */
export function kustomizedIn(tree: Tree, kind: Kind): Promise<KustomizedObjects> {
  const name = `kustomized ${kind.group}/${kind.kind}`
  return tree.derived(name, async () => {
    const result: KustomizedObjects & { covered: Set<string> } = { objects: [], covered: new Set(), problems: [] }
    // Brings all files to hand at once; read one by one, each would cost a process.
    await tree.declared(kind.kind, '')
    let turn = 0
    for (const root of await rootsIn(tree)) {
      const part = await tree.made(`${name} ${root.file}`, (read) => renderRoot(read, root, kind), sizeOf)
      result.objects.push(...part.objects)
      result.problems.push(...part.problems)
      for (const file of part.covered) result.covered.add(file)
      turn = (turn + 1) % rootsPerTurn
      if (turn === 0) await new Promise((resume) => setImmediate(resume))
    }
    return result
  })
}

/** Kustomizations between two turns of the event loop. */
const rootsPerTurn = 4

async function renderRoot(read: Read, root: KustomizationFile, kind: Kind): Promise<KustomizedObjects> {
  const built = await build(read, root.folder, [kind])
  const objects = built.objects.map((rendering) => objectOf(root, rendering, built, kind))
  return { objects, covered: built.files, problems: built.problems }
}

/** Scalars and files that are kept of it. */
function sizeOf({ objects, covered }: KustomizedObjects): number {
  const scalars = objects.map(({ manifest }) =>
    manifest.rendered ? [...leavesOf(manifest.rendered.object)].length : 1,
  )
  return scalars.reduce((sum, count) => sum + count, covered.size)
}

/** Kustomizations that no other uses: those that an engine may be pointed at. Components are none. */
async function rootsIn(tree: Tree): Promise<KustomizationFile[]> {
  const all = await tree.kustomizations()
  const isUsed = usedBy(all)
  return all.filter((k) => (tree.path === '' || k.file.startsWith(`${tree.path}/`)) && !isUsed(k))
}

/** Whether a kustomization is a part of others, which use it. */
export function usedBy(all: KustomizationFile[]): (one: KustomizationFile) => boolean {
  const used = new Set(all.flatMap(({ folder, content }) => referencesOf(folder, content)))
  return ({ folder, content }) => used.has(folder) || content.kind === 'Component'
}

function objectOf(
  root: KustomizationFile,
  rendering: Rendering,
  { files, folders }: { files: Set<string>; folders: Set<string> },
  kind: Kind,
): Kustomized {
  const { base, ids, object, obstacle } = rendering
  const { name, namespace } = ids.at(-1)!
  const rendered: Rendered = {
    object,
    files,
    folders,
    obstacle,
    again: (read) => renderAgain(read, root, kind, { name, namespace }),
  }
  const isItself = !obstacle && ids[0]!.name === name && isAsDeclared(rendering, fieldOf(kind))
  const manifest = isItself ? base : renderedManifest(base, rendered)
  return { manifest, name, namespace, root: root.file, folders, obstacle }
}

async function renderAgain(
  read: Read,
  root: KustomizationFile,
  kind: Kind,
  id: { name: string; namespace: string | undefined },
): Promise<Manifest | undefined> {
  const built = await build(read, root.folder, [kind])
  const found = built.objects.filter(
    ({ ids }) => ids.at(-1)!.name === id.name && ids.at(-1)!.namespace === id.namespace,
  )
  const [one] = found
  if (!one || found.length > 1) return undefined
  const rendered: Rendered = {
    object: one.object,
    files: built.files,
    folders: built.folders,
    obstacle: one.obstacle,
    again: (other) => renderAgain(other, root, kind, id),
  }
  return renderedManifest(one.base, rendered)
}

/** Whether its own file alone decides: nothing of the field comes from elsewhere, and nothing is gone. */
function isAsDeclared({ object, base }: Rendering, field: Path): boolean {
  const now = at(object, field)
  if (now === undefined) return fieldAt(base.object, ...field) === undefined
  for (const { from } of leavesOf(now))
    if (from?.file !== base.file || from.within || from.document !== base.document) return false
  return isDeepStrictEqual(plain(now), fieldAt(base.object, ...field))
}

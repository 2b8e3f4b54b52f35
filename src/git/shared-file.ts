import type { Problem } from '../errors.ts'
import { isKustomization, type KustomizationFile } from './kustomization.ts'
import { referencesOf } from './kustomize/layer.ts'
import type { Tree } from './tree.ts'

/**
 * The first of these files that makes objects of other kustomizations as well, so that an edit for one would change the others; with both
 * named, and what to do. Kustomizations are looked for under the source's path, and in the whole repository where the file is outside it.
 */
export async function sharedFile(
  tree: Tree,
  folders: ReadonlySet<string>,
  files: string[],
): Promise<Problem | undefined> {
  if (folders.size === 0) return undefined
  for (const file of files) {
    const inside = tree.path === '' || file.startsWith(`${tree.path}/`)
    const kustomizations = inside ? await tree.kustomizations() : await tree.allKustomizations()
    const users = usersOf(file, kustomizations)
    const foreign = users.find((user) => !folders.has(user.folder))
    if (!foreign) continue
    const [root = ''] = folders
    const own = kustomizations.find(({ folder }) => folder === root)
    const where = root === '' ? 'the kustomization of this cluster' : `the kustomization in ${root}`
    const message = `is used by several kustomizations: ${own?.file ?? root} and ${foreign.file}; write the field in a patch or in images of ${where}`
    return { reason: 'GitRefusedEdit', message, file, line: 1 }
  }
  return undefined
}

/** Kustomizations that bring a file to a cluster, directly or through others. */
export function usersOf(file: string, kustomizations: KustomizationFile[]): KustomizationFile[] {
  const named = new Map(kustomizations.map((k) => [k, new Set(referencesOf(k.folder, k.content))]))
  const own = isKustomization(file) ? kustomizations.find((k) => k.file === file) : undefined
  const found = new Set(own ? [own] : kustomizations.filter((k) => named.get(k)!.has(file)))
  for (const user of found) for (const k of kustomizations) if (named.get(k)!.has(user.folder)) found.add(k)
  return [...found]
}

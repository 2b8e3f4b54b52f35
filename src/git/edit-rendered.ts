import { isDeepStrictEqual } from 'node:util'
import type { Problem } from '../errors.ts'
import { type EditResult, editScalars, type ScalarEdit, setAt, show } from './edit.ts'
import { editText } from './inline-text.ts'
import { editImageEntry } from './kustomize/image-entry.ts'
import type { Manifest } from './manifest.ts'
import { sharedFile } from './shared-file.ts'
import { at, copyOf, isLeaf, leavesOf, type Place, plain, type Traced, textOf } from './traced.ts'
import type { Tree } from './tree.ts'

/** Files that an edit changes, or why it is refused. */
export type FilesEdit = { ok: true; changes: Map<string, Buffer> } | { ok: false; problem: Problem }

/**
 * Gives scalars of a rendered object their values where they are written: the base, a patch, an entry of `images`, a values file.
 * Then it is rendered again, and unless precisely those values have changed, the edit is refused; so is one in a file that makes other
 * clusters' objects as well.
 */
export async function editRendered(tree: Tree, manifest: Manifest, edits: ScalarEdit[]): Promise<FilesEdit> {
  const { rendered } = manifest
  if (!rendered) return refused(manifest, 'is not rendered')
  if (rendered.obstacle) return { ok: false, problem: rendered.obstacle }
  const open = edits.filter(({ path, value }) => textOf(at(rendered.object, path)) !== String(value))
  let changes = new Map<string, Buffer>()
  for (const edit of open) {
    const next = await editOne(tree.with(changes), manifest, edit)
    if (!next.ok) return next
    changes = new Map([...changes, ...next.changes])
  }
  const shared = await sharedFile(tree, rendered.folders, [...changes.keys()])
  if (shared) return { ok: false, problem: { ...shared, reason: 'GitRefusedEdit' } }
  const again = await rendered.again(tree.with(changes).read)
  const problem = again?.rendered
    ? difference(rendered.object, again.rendered.object, open)
    : 'cannot be rendered any more'
  return problem === undefined ? { ok: true, changes } : refused(manifest, problem)
}

/** Gives scalars of an object their values, wherever they are written; paths are those of the object. */
export async function editManifest(tree: Tree, manifest: Manifest, edits: ScalarEdit[]): Promise<FilesEdit> {
  if (manifest.rendered) return await editRendered(tree, manifest, edits)
  const { file, document, path } = manifest
  const here = edits.map((edit) => ({ path: [...path, ...edit.path], value: edit.value }))
  return await inFile(tree, { file }, (content) => editScalars(file, content, document, here))
}

async function editOne(tree: Tree, manifest: Manifest, { path, value }: ScalarEdit): Promise<FilesEdit> {
  const object = manifest.rendered!.object
  const found = at(object, path)
  if (found === undefined) return await insert(tree, manifest, { path, value })
  if (!isLeaf(found)) return refused(manifest, `${show(path)} is not a scalar`)
  const { image, from } = found
  if (image) return await inFile(tree, image.entry, (content) => editImageEntry(content, image, String(value)))
  if (!from) return refused(manifest, `${show(path)} is not written anywhere`)
  return await editPlace(tree, from, value)
}

/** A scalar that its mapping lacks is added where the mapping's other entries are written. */
async function insert(tree: Tree, manifest: Manifest, { path, value }: ScalarEdit): Promise<FilesEdit> {
  const object = manifest.rendered!.object
  const parent = at(object, path.slice(0, -1))
  if (!(parent instanceof Map)) return refused(manifest, `${show(path)} does not exist`)
  let refusal: FilesEdit = refused(manifest, `${show(path)} has no place where it could be added`)
  for (const place of homesOf(parent)) {
    const edited = await editPlace(tree, { ...place, path: [...place.path, path.at(-1)!] }, value)
    if (!edited.ok) refusal = edited
    else if (edited.changes.size > 0) {
      const again = await manifest.rendered!.again(tree.with(edited.changes).read)
      const said = again?.rendered && textOf(at(again.rendered.object, path))
      if (said === String(value)) return edited
    }
  }
  return refusal
}

/** The mappings of files in which the entries of a mapping are written, the last first. */
function homesOf(parent: Map<string, Traced>): Place[] {
  const homes = new Map<string, Place>()
  for (const [key, child] of [...parent].reverse()) {
    const leaf = leavesOf(child).next().value
    const inside = leaf && pathTo(child, leaf)
    if (!leaf?.from || !inside) continue
    const home = leaf.from.path.slice(0, leaf.from.path.length - inside.length - 1)
    if (leaf.from.path[home.length] !== key) continue
    const place = { ...leaf.from, path: home }
    homes.set(JSON.stringify(place), place)
  }
  return [...homes.values()]
}

function pathTo(node: Traced, leaf: Traced): (string | number)[] | undefined {
  if (node === leaf) return []
  const entries: [string | number, Traced][] = Array.isArray(node)
    ? node.map((item, i) => [i, item])
    : node instanceof Map
      ? [...node]
      : []
  for (const [key, child] of entries) {
    const rest = pathTo(child, leaf)
    if (rest) return [key, ...rest]
  }
  return undefined
}

export async function editPlace(tree: Tree, place: Place, value: string | number): Promise<FilesEdit> {
  const { file, document, path, within } = place
  const inside = (content: Buffer) => editScalars(file, content, document, [{ path, value }])
  return await inFile(tree, place, (content) => (within ? editText(file, content, within, inside) : inside(content)))
}

export async function inFile(
  tree: Tree,
  { file }: Pick<Place, 'file'>,
  edit: (content: Buffer) => EditResult,
): Promise<FilesEdit> {
  const content = await tree.read(file)
  if (!content) return { ok: false, problem: { reason: 'GitRefusedEdit', message: 'is not there any more', file } }
  const edited = edit(content)
  if (!edited.ok) return edited
  return { ok: true, changes: edited.changed ? new Map([[file, edited.content]]) : new Map() }
}

/** What else has changed, or has not; undefined when precisely the edits are in. */
function difference(before: Traced, after: Traced, edits: ScalarEdit[]): string | undefined {
  const [expected, found] = [plain(copyOf(before)), plain(after)]
  for (const { path, value } of edits) {
    if (textOf(at(after, path)) !== String(value))
      return `${show(path)} is decided elsewhere too: an edit did not change it to ${value}`
    setAt(expected, path, null)
    setAt(found, path, null)
  }
  return isDeepStrictEqual(expected, found)
    ? undefined
    : `${show(edits[0]?.path ?? [])} cannot be edited without changing more`
}

export function refused({ file, line }: Manifest, message: string): FilesEdit & { ok: false } {
  return { ok: false, problem: { reason: 'GitRefusedEdit', message, file, line } }
}

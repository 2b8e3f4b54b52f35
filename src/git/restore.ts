import { isDeepStrictEqual } from 'node:util'
import { fieldAt } from '../kube/field.ts'
import { contentHash } from '../plan/revision.ts'
import type { EditResult } from './edit.ts'
import { editRendered, type FilesEdit, refused } from './edit-rendered.ts'
import { graft, scalarsThatDiffer } from './graft.ts'
import { editText } from './inline-text.ts'
import type { Manifest, Path } from './manifest.ts'
import type { Read } from './rendered.ts'
import { sharedFile } from './shared-file.ts'
import { at, type Leaf, leavesOf, type Place, type Traced } from './traced.ts'
import type { Tree } from './tree.ts'
import { parseYaml, plainJson } from './yaml-document.ts'

const template: Path = ['spec', 'template']

/**
 * Makes the kustomizations of today give the pod template that they gave at another commit: where only texts and numbers differ, those are
 * edited where they are written; else the templates in the base and in merge patches are put back as they stood, and the texts and
 * numbers after that. It is rendered again, and unless it is exactly the template wanted, and nothing else has changed, it is refused.
 */
export async function restoreTemplate(tree: Tree, today: Manifest, good: Manifest, then: Read): Promise<FilesEdit> {
  const direct = await byScalars(tree, today, good)
  if (direct.ok) return direct
  const changes = new Map<string, Buffer>()
  let why = direct
  for (const source of sourcesOf(today, good)) {
    const edited = await putBack(tree.with(changes), source, then)
    if (!edited) continue
    if (edited.ok && edited.changed) changes.set(source.now.file, edited.content)
    if (!edited.ok) why = edited
  }
  if (changes.size === 0) return why
  const shared = await sharedFile(tree, today.rendered!.folders, [...changes.keys()])
  if (shared) return { ok: false, problem: shared }
  const between = await today.rendered!.again(tree.with(changes).read)
  if (!between) return refused(today, 'cannot be rendered with its template put back')
  if (!isDeepStrictEqual(outside(today), outside(between)))
    return refused(today, 'cannot have its template put back without changing more')
  if (hashOf(between) === hashOf(good)) return { ok: true, changes }
  const rest = await byScalars(tree.with(changes), between, good)
  return rest.ok ? { ok: true, changes: new Map([...changes, ...rest.changes]) } : why.ok ? rest : why
}

async function byScalars(tree: Tree, today: Manifest, good: Manifest): Promise<FilesEdit> {
  const edits = scalarsThatDiffer(fieldAt(today.object, ...template), fieldAt(good.object, ...template), template)
  return edits
    ? await editRendered(tree, today, edits)
    : refused(
        today,
        'the pod template has other fields than it had, so that its texts and numbers alone do not put it back',
      )
}

function hashOf({ object }: Manifest): string {
  return contentHash([fieldAt(object, ...template)])
}

function outside({ object }: Manifest): unknown {
  const spec = Object.entries(object.spec ?? {}).filter(([key]) => key !== 'template')
  return { ...object, spec: spec.sort(([a], [b]) => (a < b ? -1 : 1)) }
}

/** One text that has a part in the template, today and then. */
interface TemplateSource {
  now: Place
  past: Place
}

/** The base and the merge patches that have a `spec.template`; operations, labels and images have none. */
function sourcesOf(today: Manifest, good: Manifest): TemplateSource[] {
  const places = (of: Manifest) => {
    const object = of.rendered && at(of.rendered.object, template)
    return object ? placesIn(object) : new Map<string, Place>()
  }
  const [now, then] = [places(today), places(good)]
  return [...now].flatMap(([key, place]) => {
    const before = then.get(key)
    return before ? [{ now: place, past: before }] : []
  })
}

function placesIn(object: Traced): Map<string, Place> {
  const found = new Map<string, Place>()
  for (const leaf of leavesOf(object)) {
    const from = origin(leaf)
    const depth = from ? from.path.findIndex((segment, i) => segment === 'spec' && from.path[i + 1] === 'template') : -1
    if (!from || depth < 0 || from.path.slice(0, depth).some((segment, i) => i > 1 || (i === 0 && segment !== 'items')))
      continue
    const place = { ...from, path: from.path.slice(0, depth + 2) }
    const key = JSON.stringify([from.file, from.within?.path ?? '', from.within ? from.document : ''])
    if (!found.has(key)) found.set(key, place)
  }
  return found
}

function origin(leaf: Leaf): Place | undefined {
  return leaf.image ? origin(leaf.image.before) : leaf.from
}

async function putBack(tree: Tree, { now, past }: TemplateSource, read: Read): Promise<EditResult | undefined> {
  const [content, before] = [await tree.read(now.file), await read(past.file)]
  if (!content || !before) return undefined
  if (!now.within || !past.within) return graft(asSource(content, now), asSource(before, past), ['spec', 'template'])
  const text = textAt(before, past.within)
  if (text === undefined) return undefined
  return editText(now.file, content, now.within, (inner) =>
    graft(asSource(inner, now), asSource(Buffer.from(text, 'utf8'), past), ['spec', 'template']),
  )
}

function asSource(content: Buffer, { file, document, path }: Place): { content: Buffer; manifest: Manifest } {
  const object = { apiVersion: '', kind: '', metadata: { name: '' } }
  return { content, manifest: { file, line: 1, document, path: path.slice(0, -2), object } }
}

function textAt(content: Buffer, { document, path }: { document: number; path: Path }): string | undefined {
  const yaml = parseYaml(content)
  const [found] = yaml && !yaml.error ? yaml.documents.slice(document) : []
  const value = found && fieldAt(plainJson(found), ...path)
  return typeof value === 'string' ? value : undefined
}

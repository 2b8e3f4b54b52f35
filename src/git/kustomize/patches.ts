import { fieldAt, listAt, textAt } from '../../kube/field.ts'
import { groupOf } from '../group.ts'
import { isObject } from '../manifest.ts'
import { copyOf, type Place, plain, type Traced, type TracedMap, textOf, tracedAt } from '../traced.ts'
import { parseYaml, plainJson } from '../yaml-document.ts'
import { type Read, type Rendering, refusal } from './build.ts'
import { isShort, isTame } from './expression.ts'
import { type Layer, pathFrom } from './layer.ts'
import { Inapplicable, operate } from './operations.ts'
import { merge, mergeKeysOf, Unmergeable } from './strategic.ts'
import type { Building } from './transform.ts'

type Field = 'patches' | 'patchesStrategicMerge' | 'patchesJson6902'

interface Patch {
  /** Where the kustomization names it. */
  at: (string | number)[]
  target?: unknown
  options?: unknown
  documents: Traced[]
}

/** Applies the patches of a kustomization to the objects they are about. */
export async function patchAll(
  layer: Layer,
  objects: Rendering[],
  fields: Field[],
  { read, everything, problem }: Building,
): Promise<Rendering[]> {
  let all = objects
  for (const field of fields) {
    for (const [i, entry] of listAt(layer.content, field).entries()) {
      const patch = await readPatch(layer, field, i, entry, read)
      if (typeof patch === 'string') {
        const refused = refusal(layer, patch, field, i)
        for (const rendering of all) rendering.obstacle ??= refused
        if (everything) problem(refused)
        continue
      }
      const lost = everything && patch.target === undefined ? patch.documents.find((d) => isForNone(d, all)) : undefined
      if (lost) problem(refusal(layer, 'has a patch for an object that it does not have', field, i))
      all = all.filter((rendering) => apply(layer, patch, rendering))
    }
  }
  return all
}

/** Applies a patch to one object, where it is meant; false when that deletes it. */
function apply(layer: Layer, patch: Patch, rendering: Rendering): boolean {
  const { target, options, documents } = patch
  try {
    for (const document of documents) {
      if (Array.isArray(document)) {
        if (target === undefined) throw new Inapplicable('has no target')
        if (!isTarget(target, rendering)) continue
        operate(rendering.object, document)
        called(rendering)
      } else if (document instanceof Map) {
        const meant = target === undefined ? isAbout(document, rendering) : isTarget(target, rendering)
        if (!meant) continue
        if (Object.values(isObject(options) ? options : {}).includes(true)) throw new Unmergeable('uses options')
        const merged = merge(rendering.object, withoutName(copyOf(document)), mergeKeysOf(rendering.kind))
        if (!merged) return false
        rendering.object = merged
      }
    }
  } catch (error) {
    if (!(error instanceof Unmergeable) && !(error instanceof Inapplicable)) throw error
    rendering.obstacle ??= refusal(layer, `patches it, but the patch ${error.message}`, ...patch.at)
  }
  return true
}

function isForNone(document: Traced, all: Rendering[]): boolean {
  return document instanceof Map && !all.some((rendering) => isAbout(document, rendering))
}

/** Operations may have changed the name. */
function called(rendering: Rendering): void {
  const metadata = rendering.object.get('metadata')
  const before = rendering.ids.at(-1)!
  if (!(metadata instanceof Map)) return
  const now = { name: textOf(metadata.get('name')) ?? before.name, namespace: textOf(metadata.get('namespace')) }
  if (now.name !== before.name || now.namespace !== before.namespace) rendering.ids = [...rendering.ids, now]
}

/** Kustomize keeps the object's own name, kind and namespace, whatever a merge patch says. */
function withoutName(patch: TracedMap): TracedMap {
  patch.delete('kind')
  patch.delete('apiVersion')
  const metadata = patch.get('metadata')
  if (metadata instanceof Map) {
    metadata.delete('name')
    metadata.delete('namespace')
    if (metadata.size === 0) patch.delete('metadata')
  }
  return patch
}

async function readPatch(
  layer: Layer,
  field: Field,
  index: number,
  entry: unknown,
  read: Read,
): Promise<Patch | string> {
  const isText = typeof entry === 'string'
  const inline = isText ? (entry.includes('\n') ? entry : undefined) : textAt(entry, 'patch')
  const named = isText && inline === undefined ? entry : textAt(entry, 'path')
  const here = { at: [field, index], target: fieldAt(entry, 'target'), options: fieldAt(entry, 'options') }
  if (inline !== undefined) {
    const within = { document: 0, path: isText ? [field, index] : [field, index, 'patch'] }
    const documents = documentsIn(Buffer.from(inline), { file: layer.file, document: 0, path: [], within })
    return typeof documents === 'string' ? `has a patch that ${documents}` : { ...here, documents }
  }
  const path = named === undefined ? undefined : pathFrom(layer.folder, named)
  const content = path === undefined ? undefined : await read(path)
  if (path === undefined || !content) return `names the patch ${named ?? ''}, which is not in this repository`
  const documents = documentsIn(content, { file: path, document: 0, path: [] })
  return typeof documents === 'string' ? `names the patch ${path}, which ${documents}` : { ...here, documents }
}

function documentsIn(content: Buffer, place: Place): Traced[] | string {
  const yaml = parseYaml(content)
  if (!yaml) return 'is not UTF-8'
  if (yaml.error) return `cannot be read: ${yaml.error.message} (line ${yaml.error.line})`
  try {
    return yaml.documents.map((document, i) => tracedAt(plainJson(document), { ...place, document: i }))
  } catch (error) {
    return `cannot be read: ${error instanceof Error ? error.message : String(error)}`
  }
}

/** Without a target, a patch is about the object with its apiVersion, kind, name and namespace. */
function isAbout(patch: TracedMap, { base, ids }: Rendering): boolean {
  const said: unknown = plain(patch)
  if (textAt(said, 'kind') !== base.object.kind || textAt(said, 'apiVersion') !== base.object.apiVersion) return false
  const [name, namespace] = [textAt(said, 'metadata', 'name'), textAt(said, 'metadata', 'namespace')]
  return ids.some((id) => id.name === name && effective(id.namespace) === effective(namespace))
}

function isTarget(target: unknown, { base, ids, object }: Rendering): boolean {
  const [, version = base.object.apiVersion] = base.object.apiVersion.split('/')
  const says = (field: string) => textAt(target, field)
  const known = [ids[0]!, ids.at(-1)!]
  return (
    matches(says('kind'), base.object.kind) &&
    matches(says('group'), groupOf(base.object.apiVersion)) &&
    matches(says('version'), version) &&
    known.some(({ name }) => matches(says('name'), name)) &&
    known.some(({ namespace }) => matches(says('namespace'), effective(namespace))) &&
    selects(says('labelSelector'), object, 'labels') &&
    selects(says('annotationSelector'), object, 'annotations')
  )
}

function effective(namespace: string | undefined): string {
  return namespace === undefined || namespace === '' ? 'default' : namespace
}

/** Kustomize reads the fields of a target as expressions that match the whole. */
function matches(pattern: string | undefined, value: string): boolean {
  if (pattern === undefined || pattern === '' || pattern === value) return true
  if (!isTame(pattern))
    throw new Inapplicable(`has the target "${pattern.slice(0, 100)}", which is too intricate an expression`)
  if (!isShort(value)) throw new Inapplicable(`has a target, and there is a name of ${value.length} characters`)
  try {
    return new RegExp(`^(?:${pattern})$`).test(value)
  } catch {
    throw new Inapplicable(`has the target "${pattern}", which is no expression`)
  }
}

/** `app=web,tier!=x,team`: other selectors are refused. */
function selects(selector: string | undefined, object: TracedMap, field: 'labels' | 'annotations'): boolean {
  if (selector === undefined || selector.trim() === '') return true
  const metadata = object.get('metadata')
  const found = metadata instanceof Map ? metadata.get(field) : undefined
  const said = (key: string) => (found instanceof Map ? textOf(found.get(key)) : undefined)
  return selector.split(',').every((term) => {
    const [, key, operator, value = ''] = /^\s*([\w./-]+)\s*(?:(!=|==?)\s*([\w.-]*)\s*)?$/.exec(term) ?? []
    if (key === undefined) throw new Inapplicable(`selects by "${selector}", which Sluice does not understand`)
    if (operator === undefined) return said(key) !== undefined
    return operator === '!=' ? said(key) !== value : said(key) === value
  })
}

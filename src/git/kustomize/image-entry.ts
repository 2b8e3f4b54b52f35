import { isMap, isNode, isScalar, type Pair } from 'yaml'
import { type EditResult, editScalars, own, type ScalarEdit } from '../edit.ts'
import type { Leaf, Place } from '../traced.ts'
import { parseYaml } from '../yaml-document.ts'
import { splitImage } from './images.ts'

/** Edits the entry of a kustomization's `images` that made an image, so that it makes another. */
export function editImageEntry(
  content: Buffer,
  { entry, before }: NonNullable<Leaf['image']>,
  wanted: string,
): EditResult {
  const { file, document, path } = entry
  const yaml = parseYaml(content)
  const refused = (message: string, line?: number): EditResult => ({
    ok: false,
    problem: { reason: 'GitRefusedEdit', message, file, line },
  })
  if (!yaml || yaml.error) return refused('the file cannot be read', yaml?.error?.line)
  const node: unknown = yaml.documents[document]?.getIn(path, true)
  if (!isMap(node) || !node.range) return refused('the entry of images is not where it was')
  const line = yaml.lineAt(node.range[0])
  const [from, to] = [splitImage(String(before.value)), splitImage(wanted)]
  const has = (key: string) => own(node, key) !== undefined
  if (has('tagSuffix')) return refused('the entry of images has a tagSuffix, which is not edited', line)

  const edits: ScalarEdit[] = []
  const set = (key: string, value: string) => edits.push({ path: [...path, key], value })
  if (has('newName') || to.name !== from.name) set('newName', to.name)
  const sets = { newTag: to.tag, digest: to.digest }
  if (!has('newTag') && !has('digest') && to.tag === from.tag && to.digest === from.digest)
    return editScalars(file, content, document, edits)
  const keys = ['newTag', 'digest'] as const
  const gone = keys.filter((key) => has(key) && sets[key] === '')
  const added = keys.filter((key) => !has(key) && sets[key] !== '')
  for (const key of keys) if (sets[key] !== '' && (has(key) || gone.length === 0)) set(key, sets[key])
  const edited = editScalars(file, content, document, edits)
  const [old] = gone
  if (old === undefined || !edited.ok) return edited
  const [fresh] = added
  if (fresh === undefined) return refused(`the entry of images would have to lose its ${old}`, line)
  return renamed(edited.content, { file, document, path: [...path, old] }, fresh, sets[fresh], line)
}

/** Writes another key and value in place of a pair. */
function renamed(
  content: Buffer,
  { file, document, path }: Place,
  key: string,
  value: string,
  line: number,
): EditResult {
  const yaml = parseYaml(content)
  const parent: unknown = yaml?.documents[document]?.getIn(path.slice(0, -1), true)
  const pair: Pair | undefined = isMap(parent) ? own(parent, path.at(-1)!) : undefined
  const problem = {
    reason: 'GitRefusedEdit',
    message: `${String(path.at(-1))} of the entry of images cannot become ${key} in place`,
    file,
    line,
  } as const
  if (!yaml || !pair || !isScalar(pair.key) || !isNode(pair.value)) return { ok: false, problem }
  const [keyRange, valueRange] = [pair.key.range, pair.value.range]
  const isSimple = isScalar(pair.value) && !['BLOCK_LITERAL', 'BLOCK_FOLDED'].includes(pair.value.type ?? '')
  if (!keyRange || !valueRange || !isSimple || pair.value.anchor) return { ok: false, problem }
  const { text } = yaml
  const quote = text[keyRange[0]] === '"' || text[keyRange[0]] === "'" ? text[keyRange[0]]! : ''
  const next = `${text.slice(0, keyRange[0])}${quote}${key}${quote}${text.slice(keyRange[1], valueRange[0])}${JSON.stringify(value)}${text.slice(valueRange[1])}`
  return { ok: true, content: Buffer.from(next, 'utf8'), changed: true }
}

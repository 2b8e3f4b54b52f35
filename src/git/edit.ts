import { isDeepStrictEqual } from 'node:util'
import { type Document, isAlias, isMap, isScalar, isSeq, type Node, type Pair, type Scalar, type YAMLMap } from 'yaml'
import type { Problem } from '../errors.ts'
import { isObject, type Path } from './manifest.ts'
import { insertion, type Refusal, refuse, type Splice, scalarText } from './splice.ts'
import { parseYaml, plainJson, type YamlFile } from './yaml-document.ts'

/** A scalar to be given a value; one that its mapping lacks is added. */
export interface ScalarEdit {
  /** From the root of the document. */
  path: Path
  value: string | number
}

export type EditResult = { ok: true; content: Buffer; changed: boolean } | { ok: false; problem: Problem }

/**
 * Changes the bytes of exactly the named scalars and nothing else: comments, order, quotes, anchors and line ends stay.
 * What comes out is parsed again, and unless precisely those paths have changed the edit is refused, with the line and why.
 */
export function editScalars(file: string, content: Buffer, document: number, edits: ScalarEdit[]): EditResult {
  const refused = (message: string, line?: number): EditResult => ({
    ok: false,
    problem: { reason: 'GitRefusedEdit', message, file, line },
  })
  const before = parseYaml(content)
  if (!before) return refused('the file is not UTF-8')
  if (before.error) return refused(before.error.message, before.error.line)
  const target = before.documents[document]
  if (!target) return refused(`the file has no document ${document + 1}`)

  const splices: Splice[] = []
  let suspect: { edit: ScalarEdit; at: number } | undefined
  const expected = before.documents.map(plainJson)
  for (const edit of edits) {
    const result = spliceFor(before, target, edit)
    if ('why' in result) return refused(`${show(edit.path)} ${result.why}`, before.lineAt(result.at))
    if (result.splice) splices.push(result.splice)
    if (result.anchored && result.splice) suspect ??= { edit, at: result.splice.start }
    setAt(expected[document], edit.path, result.value)
  }
  if (splices.length === 0) return { ok: true, content, changed: false }

  const text = apply(before.text, splices)
  const after = parseYaml(Buffer.from(text, 'utf8'))
  const line = before.lineAt(splices[0]!.start)
  if (!after || after.error) return refused(`${show(edits[0]!.path)} cannot be edited in place`, line)
  if (!isDeepStrictEqual(after.documents.map(plainJson), expected)) {
    const where = suspect ? before.lineAt(suspect.at) : line
    return refused(`${show((suspect?.edit ?? edits[0]!).path)} is shared with other fields through an anchor`, where)
  }
  return { ok: true, content: Buffer.from(text, 'utf8'), changed: true }
}

type Spliced = { splice?: Splice; value: unknown; anchored?: boolean } | Refusal

function spliceFor(yaml: YamlFile, document: Document.Parsed, edit: ScalarEdit): Spliced {
  let node: Node | null = document.contents
  for (const [depth, segment] of edit.path.entries()) {
    const at = node?.range?.[0] ?? 0
    if (isAlias(node)) return refuse(`is reached through the alias *${node.source}`, at)
    if (isSeq(node)) {
      const item: unknown = typeof segment === 'number' ? node.items[segment] : undefined
      if (!isNode(item)) return refuse('does not exist', at)
      node = item
      continue
    }
    if (!isMap(node)) return refuse('does not exist', at)
    const pair = own(node, segment)
    if (pair) {
      node = isNode(pair.value) ? pair.value : null
      if (node === null) return refuse('has no value that could be edited', at)
      continue
    }
    if (own(node, '<<')) return refuse('comes from a merge key (<<)', at)
    if (depth < edit.path.length - 1) return refuse('does not exist', at)
    return insertion(yaml.text, node, String(segment), edit.value)
  }
  if (isAlias(node)) return refuse(`is the alias *${node.source}`, node.range?.[0] ?? 0)
  if (!isScalar(node) || !node.range) return refuse('is not a scalar', node?.range?.[0] ?? 0)
  const replaced = replacement(yaml.text, node, node.range, edit.value)
  return node.anchor && !('why' in replaced) ? { ...replaced, anchored: true } : replaced
}

function replacement(text: string, node: Scalar, range: [number, number, number], value: string | number): Spliced {
  const [start, end] = range
  if (node.type === 'BLOCK_FOLDED' || node.type === 'BLOCK_LITERAL') return refuse('is a block scalar', start)
  const source = text.slice(start, end)
  if (source.includes('\n')) return refuse('spans several lines', start)
  if (source.includes('{{')) return refuse('is a template', start)
  if (node.tag && !/^tag:yaml\.org,2002:(int|str)$/.test(node.tag)) return refuse(`has the tag ${node.tag}`, start)
  if (node.value !== null && String(node.value) === String(value)) return { value: node.value }
  const replaced = scalarText(node.type, value)
  if (source !== '') return { splice: { start, end, text: replaced.text }, value: replaced.value }
  const before = /[\s]/.test(text[start - 1] ?? ' ') ? '' : ' '
  const after = /[\s,}\]]/.test(text[start] ?? '\n') ? '' : ' '
  return { splice: { start, end, text: `${before}${replaced.text}${after}` }, value: replaced.value }
}

/** The entry of a mapping that its own text has, not one that a merge key brings. */
export function own(map: YAMLMap, key: string | number): Pair | undefined {
  return map.items.find((pair) => isScalar(pair.key) && (pair.key.source ?? String(pair.key.value)) === String(key))
}

function isNode(value: unknown): value is Node {
  return isScalar(value) || isMap(value) || isSeq(value) || isAlias(value)
}

function apply(text: string, splices: Splice[]): string {
  let result = text
  for (const { start, end, text: replaced } of [...splices].sort((a, b) => b.start - a.start)) {
    result = result.slice(0, start) + replaced + result.slice(end)
  }
  return result
}

/** Whether a file says exactly this, document by document. */
export function says(content: Buffer, expected: unknown[]): boolean {
  const yaml = parseYaml(content)
  if (!yaml || yaml.error) return false
  try {
    return isDeepStrictEqual(yaml.documents.map(plainJson), expected)
  } catch {
    // An alias without its anchor.
    return false
  }
}

/** Sets the value at a path inside plain JSON, where the objects around it exist. */
export function setAt(root: unknown, path: Path, value: unknown): void {
  let at: unknown = root
  for (const segment of path.slice(0, -1)) {
    at = Array.isArray(at) ? at[Number(segment)] : isObject(at) ? at[String(segment)] : undefined
  }
  const last = path.at(-1)
  if (last === undefined) return
  if (Array.isArray(at)) at[Number(last)] = value
  else if (isObject(at)) at[String(last)] = value
}

/** `spec.http[0].route[1].weight` */
export function show(path: Path): string {
  return path
    .map((segment, i) => (typeof segment === 'number' ? `[${segment}]` : `${i > 0 ? '.' : ''}${segment}`))
    .join('')
}

import { type Document, isAlias, isCollection, isMap, isNode, isPair, isSeq, type Node, type Pair } from 'yaml'
import { own } from './edit.ts'
import type { Path } from './manifest.ts'
import { type Refusal, refuse } from './splice.ts'
import type { YamlFile } from './yaml-document.ts'

/** The characters of a mapping's value, everything that belongs to it included: from behind the colon of its key. */
export interface Region {
  /** Behind the colon. */
  start: number
  /** Where the value ends, without a comment behind it. */
  valueEnd: number
  /**
   * Where what belongs to it ends. In a block mapping: at the end of its last line, before the line end; comments that follow it
   * and are indented deeper than the key belong to it as well.
   */
  end: number
  /** Column of the key, from 0. */
  column: number
  /** The mapping around it is written with braces. */
  inFlow: boolean
}

/** Where the value at `path` stands in a document, or why it cannot be told. */
export function regionOf(yaml: YamlFile, document: Document.Parsed, path: Path): Region | Refusal {
  let node: Node | null = document.contents
  let inFlow = false
  for (const [depth, segment] of path.entries()) {
    const at: number = node?.range?.[0] ?? 0
    if (isAlias(node)) return refuse(`is reached through the alias *${node.source}`, at)
    if (isCollection(node) && node.flow) inFlow = true
    if (isSeq(node)) {
      const item: unknown = typeof segment === 'number' ? node.items[segment] : undefined
      if (!isNode(item)) return refuse('does not exist', at)
      node = item
      continue
    }
    if (!isMap(node)) return refuse('does not exist', at)
    const pair = own(node, segment)
    if (!pair) return refuse(own(node, '<<') ? 'comes from a merge key (<<)' : 'does not exist', at)
    if (depth === path.length - 1) return around(yaml.text, pair, inFlow)
    if (!isNode(pair.value)) return refuse('has no value', at)
    node = pair.value
  }
  return refuse('is the whole document', 0)
}

function around(text: string, pair: Pair, inFlow: boolean): Region | Refusal {
  const { key, value } = pair
  if (!isNode(key) || !key.range || !isNode(value)) return refuse('has no value', 0)
  const [keyStart, keyEnd] = key.range
  const colon = /\s*:/y
  colon.lastIndex = keyEnd
  if (!colon.test(text)) return refuse('is written with an explicit key (?)', keyStart)
  const start = colon.lastIndex
  const lineStart = text.lastIndexOf('\n', keyStart - 1) + 1
  const before = text.slice(lineStart, keyStart).replace(/^\ufeff/, '')
  if (!inFlow && /\?\s+$/.test(before)) return refuse('is written with an explicit key (?)', keyStart)
  const valueEnd = endOf(value)
  if (valueEnd === undefined) return refuse('has no value', keyStart)
  const column = before.length
  const end = inFlow ? valueEnd : withComments(text, lineEnd(text, valueEnd), column)
  return { start, valueEnd: withoutLineEnd(text, valueEnd), end: Math.max(end, start), column, inFlow }
}

/** Where the last character of a value is. A block collection's own range reaches to whatever follows it. */
function endOf(node: Node): number | undefined {
  if (!isCollection(node) || node.flow) return node.range?.[1]
  const last: unknown = node.items.at(-1)
  if (isPair(last)) {
    const inner = isNode(last.value) && last.value.range ? endOf(last.value) : undefined
    return inner ?? (isNode(last.key) ? last.key.range?.[1] : undefined)
  }
  return isNode(last) ? endOf(last) : node.range?.[1]
}

/** The end of the line in which `at` stands; a block scalar's range has its line end in it. */
function lineEnd(text: string, at: number): number {
  if (text[at - 1] === '\n') return withoutLineEnd(text, at)
  const newline = text.indexOf('\n', at)
  return newline < 0 ? text.length : withoutLineEnd(text, newline + 1)
}

function withoutLineEnd(text: string, at: number): number {
  if (text[at - 1] !== '\n') return at
  return text[at - 2] === '\r' ? at - 2 : at - 1
}

function withComments(text: string, from: number, column: number): number {
  let end = from
  const line = /\r?\n([ \t]*)(#[^\r\n]*|)(?=\r?\n|$)/y
  line.lastIndex = from
  for (let match = line.exec(text); match; match = line.exec(text)) {
    const [, indent = '', comment] = match
    if (comment === '') continue
    if (indent.includes('\t') || indent.length <= column) break
    end = line.lastIndex
  }
  return end
}

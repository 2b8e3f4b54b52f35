import { isCollection, isMap, isNode, isPair, isScalar, type Node, type Scalar, type YAMLMap } from 'yaml'

/** Replaces the characters from `start` to `end`. */
export interface Splice {
  start: number
  end: number
  text: string
}

export interface Refusal {
  why: string
  at: number
}

export function refuse(why: string, at: number): Refusal {
  return { why, at }
}

/** Words that some YAML reader takes for something else than a string. */
const notPlain = /^(true|false|yes|no|on|off|y|n|null|nan|inf|none)$/i

/** A value in the style of the scalar it replaces. A number in quotes stays in quotes; a string that would not be read as one gets them. */
export function scalarText(style: Scalar['type'], value: string | number): { text: string; value: string | number } {
  if (style === 'QUOTE_DOUBLE') return { text: JSON.stringify(String(value)), value: String(value) }
  if (style === 'QUOTE_SINGLE') return { text: `'${String(value).replaceAll("'", "''")}'`, value: String(value) }
  if (typeof value === 'number') return { text: String(value), value }
  const plain = /^[A-Za-z][\w./-]*([:@][A-Za-z0-9][\w./-]*)*$/.test(value) && !notPlain.test(value)
  return { text: plain ? value : JSON.stringify(value), value }
}

/** Adds `key: value` as the last entry of a mapping, written as its other entries are. */
export function insertion(
  text: string,
  map: YAMLMap,
  key: string,
  value: string | number,
): { splice: Splice; value: unknown } | Refusal {
  const at = map.range?.[0] ?? 0
  const first = map.items[0]
  if (!first || !isNode(first.key) || !first.key.range) return refuse('cannot be added to an empty mapping', at)
  const quotedKeys = isScalar(first.key) && first.key.type === 'QUOTE_DOUBLE'
  const quote = quotedKeys ? '"' : ''
  const scalar = scalarText(undefined, value)
  const written = quotedKeys && typeof value === 'string' ? JSON.stringify(value) : scalar.text
  const entry = `${quote}${key}${quote}: ${written}`
  const end = contentEnd(map)
  if (end === undefined) return refuse('cannot be added after a block scalar', at)
  if (map.flow) return { splice: { start: end, end, text: `, ${entry}` }, value: scalar.value }

  const start = first.key.range[0]
  const lineStart = text.lastIndexOf('\n', start - 1) + 1
  const prefix = text.slice(lineStart, start)
  if (/\t/.test(prefix)) return refuse('is indented with tabs', at)
  if (text.startsWith('?', at) || /\?\s*$/.test(prefix)) return refuse('is in a mapping with explicit keys (?)', at)
  const newline = text.indexOf('\n', end)
  const lineEnd = newline < 0 ? text.length : newline - (text[newline - 1] === '\r' ? 1 : 0)
  const eol = text.includes('\r\n') && (newline < 0 || text[newline - 1] === '\r') ? '\r\n' : '\n'
  const indent = ' '.repeat([...prefix].length)
  return { splice: { start: lineEnd, end: lineEnd, text: `${eol}${indent}${entry}` }, value: scalar.value }
}

/** Where the last value under a node ends; undefined for a block scalar, whose end is a matter of chomping. */
function contentEnd(node: Node): number | undefined {
  if (isScalar(node) && (node.type === 'BLOCK_FOLDED' || node.type === 'BLOCK_LITERAL')) return undefined
  if (!isCollection(node)) return node.range?.[1]
  if (node.flow && !isMap(node)) return node.range?.[1]
  const last = node.items.at(-1)
  if (isPair(last)) {
    if (isNode(last.value) && last.value.range) return nested(last.value)
    return isNode(last.key) ? last.key.range?.[1] : undefined
  }
  return isNode(last) ? nested(last) : node.range?.[1]
}

function nested(node: Node): number | undefined {
  return isCollection(node) && node.flow ? node.range?.[1] : contentEnd(node)
}

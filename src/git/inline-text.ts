import { isScalar, type Scalar } from 'yaml'
import { type EditResult, says } from './edit.ts'
import type { Path } from './manifest.ts'
import { parseYaml, plainJson, type YamlFile } from './yaml-document.ts'

/**
 * Edits a text that stands in a scalar, as a patch does that is written into a kustomization. Only the bytes that `edit` changes in
 * the text change in the file; a text whose bytes are not simply those of the file (folded, escaped) is refused.
 */
export function editText(
  file: string,
  content: Buffer,
  at: { document: number; path: Path },
  edit: (text: Buffer) => EditResult,
): EditResult {
  const refused = (message: string, line?: number): EditResult => ({
    ok: false,
    problem: { reason: 'GitRefusedEdit', message, file, line },
  })
  const yaml = parseYaml(content)
  if (!yaml) return refused('the file is not UTF-8')
  if (yaml.error) return refused(yaml.error.message, yaml.error.line)
  const document = yaml.documents[at.document]
  const node: unknown = document?.getIn(at.path, true)
  if (!document || !isScalar(node) || typeof node.value !== 'string' || !node.range)
    return refused('the patch is not where it was')
  const line = yaml.lineAt(node.range[0])
  const edited = edit(Buffer.from(node.value, 'utf8'))
  if (!edited.ok) {
    const inner = edited.problem.line
    const isBlock = node.type === 'BLOCK_LITERAL'
    return { ok: false, problem: { ...edited.problem, file, line: inner && isBlock ? line + inner : line } }
  }
  if (!edited.changed) return { ok: true, content, changed: false }
  const wanted = edited.content.toString('utf8')
  const text = replaced(yaml, node, node.value, wanted)
  if (text === undefined)
    return refused('the patch is written in a way (folded, or with escapes) that cannot be edited in place', line)
  const after = Buffer.from(text, 'utf8')
  const expected = yaml.documents.map(plainJson)
  document.setIn(at.path, wanted)
  expected[at.document] = plainJson(document)
  if (!says(after, expected)) return refused('the patch cannot be edited in place', line)
  return { ok: true, content: after, changed: true }
}

function replaced({ text }: YamlFile, node: Scalar, before: string, after: string): string | undefined {
  const [start, end] = node.range!
  if (node.type === 'BLOCK_LITERAL') return inBlock(text, start, end, before, after)
  const quote = node.type === 'QUOTE_SINGLE' ? "'" : node.type === 'QUOTE_DOUBLE' ? '"' : undefined
  if (quote === undefined || text.slice(start + 1, end - 1) !== before) return undefined
  if (after.includes(quote) || after.includes('\\') || after.includes('\n')) return undefined
  return text.slice(0, start + 1) + after + text.slice(end - 1)
}

/** A block's lines are those of the text, each behind the same indentation. */
function inBlock(text: string, start: number, end: number, before: string, after: string): string | undefined {
  const header = text.indexOf('\n', start)
  if (header < 0 || header >= end) return undefined
  const outer = text.slice(header + 1, end).split('\n')
  const [old, now] = [before.split('\n'), after.split('\n')]
  const first = old.findIndex((line) => line.trim() !== '')
  const indent = /^ */
    .exec(outer[first] ?? '')![0]
    .slice(0, (outer[first] ?? '').replace(/\r$/, '').length - old[first]!.length)
  let head = 0
  while (head < old.length && head < now.length && old[head] === now[head]) head++
  let tail = 0
  while (tail < Math.min(old.length, now.length) - head && old.at(-1 - tail) === now.at(-1 - tail)) tail++
  const gone = outer.slice(head, old.length - tail)
  if (gone.some((line, i) => line.replace(/\r$/, '') !== indent + old[head + i]!)) return undefined
  const eol = outer.some((line) => line.endsWith('\r')) ? '\r' : ''
  const fresh = now.slice(head, now.length - tail).map((line) => indent + line + eol)
  return (
    text.slice(0, header + 1) +
    [...outer.slice(0, head), ...fresh, ...outer.slice(old.length - tail)].join('\n') +
    text.slice(end)
  )
}

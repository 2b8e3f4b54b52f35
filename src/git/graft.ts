import { isDeepStrictEqual } from 'node:util'
import { type Document, isAlias, isNode, visit } from 'yaml'
import type { Problem } from '../errors.ts'
import { fieldAt } from '../kube/field.ts'
import { type EditResult, editScalars, type ScalarEdit, says, setAt, show } from './edit.ts'
import { isObject, type Manifest, type Path } from './manifest.ts'
import { type Region, regionOf } from './region.ts'
import { parseYaml, plainJson, type YamlFile } from './yaml-document.ts'

/** A manifest and the bytes of the file it stands in. */
export interface Source {
  content: Buffer
  manifest: Manifest
}

/**
 * Puts the value at `field` of today's manifest back as it stands in another version of it, byte for byte: its comments, order, quotes and
 * line ends come back, and no byte outside it changes (where the field is indented differently today, the lines move with it). The result
 * is parsed again, and unless precisely that field has changed, and to precisely that value, it is not used. Where the text cannot stand
 * here but only texts and numbers in it differ, exactly those are edited; else the edit is refused, with the line and why.
 */
export function graft(today: Source, good: Source, field: string[]): EditResult {
  const { file } = today.manifest
  const refused = (message: string, line?: number): EditResult => ({
    ok: false,
    problem: { reason: 'GitRefusedEdit', message, file, line },
  })
  const here = read(today, field)
  if ('problem' in here) return { ok: false, problem: here.problem }
  const there = read(good, field)
  if ('problem' in there) return { ok: false, problem: there.problem }
  if (isDeepStrictEqual(here.value, there.value) && here.text() === there.text()) {
    return { ok: true, content: today.content, changed: false }
  }
  const expected = here.yaml.documents.map(plainJson)
  setAt(expected[today.manifest.document], here.path, there.value)

  let why: { message: string; line?: number }
  if (here.region && there.region) {
    for (const text of candidates(here.region, there.region, there.yaml.text)) {
      const content = Buffer.from(spliced(here.yaml.text, here.region, text), 'utf8')
      if (says(content, expected)) return { ok: true, content, changed: true }
    }
    why = { message: reason(here, there), line: here.yaml.lineAt(here.region.start) }
  } else why = here.refusal ?? there.refusal ?? { message: 'cannot be read' }

  const edits = scalarsThatDiffer(here.value, there.value, here.path)
  const edited = edits && editScalars(file, today.content, today.manifest.document, edits)
  if (edited?.ok && says(edited.content, expected)) return edited
  return refused(`${show(here.path)} ${why.message}`, why.line ?? today.manifest.line)
}

interface Read {
  yaml: YamlFile
  document: Document.Parsed
  path: Path
  value: unknown
  region?: Region
  refusal?: { message: string; line?: number }
  text(): string | undefined
}

function read({ content, manifest }: Source, field: string[]): Read | { problem: Problem } {
  const { file, document: index } = manifest
  const problem = (message: string, line?: number) => ({
    problem: { reason: 'GitRefusedEdit', message, file, line } satisfies Problem,
  })
  const yaml = parseYaml(content)
  if (!yaml) return problem('the file is not UTF-8')
  if (yaml.error) return problem(yaml.error.message, yaml.error.line)
  const document = yaml.documents[index]
  if (!document) return problem(`the file has no document ${index + 1}`)
  const path = [...manifest.path, ...field]
  const value = fieldAt(plainJson(document), ...path)
  const region = regionOf(yaml, document, path)
  if ('why' in region) {
    const refusal = { message: region.why, line: yaml.lineAt(region.at) }
    return { yaml, document, path, value, refusal, text: () => undefined }
  }
  return { yaml, document, path, value, region, text: () => yaml.text.slice(region.start, region.end) }
}

/** How the other text may stand here, the best first. */
function* candidates(here: Region, there: Region, text: string): Generator<string> {
  const end = here.inFlow && !there.inFlow ? there.valueEnd : there.end
  const whole = text.slice(there.start, end)
  const spaced = /^\s/.test(whole) ? whole : ` ${whole}`
  const moved = indented(spaced, here.column - there.column)
  if (here.inFlow && there.inFlow && whole !== spaced) yield whole
  if (moved !== undefined) yield moved
  if (moved !== spaced) yield spaced
}

/** Moves every line but the first by so many columns; undefined where that would change more than indentation. */
function indented(text: string, by: number): string | undefined {
  const [first, ...rest] = text.split('\n')
  const lines = [first!]
  for (const line of rest) {
    const blank = /^ *\r?$/.test(line)
    if (by >= 0) {
      lines.push(/^\r?$/.test(line) ? line : ' '.repeat(by) + line)
      continue
    }
    const spaces = /^ */.exec(line)![0].length
    if (spaces < -by && !blank && line[spaces] !== '#') return undefined
    lines.push(line.slice(Math.min(spaces, -by)))
  }
  return lines.join('\n')
}

function spliced(text: string, { start, end }: Region, replacement: string): string {
  return text.slice(0, start) + replacement + text.slice(end)
}

/** Why no candidate could stand here, as well as it can be told. */
function reason(here: Read, there: Read): string {
  const crossing = crosses(here) ?? crosses(there)
  if (crossing) return `cannot be put back: ${crossing}`
  if (here.region!.inFlow !== there.region!.inFlow) {
    return 'cannot be put back: it stands between braces in one of the two versions, and not in the other'
  }
  return 'cannot be put back in place as it stood: it would read differently here'
}

/** An anchor inside the field that is used outside of it, or the other way round. */
function crosses({ yaml, document, region }: Read): string | undefined {
  const { start, end } = region!
  const inside = (node: unknown) => isNode(node) && node.range !== undefined && within(node.range![0], start, end)
  const anchors = new Map<string, boolean>()
  let found: string | undefined
  visit(document, {
    Node(_key, node) {
      if (isAlias(node)) {
        const anchored = anchors.get(node.source)
        if (anchored !== undefined && anchored !== inside(node)) {
          const place = `line ${yaml.lineAt(node.range?.[0] ?? 0)}`
          found ??= `the alias *${node.source} (${place}) and its anchor stand on different sides of its border`
        }
      } else if (node.anchor) anchors.set(node.anchor, inside(node))
    },
  })
  return found
}

function within(at: number, start: number, end: number): boolean {
  return at >= start && at < end
}

/** The edits that make one value the other, where both have the same shape and only texts and numbers differ. */
export function scalarsThatDiffer(from: unknown, to: unknown, path: Path): ScalarEdit[] | undefined {
  if (isDeepStrictEqual(from, to)) return []
  if (Array.isArray(from) && Array.isArray(to)) {
    if (from.length !== to.length) return undefined
    return all(from.map((item, i) => scalarsThatDiffer(item, to[i], [...path, i])))
  }
  if (isObject(from) && isObject(to)) {
    const keys = Object.keys(from)
    if (!isDeepStrictEqual([...keys].sort(), Object.keys(to).sort())) return undefined
    return all(keys.map((key) => scalarsThatDiffer(from[key], to[key], [...path, key])))
  }
  if (typeof from === 'string' && typeof to === 'string') return [{ path, value: to }]
  if (typeof from === 'number' && typeof to === 'number') return [{ path, value: to }]
  return undefined
}

function all(lists: (ScalarEdit[] | undefined)[]): ScalarEdit[] | undefined {
  const edits: ScalarEdit[] = []
  for (const list of lists) {
    if (!list) return undefined
    edits.push(...list)
  }
  return edits
}

import {
  type Document,
  isMap,
  isScalar,
  LineCounter,
  type ParseOptions,
  parseAllDocuments,
  type Tags,
  visit,
} from 'yaml'
import { duplicateKey, explosion } from './yaml-limits.ts'

/** One YAML or JSON file, parsed so that every node knows its bytes. */
export interface YamlFile {
  text: string
  documents: Document.Parsed[]
  /** The first thing that is wrong, if anything is. */
  error?: { line: number; message: string }
  lineAt(offset: number): number
}

/**
 * Parses as Kubernetes tools do: YAML 1.1 scalars (`0644` is octal, `yes` is true) and merge keys,
 * but no timestamps and no base-60 numbers, which they read as strings.
 * Returns undefined when the bytes are not UTF-8.
 */
export function parseYaml(content: Buffer): YamlFile | undefined {
  const text = decode(content)
  if (text === undefined) return undefined
  const lines = new LineCounter()
  const lineAt = (offset: number) => lines.linePos(offset).line
  try {
    return { text, lineAt, ...read(text, lines, lineAt) }
  } catch (error) {
    // The parser goes as deep as the text does.
    if (!(error instanceof RangeError)) throw error
    return { text, lineAt, documents: [], error: { line: 1, message: 'is nested too deeply to be read' } }
  }
}

function read(
  text: string,
  lines: LineCounter,
  lineAt: (offset: number) => number,
): Pick<YamlFile, 'documents' | 'error'> {
  const options = {
    version: '1.1',
    logLevel: 'silent',
    lineCounter: lines,
    customTags: withoutTimes,
    uniqueKeys: false,
  } as const
  const parsed = parseAllDocuments(text, options satisfies ParseOptions & { version: '1.1'; customTags: unknown })
  const documents = 'empty' in parsed ? [] : [...parsed]
  for (const document of documents) {
    const [error] = document.errors
    if (error) {
      const isDeep = error.message.includes('call stack')
      const message = isDeep ? 'is nested too deeply to be read' : firstLine(error.message)
      return { documents, error: { line: lineAt(error.pos[0]), message } }
    }
    const template = templateIn(document, text)
    if (template !== undefined) {
      const message = 'is a template ({{ … }}), not a manifest'
      return { documents, error: { line: lineAt(template), message } }
    }
    const obstacle = duplicateKey(document) ?? explosion(document)
    if (obstacle) return { documents, error: { line: lineAt(obstacle.at), message: obstacle.message } }
  }
  return { documents }
}

/** The document as plain JSON; nodes shared through anchors are copied apart. Throws where an alias has lost its anchor. */
export function plainJson(document: Document.Parsed): unknown {
  // Documents whose aliases stand for too much are not read at all.
  return JSON.parse(JSON.stringify(document.toJS({ maxAliasCount: -1 }) ?? null))
}

function decode(content: Buffer): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(content)
  } catch {
    return undefined
  }
}

function withoutTimes(tags: Tags): Tags {
  return tags.filter(
    (tag) => typeof tag === 'string' || (tag.tag !== 'tag:yaml.org,2002:timestamp' && tag.format !== 'TIME'),
  )
}

/** `{{ .x }}` parses as a map in a map: valid YAML, and never what was meant. */
function templateIn(document: Document.Parsed, text: string): number | undefined {
  let found: number | undefined
  visit(document, {
    Map(_key, node) {
      const start = node.range?.[0]
      if (
        node.flow &&
        start !== undefined &&
        text.startsWith('{{', start) &&
        node.items.some((pair) => isMap(pair.key))
      ) {
        found = start
        return visit.BREAK
      }
      return undefined
    },
    Scalar(_key, node) {
      if (node.range && isScalar(node) && node.type === 'PLAIN' && text.slice(...span(node.range)).includes('{{')) {
        found = node.range[0]
        return visit.BREAK
      }
      return undefined
    },
  })
  return found
}

function span(range: [number, number, number]): [number, number] {
  return [range[0], range[1]]
}

function firstLine(message: string): string {
  return message
    .split('\n')[0]!
    .replace(/ at line \d+, column \d+:?$/, '')
    .replace(/[.:\s]+$/, '')
}

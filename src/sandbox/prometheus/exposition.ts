import { parseGoFloat } from './go-number.ts'

/** One line of a scrape; `timeMs` is set when the target wrote an explicit timestamp. */
export interface ExposedSample {
  /** The line up to the value: equal text is the same series. */
  series: string
  labels: [string, string][]
  value: number
  timeMs: number | undefined
}

/** What a target says about one metric family. */
export interface MetricMetadata {
  type: string
  help: string
  unit: string
}

export interface Exposition {
  samples: ExposedSample[]
  metadata: Map<string, MetricMetadata>
}

/** A scrape body that is not Prometheus text format; the message names the line. */
export class ExpositionError extends Error {
  /** The samples read before the bad line. */
  samplesBefore: ExposedSample[] = []
}

const metricName = /[a-zA-Z_:][a-zA-Z0-9_:]*/y
const labelStart = /[ \t]*([a-zA-Z_][a-zA-Z0-9_]*)[ \t]*=[ \t]*"/y
const labelValue = /((?:[^"\\]|\\.)*)"[ \t]*,?[ \t]*/y
const closing = /[ \t]*\}/y
const rest = /[ \t]*(\S+)(?:[ \t]+(-?\d+))?[ \t]*$/y
const types = new Set(['counter', 'gauge', 'histogram', 'summary', 'untyped', 'unknown'])

/**
 * Parses the Prometheus text format, version 0.0.4
 * (https://prometheus.io/docs/instrumenting/exposition_formats/#text-format-details).
 * Stricter than Prometheus in one point: a line break inside a label value must be written as `\\n`.
 * As in Prometheus one bad line fails the whole scrape: throws `ExpositionError`.
 */
export function parseExposition(text: string): Exposition {
  const samples: ExposedSample[] = []
  const metadata = new Map<string, MetricMetadata>()
  let lineNumber = 0
  for (const line of text.split('\n')) {
    lineNumber++
    const content = line.replace(/^[ \t]+/, '')
    if (content === '') continue
    try {
      if (content.startsWith('#')) readComment(content, metadata, lineNumber)
      else samples.push(readSample(line, lineNumber))
    } catch (error) {
      if (error instanceof ExpositionError) error.samplesBefore = samples
      throw error
    }
  }
  return { samples, metadata }
}

function readComment(line: string, metadata: Map<string, MetricMetadata>, lineNumber: number): void {
  const match = /^#[ \t]+(HELP|TYPE)[ \t]+([^ \t]+)(?:[ \t]+(.*))?$/.exec(line)
  if (!match) return
  const [, keyword, name, value = ''] = match
  if (!/^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(name!)) throw at(lineNumber, `${JSON.stringify(name)} is not a metric name`)
  const known = metadata.get(name!) ?? { type: 'unknown', help: '', unit: '' }
  if (keyword === 'HELP') known.help = value.replace(/\\([\\n])/g, (_, c) => (c === 'n' ? '\n' : '\\'))
  else {
    if (!types.has(value.trim())) throw at(lineNumber, `invalid metric type ${JSON.stringify(value)}`)
    known.type = value.trim() === 'untyped' ? 'unknown' : value.trim()
  }
  metadata.set(name!, known)
}

function readSample(line: string, lineNumber: number): ExposedSample {
  metricName.lastIndex = 0
  const name = metricName.exec(line)?.[0]
  if (!name) throw at(lineNumber, `expected a metric name, got ${JSON.stringify(line.slice(0, 20))}`)
  const labels: [string, string][] = [['__name__', name]]
  let position = name.length
  while (line[position] === ' ' || line[position] === '\t') position++
  if (line[position] === '{') position = readLabels(line, position + 1, labels, lineNumber)
  rest.lastIndex = position
  const match = rest.exec(line)
  const value = match && !/[pP_]/.test(match[1]!) ? parseGoFloat(match[1]!) : undefined
  if (value === undefined) throw at(lineNumber, `expected a value and an optional timestamp after ${name}`)
  return {
    series: line.slice(0, position),
    labels,
    value,
    timeMs: match![2] === undefined ? undefined : Number(match![2]),
  }
}

/** Reads up to the closing brace and answers the position after it. A missing comma is forgiven, as in Prometheus. */
function readLabels(line: string, from: number, labels: [string, string][], lineNumber: number): number {
  let position = from
  for (;;) {
    closing.lastIndex = position
    if (closing.test(line)) return closing.lastIndex
    labelStart.lastIndex = position
    const name = labelStart.exec(line)?.[1]
    if (!name) throw at(lineNumber, `expected a label or "}" at column ${position + 1}`)
    labelValue.lastIndex = labelStart.lastIndex
    const value = labelValue.exec(line)
    if (!value) throw at(lineNumber, `the value of label ${name} does not end`)
    if (labels.some(([known]) => known === name)) throw at(lineNumber, `label ${name} is written twice`)
    labels.push([name, unquote(value[1]!)])
    position = labelValue.lastIndex
  }
}

/** Only these three sequences are escapes; any other backslash stands for itself. */
function unquote(text: string): string {
  return text.includes('\\') ? text.replace(/\\([\\"n])/g, (_, c) => (c === 'n' ? '\n' : c)) : text
}

function at(lineNumber: number, message: string): ExpositionError {
  return new ExpositionError(`line ${lineNumber}: ${message}`)
}

import type { SyntaxNode } from '@lezer/common'
import { createMatcher, type Matcher, type MatchType } from '../matcher.ts'
import { UnsupportedRegexError } from '../re2.ts'
import type { VectorSelector } from './ast.ts'
import { parseDuration, parseString } from './literals.ts'
import { failAt } from './syntax-error.ts'

export function stringOf(node: SyntaxNode, query: string): string {
  const value = parseString(query.slice(node.from, node.to))
  if (value === undefined) throw failAt(query, node.from, 'error unquoting string: invalid syntax')
  return value
}

export function positiveDuration(node: SyntaxNode, query: string): number {
  const text = query.slice(node.from, node.to)
  const ms = parseDuration(text)
  if (ms === undefined) throw failAt(query, node.from, `not a valid duration string: "${text}"`)
  if (ms === 0) throw failAt(query, node.from, 'duration must be greater than 0')
  return ms
}

export function convertSelector(node: SyntaxNode, query: string): VectorSelector {
  const identifier = node.getChild('Identifier')
  const name = identifier ? query.slice(identifier.from, identifier.to) : ''
  const matchers: Matcher[] = []
  for (let part = node.getChild('LabelMatchers')?.firstChild; part; part = part.nextSibling) {
    if (part.name !== 'UnquotedLabelMatcher')
      throw failAt(query, part.from, 'quoted label and metric names are not supported here')
    const label = part.getChild('LabelName')!
    const labelName = query.slice(label.from, label.to)
    if (name !== '' && labelName === '__name__')
      throw failAt(query, part.from, `metric name must not be set twice: "${name}"`)
    const op = part.getChild('MatchOp')!
    const type = query.slice(op.from, op.to) as MatchType
    matchers.push(matcherAt(labelName, type, stringOf(part.getChild('StringLiteral')!, query), query, part.from))
  }
  if (name !== '') matchers.push(createMatcher('__name__', '=', name))
  if (matchers.every((matcher) => matcher.matches(''))) {
    throw failAt(query, node.from, 'vector selector must contain at least one non-empty matcher')
  }
  return { kind: 'vector', name, matchers }
}

function matcherAt(name: string, type: MatchType, value: string, query: string, position: number): Matcher {
  try {
    return createMatcher(name, type, value)
  } catch (error) {
    if (error instanceof UnsupportedRegexError) throw failAt(query, position, error.message)
    throw error
  }
}

export function labelsOf(node: SyntaxNode, query: string): string[] {
  const names: string[] = []
  for (let label = node.firstChild; label; label = label.nextSibling) {
    if (label.name !== 'LabelName') throw failAt(query, label.from, 'quoted label names are not supported here')
    names.push(query.slice(label.from, label.to))
  }
  return names
}

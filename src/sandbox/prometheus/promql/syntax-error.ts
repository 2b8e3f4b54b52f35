import type { SyntaxNode } from '@lezer/common'
import { QueryError } from './error.ts'

/** Says what the grammar stumbled over. */
export function syntaxError(query: string, at: SyntaxNode): QueryError {
  // A word the grammar does not know as a function, followed by a parenthesis, breaks right there.
  const called = /([A-Za-z_:][\w:]*)\s*$/.exec(query.slice(0, at.from))
  if (called?.[1] === 'holt_winters')
    return failAt(query, called.index, 'function "holt_winters" is not supported here')
  if (called && /^\s*\(/.test(query.slice(at.from)))
    return failAt(query, called.index, `unknown function with name "${called[1]}"`)
  const rest = query.slice(at.from).trimStart()
  return failAt(query, at.from, rest === '' ? 'unexpected end of input' : `unexpected "${rest.slice(0, 20)}"`)
}

/** A parse error in Prometheus's form: line and column, both from 1, and a sentence. */
export function failAt(query: string, position: number, message: string): QueryError {
  const before = query.slice(0, position).split('\n')
  return new QueryError('bad_data', `${before.length}:${before.at(-1)!.length + 1}: parse error: ${message}`)
}

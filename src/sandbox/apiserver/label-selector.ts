import type { Json } from './json.ts'
import { validateLabels, validateQualifiedKey } from './names.ts'
import { type ApiError, badRequest, type Cause } from './status.ts'

/** Decides by labels. */
export type LabelSelector = (labels: Json) => boolean

type Token = { kind: 'word' | 'symbol' | 'end'; text: string }

/**
 * Parses the labelSelector parameter: `a=b,c!=d,e in (f,g),h notin (i),j,!k,l>3`. Throws the 400 of the real server for anything else.
 * https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors
 */
export function parseLabelSelector(text: string): LabelSelector {
  const tokens = tokensOf(text)
  const tests: LabelSelector[] = []
  while (tokens[0]?.kind !== 'end') {
    if (!beginsRequirement(tokens[0])) throw unexpected(tokens[0], "!, identifier, or 'end of string'")
    tests.push(requirement(tokens))
    const next = tokens.shift()
    if (next?.kind === 'end') break
    if (next?.text !== ',') throw unexpected(next, "',' or 'end of string'")
    if (!beginsRequirement(tokens[0])) throw unexpected(tokens[0], "identifier after ','")
  }
  return (labels) => tests.every((test) => test(labels))
}

/** Words, and the longest symbols there are; always ends with an `end`. */
function tokensOf(text: string): Token[] {
  const tokens: Token[] = []
  for (const [found] of text.matchAll(/==|!=|[=!(),<>]|[^\s=!(),<>]+/g)) {
    tokens.push({ kind: /^[=!(),<>]/.test(found) ? 'symbol' : 'word', text: found })
  }
  return [...tokens, { kind: 'end', text: '' }]
}

function beginsRequirement(token: Token | undefined): boolean {
  return token?.kind === 'word' || token?.text === '!'
}

function unexpected(token: Token | undefined, expected: string, where = '', colon = ','): ApiError {
  return badRequest(`${where}found '${token?.text ?? ''}'${colon} expected: ${expected}`)
}

const inRequirement = 'unable to parse requirement: '
const operators = ['in', 'notin', '=', '==', '!=', '>', '<']

/** Takes one requirement from the front of the tokens. */
function requirement(tokens: Token[]): LabelSelector {
  const isAbsence = tokens[0]?.text === '!'
  if (isAbsence) tokens.shift()
  const key = tokens.shift()
  if (key?.kind !== 'word') throw unexpected(key, 'identifier', inRequirement)
  const [badKey] = validateQualifiedKey(key.text, '<nil>')
  if (badKey) throw refused(badKey)
  if (isAbsence) return (labels) => !(key.text in labels)
  if (tokens[0]?.kind === 'end' || tokens[0]?.text === ',') return (labels) => key.text in labels
  const operator = tokens.shift()
  if (!operator || !operators.includes(operator.text)) {
    throw unexpected(operator, 'in, notin, =, ==, !=, gt, lt', inRequirement)
  }
  const isSet = operator.text === 'in' || operator.text === 'notin'
  const values = isSet ? valueList(tokens) : [exactValue(tokens)]
  return comparison(key.text, operator.text, values)
}

function exactValue(tokens: Token[]): string {
  const next = tokens[0]
  if (next?.kind === 'end' || next?.text === ',') return ''
  tokens.shift()
  if (next?.kind !== 'word') throw unexpected(next, 'identifier', inRequirement)
  return next.text
}

/** `(a,b,)`: nothing between commas or brackets is the empty value. */
function valueList(tokens: Token[]): string[] {
  const open = tokens.shift()
  if (open?.text !== '(') throw unexpected(open, "'('", inRequirement, '')
  const values: string[] = []
  let current = ''
  for (;;) {
    const next = tokens.shift()
    if (next?.text === ',' || next?.text === ')') {
      values.push(current)
      current = ''
      if (next.text === ')') return values
    } else if (next?.kind !== 'word' || current !== '') {
      const isLater = current !== '' || values.length > 0
      throw unexpected(next, isLater && current === '' ? "',', or identifier" : "',' or ')'", inRequirement)
    } else current = next.text
  }
}

function comparison(key: string, operator: string, values: string[]): LabelSelector {
  if (operator === '>' || operator === '<') {
    const [bound = ''] = values
    if (!/^[+-]?\d+$/.test(bound)) {
      const why = "for 'Gt', 'Lt' operators, the value must be an integer"
      throw badRequest(`${inRequirement}values[0]: Invalid value: ${JSON.stringify(bound)}: ${why}`)
    }
    return (labels) => {
      const value = labels[key]
      if (typeof value !== 'string' || !/^[+-]?\d+$/.test(value)) return false
      return operator === '<' ? BigInt(value) < BigInt(bound) : BigInt(value) > BigInt(bound)
    }
  }
  for (const [index, value] of values.entries()) {
    const [bad] = validateLabels({ [key]: value }, `values[${index}][${key}]`)
    if (bad) throw refused(bad)
  }
  const within: LabelSelector = (labels) => key in labels && values.includes(String(labels[key]))
  return operator === 'notin' || operator === '!=' ? (labels) => !within(labels) : within
}

function refused({ field, message }: Cause): ApiError {
  return badRequest(`${inRequirement}${field}: ${message}`)
}

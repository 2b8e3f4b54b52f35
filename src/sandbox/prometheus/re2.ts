/**
 * Prometheus's regular expressions are RE2 (https://github.com/google/re2/wiki/Syntax). This translates the shared
 * part to a JavaScript pattern with the same meaning and refuses the rest by name, so that no pattern ever matches
 * something else than it does in Prometheus.
 */
export class UnsupportedRegexError extends Error {}

/** Compiles an RE2 pattern, anchored at both ends as Prometheus does with every matcher and label_replace. */
export function compileAnchored(pattern: string): RegExp {
  const { source, ignoreCase } = translate(pattern)
  const flags = ignoreCase ? 'iu' : 'u'
  try {
    new RegExp(source, flags) // on its own first: a stray parenthesis must not pair with the anchoring group
    return new RegExp(`^(?:${source})$`, flags)
  } catch (cause) {
    const message = `error parsing regexp: ${JSON.stringify(pattern)} is not a pattern, or not one that is supported here`
    throw new UnsupportedRegexError(message, { cause })
  }
}

const syntaxCharacters = new Set('^$\\.*+?()[]{}|/')
const spaceClass = '\\t\\n\\f\\r '

function translate(pattern: string): { source: string; ignoreCase: boolean } {
  let rest = pattern
  let ignoreCase = false
  const flags = /^\(\?([a-zA-Z-]+)\)/.exec(rest)
  let dotMatchesNewline = false
  if (flags) {
    for (const flag of flags[1]!) {
      if (flag === 'i') ignoreCase = true
      else if (flag === 's') dotMatchesNewline = true
      else refuse(pattern, `the flag (?${flag})`)
    }
    rest = rest.slice(flags[0].length)
  }
  // JavaScript folds two letters beyond ASCII into these classes; RE2 does not.
  if (ignoreCase && /\\[wWbB]/.test(rest)) refuse(pattern, 'a word class under the flag (?i)')
  let source = ''
  let i = 0
  while (i < rest.length) {
    const c = rest[i]!
    if (c === '\\') {
      const [text, length] = translateEscape(pattern, rest, i, false)
      source += text
      i += length
    } else if (c === '[') {
      const [text, length] = characterClass(pattern, rest, i)
      source += text
      i += length
    } else if (c === '(') {
      const [text, length] = groupOpening(pattern, rest, i)
      source += text
      i += length
    } else if (c === '{') {
      const repeat = /^\{(\d+)(?:,(\d*))?\}/.exec(rest.slice(i))
      if (repeat && Math.max(Number(repeat[1]), Number(repeat[2] || 0)) > 1000)
        refuse(pattern, 'a repeat count above 1000')
      source += repeat ? repeat[0] : '\\{'
      i += repeat ? repeat[0].length : 1
    } else {
      source += c === '.' ? (dotMatchesNewline ? '[\\s\\S]' : '[^\\n]') : c === '}' || c === ']' ? `\\${c}` : c
      i++
    }
  }
  return { source, ignoreCase }
}

function groupOpening(pattern: string, rest: string, at: number): [string, number] {
  if (rest[at + 1] !== '?') return ['(', 1]
  if (rest.startsWith('(?:', at)) return ['(?:', 3]
  const named = /^\(\?P<([A-Za-z_]\w*)>/.exec(rest.slice(at))
  if (named) return [`(?<${named[1]}>`, named[0].length]
  return refuse(pattern, `the group "${rest.slice(at, at + 4)}…"`)
}

function characterClass(pattern: string, rest: string, at: number): [string, number] {
  let i = at + 1
  let source = '['
  if (rest[i] === '^') {
    source += '^'
    i++
  }
  let first = true
  while (i < rest.length && (rest[i] !== ']' || first)) {
    if (rest.startsWith('[:', i)) refuse(pattern, 'the class [[:…:]]')
    if (rest[i] === '\\') {
      const [text, length] = translateEscape(pattern, rest, i, true)
      source += text
      i += length
    } else {
      const c = rest[i]!
      source += c === '[' || c === ']' ? `\\${c}` : c
      i++
    }
    first = false
  }
  if (i >= rest.length)
    throw new UnsupportedRegexError(`error parsing regexp: missing closing ]: ${JSON.stringify(rest.slice(at))}`)
  return [`${source}]`, i + 1 - at]
}

function translateEscape(pattern: string, rest: string, at: number, inClass: boolean): [string, number] {
  const c = rest[at + 1]
  if (c === undefined) throw new UnsupportedRegexError('error parsing regexp: trailing backslash at end of expression')
  if ('dDwW'.includes(c) || 'nrtfv'.includes(c)) return [`\\${c}`, 2]
  if ((c === 'b' || c === 'B') && !inClass) return [`\\${c}`, 2]
  if (c === 's') return [inClass ? spaceClass : `[${spaceClass}]`, 2]
  if (c === 'S' && !inClass) return [`[^${spaceClass}]`, 2]
  if (c === 'x') {
    const hex = /^\\x(?:([0-9a-fA-F]{2})|\{([0-9a-fA-F]{1,6})\})/.exec(rest.slice(at))
    if (hex) return [`\\u{${hex[1] ?? hex[2]}}`, hex[0].length]
  }
  if (/^[!-/:-@[-`{-~]$/.test(c)) {
    return [syntaxCharacters.has(c) || (inClass && c === '-') ? `\\${c}` : c, 2]
  }
  return refuse(pattern, `the escape \\${c}`)
}

function refuse(pattern: string, what: string): never {
  throw new UnsupportedRegexError(`regular expression ${JSON.stringify(pattern)}: ${what} is not supported here`)
}

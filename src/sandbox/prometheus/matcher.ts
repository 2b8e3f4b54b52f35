import { compileAnchored } from './re2.ts'

export type MatchType = '=' | '!=' | '=~' | '!~'

/** One label matcher of a selector. A missing label matches as the empty string, as in Prometheus. */
export interface Matcher {
  readonly name: string
  readonly type: MatchType
  readonly value: string
  matches(value: string): boolean
}

/** Compiles a matcher; throws `UnsupportedRegexError` when the pattern is invalid or beyond the supported RE2 subset. */
export function createMatcher(name: string, type: MatchType, value: string): Matcher {
  switch (type) {
    case '=':
      return { name, type, value, matches: (candidate) => candidate === value }
    case '!=':
      return { name, type, value, matches: (candidate) => candidate !== value }
    case '=~': {
      const test = patternTest(value)
      return { name, type, value, matches: test }
    }
    case '!~': {
      const test = patternTest(value)
      return { name, type, value, matches: (candidate) => !test(candidate) }
    }
  }
}

function patternTest(pattern: string): (candidate: string) => boolean {
  // Alternations of plain words (hundreds of workloads in one query) are a set, not a pattern.
  const words = pattern.split('|')
  if (words.every((word) => /^[\w:\- ]*$/.test(word))) {
    const set = new Set(words)
    return (candidate) => set.has(candidate)
  }
  const regex = compileAnchored(pattern)
  const seen = new Map<string, boolean>()
  return (candidate) => {
    let answer = seen.get(candidate)
    if (answer === undefined) {
      answer = regex.test(candidate)
      seen.set(candidate, answer)
    }
    return answer
  }
}

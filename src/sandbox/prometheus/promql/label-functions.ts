import { compileAnchored, UnsupportedRegexError } from '../re2.ts'
import { executionError } from './error.ts'
import type { Vector } from './value.ts'

const labelName = /^[a-zA-Z_][a-zA-Z0-9_]*$/

/** `label_replace`: sets `target` from the match of `pattern` on `source`; samples that do not match stay as they are. */
export function labelReplace(
  vector: Vector,
  target: string,
  template: string,
  source: string,
  pattern: string,
): Vector {
  const regex = compile(pattern)
  if (!labelName.test(target)) throw executionError(`invalid destination label name in label_replace(): ${target}`)
  return vector.map((sample) => {
    const match = regex.exec(sample.labels.get(source))
    return match ? { ...sample, labels: sample.labels.with(target, expand(template, match)) } : sample
  })
}

/** `label_join`: sets `target` to the source labels' values joined by `separator`. */
export function labelJoin(vector: Vector, target: string, separator: string, sources: readonly string[]): Vector {
  if (!labelName.test(target)) throw executionError(`invalid destination label name in label_join(): ${target}`)
  for (const source of sources) {
    if (!labelName.test(source)) throw executionError(`invalid source label name in label_join(): ${source}`)
  }
  return vector.map((sample) => ({
    ...sample,
    labels: sample.labels.with(target, sources.map((source) => sample.labels.get(source)).join(separator)),
  }))
}

export function isLabelName(name: string): boolean {
  return labelName.test(name)
}

function compile(pattern: string): RegExp {
  try {
    return compileAnchored(pattern)
  } catch (error) {
    if (error instanceof UnsupportedRegexError) {
      throw executionError(`invalid regular expression in label_replace(): ${pattern}`, error)
    }
    throw error
  }
}

/** Go's Regexp.Expand: `$1`, `$name`, `${name}`, `$$`; a name is as long as it can be, and an unknown one is empty. */
function expand(template: string, match: RegExpExecArray): string {
  return template.replace(
    /\$(?:\$|(\w+)|\{(\w+)\})/g,
    (whole, bare: string | undefined, braced: string | undefined) => {
      const name = bare ?? braced
      if (name === undefined) return whole === '$$' ? '$' : whole
      if (/^\d+$/.test(name)) return match[Number(name)] ?? ''
      return match.groups?.[name] ?? ''
    },
  )
}

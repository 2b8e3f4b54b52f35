/** Values of a commit's trailers by lower-cased key, in order. */
export type Trailers = Map<string, string[]>

/** One line of text, whatever it was: nothing in it can begin a paragraph or another trailer. */
export function oneLine(text: string): string {
  return text.replace(/[\s\u0000-\u001f\u007f\u0085\u2028\u2029]+/g, ' ').trim()
}

/** The trailer block; empty values and keys that are none are left out. */
export function formatTrailers(trailers: [key: string, value: string][]): string {
  return trailers
    .map(([key, value]) => [key, oneLine(value)] as const)
    .filter(([key, value]) => /^[A-Za-z][A-Za-z0-9-]*$/.test(key) && value !== '')
    .map(([key, value]) => `${key}: ${value}`)
    .join('\n')
}

/**
 * The trailers of a commit message: its last paragraph, when that is not also its first and every line is a trailer or
 * continues one (https://git-scm.com/docs/git-interpret-trailers). Continuation lines are unfolded.
 */
export function parseTrailers(message: string): Trailers {
  const paragraphs = message
    .replace(/\r\n/g, '\n')
    .split(/\n[ \t]*\n/)
    .filter((paragraph) => paragraph.trim() !== '')
  const result: Trailers = new Map()
  const block = paragraphs.length > 1 ? paragraphs.at(-1)! : ''
  let last: string[] | undefined
  for (const line of block.replace(/\n+$/, '').split('\n')) {
    const match = /^([A-Za-z][A-Za-z0-9-]*)[ \t]*:[ \t]*(.*)$/.exec(line)
    if (match) {
      const key = match[1]!.toLowerCase()
      last = result.get(key) ?? []
      last.push(match[2]!.trim())
      result.set(key, last)
    } else if (/^[ \t]+\S/.test(line) && last) {
      last.push(`${last.pop()!} ${line.trim()}`.trim())
    } else if (!/^\(cherry picked from commit [0-9a-f]+\)$/.test(line)) {
      return new Map()
    }
  }
  return result
}

/** The first value of a trailer. */
export function trailer(trailers: Trailers, key: string): string | undefined {
  return trailers.get(key.toLowerCase())?.[0]
}

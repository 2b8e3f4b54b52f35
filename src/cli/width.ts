/**
 * Code points that take two columns: East Asian Width W and F, without what Unicode leaves unassigned.
 * @see https://www.unicode.org/reports/tr11/
 */
const wide: readonly (readonly [number, number])[] = [
  [0x1100, 0x115f],
  [0x231a, 0x231b],
  [0x2329, 0x232a],
  [0x23e9, 0x23ec],
  [0x23f0, 0x23f0],
  [0x23f3, 0x23f3],
  [0x25fd, 0x25fe],
  [0x2614, 0x2615],
  [0x2648, 0x2653],
  [0x267f, 0x267f],
  [0x2693, 0x2693],
  [0x26a1, 0x26a1],
  [0x26aa, 0x26ab],
  [0x26bd, 0x26be],
  [0x26c4, 0x26c5],
  [0x26ce, 0x26ce],
  [0x26d4, 0x26d4],
  [0x26ea, 0x26ea],
  [0x26f2, 0x26f3],
  [0x26f5, 0x26f5],
  [0x26fa, 0x26fa],
  [0x26fd, 0x26fd],
  [0x2705, 0x2705],
  [0x270a, 0x270b],
  [0x2728, 0x2728],
  [0x274c, 0x274c],
  [0x274e, 0x274e],
  [0x2753, 0x2755],
  [0x2757, 0x2757],
  [0x2795, 0x2797],
  [0x27b0, 0x27b0],
  [0x27bf, 0x27bf],
  [0x2b1b, 0x2b1c],
  [0x2b50, 0x2b50],
  [0x2b55, 0x2b55],
  [0x2e80, 0x303e],
  [0x3041, 0x33ff],
  [0x3400, 0x4dbf],
  [0x4e00, 0x9fff],
  [0xa000, 0xa4cf],
  [0xa960, 0xa97f],
  [0xac00, 0xd7a3],
  [0xf900, 0xfaff],
  [0xfe10, 0xfe19],
  [0xfe30, 0xfe6f],
  [0xff00, 0xff60],
  [0xffe0, 0xffe6],
  [0x16fe0, 0x18aff],
  [0x1b000, 0x1b2ff],
  [0x1f004, 0x1f004],
  [0x1f0cf, 0x1f0cf],
  [0x1f18e, 0x1f18e],
  [0x1f191, 0x1f19a],
  [0x1f1e6, 0x1f202],
  [0x1f210, 0x1f23b],
  [0x1f240, 0x1f248],
  [0x1f250, 0x1f265],
  [0x1f300, 0x1f64f],
  [0x1f680, 0x1f6ff],
  [0x1f7e0, 0x1f7eb],
  [0x1f90c, 0x1faff],
  [0x20000, 0x3fffd],
]

const plain = /^[\x20-\x7e]*$/
const invisible = /^[\p{Mn}\p{Me}\p{Cf}\p{Cc}]+$/u
const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' })

/** What a terminal shows as one character takes 0, 1 or 2 columns. */
function graphemeWidth(grapheme: string): number {
  if (invisible.test(grapheme)) return 0
  const point = grapheme.codePointAt(0) ?? 0
  // U+FE0F asks for the picture of a character that is text by default: two columns.
  if (grapheme.includes('\u{fe0f}')) return 2
  return wide.some(([first, last]) => point >= first && point <= last) ? 2 : 1
}

/** Columns that `text` takes on a terminal. For text without control characters: see `clean`. */
export function displayWidth(text: string): number {
  if (plain.test(text)) return text.length
  let width = 0
  for (const { segment } of graphemes.segment(text)) width += graphemeWidth(segment)
  return width
}

/** At most `width` columns of `text`; what is cut off is marked by `…`. Never cuts through a character. */
export function cut(text: string, width: number): string {
  if (displayWidth(text) <= width) return text
  if (width <= 0) return ''
  let kept = ''
  let used = 0
  for (const { segment } of graphemes.segment(text)) {
    used += graphemeWidth(segment)
    if (used > width - 1) break
    kept += segment
  }
  return `${kept.trimEnd()}…`
}

/** `text` with spaces up to `width` columns; `right` puts them in front. */
export function pad(text: string, width: number, align: 'left' | 'right' = 'left'): string {
  const spaces = ' '.repeat(Math.max(0, width - displayWidth(text)))
  return align === 'left' ? text + spaces : spaces + text
}

/** `text` broken at spaces into lines of at most `width` columns; a word that is longer is broken where it has to be. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    const longer = line === '' ? word : `${line} ${word}`
    if (displayWidth(longer) <= width) {
      line = longer
      continue
    }
    if (line !== '') lines.push(line)
    const pieces = chop(word, Math.max(2, width))
    lines.push(...pieces.slice(0, -1))
    line = pieces.at(-1) ?? ''
  }
  if (line !== '' || lines.length === 0) lines.push(line)
  return lines
}

function chop(word: string, width: number): string[] {
  if (displayWidth(word) <= width) return [word]
  const pieces = ['']
  let used = 0
  for (const { segment } of graphemes.segment(word)) {
    const columns = graphemeWidth(segment)
    if (used + columns > width) {
      pieces.push('')
      used = 0
    }
    pieces[pieces.length - 1] += segment
    used += columns
  }
  return pieces
}

/**
 * One line without anything that a terminal would obey: messages come from people, Git and other controllers, and an
 * escape sequence or a reversed direction of writing in them must not reach the screen.
 */
export function clean(text: string): string {
  return text
    .toWellFormed()
    .replace(/\s+/gu, ' ')
    .replace(/[\p{Cc}\u{200e}\u{200f}\u{202a}-\u{202e}\u{2066}-\u{2069}\u{fff9}-\u{fffb}]/gu, '')
    .trim()
}

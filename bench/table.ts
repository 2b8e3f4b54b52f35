/** One table: what it shows, the names of its columns, and its rows. */
export interface Table {
  title: string
  head: string[]
  rows: string[][]
}

const WIDTH = 100
const GAP = '   '
const INDENT = '  '

/**
 * An aligned table of at most 100 columns: the first column to the left, numbers to the right. Where the rows are too
 * wide, the names of the columns are broken over several lines; cells never are, so that no number is lost.
 */
export function renderTable({ title, head, rows }: Table): string {
  const needed = head.map((name, i) => Math.max(longestWord(name), ...rows.map((row) => (row[i] ?? '').length)))
  const spare = WIDTH - INDENT.length - GAP.length * (head.length - 1) - sum(needed)
  const widths = widen(needed, head, spare)
  const names = head.map((name, i) => wrap(name, widths[i]!))
  const height = Math.max(...names.map((lines) => lines.length))
  const line = (cells: string[]) =>
    `${INDENT}${cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join(GAP)}`.trimEnd()
  const heading = Array.from({ length: height }, (_, row) =>
    line(names.map((lines) => lines[row - height + lines.length] ?? '')),
  )
  const rule = line(widths.map((width) => '-'.repeat(width)))
  return [...wrap(title, WIDTH), '', ...heading, rule, ...rows.map(line)].join('\n')
}

/** Where a bench says what it found: for people as aligned tables and notes, for machines as one JSON object a line and table. */
export interface Printer {
  table(table: Table): void
  note(text: string): void
}

export function printer(json: boolean | undefined): Printer {
  if (json) return { table: (table) => console.log(JSON.stringify(table)), note: () => undefined }
  return { table: (table) => console.log(`${renderTable(table)}\n`), note: (text) => console.log(text) }
}

/** A ratio for people: `12×`, `0.35×`. */
export function times(ratio: number): string {
  if (!Number.isFinite(ratio)) return '-'
  return `${ratio >= 10 ? ratio.toFixed(0) : ratio.toFixed(ratio >= 1 ? 1 : 2)}×`
}

/** A share for people: `7.4 %`. */
export function percent(share: number): string {
  return Number.isFinite(share) ? `${(100 * share).toFixed(1)} %` : '-'
}

function widen(needed: number[], head: string[], spare: number): number[] {
  const widths = [...needed]
  let left = Math.max(0, spare)
  for (const [i, name] of head.entries()) {
    const more = Math.min(left, Math.max(0, name.length - widths[i]!))
    widths[i]! += more
    left -= more
  }
  return widths
}

function longestWord(text: string): number {
  return Math.max(...text.split(' ').map((word) => word.length))
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const last = lines.at(-1)
    if (last !== undefined && last.length + 1 + word.length <= width) lines[lines.length - 1] = `${last} ${word}`
    else lines.push(word)
  }
  return lines
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((a, b) => a + b, 0)
}

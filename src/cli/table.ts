import type { Paint } from './paint.ts'
import { clean, cut, displayWidth, pad } from './width.ts'

/** One column of a table. */
export interface Column {
  title: string
  align?: 'left' | 'right'
  /** Columns to which it may be narrowed when the screen is too small; left out, it is never cut. */
  min?: number
  /** Columns with a higher number go first when even narrowed ones do not fit; 0 goes last. */
  drop?: number
}

export interface Cell {
  text: string
  paint?: Paint
}

const GAP = 2

/**
 * Lines of a table, titles first, none wider than `width`. Columns that may be narrowed give way, the widest first;
 * then columns are left out by their `drop`; and what still does not fit is cut.
 */
export function table(columns: readonly Column[], rows: readonly (readonly Cell[])[], width?: number): string[] {
  const lines: Cell[][] = [
    columns.map(({ title }) => ({ text: title })),
    ...rows.map((row) => columns.map((_, i) => ({ ...row[i], text: clean(row[i]?.text ?? '') || '-' }))),
  ]
  const natural = columns.map((_, i) => Math.max(...lines.map((line) => displayWidth(line[i]?.text ?? ''))))
  const { shown, widths } = arrange(columns, natural, width ?? Number.POSITIVE_INFINITY)
  return lines.map((line) => {
    const cells = shown.map((i, at) => {
      const { text, paint } = line[i] ?? { text: '' }
      const columnWidth = widths[at] ?? 0
      const kept = cut(text, columnWidth)
      const last = at === shown.length - 1 && columns[i]?.align !== 'right'
      const padded = last ? kept : pad(kept, columnWidth, columns[i]?.align)
      return paint ? padded.replace(kept, () => paint(kept)) : padded
    })
    return cells.join(' '.repeat(GAP))
  })
}

/** Which columns are shown, and how wide each is. */
function arrange(columns: readonly Column[], natural: readonly number[], width: number) {
  let shown = columns.map((_, i) => i)
  for (;;) {
    const widths = narrow(
      shown.map((i) => natural[i] ?? 0),
      shown.map((i) => columns[i]?.min),
      width - GAP * (shown.length - 1),
    )
    const total = widths.reduce((sum, each) => sum + each, 0) + GAP * (shown.length - 1)
    if (total <= width) return { shown, widths }
    if (shown.length === 1) return { shown, widths: [Math.max(0, width)] }
    const rank = (i: number) => columns[i]?.drop ?? 0
    const worst = shown.reduce((a, b) => (rank(b) >= rank(a) ? b : a))
    shown = shown.filter((i) => i !== worst)
  }
}

/** Takes columns away one by one from whichever may give most, until the sum is `room` or none can give any more. */
function narrow(natural: readonly number[], mins: readonly (number | undefined)[], room: number): number[] {
  const widths = [...natural]
  let over = widths.reduce((sum, each) => sum + each, 0) - room
  while (over > 0) {
    let widest = -1
    let second = 0
    widths.forEach((each, i) => {
      if (each <= (mins[i] ?? each)) return
      const most = widths[widest] ?? 0
      if (widest < 0 || each > most) {
        second = most
        widest = i
      } else second = Math.max(second, each)
    })
    if (widest < 0) break
    const now = widths[widest] ?? 0
    const least = Math.max(mins[widest] ?? now, Math.min(now - 1, second))
    const step = Math.min(over, now - least)
    widths[widest] = now - step
    over -= step
  }
  return widths
}

import type { Terminal } from '../terminal.ts'

/** The last lines of the terminal, drawn over and over. */
export interface Screen {
  /** Puts these lines in place of those drawn before; what does not fit the height is left out. */
  draw(lines: readonly string[]): void
}

export function createScreen(terminal: Pick<Terminal, 'out' | 'rows'>): Screen {
  let height = 0
  let shown = ''
  return {
    draw(lines) {
      const room = Math.max(1, terminal.rows - 1)
      const kept =
        lines.length <= room ? lines : [...lines.slice(0, room - 1), `… ${lines.length - room + 1} more lines`]
      const text = `${kept.join('\n')}\n`
      if (text === shown) return
      // Back to the first line drawn, and clear from there to the end of the screen.
      terminal.out(`${height > 0 ? `\x1b[${height}A\r\x1b[0J` : ''}${text}`)
      height = kept.length
      shown = text
    },
  }
}

import { terminalEnv } from '../config.ts'
import { type Runtime, systemRuntime } from '../runtime.ts'
import { untilStopped } from './signals.ts'

/** Where a command writes and what it may know of its surroundings. */
export interface Terminal {
  out(text: string): void
  err(text: string): void
  /** Whether a person looks at standard output, which then is redrawn and wraps at `columns`. */
  readonly interactive: boolean
  /** Columns of the screen, or of COLUMNS; undefined where nothing limits a line, as in a pipe. */
  readonly columns: number | undefined
  readonly rows: number
  readonly colours: boolean
  readonly env: Record<string, string | undefined>
  readonly runtime: Runtime
  /** Resolves when the person asks to stop. */
  untilStopped(): Promise<void>
}

/** The process's own terminal. Colours only on a screen, and not with NO_COLOR (https://no-color.org). */
export function systemTerminal(): Terminal {
  const { env, columns, noColour } = terminalEnv()
  const { stdout, stderr } = process
  // `sluice get | head` ends the pipe early: nobody reads on, so there is nothing left to say.
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0)
    throw error
  })
  return {
    out: (text) => void stdout.write(text),
    err: (text) => void stderr.write(text),
    interactive: stdout.isTTY === true,
    // Asked anew each time: the window may be resized while `watch` draws.
    get columns() {
      return columns ?? (stdout.isTTY ? stdout.columns || 80 : undefined)
    },
    get rows() {
      return stdout.rows || 24
    },
    colours: stdout.isTTY === true && !noColour && env.TERM !== 'dumb',
    env,
    runtime: systemRuntime,
    untilStopped,
  }
}

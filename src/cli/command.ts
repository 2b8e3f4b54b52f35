import type { Command } from 'commander'
import type { Terminal } from './terminal.ts'

/** One command of the binary: `exit` sets the exit code, 0 unless called. */
export type CommandFactory = (exit: (code: number) => void, terminal: Terminal) => Command

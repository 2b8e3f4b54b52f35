import type { Command } from 'commander'

/** One command of the binary: `exit` sets the exit code, 0 unless called. */
export type CommandFactory = (exit: (code: number) => void) => Command

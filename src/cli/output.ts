import { stringify } from 'yaml'
import type { Terminal } from './terminal.ts'

/** The forms for machines. */
export type MachineFormat = 'json' | 'yaml'

/** Prints a value whole, for machines. */
export function printMachine(terminal: Terminal, format: MachineFormat, value: unknown): void {
  terminal.out(format === 'json' ? `${JSON.stringify(value, null, 2)}\n` : stringify(value))
}

import { Command, CommanderError } from 'commander'
import manifest from '../../package.json' with { type: 'json' }
import { commands } from './commands.ts'
import { explain } from './explain.ts'
import { systemTerminal, type Terminal } from './terminal.ts'

/** Exit codes, the same for every command. `watch --exit-code` has more: see its help. */
export const exitCodes = {
  /** It did what was asked. */
  ok: 0,
  /** It did not: the message says why. */
  failed: 1,
  /** The command line cannot be understood. */
  usage: 2,
} as const

/** Runs one command line and answers with the exit code; what went wrong is one sentence on standard error. */
export async function run(argv: readonly string[], terminal: Terminal = systemTerminal()): Promise<number> {
  let code: number = exitCodes.ok
  const program = new Command('sluice')
    .description(
      'Progressive delivery for Kubernetes: traffic moves by Git, is judged by Prometheus, and comes back in seconds.',
    )
    .version(manifest.version)
    .addHelpText('after', '\nExit codes: 0 done, 1 not done (one sentence says why),\n2 the command line is wrong.')
  const exit = (result: number) => {
    code = result
  }
  for (const command of [program, ...commands.map((make) => make(exit, terminal))]) {
    command.exitOverride().configureOutput({
      writeOut: terminal.out,
      writeErr: terminal.err,
      getOutHelpWidth: () => Math.min(100, terminal.columns ?? 80),
      getErrHelpWidth: () => Math.min(100, terminal.columns ?? 80),
      getOutHasColors: () => terminal.colours,
      getErrHasColors: () => terminal.colours,
    })
    if (command === program) command.showHelpAfterError('(sluice --help lists the commands)')
    else program.addCommand(command.showHelpAfterError(`(sluice ${command.name()} --help tells more)`))
  }
  try {
    await program.parseAsync(['node', 'sluice', ...argv])
    return code
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage
    terminal.err(`sluice: ${explain(error)}\n`)
    return exitCodes.failed
  }
}

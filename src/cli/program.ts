import { Command, CommanderError } from 'commander'
import { SluiceError } from '../errors.ts'
import { asKubeError } from '../kube/kube-error.ts'
import { KubeconfigError } from '../kube/kubeconfig.ts'
import { commands } from './commands.ts'

/** Exit codes, the same for every command. */
export const exitCodes = {
  /** It did what was asked. */
  ok: 0,
  /** It did not: the message says why. */
  failed: 1,
  /** The command line cannot be understood. */
  usage: 2,
} as const

/** Runs one command line and answers with the exit code; what went wrong is one sentence on standard error. */
export async function run(argv: readonly string[]): Promise<number> {
  let code: number = exitCodes.ok
  const program = new Command('sluice')
    .description(
      'Progressive delivery for Kubernetes: traffic moves by Git, is judged by Prometheus, and comes back in seconds.',
    )
    .exitOverride()
    .showHelpAfterError('(sluice --help lists the commands)')
  const exit = (result: number) => {
    code = result
  }
  for (const command of commands) program.addCommand(command(exit).exitOverride())
  try {
    await program.parseAsync(['node', 'sluice', ...argv])
    return code
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage
    process.stderr.write(`sluice: ${explain(error)}\n`)
    return exitCodes.failed
  }
}

function explain(error: unknown): string {
  if (error instanceof SluiceError || error instanceof KubeconfigError) return error.message
  const kube = asKubeError(error)
  if (kube) return kube.message
  return error instanceof Error ? error.message : String(error)
}

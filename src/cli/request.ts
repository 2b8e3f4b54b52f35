import { Command, InvalidArgumentError } from 'commander'
import type { RequestVerb } from '../approval/request.ts'
import { type ClusterFlags, clusterOptions, type RolloutName, rolloutName, withCluster } from './cluster.ts'
import type { CommandFactory } from './command.ts'
import type { Terminal } from './terminal.ts'
import { refuseTwoNamespaces } from './usage.ts'

interface Flags extends ClusterFlags {
  reason?: string
  step?: number
  full?: boolean
  revision?: string
  /** Seconds; false with `--no-wait`. */
  wait: number | boolean
}

interface Verb {
  verb: RequestVerb
  description: string
  extra?: (command: Command) => Command
}

const verbs: readonly Verb[] = [
  { verb: 'pause', description: 'nothing moves forward until resumed; the guard stays on' },
  { verb: 'resume', description: 'go on after a pause, or after a contested weight' },
  {
    verb: 'promote',
    description: 'end the hold of the current step; approvals, windows and the guard stay',
    extra: (command) => command.option('--full', 'end all remaining holds'),
  },
  { verb: 'abort', description: 'all traffic back to stable at once; the revision is not tried again' },
  {
    verb: 'retry',
    description: 'let a revision that was rolled back be tried again',
    extra: (command) => command.option('--revision <revision>', 'which one; otherwise the one that failed last'),
  },
]

const DEFAULT_WAIT = 10

/** `pause`, `resume`, `promote`, `abort` and `retry`. */
export const requestCommands: readonly CommandFactory[] = verbs.map(
  ({ verb, description, extra = (command: Command) => command }) =>
    (_exit, terminal) => {
      const command = clusterOptions(extra(new Command(verb)))
        .description(description)
        .argument('<rollout>', 'NAME or NAMESPACE/NAME', rolloutName)
        .option('--reason <text>', 'why; kept in status, events and Git', reasonText)
        .option('--wait <seconds>', 'how long to wait for the answer', seconds, DEFAULT_WAIT)
        .option('--no-wait', 'do not wait for the answer')
      if (verb !== 'retry') command.option('--step <number>', 'only while this step is held', stepNumber)
      return command
        .addHelpText(
          'after',
          '\nCounts for the revision that is seen now, and is void for any other.\nExit codes: 0 done, 1 void, refused or not answered (one sentence says why),\n2 the command line is wrong.',
        )
        .action((named: RolloutName, flags: Flags, self: Command) => {
          refuseTwoNamespaces(self, named, flags)
          return request(verb, named, flags, terminal)
        })
    },
)

async function request(verb: RequestVerb, named: RolloutName, flags: Flags, terminal: Terminal): Promise<void> {
  const { askController } = await import('./request/ask.ts')
  await withCluster(flags, terminal, async (cluster) => {
    const { reason, step, full, revision } = flags
    const waitMs = flags.wait === false ? 0 : (flags.wait === true ? DEFAULT_WAIT : flags.wait) * 1000
    const answer = await askController({
      cluster,
      runtime: terminal.runtime,
      named,
      verb,
      waitMs,
      details: {
        ...(reason === undefined ? {} : { reason }),
        ...(step === undefined ? {} : { step }),
        ...(full === undefined ? {} : { full }),
        ...(revision === undefined ? {} : { revision }),
      },
    })
    const { clean } = await import('./width.ts')
    terminal.out(`${clean(answer)}\n`)
  })
}

/** A reason as it fits into every place that keeps one. @throws {InvalidArgumentError} when it is too long. */
export function reasonText(text: string): string {
  if (text.length > 1000) throw new InvalidArgumentError('A reason has at most 1000 characters.')
  return text
}

function seconds(text: string): number {
  const value = Number(text)
  if (!/^\d+(\.\d+)?$/.test(text) || value > 86_400) throw new InvalidArgumentError('Give seconds, for example 30.')
  return value
}

function stepNumber(text: string): number {
  if (!/^\d{1,3}$/.test(text)) throw new InvalidArgumentError('Give the number of a step, as sluice describe shows it.')
  return Number(text)
}

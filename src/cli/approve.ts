import { Command, InvalidArgumentError, Option } from 'commander'
import type { Decision } from '../api/approval.ts'
import { parseDuration } from '../api/duration.ts'
import { type ClusterFlags, clusterOptions, type RolloutName, rolloutName, withCluster } from './cluster.ts'
import type { CommandFactory } from './command.ts'
import { type MachineFormat, printMachine } from './output.ts'
import { reasonText } from './request.ts'
import type { Terminal } from './terminal.ts'
import { refuseTwoNamespaces } from './usage.ts'

interface Flags extends ClusterFlags {
  reason?: string
  approval?: string
  digest?: string
  /** Epoch ms. */
  at?: number
  /** Milliseconds from now. */
  in?: number
  emergency?: boolean
  output?: MachineFormat
}

export const approveCommand = decisionCommand(
  'approve',
  'Approve',
  'say yes to the move a Rollout asks about, as the user of the kubeconfig',
)
export const rejectCommand = decisionCommand(
  'reject',
  'Reject',
  'say no: all traffic goes back to stable, and the revision is not tried again',
)

function decisionCommand(name: string, verdict: Decision['verdict'], description: string): CommandFactory {
  return (_exit, terminal) => {
    const command = clusterOptions(new Command(name))
      .description(description)
      .argument('<rollout>', 'NAME or NAMESPACE/NAME', rolloutName)
      .option('--reason <text>', 'why; kept with the decision', reasonText)
      .option('--approval <name>', 'which question, where several are open')
      .option('--digest <digest>', 'only if this very move is still the one that is asked about')
    if (verdict === 'Approve') {
      command
        .addOption(
          new Option('--at <time>', 'the move may be made from this time on, such as 2026-03-02T09:00:00Z')
            .argParser((text) => moment(text, terminal.runtime.now()))
            .conflicts(['in', 'emergency']),
        )
        .addOption(
          new Option('--in <duration>', 'the same, from now: 90m, 12h, 2d')
            .argParser(span)
            .conflicts(['at', 'emergency']),
        )
        .option('--emergency', 'override: counts alone, whoever was asked; takes the verb override, and --reason')
    }
    return command
      .addOption(new Option('-o, --output <format>', 'what was decided and what is missing').choices(['json', 'yaml']))
      .addHelpText(
        'after',
        '\nExit codes: 0 recorded, 1 not recorded (one sentence says why),\n2 the command line is wrong.',
      )
      .action((named: RolloutName, flags: Flags, self: Command) => {
        refuseTwoNamespaces(self, named, flags)
        if (flags.emergency && !flags.reason?.trim())
          self.error("error: option '--emergency' needs '--reason <text>'", { exitCode: 2 })
        return decide(verdict, named, flags, terminal)
      })
  }
}

async function decide(
  verdict: Decision['verdict'],
  named: RolloutName,
  flags: Flags,
  terminal: Terminal,
): Promise<void> {
  const [{ choose, record }, { findRollout }, { questionsOf }, { questionText }, { clean }] = await Promise.all([
    import('./decision.ts'),
    import('./rollouts.ts'),
    import('./questions.ts'),
    import('./page/question.ts'),
    import('./width.ts'),
  ])
  await withCluster(flags, terminal, async (cluster) => {
    const { runtime } = terminal
    const rollout = await findRollout(cluster, named)
    const approval = choose(rollout, await questionsOf(cluster, rollout), flags, runtime.now())
    if (flags.output === undefined) {
      const shown = [
        `${rollout.namespace}/${rollout.name}: ${questionText(approval, runtime.now()).join('\n  ')}`,
        ...approval.spec.evidence.map((line) => `  ${clean(line)}`),
        `  digest ${approval.spec.digest}`,
      ]
      terminal.out(`${shown.join('\n')}\n`)
    }
    const notBefore = flags.in === undefined ? flags.at : runtime.now() + flags.in
    const answer = { verdict, reason: flags.reason, notBefore, override: flags.emergency === true }
    const recorded = await record(cluster, approval, answer, runtime)
    if (flags.output === undefined) terminal.out(`${clean(recorded.sentence)}\n`)
    else printMachine(terminal, flags.output, recorded.report)
  })
}

function moment(text: string, now: number): number {
  const at = Date.parse(text)
  if (!/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})$/.test(text) || Number.isNaN(at))
    throw new InvalidArgumentError('Give a time with its zone, for example 2026-03-02T09:00:00Z.')
  if (at <= now) throw new InvalidArgumentError(`It is ${new Date(now).toISOString()} already.`)
  return at
}

function span(text: string): number {
  try {
    return parseDuration(text)
  } catch {
    throw new InvalidArgumentError('Give a duration, for example 90m or 12h.')
  }
}

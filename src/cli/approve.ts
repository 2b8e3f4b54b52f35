import { Command } from 'commander'
import type { Decision } from '../api/approval.ts'
import { type ClusterFlags, clusterOptions, type RolloutName, rolloutName, withCluster } from './cluster.ts'
import type { CommandFactory } from './command.ts'
import { reasonText } from './request.ts'
import type { Terminal } from './terminal.ts'
import { refuseTwoNamespaces } from './usage.ts'

interface Flags extends ClusterFlags {
  reason?: string
  approval?: string
  digest?: string
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
  return (_exit, terminal) =>
    clusterOptions(new Command(name))
      .description(description)
      .argument('<rollout>', 'NAME or NAMESPACE/NAME', rolloutName)
      .option('--reason <text>', 'why; kept with the decision', reasonText)
      .option('--approval <name>', 'which question, where several are open')
      .option('--digest <digest>', 'only if this very move is still the one that is asked about')
      .addHelpText(
        'after',
        '\nExit codes: 0 recorded, 1 not recorded (one sentence says why),\n2 the command line is wrong.',
      )
      .action((named: RolloutName, flags: Flags, command: Command) => {
        refuseTwoNamespaces(command, named, flags)
        return decide(verdict, named, flags, terminal)
      })
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
    const shown = [
      `${rollout.namespace}/${rollout.name}: ${questionText(approval, runtime.now()).join('\n  ')}`,
      ...approval.spec.evidence.map((line) => `  ${clean(line)}`),
      `  digest ${approval.spec.digest}`,
    ]
    terminal.out(`${shown.join('\n')}\n`)
    const message = await record(cluster, approval, { verdict, reason: flags.reason }, runtime)
    terminal.out(`${clean(message)}\n`)
  })
}

import { Command, Option } from 'commander'
import { asKubeError } from '../kube/kube-error.ts'
import type { KubeObject } from '../kube/object.ts'
import {
  type Cluster,
  type ClusterFlags,
  clusterOptions,
  type RolloutName,
  rolloutName,
  withCluster,
} from './cluster.ts'
import type { CommandFactory } from './command.ts'
import type { Rollout } from './rollouts.ts'
import type { Terminal } from './terminal.ts'
import { refuseTwoNamespaces } from './usage.ts'

interface Flags extends ClusterFlags {
  output?: 'json' | 'yaml'
}

export const describeCommand: CommandFactory = (_exit, terminal) =>
  clusterOptions(new Command('describe'))
    .description('everything about one Rollout: where it stands, why, and what can be done')
    .argument('<rollout>', 'NAME or NAMESPACE/NAME', rolloutName)
    .addOption(
      new Option('-o, --output <format>', 'the Rollout, its open Approvals and its events').choices(['json', 'yaml']),
    )
    .action((named: RolloutName, flags: Flags, command: Command) => {
      refuseTwoNamespaces(command, named, flags)
      return describe(named, flags, terminal)
    })

async function describe(named: RolloutName, flags: Flags, terminal: Terminal): Promise<void> {
  const [{ findRollout }, { questionsOf, openQuestions }] = await Promise.all([
    import('./rollouts.ts'),
    import('./questions.ts'),
  ])
  await withCluster(flags, terminal, async (cluster) => {
    const rollout = await findRollout(cluster, named)
    const [asked, events] = await Promise.all([
      questionsOf(cluster, rollout).catch(forbidden),
      eventsOf(cluster, rollout).catch(forbidden),
    ])
    const now = terminal.runtime.now()
    const questions = asked && openQuestions(asked, now)
    if (flags.output) {
      const { printMachine } = await import('./output.ts')
      const approvals = (questions ?? []).map(({ namespace, name, spec, status }) => ({
        namespace,
        name,
        spec,
        status,
      }))
      printMachine(terminal, flags.output, { rollout: rollout.object, approvals, events: events ?? [] })
      return
    }
    const [{ page }, { palette }, { commandLine }] = await Promise.all([
      import('./page/page.ts'),
      import('./paint.ts'),
      import('./command-line.ts'),
    ])
    const lines = page({
      rollout,
      ...(questions ? { questions } : {}),
      events: events ?? 'you may not read events in this namespace',
      now,
      colours: palette(terminal.colours),
      width: Math.min(terminal.columns ?? 80, 100),
      command: (verb) => commandLine(verb, rollout, flags),
    })
    terminal.out(`${lines.join('\n')}\n`)
  })
}

/** What may not be read is left out: the rest of the page is worth having. */
function forbidden(error: unknown): undefined {
  if (asKubeError(error)?.status !== 403) throw error
}

/** Newest first. */
async function eventsOf(cluster: Cluster, rollout: Rollout): Promise<KubeObject[]> {
  const [{ listAll }, { resources }, { eventTime }] = await Promise.all([
    import('./rollouts.ts'),
    import('../kube/resources.ts'),
    import('./page/past.ts'),
  ])
  const { namespace, name, object } = rollout
  const fieldSelector = `involvedObject.kind=Rollout,involvedObject.name=${name}`
  const events = await listAll(cluster, resources.events, { namespace, fieldSelector })
  const own = events.filter(({ involvedObject: about }) => {
    const uid = typeof about === 'object' && about !== null && 'uid' in about ? about.uid : undefined
    return uid === undefined || uid === object.metadata.uid
  })
  return own.sort((a, b) => Date.parse(eventTime(b) ?? '') - Date.parse(eventTime(a) ?? ''))
}

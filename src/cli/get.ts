import { Command, Option } from 'commander'
import { type ClusterFlags, clusterOptions, type RolloutName, rolloutName, withCluster } from './cluster.ts'
import type { CommandFactory } from './command.ts'
import type { Terminal } from './terminal.ts'
import { refuseTwoNamespaces } from './usage.ts'

interface Flags extends ClusterFlags {
  allNamespaces?: boolean
  output?: 'wide' | 'json' | 'yaml'
}

export const getCommand: CommandFactory = (_exit, terminal) =>
  clusterOptions(new Command('get'))
    .description('list Rollouts, one line each')
    .argument('[rollout]', 'NAME or NAMESPACE/NAME; all of the namespace when left out', rolloutName)
    .option('-A, --all-namespaces', 'of every namespace')
    .addOption(
      new Option('-o, --output <format>', 'wide shows more and cuts nothing').choices(['wide', 'json', 'yaml']),
    )
    .action((named: RolloutName | undefined, flags: Flags, command: Command) => {
      refuseTwoNamespaces(command, named, flags)
      return get(named, flags, terminal)
    })

async function get(named: RolloutName | undefined, flags: Flags, terminal: Terminal): Promise<void> {
  const { findRollout, listRollouts } = await import('./rollouts.ts')
  await withCluster(flags, terminal, async (cluster) => {
    const { output } = flags
    const namespace = flags.allNamespaces ? undefined : cluster.namespace
    const found = named ? [await findRollout(cluster, named)] : await listRollouts(cluster, namespace)
    if (output === 'json' || output === 'yaml') {
      const { printMachine } = await import('./output.ts')
      const items = found.map(({ object }) => object)
      printMachine(terminal, output, named ? items[0] : { apiVersion: 'v1', kind: 'List', items })
      return
    }
    if (found.length === 0) {
      terminal.err(`No Rollouts in ${namespace === undefined ? 'any namespace' : `the namespace ${namespace}`}.\n`)
      return
    }
    const { rolloutTable } = await import('./rollout-table.ts')
    const { palette } = await import('./paint.ts')
    const lines = rolloutTable(found, {
      now: terminal.runtime.now(),
      colours: palette(terminal.colours),
      namespaces: flags.allNamespaces === true,
      wide: output === 'wide',
      width: output === 'wide' ? undefined : terminal.columns,
    })
    terminal.out(`${lines.join('\n')}\n`)
  })
}

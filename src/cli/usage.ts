import type { Command } from 'commander'
import type { ClusterFlags, RolloutName } from './cluster.ts'

/** Ends the command with a usage error where the command line names two different places. */
export function refuseTwoNamespaces(
  command: Command,
  named: RolloutName | undefined,
  flags: ClusterFlags & { allNamespaces?: boolean },
): void {
  const { namespace, allNamespaces } = flags
  if (allNamespaces && (named || namespace)) {
    command.error('error: --all-namespaces goes with neither a name nor --namespace; leave one of them out')
  }
  if (named?.namespace !== undefined && namespace !== undefined && named.namespace !== namespace) {
    command.error(
      `error: ${named.namespace}/${named.name} is not in the namespace ${namespace}; name the namespace once`,
    )
  }
}

import { Command, Option } from 'commander'
import { type ClusterFlags, clusterOptions, type RolloutName, rolloutName, withCluster } from './cluster.ts'
import type { CommandFactory } from './command.ts'
import { refuseTwoNamespaces } from './usage.ts'

/** Flags of `watch`, as commander gives them. */
export interface WatchFlags extends ClusterFlags {
  allNamespaces?: boolean
  revision?: string
  exitCode?: boolean
  timeout?: string
  output?: 'json'
}

/** What `watch --exit-code` answers, besides 0 (promoted) and 1 (it could not be watched). */
export const watchExitCodes = { Promoted: 0, Bad: 3, Replaced: 4, TimedOut: 5 } as const

const help = `
On a screen it is drawn anew with every change; in a pipe each change is a line.

For pipelines:
  sluice watch shop/checkout --revision v2 --exit-code --timeout 30m
--revision is a revision (v2-4f2a90c1de) or the name it begins with (v2). The
watch ends when the revision has come to its end. An end that lies in the past
counts too, unless the Rollout was changed or the revision is to be retried
since; so where content changes under one name, give the whole revision.

Exit codes with --exit-code:
  0  promoted: the revision is stable
  1  it could not be watched (one sentence says why)
  2  the command line is wrong
  3  rolled back or aborted
  4  superseded by another revision, or reverted
  5  none of this within --timeout`

export const watchCommand: CommandFactory = (exit, terminal) =>
  clusterOptions(new Command('watch'))
    .description('follow Rollouts live; wait for the end of a revision in pipelines')
    .argument('[rollout]', 'NAME or NAMESPACE/NAME; all of the namespace when left out', rolloutName)
    .option('-A, --all-namespaces', 'of every namespace')
    .option('--revision <revision>', 'end when this revision has come to its end')
    .option('--exit-code', 'tell by the exit code how it ended; without --revision for the one that is tried now')
    .option('--timeout <duration>', 'end after this long, for example 30m')
    .addOption(new Option('-o, --output <format>', 'one line for every version of a Rollout').choices(['json']))
    .addHelpText('after', help)
    .action(async (named: RolloutName | undefined, flags: WatchFlags, command: Command) => {
      refuseTwoNamespaces(command, named, flags)
      if (!named && (flags.revision !== undefined || flags.exitCode))
        command.error('error: --revision and --exit-code need the name of one Rollout')
      const timeoutMs = flags.timeout === undefined ? undefined : await milliseconds(flags.timeout, command)
      const { watch } = await import('./watch/watch.ts')
      const ended = await withCluster(flags, terminal, (cluster) =>
        watch({ cluster, terminal, named, flags, timeoutMs }),
      )
      if (ended === 'TimedOut' || flags.exitCode) exit(watchExitCodes[ended])
    })

const LONGEST_MS = 14 * 86_400_000

/** Milliseconds of `--timeout`; ends the command with a usage error where it is no duration. */
async function milliseconds(text: string, command: Command): Promise<number> {
  const { parseDuration } = await import('../api/duration.ts')
  try {
    const ms = parseDuration(text)
    // Timers count in 31 bits: 24 days.
    if (ms <= LONGEST_MS) return ms
  } catch {}
  return command.error(
    `error: --timeout: ${JSON.stringify(text)} is not a duration of at most 14d, for example 90s or 30m`,
  )
}

import { Command, InvalidArgumentError, Option } from 'commander'
import type { Break } from '../git/story.ts'
import { clusterOptions, type RolloutName, rolloutName } from './cluster.ts'
import type { CommandFactory } from './command.ts'
import { explain } from './explain.ts'
import type { Place, PlaceFlags } from './history/place.ts'
import type { Branch } from './history/read.ts'
import type { Entry } from './history/trail.ts'
import type { Terminal } from './terminal.ts'

interface Flags extends PlaceFlags {
  since?: number
  last?: number
  output?: 'table' | 'json' | 'yaml'
  verify?: boolean
  allowedSigners?: string
  writer?: string[]
}

/** What Git by itself cannot tell, said with every verdict. */
export const limits: readonly string[] = [
  'Whether messages and files were rewritten together: protect the branch, or sign commits and pass --allowed-signers.',
  'Whether newest operations were cut off: compare with status.git.lastCommit of the cluster, which is done where one is read.',
  'Whether those who are named approved: their decisions are in the Approvals and in the audit log of the API server.',
]

/** How many operations a table shows unless told. */
const shown = 50

export const historyCommand: CommandFactory = (exit, terminal) =>
  clusterOptions(new Command('history'))
    .description('the audit trail, rebuilt from the commits in Git alone')
    .argument('[rollout]', 'NAME or NAMESPACE/NAME; all of the branch when left out', rolloutName)
    .option('--repo <dir|url>', "a clone or a URL, read with your own git; otherwise the Rollout's RolloutSource")
    .option('--branch <name>', "otherwise the RolloutSource's, or the one that is checked out")
    .option('--since <time>', 'only what was decided since: 36h, 7d, 2026-11-01, 2026-11-01T10:00Z', (text) =>
      sinceTime(text, terminal.runtime.now()),
    )
    .option('--last <n>', `only the newest operations; a table shows ${shown} unless told`, count)
    .addOption(new Option('-o, --output <format>', 'table unless told').choices(['table', 'json', 'yaml']))
    .option('--verify', 'check that the branch tells an unbroken story')
    .option('--allowed-signers <file>', 'with --verify: every operation has to be signed by one of these (ssh-keygen)')
    .option(
      '--writer <email>',
      'with --verify: who may write operations; may be repeated',
      (text, all: string[] = []) => [...all, text],
    )
    .addHelpText(
      'after',
      '\nExit codes: 0 shown, or the story is whole; 1 not shown, or with --verify the story is broken;\n2 the command line is wrong, or with --verify the repository cannot be read.',
    )
    .action(async (named: RolloutName | undefined, flags: Flags, command: Command) => {
      if (!flags.verify && (flags.allowedSigners !== undefined || flags.writer !== undefined))
        command.error('error: --allowed-signers and --writer go with --verify')
      try {
        const whole = await history(named, flags, terminal)
        if (!whole) exit(1)
      } catch (error) {
        if (!flags.verify) throw error
        terminal.err(`sluice: ${explain(error)}\n`)
        exit(2)
      }
    })

/** Answers whether the story is whole, or was not asked for. */
async function history(named: RolloutName | undefined, flags: Flags, terminal: Terminal): Promise<boolean> {
  const [{ placeOf }, { withClone }, { readBranch }, { trailOf }] = await Promise.all([
    import('./history/place.ts'),
    import('./history/git.ts'),
    import('./history/read.ts'),
    import('./history/trail.ts'),
  ])
  const place = await placeOf(named, flags, terminal)
  return await withClone(place, terminal, async (clone) => {
    const signers = flags.verify ? await signersFile(flags) : undefined
    const branch = await readBranch(clone, { ...(signers === undefined ? {} : { signers }) })
    const rollout = place.rollout === undefined ? undefined : oneOf(place.rollout, branch, clone.origin)
    const everything = trailOf(branch, rollout)
    const { since = 0 } = flags
    const recent = everything.filter(({ at }) => Date.parse(at) >= since)
    const wanted = flags.last ?? (flags.output === undefined || flags.output === 'table' ? shown : recent.length)
    const entries = newest(recent, wanted)
    const breaks = flags.verify ? await broken(branch, place, flags, clone.shallow, rollout) : []
    const read = { repository: clone.origin, branch: clone.branch, tip: clone.tip }
    if (flags.output === 'json' || flags.output === 'yaml') {
      const { printMachine } = await import('./output.ts')
      const verified = flags.verify ? { verified: { whole: breaks.length === 0, breaks, limits } } : {}
      printMachine(terminal, flags.output, { ...read, entries, ...verified })
    } else if (flags.verify) {
      const { verdictLines } = await import('./history/verdict.ts')
      terminal.out(`${verdictLines({ ...read, entries: everything, breaks, limits }, terminal).join('\n')}\n`)
    } else await show(entries, recent.length - entries.length, read, terminal)
    return breaks.length === 0
  })
}

async function show(
  entries: readonly Entry[],
  left: number,
  { repository, branch }: { repository: string; branch: string },
  terminal: Terminal,
): Promise<void> {
  if (entries.length === 0) {
    terminal.err(`No operations in the branch ${branch} of ${repository}.\n`)
    return
  }
  const [{ trailTable }, { palette }] = await Promise.all([import('./history/table.ts'), import('./paint.ts')])
  const lines = trailTable(entries, { colours: palette(terminal.colours), width: terminal.columns })
  terminal.out(`${lines.join('\n')}\n`)
  if (left > 0)
    terminal.err(
      `${left} earlier ${left === 1 ? 'entry is' : 'entries are'} not shown; --last ${left + entries.length} shows all.\n`,
    )
}

async function broken(
  branch: Branch,
  { writer, lastCommits }: Place,
  flags: Flags,
  shallow: boolean,
  rollout: string | undefined,
): Promise<Break[]> {
  const { verifyStory } = await import('../git/story.ts')
  const writers = flags.writer ?? (writer === undefined ? [] : [writer])
  const breaks = verifyStory({
    chapters: branch.chapters,
    writers,
    shallow,
    ...(rollout === undefined ? {} : { rollout }),
  })
  const missing = lastCommits.filter((last) => !branch.commits.has(last.commit))
  return [
    ...breaks,
    ...missing.map(({ rollout, commit }): Break => {
      return { commit, rollout, kind: 'Tip', message: 'is what the cluster committed last, and is not in the branch' }
    }),
  ]
}

/** The newest `count` of the entries, in their order. */
function newest(entries: readonly Entry[], wanted: number): Entry[] {
  if (entries.length <= wanted) return [...entries]
  const kept = new Set([...entries].sort((a, b) => Date.parse(b.at) - Date.parse(a.at)).slice(0, wanted))
  return entries.filter((entry) => kept.has(entry))
}

/** `namespace/name` of the Rollout that is meant; one that has no operations here is an error that names those that have. */
function oneOf(rollout: string, { chapters }: Branch, origin: string): string {
  const all = [
    ...new Set(chapters.flatMap(({ operations }) => operations.map((operation) => operation.rollout))),
  ].sort()
  const found = all.filter((key) => (rollout.startsWith('/') ? key.endsWith(rollout) : key === rollout))
  if (found.length === 1) return found[0]!
  const name = rollout.replace(/^\//, '')
  if (found.length > 1)
    throw new Error(`${name} is in several namespaces of ${origin}: name one of ${found.join(', ')}`)
  const there = all.length === 0 ? 'no Rollout has' : `those that have are ${all.slice(0, 10).join(', ')}`
  throw new Error(`${name} has no operations in ${origin}; ${there}`)
}

async function signersFile({ allowedSigners }: Flags): Promise<string | undefined> {
  if (allowedSigners === undefined) return undefined
  const [{ resolve }, { access }] = await Promise.all([import('node:path'), import('node:fs/promises')])
  await access(allowedSigners).catch((cause: unknown) => {
    throw new Error(`the file of allowed signers ${allowedSigners} cannot be read`, { cause })
  })
  return resolve(allowedSigners)
}

function sinceTime(text: string, now: number): number {
  const units = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 } as const
  const match = /^([0-9]+)([smhdw])$/.exec(text)
  const unit = match?.[2] as keyof typeof units | undefined
  const at = match && unit ? now - Number(match[1]) * units[unit] : Date.parse(text)
  if (Number.isNaN(at)) throw new InvalidArgumentError('Name a time as 36h, 7d or 2026-11-01T10:00Z.')
  return at
}

function count(text: string): number {
  if (!/^[1-9][0-9]{0,8}$/.test(text)) throw new InvalidArgumentError('Name a number from 1.')
  return Number(text)
}

import { age } from './age.ts'
import { type Palette, phasePaint, resultPaint } from './paint.ts'
import type { Rollout } from './rollouts.ts'
import { type Cell, type Column, table } from './table.ts'

export interface RolloutTableOptions {
  /** Epoch milliseconds. */
  now: number
  colours: Palette
  /** Shows the namespace too. */
  namespaces: boolean
  /** Shows images and Git too. */
  wide: boolean
  /** Columns of the screen; nothing is cut without. */
  width: number | undefined
}

type Field = Column & { cell: (rollout: Rollout) => Cell; wide?: true }

/** Lines of a table of Rollouts, titles first. */
export function rolloutTable(rollouts: readonly Rollout[], options: RolloutTableOptions): string[] {
  const fields = fieldsOf(options).filter((field) => options.wide || !field.wide)
  const rows = rollouts.map((rollout) => fields.map(({ cell }) => cell(rollout)))
  return table(fields, rows, options.width)
}

function fieldsOf({ now, colours, namespaces }: RolloutTableOptions): Field[] {
  const text = (value: string | number | undefined): Cell => ({ text: value === undefined ? '' : String(value) })
  return [
    ...(namespaces
      ? [{ title: 'NAMESPACE', min: 8, drop: 2, cell: ({ namespace }: Rollout) => text(namespace) } satisfies Field]
      : []),
    { title: 'NAME', min: 20, cell: ({ name }) => text(name) },
    {
      title: 'PHASE',
      cell: ({ status: { phase } }) =>
        phase === undefined ? text('Unseen') : { text: phase, paint: phasePaint(colours, phase) },
    },
    { title: 'STEP', drop: 4, cell: ({ status }) => text(status.stepSummary) },
    {
      title: 'WEIGHT',
      align: 'right',
      drop: 1,
      cell: ({ status }) => text(status.step === undefined ? undefined : percent(status.step.weight)),
    },
    { title: 'STABLE', min: 10, drop: 6, cell: ({ status }) => text(status.stable?.revision) },
    { title: 'CANARY', min: 10, drop: 5, cell: ({ status }) => text(status.canary?.revision) },
    {
      title: 'OUTCOME',
      drop: 7,
      cell: ({ status: { lastOutcome: last } }) =>
        last === undefined ? text(undefined) : { text: last.result, paint: resultPaint(colours, last.result) },
    },
    { title: 'STABLE-IMAGE', wide: true, cell: ({ status }) => text(status.stable?.image) },
    { title: 'CANARY-IMAGE', wide: true, cell: ({ status }) => text(status.canary?.image) },
    { title: 'GIT', wide: true, cell: ({ status: { git } }) => text(gitSummary(git)) },
    { title: 'MESSAGE', min: 20, drop: 3, cell: ({ status }) => text(status.message) },
    { title: 'AGE', align: 'right', drop: 8, cell: ({ createdAt }) => text(age(now - createdAt)) },
  ]
}

/** `10%`, `33.3%`, as messages of the controller write it. */
export function percent(weight: number): string {
  return `${Math.round(weight * 10) / 10}%`
}

function gitSummary(git: Rollout['status']['git']): string | undefined {
  if (git === undefined) return undefined
  const pending = git.pending?.length ?? 0
  if (pending > 0) return `${pending} pending`
  return git.lastCommit?.slice(0, 8)
}

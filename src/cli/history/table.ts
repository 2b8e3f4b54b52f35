import { age } from '../age.ts'
import { bar } from '../bar.ts'
import type { Paint, Palette } from '../paint.ts'
import { percent } from '../rollout-table.ts'
import { type Cell, type Column, table } from '../table.ts'
import type { Entry } from './trail.ts'

export interface TrailTableOptions {
  colours: Palette
  /** Columns of the screen; nothing is cut without. */
  width: number | undefined
}

type Field = Column & { cell: (entry: Entry, i: number) => Cell }

/** Columns of the chart of weights. */
const CHART = 8

/** Lines of the trail, titles first; the entries of an attempt are held together by a line at their left. */
export function trailTable(entries: readonly Entry[], { colours, width }: TrailTableOptions): string[] {
  const several = new Set(entries.map(({ rollout }) => rollout)).size > 1
  const fields = fieldsOf(entries, several, colours)
  return table(
    fields,
    entries.map((entry, i) => fields.map(({ cell }) => cell(entry, i))),
    width,
  )
}

function fieldsOf(entries: readonly Entry[], several: boolean, colours: Palette): Field[] {
  const text = (value: string | undefined): Cell => ({ text: value ?? '' })
  return [
    { title: 'WHEN (UTC)', min: 16, drop: 3, cell: ({ at }) => text(at.replace('T', ' ').replace(/Z$/, '')) },
    ...(several
      ? [{ title: 'ROLLOUT', min: 12, drop: 2, cell: ({ rollout }: Entry) => text(rollout) } satisfies Field]
      : []),
    {
      title: 'WHAT',
      cell: (entry, i) => ({
        text: `${branchOf(entries, i)} ${entry.what}${entry.what === 'step' && entry.step ? ` ${entry.step}` : ''}`,
        paint: tone(entry, colours),
      }),
    },
    { title: 'WEIGHT', align: 'right', cell: (entry) => text(weightText(entry)) },
    { title: 'CHART', drop: 8, cell: ({ weight }) => text(weight && bar(weight.to / 100, CHART)) },
    { title: 'REVISION', min: 12, drop: 4, cell: (entry) => text(revisionText(entry)) },
    { title: 'VERDICT', min: 8, drop: 5, cell: ({ verdict }) => text(verdict) },
    { title: 'EVIDENCE', min: 16, drop: 7, cell: ({ evidence }) => text(evidence.join('; ')) },
    { title: 'BY', min: 12, drop: 6, cell: (entry) => text(byText(entry)) },
    {
      title: 'TOOK',
      align: 'right',
      drop: 9,
      cell: ({ tookSeconds: took }) => text(took === undefined ? undefined : age(took * 1000)),
    },
    { title: 'COMMIT', drop: 1, cell: ({ commit }) => ({ text: commit.slice(0, 8), paint: colours.faint }) },
  ]
}

/** `┌ ├ └` along an attempt, `─` for one entry by itself. */
function branchOf(entries: readonly Entry[], i: number): string {
  const same = (a: Entry | undefined, b: Entry | undefined) => a?.rollout === b?.rollout && a?.attempt === b?.attempt
  const above = same(entries[i - 1], entries[i])
  const below = same(entries[i + 1], entries[i])
  return above ? (below ? '├' : '└') : below ? '┌' : '─'
}

function weightText({ weight, change }: Entry): string | undefined {
  if (change?.what === 'weight') return `${change.from ?? '?'} → ${change.to ?? 'gone'}`
  if (!weight) return undefined
  const to = percent(weight.to)
  return weight.from === undefined || weight.from === weight.to ? to : `${percent(weight.from)} → ${to}`
}

function revisionText({ revision, change, what }: Entry): string | undefined {
  if (change && change.what !== 'weight') return `${change.from ?? '?'} → ${change.to ?? 'gone'}`
  if (!revision) return undefined
  const { from, to } = revision
  if (what === 'step') return to
  return from === undefined || to === undefined || from === to ? (to ?? from) : `${from} → ${to}`
}

function byText({ approvedBy, requestedBy, override, change, author }: Entry): string {
  if (change) return author
  return [
    ...override.map((by) => `override: ${by}`),
    ...approvedBy.map((by) => `approved: ${by}`),
    ...requestedBy.map((by) => `asked for: ${by}`),
  ].join('; ')
}

function tone({ what, weight }: Entry, colours: Palette): Paint {
  if (what === 'promote') return colours.good
  if (what === 'rollback' || what === 'abort') return colours.bad
  if (what === 'person' || what === 'delete' || (what === 'restore' && weight?.to === 0)) return colours.wait
  return colours.busy
}

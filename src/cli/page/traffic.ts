import type { RevisionRecord } from '../../api/status.ts'
import { since } from '../age.ts'
import { bar } from '../bar.ts'
import { percent } from '../rollout-table.ts'
import { paragraph, type SectionOf } from './section.ts'

const BAR = 30

/** How the traffic is split, as a bar. */
export const traffic: SectionOf = ({ rollout: { status }, colours, width }) => {
  const { step, canary, stable } = status
  if (!stable && !step) return undefined
  const weight = canary ? (step?.weight ?? 0) : 0
  const drawn = bar(weight / 100, Math.min(BAR, width))
  const filled = drawn.replace(/░+$/, '')
  const split = canary ? `${percent(weight)} canary, ${percent(100 - weight)} stable` : 'all on stable'
  const entering = step?.entering ? `, moving to ${percent(step.entering.weight)}` : ''
  const words = paragraph(split + entering, Math.max(20, width - BAR - 2))
  const painted = colours.busy(filled) + colours.faint(drawn.slice(filled.length))
  return width >= BAR + 22
    ? { label: 'Traffic', lines: words.map((line, i) => `${i === 0 ? painted : ' '.repeat(BAR)}  ${line}`) }
    : { label: 'Traffic', lines: [painted, ...words] }
}

/** The revision that serves. */
export const stable: SectionOf = ({ rollout: { status }, width, colours }) => {
  const { stable: record } = status
  if (!record) return undefined
  const untested = record.tested === false ? ' (changed in place, never tested)' : ''
  const lines = paragraph(named(record) + untested, width, { indent: 2 })
  return { label: 'Stable', lines: untested === '' ? lines : lines.map(colours.wait) }
}

/** The revision that is tried. */
export const canary: SectionOf = ({ rollout: { status }, now, width }) => {
  const { canary: record, attempt, startedAt, author } = status
  if (!record) return undefined
  const facts = [
    attempt === undefined ? undefined : `attempt ${attempt}`,
    startedAt === undefined ? undefined : `started ${since(startedAt, now)} ago`,
    author === undefined ? undefined : `by ${author}`,
  ].filter((fact) => fact !== undefined)
  const lines = paragraph(named(record), width, { indent: 2 })
  return { label: 'Canary', lines: facts.length === 0 ? lines : [...lines, ...paragraph(facts.join(', '), width)] }
}

function named({ revision, image }: RevisionRecord): string {
  return image ? `${revision} (${image})` : revision
}

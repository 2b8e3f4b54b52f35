import { verbsNow } from '../../api/verbs.ts'
import { phasePaint } from '../paint.ts'
import { pad } from '../width.ts'
import { evidence } from './evidence.ts'
import { git } from './git.ts'
import { events, knownBad, outcomes, request } from './past.ts'
import { pods } from './pods.ts'
import { question } from './question.ts'
import { type PageInput, paragraph, type Section, type SectionOf, shellLines } from './section.ts'
import { steps, windows } from './steps.ts'
import { canary, stable, traffic } from './traffic.ts'

const LABEL = 11

/** What a person wants to know, in the order in which they want to know it. */
const sections: readonly SectionOf[] = [
  traffic,
  stable,
  canary,
  pods,
  steps,
  windows,
  evidence,
  question,
  next,
  git,
  knownBad,
  outcomes,
  request,
  events,
]

/** The page about one Rollout, in lines of at most `width` (at least 40) columns. */
export function page(input: Omit<PageInput, 'width'> & { width: number }): string[] {
  const { rollout, colours } = input
  const { status, namespace, name } = rollout
  const width = Math.max(40, input.width)
  const phase = status.phase === undefined ? 'Unseen' : phasePaint(colours, status.phase)(status.phase)
  const inner = { ...input, width: width - LABEL }
  const parts = sections.map((section) => section(inner)).filter((section) => section !== undefined)
  return [
    ...paragraph(`${namespace}/${name}`, width, { paint: colours.strong }),
    `${phase}${status.stepSummary ? ` at step ${status.stepSummary}` : ''}`,
    ...paragraph(status.message ?? 'No controller has looked at it yet; is sluice controller running?', width),
    ...notes(input).flatMap((note) => paragraph(note, width, { paint: colours.wait })),
    '',
    ...parts.flatMap(labelled),
  ]
}

function labelled({ label, lines }: Section): string[] {
  return lines.map((line, i) => pad(i === 0 ? label : '', LABEL) + line)
}

function notes({ rollout: { status, spec, object, outdated } }: PageInput): string[] {
  return [
    ...(object.metadata.deletionTimestamp ? ['It is being deleted.'] : []),
    ...(spec?.suspend ? ['It is suspended: hands off, a breach included.'] : []),
    ...(outdated && status.phase
      ? [
          `The controller has not seen the newest spec yet (generation ${object.metadata.generation ?? 0}, seen ${status.observedGeneration ?? 0}).`,
        ]
      : []),
  ]
}

/** What a person can do about it now. */
function next({ rollout: { status, spec }, colours, width, command }: PageInput): Section | undefined {
  const verbs = verbsNow(status, spec)
  if (verbs.length === 0) return undefined
  return { label: 'Do', lines: verbs.flatMap((verb) => shellLines(command(verb), width, colours.faint)) }
}

import { formatDuration, parseDuration } from '../../api/duration.ts'
import type { Step } from '../../api/rollout.ts'
import type { RolloutStatus } from '../../api/status.ts'
import { heldFor } from '../../plan/steps.ts'
import { age } from '../age.ts'
import { percent } from '../rollout-table.ts'
import { pad } from '../width.ts'
import { paragraph, type SectionOf } from './section.ts'

/** The steps, which are behind, which is held, and how long still. */
export const steps: SectionOf = ({ rollout: { spec, status }, now, colours, width }) => {
  if (!spec) return undefined
  if (!status.canary) {
    const way = spec.steps.map(({ weight, approval }) => `${percent(weight)}${approval ? ' (approval)' : ''}`)
    return { label: 'Steps', lines: paragraph(way.join(' → '), width, { paint: colours.faint }) }
  }
  const at = status.step?.index ?? 0
  const lines = spec.steps.flatMap((step, i) => {
    const number = i + 1
    const place = number < at ? 'behind' : number === at ? 'here' : 'ahead'
    const mark = { behind: '✓', here: '▶', ahead: '·' }[place]
    const paint = { behind: colours.faint, here: colours.strong, ahead: (text: string) => text }[place]
    const facts = place === 'here' ? [holdText(step, status, now), ...approvedText(status)] : aheadText(step, place)
    const head = `${mark} ${pad(String(number), 2)} ${pad(percent(step.weight), 5, 'right')}  `
    const [first = '', ...rest] = paragraph(facts.join(', '), width - head.length)
    return [paint(head + first), ...rest.map((line) => ' '.repeat(head.length) + paint(line))]
  })
  return { label: 'Steps', lines }
}

function aheadText(step: Step, place: 'behind' | 'ahead'): string[] {
  const { approval } = step
  if (place === 'behind') return [`held ${step.hold}`]
  const people = approval && (approval.required > 1 ? `${approval.required} of ` : '') + approval.from.join(', ')
  return [`hold ${step.hold}`, ...(people === undefined ? [] : [`after approval by ${people}`])]
}

function approvedText({ step }: RolloutStatus): string[] {
  return step?.approvedBy?.length ? [`approved by ${step.approvedBy.join(', ')}`] : []
}

/** The windows: while something is in flight, whether one is open; when nothing is, nobody has to know. */
export const windows: SectionOf = ({ rollout: { status }, now, colours, width }) => {
  const { window } = status
  if (!status.canary || !window) return undefined
  const opensAt = Date.parse(window.opensAt ?? '')
  const when = Number.isNaN(opensAt) ? '' : `, until ${new Date(opensAt).toISOString()} (in ${age(opensAt - now)})`
  const text = window.open ? 'open' : `closed: ${window.reason ?? 'no window is open'}${when}`
  return { label: 'Window', lines: paragraph(text, width, window.open ? {} : { paint: colours.wait }) }
}

/** How long the current step is held still, and whether its clock runs. */
export function holdText(step: Step, status: RolloutStatus, now: number): string {
  const waived = status.step?.waived ?? (status.waiveHolds ? 'all holds are ended' : undefined)
  if (waived !== undefined) return `hold waived: ${waived}`
  const left = parseDuration(step.hold) - heldFor(status, now)
  if (left <= 0) return `held ${step.hold}, the hold is over`
  const stands = status.step?.heldAt === undefined ? ' (its clock stands)' : ''
  return `${formatDuration(left < 1000 ? left : Math.ceil(left / 1000) * 1000)} left of ${step.hold}${stands}`
}

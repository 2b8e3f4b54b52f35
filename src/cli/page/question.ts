import { type Approval, rule } from '../../approval/object.ts'
import { age, since } from '../age.ts'
import { percent } from '../rollout-table.ts'
import { paragraph, type SectionOf, shellLines } from './section.ts'

/** The question that is open, and how to answer it. */
export const question: SectionOf = ({ rollout, questions, now, colours, width, command }) => {
  const asked = rollout.status.approval
  const answers = (which: string) =>
    ['approve', 'reject'].flatMap((verb) => shellLines(command(verb) + which, width, colours.wait))
  if (questions === undefined || questions.length === 0) {
    if (asked?.state !== 'Pending') return undefined
    const said = questions ? ', which is not there yet' : `, ${since(asked.since, now)} ago`
    const lines = paragraph(`asked as ${asked.name}${said}`, width)
    return { label: 'Approval', lines: questions ? lines : [...lines, ...answers('')] }
  }
  const lines = questions.flatMap((approval) => [
    ...questionText(approval, now).flatMap((text) => paragraph(text, width)),
    ...answers(questions.length > 1 ? ` --approval ${approval.name}` : ''),
  ])
  return { label: 'Approval', lines }
}

/** What an Approval asks, how far it is, and who may answer: sentences. */
export function questionText(approval: Approval, now: number): string[] {
  const { spec } = approval
  const place = spec.step > 0 ? `step ${spec.step} of ${spec.steps}` : 'the start'
  const left = Date.parse(spec.expiresAt) - now
  const then = spec.onExpiry === 'Reject' ? 'then it is rejected' : 'then it is asked again'
  const ruling = rule(approval, now)
  return [
    `${percent(spec.from)} → ${percent(spec.to)} of the traffic to ${spec.revision} (${place})`,
    `${ruling.by.length} of ${spec.required} said yes${ruling.by.length > 0 ? ` (${ruling.by.join(', ')})` : ''}; open for ${age(left)}, ${then}`,
    `may decide: ${spec.allowed.join(', ')}`,
    ...(spec.separationOfDuties && spec.authors.length > 0 ? [`not alone: ${spec.authors.join(', ')}`] : []),
  ]
}

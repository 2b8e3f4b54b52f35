import { type Approval, rule } from '../../approval/object.ts'
import { age, since } from '../age.ts'
import { percent } from '../rollout-table.ts'
import { clean } from '../width.ts'
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
  const { by, state, missing = [], notBefore, override } = rule(approval, now)
  const names = by.length > 0 ? ` (${by.join(', ')})` : ''
  const open = state === 'Approved' ? '' : `; open for ${age(left)}, ${then}`
  const far =
    override === undefined
      ? `${by.length} of ${spec.required} said yes${names}${open}`
      : `overridden by ${by.join(', ')}: ${override}`
  // The number of people is told above.
  const wanted = missing.filter((each) => !/^\d+ more /.test(each))
  return [
    `${percent(spec.from)} → ${percent(spec.to)} of the traffic to ${spec.revision} (${place})`,
    ...changeText(spec),
    far,
    ...(state === 'Approved' && notBefore !== undefined && notBefore > now
      ? [`approved for later: not before ${new Date(notBefore).toISOString()}, in ${age(notBefore - now)}`]
      : []),
    `may decide: ${spec.allowed.join(', ')}`,
    ...(spec.requiredFrom?.length ? [`among them: ${spec.requiredFrom.join(' and ')}`] : []),
    ...(spec.separationOfDuties && spec.authors.length > 0 ? [`not alone: ${spec.authors.join(', ')}`] : []),
    ...(by.length > 0 && wanted.length > 0 ? [`still missing: ${wanted.join('; ')}`] : []),
  ].map(clean)
}

const COMMITS_SHOWN = 5

/** What would change: the versions, who brought it, and the newest commits. */
function changeText({ change }: Approval['spec']): string[] {
  if (change === undefined) return []
  const { from, to, author, commits = [], commitCount = commits.length, compareUrl } = change
  const versions = [from?.image, to.image].filter((image) => image !== undefined)
  const shown = commits.slice(0, COMMITS_SHOWN)
  return [
    ...(versions.length > 0 ? [`image ${versions.join(' → ')}`] : []),
    ...(author === undefined ? [] : [`brought by ${author}`]),
    ...shown.map(({ sha, subject, author }) => `${sha.slice(0, 8)} ${subject} (${author})`),
    ...(commitCount > shown.length && shown.length > 0 ? [`and ${commitCount - shown.length} more commits`] : []),
    ...(compareUrl === undefined ? [] : [compareUrl]),
  ]
}

import type { Proposal } from '../git/forge/forge.ts'
import { code, quoted, withMarker } from '../git/pull-words.ts'
import { type Approval, rule } from './object.ts'

/** The words of a pull request that asks for a move: what would change, on what evidence, who may say yes. */
export function questionWords(
  approval: Approval,
  at: { now: number; cluster: string; labels: string[]; earlier?: string },
): Proposal {
  const { spec, namespace } = approval
  const { change } = spec
  const commits = change?.commits ?? []
  const more = (change?.commitCount ?? commits.length) - commits.length
  const open = spec.onExpiry === 'Reject' ? 'then it counts as rejected' : 'then it has to be asked again'
  const rows = [
    ['Traffic', `${spec.from} % → ${spec.to} %`],
    ['Step', `${spec.step} of ${spec.steps}`],
    ['Revision', version({ revision: spec.revision, ...(change?.to.image ? { image: change.to.image } : {}) })],
    ['Stable', change?.from ? version(change.from) : ''],
    ['Brought by', quoted(change?.author ?? spec.authors.join(', '))],
    ['Who may decide', spec.allowed.map(quoted).join(', ')],
    ['Among them', (spec.requiredFrom ?? []).map(quoted).join(', ')],
    ['Approvals needed', String(spec.required)],
    ['Approved so far', rule(approval, at.now).by.map(quoted).join(', ')],
    ['Open until', `${quoted(spec.expiresAt)}; ${open}`],
    ['Digest', code(spec.digest)],
  ].filter(([, value]) => value !== '')
  const lines = [
    `May ${code(`${namespace}/${spec.rollout}`)} in the cluster ${quoted(at.cluster)} send ${spec.to} % of its traffic to ${code(spec.revision)}?`,
    '',
    `Merging says yes, and so does an approving review of the newest commit. Closing says no. What others do, and what bots do, opens nothing; nor does a merge after the question has changed.`,
    ...(at.earlier ? ['', at.earlier] : []),
    '',
    '| | |',
    '|---|---|',
    ...rows.map(([label, value]) => `| ${label} | ${value} |`),
    ...(change?.compareUrl ? ['', `[The difference](${encodeURI(change.compareUrl).replace(/[()]/g, '')})`] : []),
    ...(commits.length > 0 ? ['', '### Commits', ''] : []),
    ...commits.map(({ sha, subject, author }) => `- ${code(sha.slice(0, 10))} ${quoted(subject)} (${quoted(author)})`),
    ...(more > 0 ? [`- and ${more} more`] : []),
    ...(spec.evidence.length > 0 ? ['', '### Evidence when it was asked', ''] : []),
    ...spec.evidence.map((line) => `- ${quoted(line)}`),
  ]
  return {
    title: `${spec.rollout}: approve ${spec.from}% → ${spec.to}% (${namespace})`,
    body: withMarker(lines.join('\n'), { digest: spec.digest }),
    labels: at.labels,
  }
}

function version({ revision, image }: { revision: string; image?: string | undefined }): string {
  return `${code(revision)}${image ? ` (${quoted(image)})` : ''}`
}

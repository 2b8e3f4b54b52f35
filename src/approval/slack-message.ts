import type { KnownBlock, SlackMessage } from '../notify/slack-api.ts'
import { escapeSlack, fitSection, mrkdwn, slackCode, slackLink, slackTime } from '../notify/slack-text.ts'
import { type Approval, isOpen, rule } from './object.ts'
import { approveAction, buttonValue, laterAction, rejectAction } from './slack-click.ts'

/** Commits that are named; the others are counted. */
const COMMITS_SHOWN = 5

/**
 * The message that asks, or that tells how it ended: the same message, updated. What moves and what that changes, the evidence, who may
 * decide and until when; buttons only while it is open; afterwards what became of it. Everything that comes from elsewhere is escaped.
 * Limits are those of docs.slack.dev, "Block Kit": 50 blocks, 150 characters in a header, 3,000 in a text, 2,000 in a field.
 */
export function renderQuestion(approval: Approval, now: number): SlackMessage {
  const { spec, namespace, status } = approval
  const ruling = rule(approval, now)
  const alive = isOpen(approval, now)
  const open = alive && ruling.state === 'Pending'
  const what = escapeSlack(`${namespace}/${spec.rollout}: ${spec.from} % → ${spec.to} %`)
  const mark = open ? ':raised_hand:' : endMark(approval, ruling)
  const ask = open ? `May *${spec.to} %* of the traffic go to` : `*${spec.to} %* of the traffic to`
  const blocks: KnownBlock[] = [
    { type: 'header', text: { type: 'plain_text', text: fitSection(`${mark} ${what}`, 150), emoji: true } },
    section(`${ask} ${slackCode(spec.revision)}${open ? '?' : ''}`),
    fields(approval),
    ...commits(approval),
    ...(spec.evidence.length === 0 ? [] : [section(evidenceText(spec.evidence))]),
    section(outcomeText(approval, now)),
  ]
  if (open) blocks.push(context(`${quorum(approval)}  ·  ${deadline(spec.expiresAt, spec.onExpiry)}`))
  // What is approved for later can still be rejected.
  const waits = alive && ruling.state === 'Approved' && (ruling.notBefore ?? 0) > now
  if (open) blocks.push(buttons(approval, [approve, later, reject]))
  else if (waits) blocks.push(buttons(approval, [reject]))
  const ending = status.outcome ? `${status.outcome.result}: ${status.outcome.message}` : ruling.message
  return { text: fitSection(`${open ? 'Approval wanted: ' : ''}${what}. ${escapeSlack(ending)}`), blocks }
}

/** The same without anything that Slack could find wrong with its blocks: a question must reach people. */
export function renderPlainQuestion(approval: Approval, now: number): SlackMessage {
  const { text, blocks = [] } = renderQuestion(approval, now)
  return { text, blocks: [section(text), ...blocks.filter(({ type }) => type === 'actions')] }
}

type Ruled = ReturnType<typeof rule>

const outcomes = {
  Promoted: { mark: ':white_check_mark:', text: 'Promoted' },
  RolledBack: { mark: ':rewind:', text: 'Rolled back' },
  Aborted: { mark: ':no_entry:', text: 'Aborted' },
  Superseded: { mark: ':heavy_minus_sign:', text: 'Superseded' },
  Reverted: { mark: ':rewind:', text: 'Reverted' },
} as const

function endMark({ status, deleting }: Approval, ruling: Ruled): string {
  if (status.outcome) return outcomes[status.outcome.result].mark
  if (ruling.closed === 'Void') return ':heavy_minus_sign:'
  if (ruling.override !== undefined) return ':rotating_light:'
  if (ruling.closed === 'Consumed') return ':arrow_forward:'
  if (ruling.state === 'Approved') return ruling.notBefore === undefined ? ':white_check_mark:' : ':alarm_clock:'
  if (deleting) return ':heavy_minus_sign:'
  return ruling.state === 'Rejected' ? ':no_entry:' : ':hourglass:'
}

/** What is stable and what is tried, side by side; who brought it, and where in the rollout it stands. */
function fields({ spec }: Approval): KnownBlock {
  const { change } = spec
  const place = spec.step > 0 ? `step ${spec.step} of ${spec.steps}` : 'the start'
  const version = (of: { revision: string; image?: string }) =>
    `${slackCode(of.revision)}${of.image ? `\n${slackCode(of.image)}` : ''}`
  const pairs: [string, string][] = [
    ...(change?.from ? [['Stable', version(change.from)] satisfies [string, string]] : []),
    ['Tried', version(change?.to ?? { revision: spec.revision })],
    ...(change?.author ? [['Brought by', escapeSlack(change.author)] satisfies [string, string]] : []),
    ['Where', place],
  ]
  return {
    type: 'section',
    fields: pairs.map(([name, text]) => mrkdwn(`*${name}*\n${text}`, 1_900)),
  }
}

/** The commits since stable, in small print. */
function commits({ spec }: Approval): KnownBlock[] {
  const { commits: named = [], commitCount, compareUrl } = spec.change ?? {}
  const count = Math.max(commitCount ?? 0, named.length)
  const link = compareUrl === undefined ? undefined : slackLink(compareUrl, 'see the difference')
  if (count === 0) return link === undefined ? [] : [context(link)]
  const head = `*${count} ${count === 1 ? 'commit' : 'commits'} since stable*${link ? `  ·  ${link}` : ''}`
  const lines = named
    .slice(0, COMMITS_SHOWN)
    .map(({ sha, subject, author }) => `${slackCode(sha.slice(0, 8))} ${escapeSlack(subject)} _${nameOf(author)}_`)
  const more = count - lines.length
  return [context([head, ...lines, ...(more > 0 && lines.length > 0 ? [`… and ${more} more`] : [])].join('\n'))]
}

/** The name alone of `Name <address>`. */
function nameOf(author: string): string {
  return escapeSlack(author.replace(/\s*<[^<>]*>\s*$/, '') || author)
}

function evidenceText(evidence: readonly string[]): string {
  return fitSection(`*Evidence so far*\n${evidence.map((line) => `• ${escapeSlack(line)}`).join('\n')}`)
}

function outcomeText(approval: Approval, now: number): string {
  const { outcome } = approval.status
  const answer = answerText(approval, now)
  if (outcome === undefined) return fitSection(answer)
  const { mark, text } = outcomes[outcome.result]
  const at = slackTime(Date.parse(outcome.at), outcome.at)
  // How it ended says more than how it was allowed: it comes first, so that it is never what is cut.
  return fitSection(`${mark} *${text}* ${at}: ${escapeSlack(outcome.message)}\n${answer}`)
}

function answerText(approval: Approval, now: number): string {
  const ruling = rule(approval, now)
  const by = ruling.by.map(mention).join(', ')
  const approved = by ? `${ruling.override === undefined ? 'Approved' : 'Overridden'} by ${by}` : ''
  const emergency = ruling.override === undefined ? '' : `: ${escapeSlack(ruling.override)}`
  if (ruling.closed !== undefined) return `${escapeSlack(ruling.message)}${by ? `\n${approved}${emergency}` : ''}`
  switch (ruling.state) {
    case 'Approved':
      return `${approved}${emergency}${ruling.notBefore === undefined ? '' : `, not before ${slackTime(ruling.notBefore)}`}`
    case 'Rejected':
      return `Rejected by ${by}${ruling.reason ? `: ${escapeSlack(ruling.reason)}` : ''}`
    case 'Expired':
      return approval.spec.onExpiry === 'Reject'
        ? 'Expired: nobody decided in time, which rejects'
        : 'Expired: nobody decided in time; it goes on waiting'
    case 'Pending':
      if (approval.deleting) return 'Closed: the question was taken back'
      return by ? `Approved so far by ${by}. ${escapeSlack(ruling.message)}` : askedOf(approval)
  }
}

function askedOf({ spec, status }: Approval): string {
  const { pullRequest } = status
  const link = pullRequest && slackLink(pullRequest.url, `pull request #${pullRequest.number}`)
  return `Asked: ${spec.allowed.slice(0, 20).map(mention).join(', ')}${link ? `, here or by merging ${link}` : ''}`
}

/** People and groups of Slack as mentions, where the id is one; everything else as text. */
function mention(name: string): string {
  const user = /^slack-user:([UW][A-Z0-9]{1,31})(?: \((.*)\))?$/.exec(name)
  if (user) return `<@${user[1]}>`
  const group = /^slack-group:(S[A-Z0-9]{1,31})$/.exec(name)
  if (group) return `<!subteam^${group[1]}>`
  return escapeSlack(name.replace(/^(user|group):/, ''))
}

function quorum({ spec }: Approval): string {
  const people = spec.required === 1 ? '1 approval' : `${spec.required} approvals by different people`
  const among = (spec.requiredFrom ?? []).map((entry) => `, one of ${mention(entry)}`).join('')
  return `${people} needed${among}${spec.separationOfDuties ? ', not by the author alone' : ''}`
}

function deadline(expiresAt: string, onExpiry: 'Reject' | 'Hold'): string {
  const when = slackTime(Date.parse(expiresAt), expiresAt)
  return `until ${when}, then ${onExpiry === 'Reject' ? 'it is rejected' : 'it goes on waiting'}`
}

type Button = Extract<Extract<KnownBlock, { type: 'actions' }>['elements'][number], { type: 'button' }>

function buttons(approval: Approval, made: ((approval: Approval) => Omit<Button, 'type' | 'value'>)[]): KnownBlock {
  const { namespace: ns, name, uid, spec } = approval
  const value = buttonValue({ ns, name, uid, digest: spec.digest })
  return { type: 'actions', elements: made.map((make) => ({ type: 'button', value, ...make(approval) })) }
}

function approve({ spec }: Approval): Omit<Button, 'type' | 'value'> {
  const move = `Move ${spec.rollout} from ${spec.from} % to ${spec.to} % of the traffic.`
  return {
    action_id: approveAction,
    style: 'primary',
    text: plain('Approve'),
    confirm: {
      title: plain('Approve?'),
      text: plain(move.slice(0, 290)),
      confirm: plain('Approve'),
      deny: plain('Cancel'),
    },
  }
}

/** Both open a dialog, which is question enough. */
const later = (): Omit<Button, 'type' | 'value'> => ({ action_id: laterAction, text: plain('Approve for later…') })
const reject = (): Omit<Button, 'type' | 'value'> => ({
  action_id: rejectAction,
  style: 'danger',
  text: plain('Reject…'),
})

function plain(text: string) {
  return { type: 'plain_text' as const, text }
}

function section(text: string): KnownBlock {
  return { type: 'section', text: mrkdwn(text) }
}

function context(text: string): KnownBlock {
  return { type: 'context', elements: [mrkdwn(text)] }
}

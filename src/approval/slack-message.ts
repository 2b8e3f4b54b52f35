import type { KnownBlock, SlackMessage } from '../notify/slack-api.ts'
import { escapeSlack, fitSection, slackCode } from '../notify/slack-text.ts'
import { type Approval, isOpen, rule } from './object.ts'
import { approveAction, buttonValue, rejectAction } from './slack-click.ts'

/**
 * The message that asks, or that tells how it ended: the same message, updated. What moves, the evidence, who may
 * decide and until when; buttons only while it is open. Everything that comes from elsewhere is escaped.
 */
export function renderQuestion(approval: Approval, now: number): SlackMessage {
  const { spec, namespace } = approval
  const ruling = rule(approval, now)
  const open = isOpen(approval, now) && ruling.state === 'Pending'
  const what = `${escapeSlack(`${namespace}/${spec.rollout}`)}: ${spec.from} % → ${spec.to} %`
  const headline = open ? `:raised_hand: *${what}*` : `${endMark(ruling)} *${what}*`
  const place = spec.step > 0 ? `step ${spec.step} of ${spec.steps}` : 'the start'
  const ask = open ? `May ${spec.to} % of the traffic go to` : `${spec.to} % of the traffic to`
  const blocks: KnownBlock[] = [
    section(`${headline}\n${ask} ${slackCode(spec.revision)} (${place})${open ? '?' : ''}`),
    ...(spec.evidence.length === 0 ? [] : [section(evidenceText(spec.evidence))]),
    section(outcomeText(approval, now)),
  ]
  if (open)
    blocks.push(context(`${quorum(approval)}  ·  ${deadline(spec.expiresAt, spec.onExpiry)}`), buttons(approval))
  return { text: fitSection(`${open ? 'Approval wanted: ' : ''}${what}. ${escapeSlack(ruling.message)}`), blocks }
}

function endMark(ruling: ReturnType<typeof rule>): string {
  if (ruling.closed === 'Void') return ':heavy_minus_sign:'
  if (ruling.closed === 'Consumed' || ruling.state === 'Approved') return ':white_check_mark:'
  return ruling.state === 'Rejected' ? ':no_entry:' : ':hourglass:'
}

function evidenceText(evidence: readonly string[]): string {
  return fitSection(evidence.map((line) => `• ${escapeSlack(line)}`).join('\n'))
}

function outcomeText(approval: Approval, now: number): string {
  const ruling = rule(approval, now)
  const by = ruling.by.map(mention).join(', ')
  if (ruling.closed !== undefined) return fitSection(`${escapeSlack(ruling.message)}${by ? `\nApproved by ${by}` : ''}`)
  const reason = ruling.reason ? `: ${escapeSlack(ruling.reason)}` : ''
  switch (ruling.state) {
    case 'Approved':
      return fitSection(`Approved by ${by}`)
    case 'Rejected':
      return fitSection(`Rejected by ${by}${reason}`)
    case 'Expired':
      return 'Expired: nobody decided in time'
    case 'Pending':
      if (approval.deleting) return 'Closed: the question was taken back'
      return fitSection(
        by ? `Approved so far by ${by}. ${escapeSlack(ruling.message)}` : askedOf(approval.spec.allowed),
      )
  }
}

function askedOf(allowed: readonly string[]): string {
  return `Asked: ${allowed.slice(0, 20).map(mention).join(', ')}`
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
  return `${people} needed${spec.separationOfDuties ? ', not by the author alone' : ''}`
}

function deadline(expiresAt: string, onExpiry: 'Reject' | 'Hold'): string {
  const seconds = Math.floor(Date.parse(expiresAt) / 1000)
  const when = Number.isFinite(seconds)
    ? `<!date^${seconds}^{date_short_pretty} {time}|${escapeSlack(expiresAt)}>`
    : 'unknown'
  return `until ${when}, then ${onExpiry === 'Reject' ? 'it is rejected' : 'it goes on waiting'}`
}

function buttons(approval: Approval): KnownBlock {
  const { namespace: ns, name, uid, spec } = approval
  const value = buttonValue({ ns, name, uid, digest: spec.digest })
  const confirm = (title: string, text: string, yes: string) => ({
    title: { type: 'plain_text' as const, text: title },
    text: { type: 'plain_text' as const, text: text.slice(0, 290) },
    confirm: { type: 'plain_text' as const, text: yes },
    deny: { type: 'plain_text' as const, text: 'Cancel' },
  })
  const more = `Move ${spec.rollout} from ${spec.from} % to ${spec.to} % of the traffic.`
  return {
    type: 'actions',
    elements: [
      {
        type: 'button',
        action_id: approveAction,
        style: 'primary',
        value,
        text: { type: 'plain_text', text: 'Approve' },
        confirm: confirm('Approve?', more, 'Approve'),
      },
      {
        type: 'button',
        action_id: rejectAction,
        style: 'danger',
        value,
        text: { type: 'plain_text', text: 'Reject' },
        confirm: confirm('Reject?', `All traffic of ${spec.rollout} goes back to the stable version.`, 'Reject'),
      },
    ],
  }
}

function section(text: string): KnownBlock {
  return { type: 'section', text: { type: 'mrkdwn', text } }
}

function context(text: string): KnownBlock {
  return { type: 'context', elements: [{ type: 'mrkdwn', text }] }
}

import type { Logger } from 'pino'
import type { Decision } from '../api/approval.ts'
import { escapeSlack } from '../notify/slack-text.ts'
import type { Runtime } from '../runtime.ts'
import type { Approvals, DecisionResult } from './approvals.ts'
import { type Approval, isOpen, rule } from './object.ts'
import { type ClickReading, readClick, type SlackClick } from './slack-click.ts'
import { renderQuestion } from './slack-message.ts'
import type { SlackPeople } from './slack-people.ts'
import type { SlackReply } from './slack-reply.ts'

/** What a click came to. Only `Recorded` changed anything. */
export type ClickResult =
  | DecisionResult['kind']
  /** The person is unknown, a guest, a bot, a stranger, or could not be looked up. */
  | 'NotIdentified'
  /** The API server could not be asked; the person is told to try again. */
  | 'Failed'
  | Exclude<ClickReading['kind'], 'Click'>

export interface SlackInteractions {
  /**
   * Takes an interaction whose origin has been proved (a signature, an authenticated socket), counts the decision or
   * refuses it with a word to the person, and logs which. Never throws.
   */
  handle(payload: unknown): Promise<ClickResult>
}

export interface SlackInteractionsConfig {
  approvals: Pick<Approvals, 'get' | 'add'>
  people: SlackPeople
  reply: SlackReply
  runtime: Pick<Runtime, 'now'>
  log: Logger
  /** Told about every click, for metrics. */
  onResult?: (result: ClickResult) => void
}

export function createSlackInteractions(config: SlackInteractionsConfig): SlackInteractions {
  const { approvals, people, reply, runtime, log, onResult } = config

  /** Says no to the person, in a message only they see. */
  function refuse(click: SlackClick, result: ClickResult, message: string): ClickResult {
    const facts = { approval: `${click.target.ns}/${click.target.name}`, user: click.user.id, team: click.teamId }
    log.warn({ ...facts, verdict: click.verdict, result, why: message }, 'slack decision refused')
    reply.whisper(click.responseUrl, escapeSlack(message))
    return result
  }

  /** Says that it is over, and takes the buttons away. */
  function closed(click: SlackClick, approval: Approval | undefined, message: string): ClickResult {
    const own = approval !== undefined && !isOpen(approval, runtime.now())
    reply.replace(
      click.responseUrl,
      own ? renderQuestion(approval, runtime.now()) : { text: 'This question is closed.', blocks: [] },
    )
    return refuse(click, 'Closed', message)
  }

  async function decide(click: SlackClick): Promise<ClickResult> {
    const { ns, name, uid, digest } = click.target
    const key = { namespace: ns, name, uid }
    const approval = await approvals.get(key)
    if (approval === undefined || approval.spec.digest !== digest) {
      return closed(click, undefined, 'This question is closed; nothing was done')
    }
    if (!isOpen(approval, runtime.now())) {
      return closed(
        click,
        approval,
        `This question is closed; nothing was done. ${rule(approval, runtime.now()).message}`,
      )
    }
    const vouching = await people.vouch(click, approval.spec.allowed)
    if (!vouching.ok) return refuse(click, 'NotIdentified', vouching.why)
    const { speaker, unread } = vouching
    const at = new Date(runtime.now()).toISOString()
    const decision: Decision = { verdict: click.verdict, ...speaker, digest, at, id: click.id }
    const result = await approvals.add(key, decision)
    switch (result.kind) {
      case 'Recorded': {
        const facts = { approval: `${ns}/${name}`, user: click.user.id, email: speaker.email, verdict: click.verdict }
        log.info({ ...facts, result: result.message }, 'slack decision recorded')
        reply.replace(click.responseUrl, renderQuestion(result.approval, runtime.now()))
        return 'Recorded'
      }
      case 'NotAllowed': {
        const doubt =
          unread.length > 0 ? `; Slack did not say who is in ${unread.join(', ')}, try again in a minute` : ''
        return refuse(click, 'NotAllowed', `You may not decide this: ${result.message}${doubt}`)
      }
      case 'Closed':
        return closed(click, result.approval, result.message)
      case 'Duplicate':
        return refuse(click, 'Duplicate', result.message)
    }
  }

  async function handle(payload: unknown): Promise<ClickResult> {
    const reading = readClick(payload)
    if (reading.kind !== 'Click') {
      if (reading.kind === 'Malformed') log.warn({ why: reading.message }, 'slack interaction cannot be understood')
      return reading.kind
    }
    try {
      return await decide(reading.click)
    } catch (err) {
      log.error({ err, approval: `${reading.click.target.ns}/${reading.click.target.name}` }, 'slack decision failed')
      return refuse(
        reading.click,
        'Failed',
        'The cluster could not be asked, so nothing is known to be done; look again, or click once more',
      )
    }
  }

  return {
    async handle(payload) {
      const result = await handle(payload)
      onResult?.(result)
      return result
    },
  }
}

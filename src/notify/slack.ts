import type { Logger } from 'pino'
import type { Runtime } from '../runtime.ts'
import { createDelivery, type DeliveryConfig } from './delivery.ts'
import type { Notification, Notifier } from './notifier.ts'
import type { SlackApi, SlackMessage } from './slack-api.ts'
import { escapeSlack, fitSection } from './slack-text.ts'

export interface SlackNotifierConfig extends Pick<DeliveryConfig, 'backoff' | 'giveUpAfterMs' | 'capacity' | 'onLost'> {
  api: SlackApi
  channel: string
  runtime: Runtime
  log: Logger
}

const marks: Record<Notification['topic'], string> = {
  started: ':rocket:',
  step: ':arrow_forward:',
  approval: ':raised_hand:',
  promoted: ':white_check_mark:',
  rolledBack: ':rewind:',
  paused: ':double_vertical_bar:',
  stuck: ':warning:',
  override: ':rotating_light:',
  git: ':books:',
}

/** These are shown in the channel too, not in the thread only. */
const loud: ReadonlySet<Notification['topic']> = new Set(['promoted', 'rolledBack', 'stuck'])

/**
 * Posts to one channel: one thread per Rollout and attempt, in the order of what happened; the outcome stands in the
 * channel itself. Questions are not posted here: the approval has a message of its own.
 */
export function slackNotifier({ api, channel, runtime, log, ...rest }: SlackNotifierConfig): Notifier {
  const delivery = createDelivery({ ...rest, runtime, log, name: 'slack' })
  const threads = new Map<string, string>()
  let count = 0

  async function post(notification: Notification): Promise<void> {
    const { rollout, topic, details } = notification
    const attempt = details.attempt === undefined ? undefined : `${rollout} ${details.attempt}`
    const thread = attempt === undefined ? undefined : threads.get(attempt)
    const place = await api.post(channel, renderNotification(notification), loud.has(topic) ? undefined : thread)
    if (attempt === undefined || thread !== undefined) return
    const [oldest] = threads.keys()
    if (threads.size >= 1_000 && oldest !== undefined) threads.delete(oldest)
    threads.set(attempt, place.ts)
  }

  return {
    notify(notification) {
      if (notification.topic === 'approval') return
      delivery.submit({ key: `${notification.rollout} ${++count}`, deliver: () => post(notification) })
    },
    stop: (graceMs) => delivery.stop(graceMs),
  }
}

/** A notification as a message: one line, and the details in small print. */
export function renderNotification({ rollout, topic, message, details }: Notification): SlackMessage {
  const line = fitSection(`${marks[topic]} *${escapeSlack(rollout)}* ${escapeSlack(message)}`)
  const facts = Object.entries(details).map(([name, value]) => `${escapeSlack(name)}: ${escapeSlack(String(value))}`)
  return {
    text: fitSection(`${escapeSlack(rollout)}: ${escapeSlack(message)}`),
    blocks: [
      { type: 'section', text: { type: 'mrkdwn', text: line } },
      ...(facts.length === 0
        ? []
        : [
            {
              type: 'context' as const,
              elements: [{ type: 'mrkdwn' as const, text: fitSection(facts.join('  ·  ')) }],
            },
          ]),
    ],
  }
}

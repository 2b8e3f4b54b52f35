import type { Logger } from 'pino'
import type { Runtime } from '../runtime.ts'
import { createDelivery, type DeliveryConfig } from './delivery.ts'
import type { Notification } from './notifier.ts'
import type { SlackApi, SlackMessage } from './slack-api.ts'
import { escapeSlack, fitSection, mrkdwn } from './slack-text.ts'
import { createSlackThreads, type SlackThreads } from './slack-threads.ts'

/** Tells Slack channels, each of what it is to be told. */
export interface SlackNotifier {
  /** Queues a message for `channel`, an id or a name. Returns at once and never throws. */
  notify(notification: Notification, channel: string): void
  /** Lets what is queued go out for at most `graceMs`. */
  stop(graceMs?: number): Promise<void>
}

export interface SlackNotifierConfig extends Pick<DeliveryConfig, 'backoff' | 'giveUpAfterMs' | 'capacity' | 'onLost'> {
  api: Pick<SlackApi, 'post'>
  /** Shared with the channel that asks, so that questions stand in the same threads. */
  threads?: SlackThreads
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
const loud: ReadonlySet<Notification['topic']> = new Set(['promoted', 'rolledBack', 'stuck', 'paused', 'override'])

/**
 * Posts to channels: one thread per Rollout and attempt, in the order of what happened; what somebody may have to act on, and how it
 * ended, stands in the channel too. Questions are not posted here: an approval has a message of its own, in the same thread.
 */
export function slackNotifier({ api, runtime, log, ...rest }: SlackNotifierConfig): SlackNotifier {
  const { threads = createSlackThreads({ log }), ...queue } = rest
  const delivery = createDelivery({ ...queue, runtime, log, name: 'slack' })
  let count = 0

  async function post(notification: Notification, channel: string): Promise<void> {
    const { rollout, topic, details } = notification
    const message = renderNotification(notification)
    const broadcast = loud.has(topic)
    const send = (ts: string | undefined) =>
      api.post(channel, message, ts === undefined ? undefined : { ts, broadcast })
    if (typeof details.attempt === 'number') await threads.send({ rollout, attempt: details.attempt }, channel, send)
    else await send(undefined)
  }

  return {
    notify(notification, channel) {
      if (notification.topic === 'approval') return
      delivery.submit({
        key: `${channel} ${notification.rollout} ${++count}`,
        lane: `${channel} ${notification.rollout}`,
        about: notification,
        deliver: () => post(notification, channel),
      })
    },
    stop: (graceMs) => delivery.stop(graceMs),
  }
}

/** A notification as a message: one line, and the details in small print. */
export function renderNotification({ rollout, topic, message, details }: Notification): SlackMessage {
  const line = `${marks[topic]} *${escapeSlack(rollout)}* ${escapeSlack(message)}`
  const facts = Object.entries(details).map(([name, value]) => `${escapeSlack(name)}: ${escapeSlack(String(value))}`)
  return {
    text: fitSection(`${escapeSlack(rollout)}: ${escapeSlack(message)}`),
    blocks: [
      { type: 'section', text: mrkdwn(line) },
      ...(facts.length === 0 ? [] : [{ type: 'context' as const, elements: [mrkdwn(facts.join('  ·  '))] }]),
    ],
  }
}

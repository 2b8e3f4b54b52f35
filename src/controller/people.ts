import type { Logger } from 'pino'
import type { Approvals } from '../approval/approvals.ts'
import { type ApprovalChannel, allChannels } from '../approval/channels.ts'
import { createSlackChannel } from '../approval/slack-channel.ts'
import { createSlackInteractions } from '../approval/slack-interactions.ts'
import { createSlackPeople } from '../approval/slack-people.ts'
import { createSlackReply } from '../approval/slack-reply.ts'
import type { ControllerConfig } from '../config.ts'
import { logNotifier, type Notifier, notifyAll } from '../notify/notifier.ts'
import { slackNotifier } from '../notify/slack.ts'
import { createSlackApi } from '../notify/slack-api.ts'
import { webhookNotifier } from '../notify/webhook.ts'
import type { Runtime } from '../runtime.ts'
import type { Metrics } from '../server/metrics.ts'
import { type SlackEndpoint, slackEndpoint } from '../server/slack.ts'

/** Everything that talks to people, as it is configured. */
export interface Channels {
  questions: ApprovalChannel
  notifier: Notifier
  /** Present when a Slack signing secret is configured. */
  slack?: SlackEndpoint
  stop(): Promise<void>
}

export function createChannels(
  config: ControllerConfig,
  parts: { approvals: Approvals; runtime: Runtime; log: Logger; metrics: Metrics },
): Channels {
  const { approvals, runtime, log, metrics } = parts
  const { token, channel, signingSecrets, apiUrl } = config.slack
  const api = token
    ? createSlackApi({ token, log, now: () => runtime.now(), ...(apiUrl ? { apiUrl } : {}) })
    : undefined
  const questions = allChannels(
    api && channel
      ? [
          createSlackChannel({
            api,
            approvals,
            channel,
            runtime,
            log,
            onLost: () => metrics.notificationLost('approval'),
          }),
        ]
      : [],
  )
  const notifiers = [logNotifier(log)]
  if (api && channel) {
    const slack = slackNotifier({ api, runtime, log, onLost: () => metrics.notificationLost('slack') })
    notifiers.push({ notify: (told) => slack.notify(told, channel), stop: (graceMs) => slack.stop(graceMs) })
  }
  if (config.webhook)
    notifiers.push(
      webhookNotifier({ ...config.webhook, runtime, log, onLost: () => metrics.notificationLost('webhook') }),
    )
  const notifier = notifyAll(notifiers, { runtime, log })
  const reply = createSlackReply({ runtime, log })
  const slack =
    signingSecrets.length > 0
      ? slackEndpoint({
          secrets: signingSecrets,
          runtime,
          log,
          interactions: createSlackInteractions({
            approvals,
            people: createSlackPeople({ ...(api ? { api } : {}), runtime }),
            reply,
            runtime,
            log,
            onResult: (result) => metrics.approvalDecision('slack', result),
          }),
        })
      : undefined
  return {
    questions,
    notifier,
    ...(slack ? { slack } : {}),
    stop: async () => {
      // Clicks that are being worked on still answer through `reply` and change what `questions` show.
      await slack?.settled()
      await Promise.all([questions.stop(1_000), notifier.stop(1_000), reply.stop(1_000)])
    },
  }
}

import type { Logger } from 'pino'
import type { Notifier } from '../notify/notifier.ts'
import { slackNotifier } from '../notify/slack.ts'
import { createSlackApi } from '../notify/slack-api.ts'
import type { Runtime } from '../runtime.ts'
import type { Metrics } from '../server/metrics.ts'
import type { Approvals } from './approvals.ts'
import type { ApprovalChannel } from './channels.ts'
import { createSlackChannel } from './slack-channel.ts'
import { createSlackInteractions, type SlackInteractions } from './slack-interactions.ts'
import { createSlackPeople } from './slack-people.ts'
import { createSlackReply } from './slack-reply.ts'

export interface SlackConfig {
  approvals: Approvals
  runtime: Runtime
  log: Logger
  metrics: Pick<Metrics, 'approvalDecision' | 'notificationLost'>
  /** Bot token (chat:write, users:read, users:read.email, usergroups:read). Without it people are known by id only. */
  token?: string
  /** Id of the channel for questions and notifications. Without it, or without a token, nothing is posted. */
  channel?: string
  /** Base of the Web API, and where response_urls may lead; for tests and the sandbox. */
  apiUrl?: string
  replyOrigins?: readonly string[]
}

/** Everything of Slack that a controller runs. */
export interface Slack {
  /** Takes clicks whose origin was proved: by `slackEndpoint`, or by a socket. */
  interactions: SlackInteractions
  /** Shows questions, where there is a token and a channel. */
  questions?: ApprovalChannel
  /** Posts notifications, where there is a token and a channel. */
  notifier?: Notifier
  /** Lets what is queued go out for at most `graceMs`. Stop the server first, so that no click is lost. */
  stop(graceMs?: number): Promise<void>
}

/** Puts the parts of Slack together. Talks to nobody before there is something to say. */
export function createSlack(config: SlackConfig): Slack {
  const { approvals, runtime, log, metrics, token, channel, apiUrl, replyOrigins } = config
  const api = token ? createSlackApi({ token, log, apiUrl, now: runtime.now }) : undefined
  // Slack gives 3 s for the answer to a click, so that finding out who clicked must be quicker than the rest.
  const lookup = token ? createSlackApi({ token, log, apiUrl, now: runtime.now, timeoutMs: 1_500 }) : undefined
  const onLost = () => metrics.notificationLost('approval')
  const reply = createSlackReply({ runtime, log, origins: replyOrigins, onLost })
  const people = createSlackPeople({ api: lookup, runtime })
  const onResult = (result: string) => metrics.approvalDecision('slack', result)
  const interactions = createSlackInteractions({ approvals, people, reply, runtime, log, onResult })
  const posting = api !== undefined && channel ? { api, channel, runtime, log } : undefined
  const questions = posting && createSlackChannel({ ...posting, approvals, onLost })
  const notifier = posting && slackNotifier({ ...posting, onLost: () => metrics.notificationLost('slack') })
  return {
    interactions,
    ...(questions ? { questions } : {}),
    ...(notifier ? { notifier } : {}),
    async stop(graceMs) {
      await Promise.all([reply.stop(graceMs), questions?.stop(graceMs), notifier?.stop(graceMs)])
    },
  }
}

import type { Logger } from 'pino'
import type { Approvals } from '../approval/approvals.ts'
import { type ApprovalChannel, allChannels } from '../approval/channels.ts'
import { createSlackChannel } from '../approval/slack-channel.ts'
import { createSlackInteractions } from '../approval/slack-interactions.ts'
import { createSlackPeople } from '../approval/slack-people.ts'
import { createSlackReply } from '../approval/slack-reply.ts'
import { startSlackSocket } from '../approval/slack-socket.ts'
import type { ControllerConfig } from '../config.ts'
import type { KubeClient } from '../kube/client.ts'
import type { KubeObject } from '../kube/object.ts'
import { slackNotifier } from '../notify/slack.ts'
import { createSlackApi } from '../notify/slack-api.ts'
import { createSlackThreads } from '../notify/slack-threads.ts'
import type { Runtime } from '../runtime.ts'
import type { Metrics } from '../server/metrics.ts'
import { type SlackEndpoint, slackEndpoint } from '../server/slack.ts'
import { createNotices, type Notices, type NoticesOptions } from './notices.ts'
import { attemptOf, createThreadMemory } from './slack-memory.ts'

/** Everything that talks to people, as it is configured. */
export interface Channels {
  questions: ApprovalChannel
  notices: Notices
  /** Present when a Slack signing secret is configured. */
  slack?: SlackEndpoint
  stop(): Promise<void>
}

export interface ChannelsParts extends Pick<NoticesOptions, 'secrets' | 'source' | 'cluster' | 'events'> {
  approvals: Approvals
  client: Pick<KubeClient, 'patch'>
  /** The present Rollout of a key (`namespace/name`), from the cache. */
  rollout(key: string): KubeObject | undefined
  runtime: Runtime
  log: Logger
  metrics: Metrics
}

export function createChannels(config: ControllerConfig, parts: ChannelsParts): Channels {
  const { approvals, client, rollout, runtime, log, metrics } = parts
  const { token, appToken, channel, signingSecrets, apiUrl } = config.slack
  const api = token
    ? createSlackApi({ token, log, now: () => runtime.now(), ...(apiUrl ? { apiUrl } : {}) })
    : undefined
  const threads = createSlackThreads({ memory: createThreadMemory({ client, rollout }), log })
  const notices = createNotices({
    ...parts,
    own: {
      ...(channel === undefined ? {} : { slackChannel: channel }),
      ...(config.webhook ? { webhook: config.webhook } : {}),
      ...(config.notifyOn ? { on: config.notifyOn } : {}),
    },
    ...(api ? { slack: (onLost) => slackNotifier({ api, threads, runtime, log, onLost }) } : {}),
  })
  const questions = allChannels(
    api
      ? [
          createSlackChannel({
            api,
            approvals,
            channelFor: (approval) => {
              const asking = rollout(`${approval.namespace}/${approval.spec.rollout}`)
              return asking ? notices.questionChannel(asking) : channel
            },
            attemptOf: (approval) => attemptOf(approval, rollout(`${approval.namespace}/${approval.spec.rollout}`)),
            threads,
            runtime,
            log,
            onLost: () => metrics.notificationLost('approval'),
          }),
        ]
      : [],
  )
  const reply = createSlackReply({ runtime, log })
  const interactions = createSlackInteractions({
    approvals,
    people: createSlackPeople({ ...(api ? { api } : {}), runtime }),
    reply,
    ...(api ? { api } : {}),
    runtime,
    log,
    onResult: (result) => metrics.approvalDecision('slack', result),
  })
  const slack =
    signingSecrets.length > 0 ? slackEndpoint({ secrets: signingSecrets, runtime, log, interactions }) : undefined
  // Every replica listens, so that Slack finds one at any moment; whichever is told, the leader shows and moves.
  const socket = appToken
    ? startSlackSocket({
        appToken,
        interactions,
        runtime,
        log,
        onConnected: (connected) => metrics.slackSocket(connected),
        ...(apiUrl ? { apiUrl } : {}),
      })
    : undefined
  return {
    questions,
    notices,
    ...(slack ? { slack } : {}),
    stop: async () => {
      // Clicks that are being worked on still answer through `reply` and change what `questions` show.
      await Promise.all([slack?.settled(), socket?.stop()])
      await Promise.all([questions.stop(1_000), notices.stop(1_000), reply.stop(1_000)])
    },
  }
}

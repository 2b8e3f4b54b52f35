import {
  type KnownBlock,
  LogLevel,
  type ViewsOpenArguments,
  WebAPIHTTPError,
  WebAPIPlatformError,
  WebAPIRateLimitedError,
  WebClient,
  type WebClientOptions,
} from '@slack/web-api'
import type { Logger } from 'pino'
import { DeliveryFailed, parseRetryAfter } from './delivery-failed.ts'

export type { KnownBlock }

/** A dialog. */
export type SlackModal = Extract<ViewsOpenArguments['view'], { type: 'modal' }>

export interface SlackMessage {
  /** What notifications and screen readers show; escaped already. */
  text: string
  blocks?: KnownBlock[]
}

/** Where a message is. */
export interface SlackPlace {
  channel: string
  ts: string
}

/** What Slack says about a person. */
export interface SlackUser {
  id: string
  /** Confirmed address; undefined when the app lacks users:read.email, or it is not confirmed. */
  email?: string
  teamId?: string
  enterpriseId?: string
  /** Guest, bot, deactivated or from another organisation; such people do not decide. */
  outsider?: 'guest' | 'bot' | 'deactivated' | 'stranger'
}

/**
 * The few calls of Slack's Web API that Sluice makes. Nothing is retried here, and every failure is a DeliveryFailed
 * whose message has Slack's error code but never the token.
 */
export interface SlackApi {
  /** With `thread`, as a reply there; `broadcast` shows the reply in the channel too. */
  post(channel: string, message: SlackMessage, thread?: { ts: string; broadcast?: boolean }): Promise<SlackPlace>
  update(place: SlackPlace, message: SlackMessage): Promise<void>
  /** Opens a dialog for the person behind `triggerId`, which Slack honours once and for three seconds. */
  openModal(triggerId: string, view: SlackModal): Promise<void>
  user(id: string): Promise<SlackUser>
  /** Ids of the people in a user group. */
  groupMembers(groupId: string): Promise<string[]>
  /** The workspace, and the organisation on Enterprise Grid, that the token belongs to. */
  home(): Promise<{ teamId?: string; enterpriseId?: string }>
}

export interface SlackApiConfig {
  /** Bot token: chat:write, users:read, users:read.email, usergroups:read. */
  token: string
  log: Logger
  /** Default 5 s. */
  timeoutMs?: number
  /** Base URL, for tests; default Slack's own. */
  apiUrl?: string
  now: () => number
}

export function createSlackApi({ token, log, timeoutMs = 5_000, apiUrl, now }: SlackApiConfig): SlackApi {
  const client = new WebClient(token, {
    timeout: timeoutMs,
    retryConfig: { retries: 0 },
    rejectRateLimitedCalls: true,
    allowAbsoluteUrls: false,
    logger: bridge(log),
    ...(apiUrl === undefined ? {} : { slackApiUrl: apiUrl }),
  })

  async function call<T>(method: string, promise: Promise<T>): Promise<T> {
    try {
      return await promise
    } catch (error) {
      throw explain(method, error, now())
    }
  }

  const plain = { unfurl_links: false, unfurl_media: false, link_names: false, parse: 'none' } as const

  return {
    async post(channel, message, thread) {
      const { ts, broadcast = false } = thread ?? {}
      const reply = ts === undefined ? {} : broadcast ? { thread_ts: ts, reply_broadcast: true } : { thread_ts: ts }
      const answer = await call(
        'chat.postMessage',
        client.chat.postMessage({ channel, ...message, ...plain, ...reply }),
      )
      if (!answer.channel || !answer.ts)
        throw new DeliveryFailed('Slack did not say where the message is', { permanent: true })
      return { channel: answer.channel, ts: answer.ts }
    },

    async update(place, message) {
      await call('chat.update', client.chat.update({ ...place, ...message, link_names: false, parse: 'none' }))
    },

    async openModal(triggerId, view) {
      await call('views.open', client.views.open({ trigger_id: triggerId, view }))
    },

    async user(id) {
      const { user } = await call('users.info', client.users.info({ user: id }))
      if (!user?.id) throw new DeliveryFailed('Slack does not know this person', { permanent: true })
      const confirmed = user.is_email_confirmed !== false ? user.profile?.email : undefined
      const bot = user.is_bot || user.is_workflow_bot || user.is_connector_bot || user.id === 'USLACKBOT'
      const guest = user.is_restricted || user.is_ultra_restricted || user.is_invited_user
      const outsider = user.deleted
        ? 'deactivated'
        : bot
          ? 'bot'
          : user.is_stranger
            ? 'stranger'
            : guest
              ? 'guest'
              : undefined
      return {
        id: user.id,
        ...(confirmed ? { email: confirmed } : {}),
        ...(user.team_id ? { teamId: user.team_id } : {}),
        ...(user.enterprise_user?.enterprise_id ? { enterpriseId: user.enterprise_user.enterprise_id } : {}),
        ...(outsider ? { outsider } : {}),
      }
    },

    async groupMembers(groupId) {
      const answer = await call('usergroups.users.list', client.usergroups.users.list({ usergroup: groupId }))
      return answer.users ?? []
    },

    async home() {
      const answer = await call('auth.test', client.auth.test())
      return {
        ...(answer.team_id ? { teamId: answer.team_id } : {}),
        ...(answer.enterprise_id ? { enterpriseId: answer.enterprise_id } : {}),
      }
    },
  }
}

const transientErrors = new Set([
  'internal_error',
  'fatal_error',
  'service_unavailable',
  'request_timeout',
  'team_added_to_org',
])

function explain(method: string, error: unknown, now: number): DeliveryFailed {
  if (error instanceof WebAPIRateLimitedError) {
    return new DeliveryFailed(`Slack ${method}: rate limited`, {
      permanent: false,
      retryAfterMs: error.retryAfter * 1000,
    })
  }
  if (error instanceof WebAPIPlatformError) {
    const code = error.data.error
    // The client passes on a body that is not JSON (a proxy's page) as if it were a code.
    if (!/^[a-z0-9_]{1,64}$/.test(code))
      return new DeliveryFailed(`Slack ${method}: no answer of Slack`, { permanent: false })
    const wait = code === 'ratelimited' ? { retryAfterMs: 30_000 } : {}
    const permanent = code !== 'ratelimited' && !transientErrors.has(code)
    return new DeliveryFailed(`Slack ${method}: ${code}`, { permanent, code, ...wait })
  }
  if (error instanceof WebAPIHTTPError) {
    const permanent = error.statusCode < 500 && ![408, 425, 429].includes(error.statusCode)
    const retryAfterMs = parseRetryAfter(error.headers['retry-after'], now)
    return new DeliveryFailed(`Slack ${method}: HTTP ${error.statusCode}`, { permanent, retryAfterMs })
  }
  return new DeliveryFailed(`Slack ${method}: no answer`, { permanent: false })
}

/** Passes on what the client has to say at warning level and above; its debug lines quote whole requests. */
function bridge(log: Logger): NonNullable<WebClientOptions['logger']> {
  const quote = (parts: unknown[]) => parts.filter((part) => typeof part === 'string').join(' ')
  return {
    debug: () => undefined,
    info: () => undefined,
    warn: (...parts: unknown[]) => log.debug({ said: quote(parts) }, 'slack client'),
    error: (...parts: unknown[]) => log.warn({ said: quote(parts) }, 'slack client'),
    setLevel: () => undefined,
    getLevel: () => LogLevel.WARN,
    setName: () => undefined,
  }
}

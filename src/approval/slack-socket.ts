import { SocketModeClient } from '@slack/socket-mode'
import { LogLevel, type Logger as SlackLogger, WebAPIPlatformError, WebAPIRateLimitedError } from '@slack/web-api'
import type { Logger } from 'pino'
import type { Runtime } from '../runtime.ts'
import { answerInTime } from './slack-answer.ts'
import type { SlackInteractions } from './slack-interactions.ts'

export interface SlackSocketConfig {
  /** App-level token (`xapp-…`) with connections:write. */
  appToken: string
  interactions: SlackInteractions
  runtime: Runtime
  log: Logger
  /** Base URL of the Web API where it is not the usual one. */
  apiUrl?: string
  /** Slack wants an answer within 3 s; work that takes longer goes on after it. Default 2.5 s. */
  answerWithinMs?: number
  /** First and longest wait before it is tried again. */
  backoff?: { firstMs: number; maxMs: number }
  /** Told whenever the connection is there or not, for metrics. */
  onConnected?: (connected: boolean) => void
}

export interface SlackSocket {
  /** Resolves when no click is being worked on. */
  settled(): Promise<void>
  /** Takes no more clicks, and closes the connection. */
  stop(): Promise<void>
}

interface Envelope {
  ack(answer?: object): Promise<void>
  type: string
  body: unknown
}

/** How long Slack may take to say hello. */
const HELLO_MS = 30_000

/** What an ending connection gets before it is cut. */
const CLOSE_MS = 500

const fixes: Record<string, string> = {
  invalid_auth: 'put the app-level token of the app (xapp-…) into SLUICE_SLACK_APP_TOKEN',
  not_authed: 'put the app-level token of the app (xapp-…) into SLUICE_SLACK_APP_TOKEN',
  not_allowed_token_type: 'this is another kind of token; SLUICE_SLACK_APP_TOKEN is the app-level token (xapp-…)',
  missing_scope: 'give the app-level token the scope connections:write',
  account_inactive: 'the app is not installed any more; install it again',
  token_revoked: 'create a new app-level token and put it into SLUICE_SLACK_APP_TOKEN',
  team_disabled: 'the workspace is disabled',
}

/**
 * Slack's Socket Mode: clicks arrive on a connection that this process opens, where Slack cannot reach the cluster. Every replica holds one;
 * Slack gives each click to one of them, and any may record a decision. See docs.slack.dev, "Using Socket Mode".
 * Connects again for ever, with a backoff; a failure is logged once with what to do about it, and never ends the process.
 */
export function startSlackSocket(config: SlackSocketConfig): SlackSocket {
  const { appToken, interactions, runtime, log, apiUrl, answerWithinMs = 2_500, onConnected } = config
  const { firstMs, maxMs } = config.backoff ?? { firstMs: 1_000, maxMs: 60_000 }
  const ending = new AbortController()
  const working = new Set<Promise<unknown>>()
  let complaint = ''

  async function take({ ack, type, body }: Envelope): Promise<void> {
    // Whatever is not for us is taken all the same, or Slack would send it again and again.
    if (type !== 'interactive') return ack()
    const { answer, work } = answerInTime(interactions, body, runtime, answerWithinMs)
    working.add(work)
    void work.finally(() => working.delete(work)).catch(() => undefined)
    await ack(await answer)
  }

  function open(): SocketModeClient {
    const client = new SocketModeClient({
      appToken,
      // Its own way of connecting again leaves promises that nobody awaits, which would end the process.
      autoReconnectEnabled: false,
      logger: bridge(log),
      clientOptions: {
        retryConfig: { retries: 0 },
        rejectRateLimitedCalls: true,
        timeout: 10_000,
        ...(apiUrl === undefined ? {} : { slackApiUrl: apiUrl }),
      },
    })
    // What it makes of a message that is none is a rejection: that, too, must have somebody who takes it.
    for (const listener of client.listeners('ws_message')) {
      client.off('ws_message', listener)
      client.on('ws_message', async (...given: unknown[]) => {
        try {
          await listener(...given)
        } catch (err) {
          log.warn({ err }, 'slack socket: a message cannot be understood')
        }
      })
    }
    client.on('slack_event', (envelope: Envelope) => {
      take(envelope).catch((err: unknown) => log.warn({ err }, 'slack socket: an answer was not sent'))
    })
    return client
  }

  /** Resolves when a connection has come to its end; rejects when there was none. */
  async function once(): Promise<void> {
    const client = open()
    const over = new AbortController()
    const stopped = AbortSignal.any([over.signal, ending.signal])
    const closed = new Promise<void>((resolve) => client.once('disconnected', () => resolve()))
    try {
      const started = client.start()
      started.catch(() => undefined)
      const silence = runtime.sleep(HELLO_MS, stopped).then(() => Promise.reject(new Error('Slack does not say hello')))
      silence.catch(() => undefined)
      await Promise.race([started, silence])
      onConnected?.(true)
      log.info('slack socket connected')
      complaint = ''
      const stop = new Promise<void>((resolve) =>
        ending.signal.addEventListener('abort', () => resolve(), { once: true }),
      )
      await Promise.race([closed, stop])
    } finally {
      over.abort()
      onConnected?.(false)
      await close(client)
    }
  }

  /** Says goodbye; asked a second time, the client cuts the connection. */
  async function close(client: SocketModeClient): Promise<void> {
    const gone = client.disconnect().catch(() => undefined)
    const done = new AbortController()
    const patience = runtime.sleep(CLOSE_MS, done.signal).then(
      () => client.disconnect().catch(() => undefined),
      () => undefined,
    )
    await Promise.race([gone, patience])
    done.abort()
    client.removeAllListeners()
  }

  function complain(error: unknown, waitMs: number): void {
    const code = error instanceof WebAPIPlatformError ? error.data.error : undefined
    const known = code !== undefined && /^[a-z0-9_]{1,64}$/.test(code) ? code : undefined
    // Messages of the client may quote the address, which lets anybody in.
    const why = known ?? (error instanceof Error ? error.name : 'closed before it was open')
    const fix = fixes[known ?? '']
    const facts = { why, waitMs: Math.round(waitMs), ...(fix ? { fix } : {}) }
    if (why === complaint) log.debug(facts, 'slack socket not connected')
    else if (fix) log.error(facts, 'slack socket not connected: clicks in Slack do not arrive')
    else log.warn(facts, 'slack socket not connected: clicks in Slack do not arrive')
    complaint = why
  }

  async function hold(): Promise<void> {
    let failures = 0
    while (!ending.signal.aborted) {
      let wait = firstMs
      try {
        await once()
        failures = 0
      } catch (error) {
        wait = Math.min(maxMs, firstMs * 2 ** failures++)
        if (error instanceof WebAPIRateLimitedError) wait = Math.max(wait, error.retryAfter * 1000)
        if (!ending.signal.aborted) complain(error, wait)
      }
      await runtime.sleep(wait * (1 - runtime.random() / 2), ending.signal).catch(() => undefined)
    }
  }

  const held = hold()
  const settled = async () => void (await Promise.allSettled(working))
  return {
    settled,
    async stop() {
      ending.abort()
      await held
      await settled()
    },
  }
}

/** Its lines at info level and below quote whole messages, and the address that lets anybody in. */
function bridge(log: Logger): SlackLogger {
  const said = (parts: unknown[]) => ({
    said: parts
      .map(String)
      .join(' ')
      .replace(/wss?:\/\/\S+/g, 'wss://…'),
  })
  return {
    debug: () => undefined,
    info: () => undefined,
    warn: (...parts: unknown[]) => log.debug(said(parts), 'slack socket client'),
    error: (...parts: unknown[]) => log.debug(said(parts), 'slack socket client'),
    setLevel: () => undefined,
    getLevel: () => LogLevel.WARN,
    setName: () => undefined,
  }
}

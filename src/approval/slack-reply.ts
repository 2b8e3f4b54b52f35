import type { Logger } from 'pino'
import { createDelivery, type DeliveryConfig } from '../notify/delivery.ts'
import { DeliveryFailed, parseRetryAfter } from '../notify/delivery-failed.ts'
import type { SlackMessage } from '../notify/slack-api.ts'
import type { Runtime } from '../runtime.ts'

/** Answers a click through the response_url that came with it; works without a token. */
export interface SlackReply {
  /** Tells the person who clicked, and nobody else. */
  whisper(responseUrl: string | undefined, escapedText: string): void
  /** Puts another message in the place of the one that was clicked. */
  replace(responseUrl: string | undefined, message: SlackMessage): void
  stop(graceMs?: number): Promise<void>
}

export interface SlackReplyConfig extends Pick<DeliveryConfig, 'backoff' | 'onLost'> {
  runtime: Runtime
  log: Logger
  /** Where response_urls may lead. Default: Slack's own. */
  origins?: readonly string[]
}

/** A response_url lives for half an hour. */
const lifeMs = 30 * 60_000

export function createSlackReply(config: SlackReplyConfig): SlackReply {
  const { runtime, log, origins = ['https://hooks.slack.com', 'https://hooks.slack-gov.com'], ...rest } = config
  const delivery = createDelivery({
    ...rest,
    runtime,
    log,
    name: 'slack replies',
    giveUpAfterMs: lifeMs,
    capacity: 200,
  })
  let count = 0

  async function send(url: URL, body: string, signal: AbortSignal): Promise<void> {
    let response: Response
    try {
      const headers = { 'content-type': 'application/json' }
      response = await fetch(url, { method: 'POST', body, headers, redirect: 'manual', signal })
      await response.body?.cancel()
    } catch {
      throw new DeliveryFailed('no answer of Slack', { permanent: false })
    }
    if (response.ok) return
    const retryAfterMs = parseRetryAfter(response.headers.get('retry-after'), runtime.now())
    const permanent = response.status < 500 && response.status !== 429
    throw new DeliveryFailed(`Slack answered ${response.status}`, { permanent, retryAfterMs })
  }

  function submit(responseUrl: string | undefined, body: object): void {
    const url = responseUrl !== undefined && URL.canParse(responseUrl) ? new URL(responseUrl) : undefined
    if (url === undefined || !origins.includes(url.origin)) {
      if (responseUrl !== undefined)
        log.warn({ origin: url?.origin }, 'slack reply not sent: this is no address of Slack')
      return
    }
    delivery.submit({ key: `reply ${++count}`, deliver: (signal) => send(url, JSON.stringify(body), signal) })
  }

  return {
    whisper: (url, text) => submit(url, { response_type: 'ephemeral', replace_original: false, text }),
    replace: (url, message) => submit(url, { replace_original: true, ...message }),
    stop: (graceMs) => delivery.stop(graceMs),
  }
}

import { createHash, createHmac } from 'node:crypto'
import type { Logger } from 'pino'
import type { Runtime } from '../runtime.ts'
import { createDelivery, type DeliveryConfig } from './delivery.ts'
import { DeliveryFailed, parseRetryAfter } from './delivery-failed.ts'
import type { Notification, Notifier } from './notifier.ts'

/** Where to POST, and the key that signs every body. Path and query of the URL may hold a secret: only its origin is ever shown. */
export interface Destination {
  url: string
  secret?: string
}

export interface WebhookConfig extends Pick<DeliveryConfig, 'backoff' | 'giveUpAfterMs' | 'capacity' | 'onLost'> {
  /** For the log. */
  name: string
  /** Asked before every attempt, so that a changed Secret counts at once. Throws DeliveryFailed when it cannot be known. */
  destination(): Promise<Destination>
  runtime: Runtime
  log: Logger
  /** Milliseconds until an attempt without an answer has failed. Default 5 s. */
  timeoutMs?: number
}

export interface WebhookNotifier extends Notifier {
  /** Whether nothing waits to be sent. */
  readonly isIdle: boolean
}

/**
 * The signature of a webhook's body: `v1=` and the hex HMAC-SHA256 of `v1:<timestamp>:<body>`. The receiver compares it in
 * constant time with `x-sluice-signature`, and refuses an `x-sluice-timestamp` (seconds since the epoch) that is old.
 */
export function signWebhook(secret: string, timestamp: string, body: string): string {
  return `v1=${createHmac('sha256', secret).update(`v1:${timestamp}:${body}`).digest('hex')}`
}

/**
 * POSTs every notification as JSON; docs/notifications.md says what stands in it. 2xx is delivered; 408, 425, 429, 5xx and no answer are
 * tried again with the same id, honouring Retry-After; everything else, redirects included, is final. News of one Rollout arrive in order.
 * At least once: the receiver recognises a repetition by its id.
 */
export function webhookNotifier(config: WebhookConfig): WebhookNotifier {
  const { runtime, log, timeoutMs = 5_000, destination, name } = config
  const delivery = createDelivery({ ...config, name: `webhook ${name}` })
  let count = 0

  async function send(topic: string, id: string, body: string, signal: AbortSignal): Promise<void> {
    const { url, secret } = await destination()
    const origin = originOf(url)
    const timestamp = String(Math.floor(runtime.now() / 1000))
    const headers: Record<string, string> = {
      'content-type': 'application/json',
      'user-agent': 'sluice',
      'x-sluice-event': topic,
      'x-sluice-delivery': id,
      'x-sluice-timestamp': timestamp,
    }
    if (secret) headers['x-sluice-signature'] = signWebhook(secret, timestamp, body)
    const over = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)])
    let response: Response
    try {
      response = await fetch(url, { method: 'POST', body, headers, redirect: 'manual', signal: over })
      // What it says is of no interest, however long it is.
      await response.body?.cancel()
    } catch (error) {
      const slow = over.aborted ? `no answer within ${timeoutMs / 1000} s` : describe(error)
      throw new DeliveryFailed(`${origin}: ${slow}`, { permanent: false })
    }
    if (response.ok) return
    const permanent = response.status < 500 && ![408, 425, 429].includes(response.status)
    const retryAfterMs = parseRetryAfter(response.headers.get('retry-after'), runtime.now())
    throw new DeliveryFailed(`${origin} answered ${response.status || 'a redirect'}`, { permanent, retryAfterMs })
  }

  return {
    notify(notification) {
      const content = bodyOf(notification, runtime.now())
      const own = createHash('sha256').update(`${++count} ${runtime.random()} ${JSON.stringify(content)}`)
      const id = notification.id ?? own.digest('hex').slice(0, 32)
      const body = JSON.stringify({ id, ...content })
      const { rollout, topic, digest } = notification
      delivery.submit({
        key: id,
        lane: rollout,
        about: notification,
        deliver: (signal) => send(digest ? 'digest' : topic, id, body, signal),
      })
      log.debug({ rollout, topic, delivery: id }, 'webhook queued')
    },
    get isIdle() {
      return delivery.isIdle
    },
    stop: (graceMs) => delivery.stop(graceMs),
  }
}

/** The documented body, without its id. */
function bodyOf({ rollout, topic, message, at, facts, digest }: Notification, now: number) {
  const happened = at ?? new Date(now).toISOString()
  if (digest) return { at: happened, topic: 'digest', message, digest }
  const [namespace = '', name = ''] = rollout.split('/')
  const { uid, ...rest } = facts ?? {}
  return { at: happened, rollout: { namespace, name, ...(uid ? { uid } : {}) }, topic, message, ...rest }
}

/** Scheme, host and port: all of a webhook's URL that may be shown. */
export function originOf(url: string): string {
  return URL.canParse(url) ? new URL(url).origin : 'the URL'
}

/** The code of a network failure (ECONNREFUSED …); never its message, which may quote the URL. */
function describe(error: unknown): string {
  const cause = error instanceof Error ? (error.cause ?? error) : error
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'connection failed'
  return code
}

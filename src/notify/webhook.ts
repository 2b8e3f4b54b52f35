import { createHash, createHmac } from 'node:crypto'
import type { Logger } from 'pino'
import type { Runtime } from '../runtime.ts'
import { createDelivery, type DeliveryConfig } from './delivery.ts'
import { DeliveryFailed, parseRetryAfter } from './delivery-failed.ts'
import type { Notifier } from './notifier.ts'

export interface WebhookConfig extends Pick<DeliveryConfig, 'backoff' | 'giveUpAfterMs' | 'capacity' | 'onLost'> {
  /** Where to POST. Its path and query may hold a secret, so only its origin is ever logged. */
  url: string
  /** Signs every body, when given. */
  secret?: string
  runtime: Runtime
  log: Logger
  /** Milliseconds until an attempt without an answer has failed. Default 5 s. */
  timeoutMs?: number
}

/**
 * The signature of a webhook's body: `v1=` and the hex HMAC-SHA256 of `v1:<timestamp>:<body>`. The receiver compares it in
 * constant time with `x-sluice-signature`, and refuses an `x-sluice-timestamp` (seconds since the epoch) that is old.
 */
export function signWebhook(secret: string, timestamp: string, body: string): string {
  return `v1=${createHmac('sha256', secret).update(`v1:${timestamp}:${body}`).digest('hex')}`
}

/**
 * POSTs every notification as JSON `{id, at, rollout: {namespace, name}, topic, message, details}`.
 * 2xx is delivered; 408, 425, 429, 5xx and no answer are tried again with the same id, honouring Retry-After; everything
 * else, redirects included, is final. At least once: the receiver recognises a repetition by its id.
 */
export function webhookNotifier(config: WebhookConfig): Notifier {
  const { runtime, log, timeoutMs = 5_000, secret } = config
  const url = new URL(config.url)
  const origin = url.origin
  const delivery = createDelivery({ ...config, name: `webhook ${origin}` })
  let count = 0

  async function send(id: string, body: string, signal: AbortSignal): Promise<void> {
    const timestamp = String(Math.floor(runtime.now() / 1000))
    const headers: Record<string, string> = {
      'content-type': 'application/json',
      'user-agent': 'sluice',
      'x-sluice-delivery': id,
      'x-sluice-timestamp': timestamp,
    }
    if (secret) headers['x-sluice-signature'] = signWebhook(secret, timestamp, body)
    const over = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)])
    let response: Response
    try {
      response = await fetch(url, { method: 'POST', body, headers, redirect: 'manual', signal: over })
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
    notify({ rollout, topic, message, details }) {
      const [namespace = '', name = ''] = rollout.split('/')
      const at = new Date(runtime.now()).toISOString()
      const content = { at, rollout: { namespace, name }, topic, message, details }
      const digest = createHash('sha256')
        .update(`${++count} ${runtime.random()} ${JSON.stringify(content)}`)
        .digest('hex')
      const id = digest.slice(0, 32)
      const body = JSON.stringify({ id, ...content })
      delivery.submit({ key: id, deliver: (signal) => send(id, body, signal) })
      log.debug({ rollout, topic, delivery: id }, 'webhook queued')
    },
    stop: (graceMs) => delivery.stop(graceMs),
  }
}

/** The code of a network failure (ECONNREFUSED …); never its message, which may quote the URL. */
function describe(error: unknown): string {
  const cause = error instanceof Error ? (error.cause ?? error) : error
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'connection failed'
  return code
}

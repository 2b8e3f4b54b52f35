import type { Logger } from 'pino'
import type { Runtime } from '../runtime.ts'
import type { LostJob } from './delivery.ts'
import { DeliveryFailed } from './delivery-failed.ts'
import type { Notification } from './notifier.ts'
import { type Place, placeKey } from './routes.ts'
import type { SlackNotifier } from './slack.ts'
import { type Calm, createCalm } from './storm.ts'
import { type Destination, originOf, type WebhookNotifier, webhookNotifier } from './webhook.ts'

/** A place that cannot be told as it is configured: somebody has to correct it. */
export class PlaceBroken extends DeliveryFailed {
  constructor(message: string) {
    super(message, { permanent: true })
  }
}

/** Messages within a minute that one place gets one by one. People read them, programs take more. */
const PER_MINUTE = { slack: 20, webhook: 120 } as const
/** Places that are remembered; those where nothing goes on make way. */
const CAPACITY = 500

export interface PlacesOptions {
  /** Missing when the controller has no Slack token. */
  slack: SlackNotifier | undefined
  /** Where the webhook of a place is, read anew for every attempt. Throws PlaceBroken, or DeliveryFailed to be asked again. */
  destination(place: Exclude<Place, { kind: 'slack' }>): Promise<Destination>
  lost(place: string, lost: LostJob): void
  runtime: Runtime
  log: Logger
  backoff?: { firstMs: number; maxMs: number }
}

/** All places that are told, each with a queue and a limit of its own, so that none disturbs another. */
export interface Places {
  tell(place: Place, notification: Notification): void
  stop(graceMs?: number): Promise<void>
}

interface Open {
  calm: Calm
  webhook?: WebhookNotifier
}

export function createPlaces(options: PlacesOptions): Places {
  const { slack, destination, lost, runtime, log, backoff } = options
  const open = new Map<string, Open>()
  const ending = new AbortController()

  function opened(place: Place): Open {
    const key = placeKey(place)
    const known = open.get(key)
    open.delete(key)
    const found = known ?? begin(place)
    open.set(key, found)
    for (const [oldest, { calm, webhook }] of open) {
      if (open.size <= CAPACITY) break
      if (calm.isQuiet() && webhook?.isIdle !== false) open.delete(oldest)
    }
    return found
  }

  function begin(place: Place): Open {
    const common = { runtime, signal: ending.signal }
    if (place.kind === 'slack') {
      const pass = (notification: Notification) => toSlack(place.channel, notification)
      return { calm: createCalm({ ...common, perMinute: PER_MINUTE.slack, pass }) }
    }
    const name = nameOf(place)
    const webhook = webhookNotifier({
      name,
      destination: () => destination(place),
      runtime,
      log,
      ...(backoff ? { backoff } : {}),
      onLost: (job) => lost(`webhook ${name}`, job),
    })
    return { webhook, calm: createCalm({ ...common, perMinute: PER_MINUTE.webhook, pass: webhook.notify }) }
  }

  function toSlack(channel: string, notification: Notification): void {
    if (slack) {
      slack.notify(notification, channel)
      return
    }
    const error = new PlaceBroken('the controller has no Slack token; set SLUICE_SLACK_TOKEN')
    const job = { key: '', about: notification, deliver: async () => undefined }
    lost(`slack ${channel}`, { job, why: error.message, attempts: 0, error })
  }

  return {
    tell(place, notification) {
      // In Slack a question is a message of its own, with buttons.
      if (place.kind === 'slack' && notification.topic === 'approval') return
      opened(place).calm.tell(notification)
    },
    async stop(graceMs) {
      ending.abort()
      for (const { calm } of open.values()) calm.flush()
      await Promise.all([...open.values()].map(({ webhook }) => webhook?.stop(graceMs)))
    },
  }
}

/** A place as it may be shown: without what could be a secret in a URL. */
export function nameOf(place: Place): string {
  if (place.kind === 'slack') return place.channel
  if (place.kind === 'own') return 'of the controller'
  if (place.url !== undefined) return originOf(place.url)
  return `of the Secret ${place.secret?.namespace}/${place.secret?.name}`
}

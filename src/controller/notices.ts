import type { Logger } from 'pino'
import { type NotifyTarget, notify as notifySchema, type Topic } from '../api/notify.ts'
import type { EventRecorder } from '../kube/events.ts'
import { fieldAt, listAt, textAt } from '../kube/field.ts'
import type { KubeObject } from '../kube/object.ts'
import { createDeadLetters, type DeadLetters } from '../notify/dead-letters.ts'
import type { LostJob } from '../notify/delivery.ts'
import { DeliveryFailed } from '../notify/delivery-failed.ts'
import { notificationOf } from '../notify/facts.ts'
import { createRepeats, type Notification } from '../notify/notifier.ts'
import { createPlaces, PlaceBroken } from '../notify/places.ts'
import { type Place, placesFor, routesOf, type Wishes } from '../notify/routes.ts'
import type { SlackNotifier } from '../notify/slack.ts'
import type { Destination } from '../notify/webhook.ts'
import type { Effect, Plan } from '../plan/effects.ts'
import type { Runtime } from '../runtime.ts'
import type { Metrics } from '../server/metrics.ts'
import type { NamedSecrets } from './secrets.ts'

export interface NoticesOptions {
  /** The controller's own channels, for Rollouts that say nothing and whose source says nothing. */
  own: { slackChannel?: string; webhook?: Destination; on?: readonly Topic[] }
  /** Makes the notifier of Slack, where there is a token. */
  slack?(onLost: (lost: LostJob) => void): SlackNotifier
  secrets: NamedSecrets
  /** A RolloutSource by its key, from the cache. */
  source(key: string): KubeObject | undefined
  /** Names this cluster, once it is known. */
  cluster?(): string | undefined
  events: Pick<EventRecorder, 'record'>
  metrics: Pick<Metrics, 'notificationLost'>
  runtime: Runtime
  log: Logger
  backoff?: { firstMs: number; maxMs: number }
}

type Notify = Extract<Effect, { kind: 'notify' }>

/** Tells people and programs what happens to Rollouts: whom, says the Rollout, else its source, else the controller. */
export interface Notices {
  /** Returns at once and never throws. */
  tell(rollout: KubeObject, effect: Notify, plan: Plan): void
  /** The Slack channel in which questions about a Rollout are asked. */
  questionChannel(rollout: KubeObject): string | undefined
  /** What could not be told. */
  deadLetters: DeadLetters
  stop(graceMs?: number): Promise<void>
}

/** Events about lost messages in a minute: whoever loses a thousand messages is not helped by a thousand events. */
const EVENTS_PER_MINUTE = 20
const MINUTE_MS = 60_000
/** What is broken is said again after this, ms. */
const SAY_AGAIN_MS = 3_600_000
const SAID = 1_000

export function createNotices(options: NoticesOptions): Notices {
  const { own, secrets, source, events, metrics, runtime, log } = options
  const deadLetters = createDeadLetters()
  const said = new Map<string, number>()
  let told: number[] = []

  const slack = options.slack?.((lost) => letGo(`slack ${lost.job.key.split(' ')[0]}`, lost))
  const places = createPlaces({
    slack,
    destination,
    lost: letGo,
    runtime,
    log,
    ...(options.backoff ? { backoff: options.backoff } : {}),
  })
  const isRepeated = createRepeats(runtime)

  function wishesOf(rollout: KubeObject): Wishes {
    const namespace = rollout.metadata.namespace ?? ''
    const mine = targetsOf(rollout)
    const from = sourceOf(rollout)
    const theirs = from && targetsOf(from)
    return {
      ...(mine ? { rollout: { namespace, notify: mine } } : {}),
      ...(theirs ? { source: { namespace: from.metadata.namespace ?? '', notify: theirs } } : {}),
      controller: { ...own, webhook: own.webhook !== undefined },
    }
  }

  /** Only of a source that the Rollout may use: others' channels are not to be told of strangers. */
  function sourceOf(rollout: KubeObject): KubeObject | undefined {
    const name = textAt(rollout, 'spec', 'source', 'name')
    const home = rollout.metadata.namespace ?? ''
    const namespace = textAt(rollout, 'spec', 'source', 'namespace') ?? home
    const found = name === undefined ? undefined : source(`${namespace}/${name}`)
    const allowed = listAt(found, 'spec', 'allowedNamespaces')
    return namespace === home || allowed.includes(home) || allowed.includes('*') ? found : undefined
  }

  async function destination(place: Exclude<Place, { kind: 'slack' }>): Promise<Destination> {
    if (place.kind === 'own') {
      if (own.webhook) return own.webhook
      throw new PlaceBroken('the controller has no webhook')
    }
    const { url, secret } = place
    if (!secret) return { url: url ?? '' }
    const { namespace, name } = secret
    const found = await secrets.read(namespace, name)
    if (!found.ok && found.waiting) throw new DeliveryFailed(found.message, { permanent: false })
    if (!found.ok) throw new PlaceBroken(found.message)
    const target = url ?? found.text('url')
    const key = found.text('secret')
    if (!target) throw new PlaceBroken(`the Secret ${namespace}/${name} has no url, and the target names none`)
    if (!/^https?:\/\//.test(target) || !URL.canParse(target))
      throw new PlaceBroken(`url in the Secret ${namespace}/${name} is no http or https URL`)
    if (url !== undefined && !key) throw new PlaceBroken(`the Secret ${namespace}/${name} has no secret to sign with`)
    return { url: target, ...(key ? { secret: key } : {}) }
  }

  /** A message was given up: kept to be looked at, counted, and said where people look. */
  function letGo(place: string, { job, why, attempts, error }: LostJob): void {
    metrics.notificationLost(place.startsWith('slack') ? 'slack' : 'webhook')
    const { about } = job
    if (!about) return
    const { rollout, topic, message } = about
    const at = new Date(runtime.now()).toISOString()
    deadLetters.add({ at, rollout, topic, message, place, why, attempts })
    const now = runtime.monotonic()
    if (error instanceof PlaceBroken) {
      const once = `${rollout} ${place} ${why}`
      if (now - (said.get(once) ?? Number.NEGATIVE_INFINITY) < SAY_AGAIN_MS) return
      const [oldest] = said.keys()
      if (said.size >= SAID && oldest !== undefined) said.delete(oldest)
      said.delete(once)
      said.set(once, now)
      record(about, 'NotifyFailed', `${place} cannot be told: ${why}`)
      return
    }
    told = told.filter((then) => now - then < MINUTE_MS)
    if (told.length >= EVENTS_PER_MINUTE) return
    told.push(now)
    record(about, 'NotificationLost', `${place} was not told of ${topic} "${message}": ${why}`)
  }

  function record({ rollout, facts, digest }: Notification, reason: string, message: string): void {
    const [namespace, name] = rollout.split('/')
    if (digest || !name) return
    const regarding = { apiVersion: 'sluice.dev/v1alpha1', kind: 'Rollout', namespace, name, uid: facts?.uid }
    events.record({ regarding, type: 'Warning', reason, message })
  }

  return {
    tell(rollout, effect, plan) {
      try {
        const notification = notificationOf(rollout, effect, plan, runtime.now(), options.cluster?.())
        if (isRepeated(notification)) return
        const { id, topic, message, details } = notification
        log.info({ rollout: notification.rollout, id, topic, details, told: message }, 'notification')
        if (!hasEvent(effect, plan)) events.record({ regarding: rollout, ...eventOf[topic], message })
        // Looked up at every message: they are rare, and what the objects say now is what counts.
        const routes = routesOf(wishesOf(rollout))
        for (const place of placesFor(routes, topic)) places.tell(place, notification)
      } catch (err) {
        log.error({ err, topic: effect.topic }, 'notification failed')
      }
    },
    questionChannel(rollout) {
      const routes = routesOf(wishesOf(rollout))
      const [channel] = placesFor(routes, 'approval').flatMap((place) =>
        place.kind === 'slack' ? [place.channel] : [],
      )
      // Whoever tells programs only still wants people to be asked; whoever tells nobody does not.
      return channel ?? (routes.length > 0 ? own.slackChannel : undefined)
    },
    deadLetters,
    async stop(graceMs) {
      await places.stop(graceMs)
      await slack?.stop(graceMs)
    },
  }
}

/** Whether the plan has an event that says the same already. */
function hasEvent({ message }: Notify, { effects }: Plan): boolean {
  return effects.some(
    (effect) => effect.kind === 'event' && (effect.message.includes(message) || message.includes(effect.message)),
  )
}

/** Whoever is not told sees it with kubectl describe. */
const eventOf: Record<Topic, { type: 'Normal' | 'Warning'; reason: string }> = {
  started: { type: 'Normal', reason: 'Started' },
  step: { type: 'Normal', reason: 'WeightSet' },
  approval: { type: 'Normal', reason: 'ApprovalAsked' },
  promoted: { type: 'Normal', reason: 'Promoted' },
  rolledBack: { type: 'Warning', reason: 'RolledBack' },
  paused: { type: 'Warning', reason: 'Paused' },
  stuck: { type: 'Warning', reason: 'Stuck' },
  override: { type: 'Warning', reason: 'ApprovalOverridden' },
  git: { type: 'Warning', reason: 'NotCommitted' },
}

/** `spec.notify`; one that cannot be read says nothing. */
function targetsOf(object: KubeObject): readonly NotifyTarget[] | undefined {
  const parsed = notifySchema.optional().safeParse(fieldAt(object, 'spec', 'notify'))
  return parsed.success ? parsed.data : undefined
}

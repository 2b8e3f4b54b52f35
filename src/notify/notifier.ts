import type { Logger } from 'pino'
import type { Effect } from '../plan/effects.ts'
import type { Runtime } from '../runtime.ts'

type NotifyEffect = Extract<Effect, { kind: 'notify' }>

/** Something that happened to a Rollout and that people want to know. */
export interface Notification {
  /** `namespace/name`. */
  rollout: string
  topic: NotifyEffect['topic']
  /** One sentence. */
  message: string
  /** For machines and for the second line of a message: revision, attempt, weight, reason … Never a secret. */
  details: Record<string, string | number>
}

/** Tells people. `notify` returns at once, never throws and never delays a reconcile. */
export interface Notifier {
  notify(notification: Notification): void
  /** Lets what is queued go out for at most `graceMs`. */
  stop(graceMs?: number): Promise<void>
}

/** Tells nobody. */
export const silent: Notifier = { notify: () => undefined, stop: async () => undefined }

/** Writes every notification to the log. */
export function logNotifier(log: Logger): Notifier {
  return {
    notify({ rollout, topic, message, details }) {
      log.info({ rollout, topic, details, told: message }, 'notification')
    },
    stop: async () => undefined,
  }
}

/**
 * Passes each notification to all of `notifiers`. The same one again within `withinMs` (a reconcile that was repeated
 * after a crash or a conflict) is passed on once.
 */
export function notifyAll(
  notifiers: readonly Notifier[],
  { runtime, log, withinMs = 60_000 }: { runtime: Pick<Runtime, 'monotonic'>; log: Logger; withinMs?: number },
): Notifier {
  const seen = new Map<string, number>()
  return {
    notify(notification) {
      const now = runtime.monotonic()
      for (const [key, at] of seen) {
        if (now - at < withinMs && seen.size <= 2_000) break
        seen.delete(key)
      }
      const { rollout, topic, message, details } = notification
      const key = JSON.stringify([rollout, topic, message, details.attempt])
      if (seen.has(key)) return
      seen.set(key, now)
      for (const notifier of notifiers) {
        try {
          notifier.notify(notification)
        } catch (err) {
          log.error({ err, rollout, topic }, 'notifier failed')
        }
      }
    },
    async stop(graceMs) {
      await Promise.all(notifiers.map((notifier) => notifier.stop(graceMs)))
    },
  }
}

import type { Effect } from '../plan/effects.ts'
import type { Runtime } from '../runtime.ts'
import type { Facts } from './facts.ts'
import type { Digest } from './storm.ts'

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
  /** Names this happening: the same one again, after a crash, has the same id. */
  id?: string
  /** When it happened, ISO 8601. */
  at?: string
  /** For programs: all that is known about it. */
  facts?: Facts
  /** Set when it stands for many. */
  digest?: Digest
}

/** Tells people. `notify` returns at once, never throws and never delays a reconcile. */
export interface Notifier {
  notify(notification: Notification): void
  /** Lets what is queued go out for at most `graceMs`. */
  stop(graceMs?: number): Promise<void>
}

/**
 * Tells whether the same was told lately, within `withinMs`: a reconcile that was repeated after a conflict tells things again. Asking makes
 * it told.
 */
export function createRepeats(
  { monotonic }: Pick<Runtime, 'monotonic'>,
  withinMs = 60_000,
): (notification: Notification) => boolean {
  const seen = new Map<string, number>()
  return ({ rollout, topic, message, details }) => {
    const now = monotonic()
    for (const [key, at] of seen) {
      if (now - at < withinMs && seen.size <= 2_000) break
      seen.delete(key)
    }
    const key = JSON.stringify([rollout, topic, message, details.attempt])
    if (seen.has(key)) return true
    seen.set(key, now)
    return false
  }
}

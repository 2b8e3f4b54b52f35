import { clip, type EventInput, type EventRecord, targetKey, targetOf } from './event-message.ts'

export interface CorrelationOptions {
  /** Different messages of one object and reason within the window before they are combined into one event. Default 10. */
  maxSimilar: number
  /** Default 10 minutes. */
  similarWindowMs: number
  /** Events per object before the spam filter speaks. Default 25. */
  burst: number
  /** One more event is allowed per object after this long. Default 5 minutes. */
  refillMs: number
  /** Objects and messages remembered; the ones unused for longest are forgotten. Default 4096. */
  maxEntries: number
}

/** The numbers of client-go's EventCorrelator. */
const defaultCorrelation: CorrelationOptions = {
  maxSimilar: 10,
  similarWindowMs: 600_000,
  burst: 25,
  refillMs: 300_000,
  maxEntries: 4096,
}

export interface Correlated {
  record: EventRecord
  /** Events with the same key are one object in the cluster, whose count rises. */
  key: string
}

interface Similar {
  messages: Set<string>
  lastAt: number
}

interface Bucket {
  tokens: number
  at: number
}

/** Combines similar events and filters spam; undefined means drop. `at` is monotonic milliseconds. */
export function createCorrelator(
  options: Partial<CorrelationOptions> = {},
): (event: EventInput, at: number) => Correlated | undefined {
  const limits = { ...defaultCorrelation, ...options }
  const similar = createLru<Similar>(limits.maxEntries)
  const buckets = createLru<Bucket>(limits.maxEntries)

  function allowed(object: string, at: number): boolean {
    const bucket = buckets.get(object) ?? { tokens: limits.burst, at }
    bucket.tokens = Math.min(limits.burst, bucket.tokens + (at - bucket.at) / limits.refillMs)
    bucket.at = at
    buckets.set(object, bucket)
    if (bucket.tokens < 1) return false
    bucket.tokens -= 1
    return true
  }

  return (event, at) => {
    const target = targetOf(event.regarding)
    const object = targetKey(target)
    const { type, reason, action = reason } = event
    const group = [object, type, reason, action].join('\0')
    const seen = similar.get(group)
    const current =
      seen && at - seen.lastAt <= limits.similarWindowMs ? seen : { messages: new Set<string>(), lastAt: at }
    current.lastAt = at
    similar.set(group, current)
    const message = clip(event.message)
    // The set is bounded by the limit itself: once it is full, only messages already in it stay themselves.
    if (current.messages.size < limits.maxSimilar) current.messages.add(message)
    const combine = !current.messages.has(message)
    if (!allowed(object, at)) return undefined
    const record: EventRecord = { target, type, reason, action, message }
    if (!combine) return { record, key: `${group}\0${message}` }
    return {
      record: { ...record, message: clip(`(combined from similar events): ${message}`) },
      key: `${group}\0combined`,
    }
  }
}

export interface Lru<V> {
  get(key: string): V | undefined
  set(key: string, value: V): void
  delete(key: string): void
}

/** A map of bounded size: what was set longest ago goes first. */
export function createLru<V>(max: number): Lru<V> {
  const entries = new Map<string, V>()
  return {
    get: (key) => entries.get(key),
    set(key, value) {
      entries.delete(key)
      entries.set(key, value)
      for (const oldest of entries.keys()) {
        if (entries.size <= max) break
        entries.delete(oldest)
      }
    },
    delete: (key) => entries.delete(key),
  }
}

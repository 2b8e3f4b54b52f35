import type { Topic } from '../api/notify.ts'
import type { Runtime } from '../runtime.ts'
import type { Notification } from './notifier.ts'

/** Many messages in one. */
export interface Digest {
  count: number
  topics: Partial<Record<Topic, number>>
  /** The first of them. */
  told: { rollout: string; topic: Topic; message: string }[]
}

/** Passes messages on one by one, and what is too much for a minute together in one at its end. */
export interface Calm {
  tell(notification: Notification): void
  /** Passes on at once what is kept back. */
  flush(): void
  /** Whether nothing is kept back, and nothing was passed on within the last minute: it can be forgotten. */
  isQuiet(): boolean
}

export interface CalmOptions {
  /** Messages within a minute that are passed on as they come. */
  perMinute: number
  pass: (notification: Notification) => void
  runtime: Pick<Runtime, 'monotonic' | 'now' | 'sleep'>
  /** Ends the waiting; what is kept back then is for `flush`. */
  signal: AbortSignal
}

const MINUTE_MS = 60_000
const TOLD = 100
const NAMED = 5

/** What a digest is called after: the most urgent of what it holds. */
const urgency: readonly Topic[] = [
  'rolledBack',
  'override',
  'stuck',
  'paused',
  'approval',
  'git',
  'promoted',
  'step',
  'started',
]

/** A fleet that breaks at one moment is to be told of in a few messages: after `perMinute` of them one digest a minute says the rest. */
export function createCalm({ perMinute, pass, runtime, signal }: CalmOptions): Calm {
  let passed: number[] = []
  let kept: Notification[] = []
  let count = 0
  let topics: Digest['topics'] = {}

  function keep(notification: Notification): void {
    if (count === 0) runtime.sleep(MINUTE_MS, signal).then(flush, () => undefined)
    count += 1
    topics[notification.topic] = (topics[notification.topic] ?? 0) + 1
    if (kept.length < TOLD) kept.push(notification)
  }

  function flush(): void {
    const [only] = kept
    if (only === undefined) return
    const digest = { count, topics, told: kept.map(({ rollout, topic, message }) => ({ rollout, topic, message })) }
    const whole = count === 1 ? only : digestOf(digest, only)
    kept = []
    count = 0
    topics = {}
    passed.push(runtime.monotonic())
    pass(whole)
  }

  return {
    tell(notification) {
      const now = runtime.monotonic()
      passed = passed.filter((at) => now - at < MINUTE_MS)
      // While something is kept back, nothing overtakes it.
      if (count > 0 || passed.length >= perMinute) return keep(notification)
      passed.push(now)
      pass(notification)
    },
    flush,
    isQuiet: () => count === 0 && passed.every((at) => runtime.monotonic() - at >= MINUTE_MS),
  }
}

function digestOf(digest: Digest, first: Notification): Notification {
  const kinds = urgency.filter((topic) => digest.topics[topic] !== undefined)
  const rollouts = [...new Set(digest.told.map(({ rollout }) => rollout))]
  const named = rollouts.slice(0, NAMED).join(', ')
  const others = rollouts.length > NAMED || digest.count > digest.told.length ? ' and others' : ''
  const { facts: _facts, ...rest } = first
  return {
    ...rest,
    id: `${first.id}-digest`,
    rollout: 'sluice',
    topic: kinds[0] ?? first.topic,
    message: `and ${digest.count} more: ${kinds.map((topic) => `${digest.topics[topic]} ${topic}`).join(', ')} (${named}${others})`,
    details: {},
    digest,
  }
}

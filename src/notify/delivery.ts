import type { Logger } from 'pino'
import type { Runtime } from '../runtime.ts'
import { DeliveryFailed } from './delivery-failed.ts'

/** A message on its way. `deliver` is called until it resolves, fails for good, or is given up. */
export interface Job {
  /** Only the newest job of a key is kept while it waits, and two of one key never run at once. */
  key: string
  deliver(signal: AbortSignal): Promise<void>
}

/** A bounded queue that delivers in the background, one at a time, oldest first. */
export interface Delivery {
  /** Returns at once and never throws. */
  submit(job: Job): void
  /** Resolves when nothing waits or runs. */
  idle(): Promise<void>
  /** Lets what is queued go out for at most `graceMs`, then drops it. Later jobs are dropped. */
  stop(graceMs?: number): Promise<void>
}

export interface DeliveryConfig {
  runtime: Runtime
  log: Logger
  /** For the log: `slack`, `webhook` … */
  name: string
  /** Jobs that may wait; beyond it the oldest is dropped. */
  capacity?: number
  /** First and longest wait between attempts, ms; each is twice the one before, less up to half of it at random. */
  backoff?: { firstMs: number; maxMs: number }
  /** A job older than this is given up when it fails, ms. */
  giveUpAfterMs?: number
  /** One attempt may take this long, ms. */
  attemptMs?: number
  /** Called for every job that is given up. */
  onLost?: () => void
}

interface Waiting extends Job {
  attempts: number
  since: number
  notBefore: number
}

export function createDelivery(config: DeliveryConfig): Delivery {
  const { runtime, log, name, capacity = 500, giveUpAfterMs = 3_600_000, attemptMs = 10_000, onLost } = config
  const { firstMs, maxMs } = config.backoff ?? { firstMs: 1_000, maxMs: 300_000 }
  const waiting = new Map<string, Waiting>()
  const ending = new AbortController()
  const idlers: (() => void)[] = []
  let wake = new AbortController()
  let pausedUntil = 0
  let running = false
  let stopped = false

  function lose(job: Job, why: string): void {
    log.warn({ queue: name, key: job.key, why }, 'message given up')
    onLost?.()
  }

  async function attempt(job: Waiting): Promise<void> {
    const timeout = new AbortController()
    const over = runtime.sleep(attemptMs, AbortSignal.any([timeout.signal, ending.signal])).then(
      () => Promise.reject(new DeliveryFailed(`no answer within ${attemptMs / 1000} s`, { permanent: false })),
      () => Promise.reject(new DeliveryFailed('stopped', { permanent: true })),
    )
    over.catch(() => undefined)
    try {
      await Promise.race([job.deliver(AbortSignal.any([timeout.signal, ending.signal])), over])
    } finally {
      timeout.abort()
    }
  }

  function failed(job: Waiting, error: unknown): void {
    const now = runtime.monotonic()
    const known = error instanceof DeliveryFailed ? error : undefined
    const why = error instanceof Error ? error.message : String(error)
    const tooOld = now - job.since >= giveUpAfterMs
    if (known?.permanent || tooOld) {
      lose(job, tooOld ? `tried for ${Math.round((now - job.since) / 60_000)} min: ${why}` : why)
      return
    }
    const wait = Math.min(maxMs, firstMs * 2 ** job.attempts) * (1 - runtime.random() / 2)
    if (known?.retryAfterMs !== undefined) pausedUntil = now + known.retryAfterMs
    log.info({ queue: name, key: job.key, why, attempt: job.attempts + 1 }, 'message will be tried again')
    // A newer job of the same key says more than this one.
    if (waiting.has(job.key)) return
    waiting.set(job.key, {
      ...job,
      attempts: job.attempts + 1,
      notBefore: now + Math.max(wait, known?.retryAfterMs ?? 0),
    })
  }

  async function work(): Promise<void> {
    while (waiting.size > 0 && !ending.signal.aborted) {
      const now = runtime.monotonic()
      const due = now < pausedUntil ? undefined : waiting.values().find((job) => job.notBefore <= now)
      if (due === undefined) {
        const next = Math.max(pausedUntil, Math.min(...waiting.values().map((job) => job.notBefore)))
        wake = new AbortController()
        await runtime
          .sleep(Math.max(1, next - now), AbortSignal.any([wake.signal, ending.signal]))
          .catch(() => undefined)
        continue
      }
      waiting.delete(due.key)
      try {
        await attempt(due)
      } catch (error) {
        failed(due, error)
      }
    }
    running = false
    for (const resolve of idlers.splice(0)) resolve()
  }

  const idle = () => new Promise<void>((resolve) => (running ? void idlers.push(resolve) : resolve()))

  return {
    submit(job) {
      if (stopped) {
        lose(job, 'stopped')
        return
      }
      const now = runtime.monotonic()
      const before = waiting.get(job.key)
      if (before === undefined && waiting.size >= capacity) {
        const [oldest] = waiting.values()
        if (oldest !== undefined) {
          waiting.delete(oldest.key)
          lose(oldest, `more than ${capacity} messages wait`)
        }
      }
      waiting.set(job.key, { ...job, attempts: 0, since: now, notBefore: before?.notBefore ?? now })
      wake.abort()
      if (running) return
      running = true
      queueMicrotask(() => void work())
    },
    idle,
    async stop(graceMs = 2_000) {
      stopped = true
      const done = new AbortController()
      const grace = runtime.sleep(graceMs, done.signal).then(
        () => ending.abort(),
        () => undefined,
      )
      await Promise.race([idle(), grace])
      done.abort()
      ending.abort()
      await idle()
      for (const job of waiting.values()) lose(job, 'stopped')
      waiting.clear()
    },
  }
}

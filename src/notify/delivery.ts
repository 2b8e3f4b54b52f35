import type { Logger } from 'pino'
import type { Runtime } from '../runtime.ts'
import { DeliveryFailed } from './delivery-failed.ts'
import type { Notification } from './notifier.ts'

/** A message on its way. `deliver` is called until it resolves, fails for good, or is given up. */
export interface Job {
  /** Only the newest job of a key is kept while it waits, and two of one key never run at once. */
  key: string
  /** Jobs of one lane go out in order: one that has to wait holds up those behind it in its lane, and no others. */
  lane?: string
  /** What it tells, for whoever asks what was lost. */
  about?: Notification
  deliver(signal: AbortSignal): Promise<void>
}

/** A job that was given up. */
export interface LostJob {
  job: Job
  /** One sentence; never a secret. */
  why: string
  attempts: number
  /** What the last attempt failed with. */
  error?: unknown
}

/** A bounded queue that delivers in the background, one at a time, oldest first. */
export interface Delivery {
  /** Returns at once and never throws. */
  submit(job: Job): void
  /** Whether nothing waits or runs. */
  readonly isIdle: boolean
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
  onLost?: (lost: LostJob) => void
}

interface Waiting extends Job {
  attempts: number
  since: number
  notBefore: number
  /** Place in the order of what was submitted; kept when it is tried again. */
  turn: number
}

export function createDelivery(config: DeliveryConfig): Delivery {
  const { runtime, log, name, capacity = 500, giveUpAfterMs = 3_600_000, attemptMs = 10_000, onLost } = config
  const { firstMs, maxMs } = config.backoff ?? { firstMs: 1_000, maxMs: 300_000 }
  const waiting = new Map<string, Waiting>()
  const ending = new AbortController()
  const idlers: (() => void)[] = []
  let wake = new AbortController()
  let pausedUntil = 0
  let turns = 0
  let running = false
  let stopped = false

  function lose(job: Waiting, why: string, error?: unknown): void {
    const { key, about, attempts } = job
    log.warn({ queue: name, key, topic: about?.topic, why, attempts }, 'message given up')
    onLost?.({ job, why, attempts, error })
  }

  /** Everything that may go out now or later, first come first: of a lane only the first. */
  function heads(): Waiting[] {
    const lanes = new Set<string>()
    return [...waiting.values()]
      .sort((a, b) => a.turn - b.turn)
      .filter(({ lane }) => {
        if (lane === undefined) return true
        if (lanes.has(lane)) return false
        lanes.add(lane)
        return true
      })
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
      const tried = { ...job, attempts: job.attempts + 1 }
      lose(tried, tooOld ? `tried for ${Math.round((now - job.since) / 60_000)} min: ${why}` : why, error)
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
      const next = heads()
      const due = now < pausedUntil ? undefined : next.find((job) => job.notBefore <= now)
      if (due === undefined) {
        const soonest = Math.max(pausedUntil, Math.min(...next.map((job) => job.notBefore)))
        wake = new AbortController()
        await runtime
          .sleep(Math.max(1, soonest - now), AbortSignal.any([wake.signal, ending.signal]))
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
      const now = runtime.monotonic()
      const fresh = { ...job, attempts: 0, since: now, notBefore: now, turn: ++turns }
      if (stopped) {
        lose(fresh, 'stopped')
        return
      }
      const before = waiting.get(job.key)
      if (before === undefined && waiting.size >= capacity) {
        const [oldest] = heads()
        if (oldest !== undefined) {
          waiting.delete(oldest.key)
          lose(oldest, `more than ${capacity} messages wait`)
        }
      }
      waiting.set(job.key, before ? { ...fresh, notBefore: before.notBefore, turn: before.turn } : fresh)
      wake.abort()
      if (running) return
      running = true
      queueMicrotask(() => void work())
    },
    get isIdle() {
      return !running
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

import type { Runtime } from '../runtime.ts'
import { type BackoffOptions, delayOf } from './backoff.ts'
import { createDelays } from './delays.ts'
import { asKubeError } from './kube-error.ts'
import { createLanes } from './lanes.ts'

export interface AddOptions {
  /** Ahead of all routine keys: for a retreat, which must not wait behind a thousand reconciles. */
  urgent?: boolean
}

export interface WorkQueueOptions {
  runtime: Runtime
  /** Delay of a key's retries. Default 20 ms, doubling up to 30 s. */
  backoff?: BackoffOptions
  /** Urgent keys handed out in a row before a waiting routine key gets its turn. Default 16. */
  urgentShare?: number
  /** For metrics. None of them may throw. */
  hooks?: {
    /** The number of waiting keys changed. */
    depth?(waiting: number): void
    /** A key was taken after waiting this long, in milliseconds. */
    waited?(ms: number, urgent: boolean): void
    /** A handler ran for this long, in milliseconds. */
    worked?(ms: number): void
    retried?(): void
  }
}

/**
 * What a handler wants next for its key; nothing means done until the next `add`. Its latest word counts: a run that an `add` has
 * brought about makes what the run before it wanted void, so that a key which is woken and also has a timer is not worked on twice.
 */
export type Requeue = { afterMs: number; urgent?: boolean } | undefined

/** `urgent` says by which lane the key came. */
// biome-ignore lint/suspicious/noConfusingVoidType: a handler that returns nothing is the usual one
export type Handler = (key: string, urgent: boolean) => Promise<Requeue | void>

export interface RunOptions {
  /** Routine keys worked on at the same time; urgent ones take these places too. */
  workers: number
  /** Additional places, so that urgent keys need not wait while all workers are busy, nor routine ones while many are urgent. Default 1. */
  urgentWorkers?: number
  handler: Handler
  /** Told about an error after which the key is tried again in `retryMs`. Must not throw. */
  onError(key: string, error: unknown, retryMs: number): void
}

/**
 * A queue of distinct keys with client-go's semantics: a key waits at most once, is never worked on twice at the same
 * time, and when it is added while it is being worked on it comes back afterwards, so that no change is missed.
 * Keys are served in the order in which they were added (urgent ones first), so a key that keeps coming back
 * cannot starve the others.
 */
export interface WorkQueue {
  add(key: string, options?: AddOptions): void
  /** Adds after a delay; of several delays for one key the earliest counts. */
  addAfter(key: string, ms: number, options?: AddOptions): void
  /** Adds after the key's own backoff, which grows until `forget`. Returns the delay in milliseconds. */
  addRateLimited(key: string, options?: AddOptions): number
  /** The key is well: its backoff starts over. */
  forget(key: string): void
  /** Retries handed out since the last `forget`. */
  retries(key: string): number
  /** Keys waiting now; those with a delay and those being worked on not counted. */
  readonly depth: number
  /** Keys being worked on. */
  readonly active: number
  /** Starts handing keys to `handler`. May be called once. An error leads to a rate-limited retry, not before the server's Retry-After. */
  run(options: RunOptions): void
  /** Takes no more keys, drops those that wait, and resolves when no handler runs any more. */
  shutDown(): Promise<void>
  /** Takes no more keys, works off those that wait now (delayed ones are dropped), then resolves. */
  drain(): Promise<void>
}

export function createWorkQueue(options: WorkQueueOptions): WorkQueue {
  const { runtime, hooks = {}, backoff = { initialMs: 20, maxMs: 30_000, jitter: 0.2 } } = options
  const lanes = createLanes(options.urgentShare ?? 16)
  const addedAt = new Map<string, number>()
  /** Keys being worked on, and whether (and how) they were added meanwhile. */
  const working = new Map<string, 'clean' | 'dirty' | 'urgent'>()
  const failures = new Map<string, number>()
  const delays = createDelays(runtime, (key, urgent) => add(key, urgent))
  /** What the last run of each key's handler wanted. */
  const wanted = createDelays(runtime, (key, urgent) => add(key, urgent))
  const ended = Promise.withResolvers<void>()
  let routineWorking = 0
  let running: RunOptions | undefined
  let state: 'open' | 'draining' | 'closed' = 'open'
  let dispatching = false

  function add(key: string, urgent: boolean): void {
    if (state !== 'open') return
    const dirty = working.get(key)
    if (dirty !== undefined) {
      if (dirty !== 'urgent') working.set(key, urgent ? 'urgent' : 'dirty')
      return
    }
    enqueue(key, urgent)
    dispatch()
  }

  function enqueue(key: string, urgent: boolean): void {
    if (lanes.add(key, urgent)) {
      addedAt.set(key, runtime.monotonic())
      hooks.depth?.(lanes.size)
    }
  }

  /** Hands out keys in a microtask of their own, so that `add` never runs a handler inside its caller. */
  function dispatch(): void {
    if (dispatching || !running) return
    dispatching = true
    queueMicrotask(() => {
      dispatching = false
      if (!running) return
      const { workers, urgentWorkers = 1 } = running
      while (working.size < workers + urgentWorkers) {
        const next = lanes.take(routineWorking < workers ? 'both' : 'urgent')
        if (!next) break
        void work(running, next.key, next.urgent)
      }
      settle()
    })
  }

  async function work(run: RunOptions, key: string, urgent: boolean): Promise<void> {
    working.set(key, 'clean')
    if (!urgent) routineWorking += 1
    const started = runtime.monotonic()
    hooks.depth?.(lanes.size)
    hooks.waited?.(started - (addedAt.get(key) ?? started), urgent)
    addedAt.delete(key)
    wanted.remove(key)
    try {
      const requeue = await run.handler(key, urgent)
      forget(key)
      if (requeue) wanted.add(key, requeue.afterMs, requeue.urgent ?? false)
    } catch (error) {
      const retryMs = addRateLimited(key, urgent, asKubeError(error)?.retryAfterMs)
      hooks.retried?.()
      run.onError(key, error, retryMs)
    } finally {
      const added = working.get(key)
      working.delete(key)
      if (!urgent) routineWorking -= 1
      hooks.worked?.(runtime.monotonic() - started)
      if (added !== 'clean' && state !== 'closed') enqueue(key, added === 'urgent')
      dispatch()
      settle()
    }
  }

  function addRateLimited(key: string, urgent: boolean, atLeastMs = 0): number {
    const attempt = failures.get(key) ?? 0
    failures.set(key, attempt + 1)
    const ms = Math.max(delayOf(backoff, attempt, runtime.random), atLeastMs)
    delays.add(key, ms, urgent)
    return ms
  }

  function forget(key: string): void {
    failures.delete(key)
  }

  function settle(): void {
    if (state !== 'open' && working.size === 0 && lanes.size === 0) ended.resolve()
  }

  function end(how: 'draining' | 'closed'): Promise<void> {
    if (state !== 'closed') state = how
    delays.stop()
    wanted.stop()
    // Without workers nothing would ever take what waits.
    if (state === 'closed' || !running) {
      lanes.clear()
      addedAt.clear()
    }
    settle()
    return ended.promise
  }

  return {
    add: (key, { urgent = false } = {}) => add(key, urgent),
    addAfter(key, ms, { urgent = false } = {}) {
      if (ms <= 0) add(key, urgent)
      else delays.add(key, ms, urgent)
    },
    addRateLimited: (key, { urgent = false } = {}) => addRateLimited(key, urgent),
    forget,
    retries: (key) => failures.get(key) ?? 0,
    get depth() {
      return lanes.size
    },
    get active() {
      return working.size
    },
    run(run) {
      if (running) throw new Error('The queue runs already.')
      running = run
      dispatch()
    },
    shutDown: () => end('closed'),
    drain: () => end('draining'),
  }
}

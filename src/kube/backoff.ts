import type { Runtime } from '../runtime.ts'

export interface BackoffOptions {
  initialMs: number
  maxMs: number
  /** Growth per step; default 2. */
  factor?: number
  /** Each delay is stretched by a random share of up to this much, so that clients do not return in step; default 0.5. */
  jitter?: number
}

export interface Backoff {
  /** The next delay in milliseconds, longer each time. */
  next(): number
  /** Start from the shortest delay again. */
  reset(): void
  /** How many delays were handed out since the last reset. */
  readonly attempts: number
}

/** Exponential backoff with jitter; `maxMs` bounds the delay before jitter. */
export function createBackoff(options: BackoffOptions, random: Runtime['random']): Backoff {
  let attempts = 0
  return {
    next: () => delayOf(options, attempts++, random),
    reset: () => {
      attempts = 0
    },
    get attempts() {
      return attempts
    },
  }
}

/** The delay before retry number `attempt`, counted from 0. */
export function delayOf(options: BackoffOptions, attempt: number, random: Runtime['random']): number {
  const { initialMs, maxMs, factor = 2, jitter = 0.5 } = options
  return Math.min(maxMs, initialMs * factor ** attempt) * (1 + jitter * random())
}

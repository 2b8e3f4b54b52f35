/**
 * Everything a running Sluice takes from the machine it runs on: time, sleep and randomness.
 * Code that needs them receives a Runtime, so that a test or a simulation can bring its own.
 */
export interface Runtime {
  /** Wall-clock time in milliseconds since the epoch. May jump; never use it for leases or timeouts. */
  now(): number
  /** Milliseconds since an arbitrary start; never goes back. */
  monotonic(): number
  /** Resolves after `ms`, at most 24 days; rejects with the signal's reason when it is aborted first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
  /** Uniform in [0, 1). */
  random(): number
}

/** Timers overflow above this and would fire at once, so that who waits for very long would never wait. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

export const systemRuntime: Runtime = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      const onAbort = () => {
        clearTimeout(timer)
        reject(signal?.reason)
      }
      const timer = setTimeout(
        () => {
          signal?.removeEventListener('abort', onAbort)
          resolve()
        },
        Math.min(ms, LONGEST_TIMER_MS),
      )
      signal?.addEventListener('abort', onAbort, { once: true })
    }),
  random: () => Math.random(),
}

import type { Runtime } from '../../runtime.ts'

/** Delivers changes of configuration the way Istio's control plane does: after a quiet time, but not later than a maximum. */
export interface Propagation {
  changed(): void
  /** Resolves when everything changed so far has been delivered. */
  settled(): Promise<void>
  stop(): void
}

/** Istio waits for quiet at most a hundred times as long (PILOT_DEBOUNCE_AFTER 100 ms, PILOT_DEBOUNCE_MAX 10 s). */
const MAX_FACTOR = 100

/** @param quietMs the quiet time; 0 delivers at once */
export function createPropagation(runtime: Runtime, quietMs: number, deliver: () => void): Propagation {
  const stopped = new AbortController()
  let lastMs = 0
  let pending: Promise<void> | undefined

  async function wait(): Promise<void> {
    const firstMs = runtime.monotonic()
    for (;;) {
      const nowMs = runtime.monotonic()
      const dueMs = Math.min(lastMs + quietMs, firstMs + quietMs * MAX_FACTOR)
      if (nowMs >= dueMs) break
      await runtime.sleep(dueMs - nowMs, stopped.signal)
    }
    pending = undefined
    deliver()
  }

  return {
    changed() {
      if (stopped.signal.aborted) return
      if (quietMs <= 0) return deliver()
      lastMs = runtime.monotonic()
      pending ??= wait().catch(() => undefined)
    },
    settled: async () => {
      while (pending && !stopped.signal.aborted) await pending
    },
    stop: () => stopped.abort(),
  }
}

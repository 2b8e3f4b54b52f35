import type { Runtime } from '../../../src/runtime.ts'

/** A runtime whose time stands still until a test moves it. */
export interface SimulatedRuntime extends Runtime {
  /** Moves time forward, waking each sleeper at its own instant. */
  advance(ms: number): Promise<void>
}

export function simulatedRuntime(startMs: number): SimulatedRuntime {
  let now = startMs
  const sleepers = new Set<{ wakeMs: number; wake: () => void }>()
  const settle = () => new Promise<void>((resolve) => setImmediate(resolve))
  return {
    now: () => now,
    monotonic: () => now - startMs,
    random: () => 0.5,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason)
        const sleeper = { wakeMs: now + ms, wake: resolve }
        sleepers.add(sleeper)
        signal?.addEventListener('abort', () => {
          sleepers.delete(sleeper)
          reject(signal.reason)
        })
      }),
    async advance(ms) {
      const end = now + ms
      await settle()
      for (;;) {
        const next = [...sleepers].filter(({ wakeMs }) => wakeMs <= end).sort((a, b) => a.wakeMs - b.wakeMs)[0]
        if (!next) break
        now = Math.max(now, next.wakeMs)
        sleepers.delete(next)
        next.wake()
        await settle()
      }
      now = end
    },
  }
}

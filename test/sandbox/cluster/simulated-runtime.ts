import type { Runtime } from '../../../src/runtime.ts'
import { randomStream } from '../../../src/sandbox/mesh/random.ts'

/** A runtime whose time passes only when told to. */
export interface SimulatedRuntime extends Runtime {
  /** Lets `ms` pass: everything due wakes in order, and what follows from it happens before time goes on. */
  advance(ms: number): Promise<void>
}

interface Sleeper {
  dueMs: number
  wake(): void
}

export function simulatedRuntime(seed = 1): SimulatedRuntime {
  const startMs = Date.UTC(2026, 0, 1)
  const sleepers = new Set<Sleeper>()
  let elapsed = 0

  async function settle(): Promise<void> {
    for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve))
  }

  return {
    now: () => startMs + elapsed,
    monotonic: () => elapsed,
    random: randomStream(seed, 'runtime'),
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason)
        const onAbort = () => {
          sleepers.delete(sleeper)
          reject(signal?.reason)
        }
        const sleeper = {
          dueMs: elapsed + ms,
          wake: () => {
            sleepers.delete(sleeper)
            signal?.removeEventListener('abort', onAbort)
            resolve()
          },
        }
        sleepers.add(sleeper)
        signal?.addEventListener('abort', onAbort, { once: true })
      }),
    async advance(ms) {
      const untilMs = elapsed + ms
      await settle()
      for (;;) {
        const [next] = [...sleepers].sort((a, b) => a.dueMs - b.dueMs)
        if (!next || next.dueMs > untilMs) break
        elapsed = Math.max(elapsed, next.dueMs)
        for (const sleeper of [...sleepers]) if (sleeper.dueMs <= elapsed) sleeper.wake()
        await settle()
      }
      elapsed = untilMs
    },
  }
}

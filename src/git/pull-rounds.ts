import { createBackoff } from '../kube/backoff.ts'
import type { Runtime } from '../runtime.ts'
import { ForgeFailure } from './forge/forge.ts'

/** Work by key, one at a time; during an outage all of it waits together: it is the same forge for all. */
export interface Rounds {
  soon(key: string): void
  /** Resolves when nothing is under way. */
  idle(): Promise<void>
}

export interface RoundsOptions {
  round: (key: string) => Promise<void>
  /** Called after each failure, before it is tried again. */
  onFailure: (key: string, error: unknown) => void
  runtime: Runtime
  signal: AbortSignal
}

const outage = { initialMs: 500, maxMs: 60_000 }

export function createRounds({ round, onFailure, runtime, signal }: RoundsOptions): Rounds {
  const due = new Set<string>()
  const backoff = createBackoff(outage, runtime.random)
  let running: Promise<void> | undefined

  async function drain(): Promise<void> {
    for (const key of due) {
      due.delete(key)
      if (signal.aborted) return
      try {
        await round(key)
        backoff.reset()
      } catch (error) {
        if (signal.aborted) return
        onFailure(key, error)
        // What is refused for good waits until somebody asks again, and holds nobody up.
        if (error instanceof ForgeFailure && !error.transient) continue
        due.add(key)
        const asked = error instanceof ForgeFailure ? (error.retryAfterMs ?? 0) : 0
        await runtime.sleep(Math.max(backoff.next(), asked), signal).catch(() => undefined)
      }
    }
  }

  function start(): void {
    running ??= drain().finally(() => {
      running = undefined
      if (due.size > 0 && !signal.aborted) start()
    })
  }

  return {
    soon(key) {
      if (signal.aborted) return
      due.add(key)
      start()
    },
    async idle() {
      while (running) await running
    },
  }
}

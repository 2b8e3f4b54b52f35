import type { Logger } from 'pino'
import type { Runtime } from '../runtime.ts'

/**
 * What is done for people and is not waited for: asking and closing questions. An API server that answers such a request late, because of
 * somebody's webhook for instance, must not keep the Rollout from being looked at, and a breach from being answered (I2).
 */
export interface Errands {
  /**
   * Does `work`, unless the same is under way already. Resolves when it is done, or a moment later at the latest: what fails after that
   * is logged and the Rollout is looked at again. Throws what failed within the moment.
   */
  run(rollout: string, what: string, work: () => Promise<void>): Promise<void>
  /** Resolves when nothing is under way. */
  idle(): Promise<void>
}

export interface ErrandsConfig {
  runtime: Pick<Runtime, 'sleep'>
  log: Logger
  /** Has a Rollout looked at again. */
  wake: (rollout: string, afterMs: number) => void
  /** How long a look waits, milliseconds. */
  patienceMs?: number
}

const againMs = 1_000

export function createErrands({ runtime, log, wake, patienceMs = 500 }: ErrandsConfig): Errands {
  const running = new Map<string, Promise<void>>()

  return {
    async run(rollout, what, work) {
      const id = `${rollout} ${what}`
      let late = false
      const known = running.get(id)
      const errand =
        known ??
        work()
          .catch((err: unknown) => {
            if (!late) throw err
            log.warn({ rollout, errand: what, err }, 'failed after nobody waited for it any more')
            wake(rollout, againMs)
          })
          .finally(() => running.delete(id))
      running.set(id, errand)
      const done = new AbortController()
      const patience = runtime.sleep(patienceMs, done.signal).then(
        () => {
          late = true
        },
        () => undefined,
      )
      try {
        await Promise.race([errand, patience])
      } finally {
        done.abort()
      }
    },

    async idle() {
      await Promise.allSettled(running.values())
    },
  }
}

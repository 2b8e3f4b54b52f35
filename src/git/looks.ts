/** Jobs by key that are done soon, a few at a time; a key that is asked for again while it waits is done once. */
export interface Looks {
  soon(key: string): void
  /** Any other work that `idle` has to wait for. */
  track(work: Promise<unknown>): void
  idle(): Promise<void>
}

export interface LooksOptions {
  atOnce: number
  look: (key: string) => Promise<void>
  onError: (error: unknown) => void
  signal: AbortSignal
}

export function createLooks({ atOnce, look, onError, signal }: LooksOptions): Looks {
  const due = new Set<string>()
  const running = new Set<Promise<void>>()
  let lookers = 0

  async function lookOn(): Promise<void> {
    for (const key of due) {
      due.delete(key)
      if (signal.aborted) return
      await look(key).catch(report)
      await new Promise((resume) => setImmediate(resume))
    }
  }

  function report(error: unknown): void {
    if (!signal.aborted) onError(error)
  }

  function track(work: Promise<unknown>): void {
    const quiet = work.then(() => undefined, report)
    running.add(quiet)
    void quiet.finally(() => running.delete(quiet))
  }

  function start(): void {
    while (lookers < atOnce && lookers < due.size && !signal.aborted) {
      lookers += 1
      const looker = lookOn().finally(() => {
        lookers -= 1
        // A key that came after the last turn of the loop would otherwise wait for the next one.
        start()
      })
      track(looker)
    }
  }

  return {
    soon(key) {
      due.add(key)
      start()
    },
    track,
    async idle() {
      while (running.size > 0) await Promise.allSettled(running)
    },
  }
}

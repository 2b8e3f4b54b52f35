import { systemRuntime as runtime } from '../../src/runtime.ts'

const EVERY_MS = 50
/** A timer that is later than this is one of a process that does not get the machine. */
const LATE_MS = 200

/** Measures how much of the time this process, in which the cluster runs, did not get the machine. */
export function measureLag(): { share(): number; stop(): void } {
  const began = runtime.monotonic()
  const stopped = new AbortController()
  let late = 0
  async function tick(): Promise<void> {
    for (;;) {
      const before = runtime.monotonic()
      await runtime.sleep(EVERY_MS, stopped.signal)
      const lag = runtime.monotonic() - before - EVERY_MS
      if (lag > LATE_MS) late += lag
    }
  }
  tick().catch(() => undefined)
  return {
    share: () => late / Math.max(1, runtime.monotonic() - began),
    stop: () => stopped.abort(),
  }
}

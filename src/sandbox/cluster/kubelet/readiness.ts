import type { Runtime } from '../../../runtime.ts'
import type { HttpGetProbe } from '../objects.ts'

export interface ReadinessOptions {
  runtime: Runtime
  /** Undefined: ready as soon as the app is up. */
  probe: HttpGetProbe | undefined
  /** Milliseconds until the app would answer a probe well, 0 when it does now; undefined when only a change can make it. */
  upIn(sinceStartMs: number): number | undefined
  onChange(ready: boolean): void
}

/** Watches whether one run of a container is ready. */
export interface Readiness {
  /** Looks now, because something changed that may matter. */
  check(): void
  stop(): void
}

/**
 * Readiness as a kubelet sees it: after initialDelaySeconds one look every periodSeconds, ready after successThreshold good looks,
 * unready after failureThreshold bad ones. Without a probe it is ready as soon as the app is up.
 */
export function createReadiness({ runtime, probe, upIn, onChange }: ReadinessOptions): Readiness {
  const stopped = new AbortController()
  const startedMs = runtime.monotonic()
  const sinceStartMs = () => runtime.monotonic() - startedMs
  const sleep = (ms: number) => runtime.sleep(ms, stopped.signal)
  const initialDelayMs = (probe?.initialDelaySeconds ?? 0) * 1000
  const failuresNeeded = probe ? (probe.failureThreshold ?? 3) : 1
  const successesNeeded = probe?.successThreshold ?? 1
  let ready = false
  let streak = 0

  function look(): void {
    if (stopped.signal.aborted) return
    const up = upIn(sinceStartMs()) === 0
    streak = up === ready ? 0 : streak + 1
    if (up === ready || streak < (up ? successesNeeded : failuresNeeded)) return
    streak = 0
    ready = up
    onChange(ready)
  }

  async function probeForGood(periodMs: number): Promise<void> {
    await sleep(initialDelayMs)
    for (;;) {
      look()
      await sleep(periodMs)
    }
  }

  async function waitUntilUp(): Promise<void> {
    // A timer may fire a fraction early: what counts is what the app says.
    for (let ms = upIn(sinceStartMs()); ms; ms = upIn(sinceStartMs())) await sleep(Math.ceil(ms))
    look()
  }

  function start(): void {
    const watch = probe ? probeForGood((probe.periodSeconds ?? 10) * 1000) : waitUntilUp()
    // Only stopping ends a sleep early.
    watch.catch(() => undefined)
  }

  start()
  return {
    check() {
      if (!probe) start()
      else if (sinceStartMs() >= initialDelayMs) look()
    },
    stop: () => stopped.abort(),
  }
}

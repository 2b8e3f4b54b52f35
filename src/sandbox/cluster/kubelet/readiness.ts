import type { Runtime } from '../../../runtime.ts'
import type { HttpGetProbe } from '../objects.ts'

export interface ReadinessOptions {
  runtime: Runtime
  /** Undefined: ready as soon as the app is up. */
  probe: HttpGetProbe | undefined
  /** Whether the app would answer a probe well, this long after its start. */
  isUp(upMs: number): boolean
  onChange(ready: boolean): void
}

/** Watches whether one run of a container is ready. */
export interface Readiness {
  /** Looks now, because something changed that may matter. */
  check(): void
  stop(): void
}

const POLL_MS = 50

/**
 * Readiness as a kubelet sees it: after initialDelaySeconds one look every periodSeconds, ready after successThreshold good looks,
 * unready after failureThreshold bad ones. Without a probe the app itself is watched closely.
 */
export function createReadiness({ runtime, probe, isUp, onChange }: ReadinessOptions): Readiness {
  const stopped = new AbortController()
  const startedMs = runtime.monotonic()
  const upMs = () => runtime.monotonic() - startedMs
  const failuresNeeded = probe ? (probe.failureThreshold ?? 3) : 1
  const successesNeeded = probe?.successThreshold ?? 1
  let ready = false
  let streak = 0

  function look(): void {
    if (stopped.signal.aborted) return
    const up = isUp(upMs())
    streak = up === ready ? 0 : streak + 1
    if (streak < (up ? successesNeeded : failuresNeeded) || up === ready) return
    streak = 0
    ready = up
    onChange(ready)
  }

  async function watch(): Promise<void> {
    const sleep = (ms: number) => runtime.sleep(ms, stopped.signal)
    if (probe) await sleep((probe.initialDelaySeconds ?? 0) * 1000)
    look()
    // An app without a probe becomes ready once; after that only `check` makes it look again.
    while (probe || !ready) {
      await sleep(probe ? (probe.periodSeconds ?? 10) * 1000 : POLL_MS)
      look()
    }
  }

  watch().catch(() => undefined)
  return {
    check() {
      if (probe && upMs() < (probe.initialDelaySeconds ?? 0) * 1000) return
      if (probe) look()
      else restartWatch()
    },
    stop: () => stopped.abort(),
  }

  function restartWatch(): void {
    const before = ready
    look()
    if (before && !ready) watch().catch(() => undefined)
  }
}

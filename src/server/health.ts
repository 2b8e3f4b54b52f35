import type { Runtime } from '../runtime.ts'

export interface HealthReport {
  ok: boolean
  /** One sentence for whoever looks at a failing probe. */
  message: string
}

/** What the probes of the kubelet ask. */
export interface Health {
  /** Is the process worth keeping? False only when a restart would help. */
  live(): HealthReport
  /** Can it do its work? A standby that has read the cluster is ready too. */
  ready(): HealthReport
}

export interface HealthConfig {
  runtime: Pick<Runtime, 'monotonic'>
  /** When the main loop was last seen going round, on the monotonic clock, ms. It must tick also when there is nothing to do. */
  lastActivity: () => number
  /** Longer silence than this is a stuck loop. */
  stuckAfterMs?: number
  /** Names of caches that have not been read yet. */
  unsynced: () => string[]
  /** `lost`: it was the leader and is about to end. */
  leadership: () => 'leader' | 'standby' | 'lost'
}

/** Health of a controller, read at the moment a probe asks. */
export function createHealth(config: HealthConfig): Health {
  const { runtime, lastActivity, stuckAfterMs = 60_000, unsynced, leadership } = config
  return {
    live() {
      const silentMs = runtime.monotonic() - lastActivity()
      if (silentMs <= stuckAfterMs) return { ok: true, message: 'the main loop is going round' }
      return { ok: false, message: `the main loop has been stuck for ${Math.round(silentMs / 1000)} s` }
    },
    ready() {
      const waiting = unsynced()
      if (waiting.length > 0) return { ok: false, message: `still reading ${waiting.join(', ')}` }
      const role = leadership()
      if (role === 'lost') return { ok: false, message: 'lost the leadership' }
      return { ok: true, message: role === 'leader' ? 'leading' : 'standing by' }
    },
  }
}

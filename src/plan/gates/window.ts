import { epoch, iso, type Turn } from '../turn.ts'
import { nextOpening, windowState } from '../windows.ts'
import type { Gate } from './gate.ts'

/** The time of day allows forward moves. */
export const window: Gate = (turn) => {
  watchWindow(turn)
  const { window: state } = turn.status
  if (!state || state.open) return undefined
  const { opensAt } = state
  return {
    reason: 'WindowClosed',
    message: `waits: ${state.reason}${opensAt === undefined ? '' : `; it may move again at ${opensAt}`}`,
    ...(opensAt === undefined ? {} : { requeueAfterMs: Math.max(0, epoch(opensAt) - turn.now) }),
  }
}

/**
 * Says in status whether a window is open while something is in flight, whatever else it waits for. What was worked out stays true
 * for the same spec until a window opens or closes, and is not worked out again before.
 */
export function watchWindow({ status, spec, o, now }: Turn): void {
  const known = status.window
  if (!status.canary || spec.windows.length === 0) {
    delete status.window
    return
  }
  const sameSpec = known?.generation === o.rollout.generation
  if (known && sameSpec && epoch(known.at) <= now && (known.until === undefined || now < epoch(known.until))) return
  const state = windowState(spec.windows, now)
  const opensAt = state.open ? undefined : nextOpening(spec.windows, now)
  status.window = {
    open: state.open,
    ...(state.open ? {} : { reason: state.reason }),
    ...(opensAt === undefined ? {} : { opensAt: iso(opensAt) }),
    ...(state.until === undefined ? {} : { until: iso(state.until) }),
    at: iso(now),
    generation: o.rollout.generation,
  }
}

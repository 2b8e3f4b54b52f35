import { windowState } from '../windows.ts'
import type { Gate } from './gate.ts'

/** The time of day allows forward moves. */
export const window: Gate = (turn) => {
  const state = windowState(turn.spec.windows, turn.now)
  if (state.open) return undefined
  return {
    reason: 'WindowClosed',
    message: `waits: ${state.reason}`,
    ...(state.until ? { requeueAfterMs: Math.max(0, state.until - turn.now) } : {}),
  }
}

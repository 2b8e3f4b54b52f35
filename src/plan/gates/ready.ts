import { capacity } from '../deployment/capacity.ts'
import { seenDeployment } from '../deployment/state.ts'
import { canaryNow, stableNow } from '../turn.ts'
import type { Gate } from './gate.ts'

/** Every wanted pod of the canary is ready and runs this content, and stable is there to go back to. */
export const ready: Gate = (turn) => {
  const deployment = seenDeployment(turn)
  if (deployment) return capacity(turn, deployment)
  const canary = canaryNow(turn)
  const stable = stableNow(turn)
  const { canary: recorded, stable: home } = turn.status
  if (!canary || canary.replicas === 0)
    return { reason: 'CanaryNotReady', message: `waits: ${recorded?.name} has no pods` }
  if (canary.ready < canary.replicas) {
    return {
      reason: 'CanaryNotReady',
      message: `waits: ${canary.ready} of ${canary.replicas} pods of ${recorded?.name} are ready${canary.notReady ? `; ${canary.notReady}` : ''}`,
    }
  }
  if (canary.rolling)
    return { reason: 'CanaryNotReady', message: `waits for the rollout of ${recorded?.name}: ${canary.rolling}` }
  if (!stable || stable.ready === 0)
    return { reason: 'StableNotReady', message: `waits: ${home?.name} has no ready pod to go back to` }
  return undefined
}

import type { RolloutStatus } from '../api/status.ts'
import type { Observation, PairObservation } from './observation.ts'
import { epoch } from './turn.ts'

/** For how long a cache may lag behind a write of our own before what it shows is believed. */
const LAG_MS = 10_000

/**
 * Whether a pair was read before our last write of it: it still stands at the version over which that was written.
 * Without this a lagging watch would look like somebody who puts the weight back, or like a retreat of ours.
 */
export function isBeforeOwnWrite(status: RolloutStatus, pair: PairObservation | undefined, now: number): boolean {
  const { step } = status
  if (!pair?.ok || step?.over === undefined) return false
  return pair.resourceVersion === step.over && now - epoch(step.since) < LAG_MS
}

/** The observation with our own last write in it, where a cache does not show it yet. */
export function withOwnWrite(status: RolloutStatus, o: Observation, now: number): Observation {
  const pair = o.traffic.recorded
  if (!status.canary || !status.step || !pair?.ok || !isBeforeOwnWrite(status, pair, now)) return o
  const { writer: _, lowest: __, ...rest } = pair
  return { ...o, traffic: { ...o.traffic, recorded: { ...rest, weight: status.step.weight, uneven: false } } }
}

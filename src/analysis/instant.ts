/**
 * Looks happen at aligned instants t = k·interval, so that rollouts with one interval share their queries and a replay
 * cuts time into the same windows. An instant is looked at a little later, when the scrapes before it have arrived.
 */
function settle(interval: number): number {
  return Math.min(500, interval / 10)
}

/** The newest aligned instant whose samples can be there, epoch ms. */
export function instantOf(now: number, interval: number): number {
  return Math.floor((now - settle(interval)) / interval) * interval
}

/** When the next instant can be looked at, epoch ms; always later than `now`. */
export function nextInstant(now: number, interval: number): number {
  return instantOf(now, interval) + interval + settle(interval)
}

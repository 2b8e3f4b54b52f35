/** How the requests of one kind went. */
interface Outcome {
  total: number
  /** Answered 5xx, or not at all. */
  bad: number
}

/** What a client saw. */
export interface TallyCounts {
  sent: number
  /** Due, but not sent because too many were under way. */
  unsent: number
  answered: number
  /** Neither a status nor an end: cut off, refused, or given up on. */
  errors: number
  /** 5xx and errors together. */
  bad: number
  /** By exact status code. */
  status: Record<string, number>
  /** By class: `2xx`, `4xx`, … */
  classes: Record<string, number>
  /** By the version that answered; `none` where nobody said. */
  versions: Record<string, Outcome>
  latency: { p50Ms: number; p90Ms: number; p99Ms: number; maxMs: number }
}

/** Counts what one client saw, in constant memory. */
export interface Tally {
  sent(): void
  unsent(): void
  /** @param status undefined when there was no answer */
  answered(status: number | undefined, version: string | undefined, latencyMs: number): void
  counts(): TallyCounts
}

// Log-spaced latency classes, ten per decade from 0.1 ms: a quantile is read to within 26 %.
const PER_DECADE = 10
const CLASSES = 8 * PER_DECADE
const LEAST_MS = 0.1

export function createTally(): Tally {
  const latencies = new Array<number>(CLASSES).fill(0)
  const status: Record<string, number> = {}
  const classes: Record<string, number> = {}
  const versions: Record<string, Outcome> = {}
  const counts = { sent: 0, unsent: 0, answered: 0, errors: 0, bad: 0 }
  let maxMs = 0

  function quantileMs(q: number): number {
    const rank = q * counts.answered
    let seen = 0
    for (const [index, count] of latencies.entries()) {
      seen += count
      if (count > 0 && seen >= rank) return Math.min(maxMs, LEAST_MS * 10 ** ((index + 1) / PER_DECADE))
    }
    return maxMs
  }

  return {
    sent() {
      counts.sent++
    },
    unsent() {
      counts.unsent++
    },
    answered(code, version, latencyMs) {
      const bad = code === undefined || code >= 500
      if (bad) counts.bad++
      const name = version ?? 'none'
      const outcome = versions[name] ?? { total: 0, bad: 0 }
      versions[name] = outcome
      outcome.total++
      if (bad) outcome.bad++
      if (code === undefined) {
        counts.errors++
        return
      }
      counts.answered++
      status[code] = (status[code] ?? 0) + 1
      const kind = `${Math.floor(code / 100)}xx`
      classes[kind] = (classes[kind] ?? 0) + 1
      const index = Math.floor(Math.log10(Math.max(latencyMs, LEAST_MS) / LEAST_MS) * PER_DECADE)
      const bucket = Math.min(CLASSES - 1, index)
      latencies[bucket] = (latencies[bucket] ?? 0) + 1
      maxMs = Math.max(maxMs, latencyMs)
    },
    counts: () => ({
      ...counts,
      status: { ...status },
      classes: { ...classes },
      versions: Object.fromEntries(Object.entries(versions).map(([name, outcome]) => [name, { ...outcome }])),
      latency: { p50Ms: quantileMs(0.5), p90Ms: quantileMs(0.9), p99Ms: quantileMs(0.99), maxMs },
    }),
  }
}

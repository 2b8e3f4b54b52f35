import type { Tally } from './evidence.ts'
import type { MeshSample } from './istio.ts'

/** What is known about the counters of the canary or of stable. Plain data. */
export interface Side {
  /**
   * Whose counts are used: servers count what arrived, and callers add what was cut off; where no server counts
   * (no sidecar, or not scraped yet) callers count alone.
   */
  countedBy: 'nobody' | 'callers' | 'servers'
  /** What callers counted as arrived while they counted alone. */
  arrived: Tally
  /** Requests that callers saw cut off, by the time of that scrape, waiting for the servers' scrapes to catch up. */
  cutOff: readonly { at: number; n: number }[]
  /** Newest scrape that was used, epoch ms. */
  newest?: number
  /** Processes in the last used reading. */
  processes: ReadonlySet<string>
}

/** Nothing has been seen of this side. */
export const unseen: Side = { countedBy: 'nobody', arrived: { n: 0, k: 0 }, cutOff: [], processes: new Set() }

/** The samples whose age says how far this side has been read: the servers', once servers count. */
export function leading(side: Side, samples: readonly MeshSample[]): MeshSample[] {
  const served = samples.filter((sample) => sample.reporter === 'server')
  return served.length > 0 || side.countedBy === 'servers' ? served : [...samples]
}

/** What is known of a side after its baseline, which counts nothing. */
export function sideAtBaseline(samples: readonly MeshSample[]): Side {
  const servers = samples.some((sample) => sample.reporter === 'server')
  const countedBy = servers ? 'servers' : samples.length > 0 ? 'callers' : 'nobody'
  return { ...unseen, ...seenIn(countedBy, samples), countedBy }
}

/**
 * The events of one side in one window, from the increments of its series.
 *
 * Requests that were cut off are added only when every server has been scraped since the caller was: a failure that is
 * counted before the successes around it would be evidence of something that did not happen.
 */
export function countSide(
  side: Side,
  samples: readonly MeshSample[],
  events: ReadonlyMap<string, number>,
): { side: Side; tally: Tally } {
  const served = samples.filter((sample) => sample.reporter === 'server')
  const calls = samples.filter((sample) => sample.reporter === 'caller' && !sample.cutOff)
  const cut = samples.filter((sample) => sample.cutOff)
  if (served.length === 0 && side.countedBy === 'servers') return { side, tally: { n: 0, k: 0 } }
  if (served.length === 0) {
    const arrived = tallyOf(calls, events)
    const countedBy = samples.length > 0 ? 'callers' : side.countedBy
    return {
      side: { ...side, ...seenIn(countedBy, samples), countedBy, arrived: add(side.arrived, arrived) },
      tally: add(arrived, tallyOf(cut, events)),
    }
  }
  // What callers have counted alone is in the servers' counts too, now that these appear.
  const tally = less(tallyOf(served, events), side.arrived)
  const queue = [...side.cutOff, ...cutOffEvents(cut, events)]
  const readTo = oldestScrape(served) ?? Number.NEGATIVE_INFINITY
  const due = queue.filter(({ at }) => at <= readTo).reduce((sum, { n }) => sum + n, 0)
  return {
    side: {
      ...seenIn('servers', samples),
      countedBy: 'servers',
      arrived: { n: 0, k: 0 },
      cutOff: queue.filter(({ at }) => at > readTo),
    },
    tally: add(tally, { n: due, k: due }),
  }
}

/** The newest scrape among samples, epoch ms. */
export function newestScrape(samples: readonly MeshSample[]): number | undefined {
  return fold(samples, Math.max)
}

/** The oldest scrape among samples: every process has been read up to here, epoch ms. */
export function oldestScrape(samples: readonly MeshSample[]): number | undefined {
  return fold(samples, Math.min)
}

function seenIn(countedBy: Side['countedBy'], samples: readonly MeshSample[]) {
  const used = countedBy === 'servers' ? samples.filter((sample) => sample.reporter === 'server') : samples
  return {
    newest: newestScrape(used),
    processes: new Set(used.filter((sample) => sample.scrapedAt !== undefined).map((sample) => sample.target)),
  }
}

function cutOffEvents(samples: readonly MeshSample[], events: ReadonlyMap<string, number>) {
  const byTime = new Map<number, MeshSample[]>()
  for (const sample of samples) {
    const at = sample.scrapedAt ?? Number.NEGATIVE_INFINITY
    byTime.set(at, [...(byTime.get(at) ?? []), sample])
  }
  return [...byTime].map(([at, of]) => ({ at, n: tallyOf(of, events).n })).filter(({ n }) => n > 0)
}

/** Adds up events; what is there twice because two jobs scrape one pod is counted once. */
function tallyOf(samples: readonly MeshSample[], events: ReadonlyMap<string, number>): Tally {
  const pods = new Map<string, Map<string, Tally>>()
  for (const sample of samples) {
    const happened = events.get(sample.series) ?? 0
    if (happened === 0 || (sample.outcome === 'gone' && !sample.cutOff)) continue
    const pod = sample.pod ?? sample.target
    const scrapers = pods.get(pod) ?? new Map<string, Tally>()
    pods.set(pod, scrapers)
    const tally = scrapers.get(sample.target) ?? { n: 0, k: 0 }
    scrapers.set(sample.target, tally)
    if (sample.bucket === 'fast') {
      // A request that was cut off is not a fast one, however soon it was cut.
      if (!sample.cutOff) tally.k -= happened
      continue
    }
    tally.n += happened
    if (sample.bucket === 'all' || sample.outcome === 'bad' || sample.cutOff) tally.k += happened
  }
  let total: Tally = { n: 0, k: 0 }
  for (const scrapers of pods.values()) {
    total = add(
      total,
      [...scrapers.values()].reduce((most, tally) => (tally.n > most.n ? tally : most)),
    )
  }
  return bounded(total)
}

function fold(samples: readonly MeshSample[], pick: (a: number, b: number) => number): number | undefined {
  let result: number | undefined
  for (const { scrapedAt } of samples) {
    if (scrapedAt !== undefined) result = result === undefined ? scrapedAt : pick(result, scrapedAt)
  }
  return result
}

function add(a: Tally, b: Tally): Tally {
  return { n: a.n + b.n, k: a.k + b.k }
}

function less(a: Tally, b: Tally): Tally {
  return bounded({ n: Math.max(0, a.n - b.n), k: a.k - b.k })
}

function bounded({ n, k }: Tally): Tally {
  return { n, k: Math.max(0, Math.min(n, k)) }
}

import type { Window } from './evidence.ts'
import type { MeshSample } from './istio.ts'
import { countSide, leading, newestScrape, oldestScrape, type Side, sideAtBaseline, unseen } from './side.ts'
import { baselineOf, emptyLedger, incrementsSince, isCount, type Ledger } from './window.ts'

/** What has been counted so far, for one measure of one rollout. Plain data; `count` makes the next one. */
export interface Counting {
  ledger: Ledger
  /** Instant of the last reading that was used, epoch ms: where the next window begins. */
  through: number
  /** A reading has been good enough to count from. */
  known: boolean
  canary: Side
  stable: Side
  /** Last scrape of each process, epoch ms. */
  scrapes: ReadonlyMap<string, number>
  /** The least time seen between two scrapes of one process in ms, and how many pairs were seen. */
  scrapeInterval: { ms: number; pairs: number }
}

/** The samples of one rollout at one instant. */
export interface Look {
  /** The instant the query was evaluated at, epoch ms. */
  at: number
  canary: readonly MeshSample[]
  stable: readonly MeshSample[]
}

/** What a look brought. */
export interface Counted {
  next: Counting
  /** The events since the previous window; absent when no sample was newer than before. */
  window?: Window
  /** Newest scrape of what is judged (the canary, or stable before the canary's first counter), epoch ms. */
  newestAt?: number
  /** Every process that is judged has been read up to here, epoch ms. Only with a window or a baseline. */
  completeThrough?: number
  /** Canary events happened that nobody can count or date any more. */
  gap: boolean
  /** Nothing was counted: histograms lack the bucket of the threshold, or values are no counts (NaN). */
  unusable?: 'noBucket' | 'notCounts'
}

/** Nothing is known yet; counting begins at `at`, epoch ms. */
export function nothingCounted(at: number): Counting {
  return {
    ledger: emptyLedger,
    through: at,
    known: false,
    canary: unseen,
    stable: unseen,
    scrapes: new Map(),
    scrapeInterval: { ms: Number.POSITIVE_INFINITY, pairs: 0 },
  }
}

/**
 * Counts the events of both sides since the last used reading.
 *
 * The first reading with a fresh sample is the baseline: it counts nothing. Once there is one, a counter never seen
 * before belongs to a process or an outcome that is new, and counts from zero.
 *
 * @param maxAge samples older than this at the instant of the look are no ground to begin counting on, in ms
 * @param begun events of this canary have been counted before
 */
export function count(known: Counting, look: Look, maxAge: number, begun = true): Counted {
  const { canary, stable } = look
  const counting = begun ? known : withoutPredecessor(known, canary)
  const leaders = leading(counting.canary, canary)
  const before = counting.canary.countedBy === 'nobody' && leaders.length === 0
  const judged = before ? leading(counting.stable, stable) : leaders
  const newestAt = newestScrape(judged)
  const nothing: Counted = { next: counting, newestAt, gap: false }
  if ([...canary, ...stable].some((sample) => !isCount(sample.value))) return { ...nothing, unusable: 'notCounts' }
  if (lacksBucket(canary) || lacksBucket(stable)) return { ...nothing, unusable: 'noBucket' }
  if (!counting.known) return { ...nothing, ...baseline(counting, look, judged, maxAge) }

  const usedBefore = before ? counting.stable.newest : counting.canary.newest
  if (newestAt === undefined || (usedBefore !== undefined && newestAt <= usedBefore)) return nothing
  const { events, ledger } = incrementsSince(counting.ledger, [...canary, ...stable])
  const ours = countSide(counting.canary, canary, events)
  const theirs = countSide(counting.stable, stable, events)
  const next: Counting = {
    ledger,
    through: look.at,
    known: true,
    canary: ours.side,
    stable: theirs.side,
    ...scrapeTimes(counting, [...canary, ...stable]),
  }
  return {
    next,
    window: { start: counting.through, end: look.at, canary: ours.tally, stable: theirs.tally },
    newestAt,
    completeThrough: oldestScrape(judged),
    gap: look.at - counting.through > maxAge && lostProcess(counting.canary, ours.side),
  }
}

/**
 * The canary of an earlier rollout may have had the same name. Its servers' counters, found by the baseline, say nothing about this one:
 * once they have vanished, and as long as no event of this canary was counted, nothing has been seen of it. What callers counted of its
 * predecessor comes to light only now (they are not asked about where servers count), and belongs to the past.
 */
function withoutPredecessor(counting: Counting, canary: readonly MeshSample[]): Counting {
  const gone = counting.canary.countedBy === 'servers' && !canary.some((sample) => sample.reporter === 'server')
  if (!gone) return counting
  const arrived = canary.filter((sample) => sample.reporter === 'caller' && !sample.cutOff)
  return { ...counting, canary: unseen, ledger: baselineOf(arrived, counting.ledger) }
}

function baseline(counting: Counting, { at, canary, stable }: Look, judged: readonly MeshSample[], maxAge: number) {
  const samples = [...canary, ...stable]
  const newest = newestScrape(samples)
  const known = newest !== undefined && at - newest <= maxAge
  const next: Counting = {
    ledger: baselineOf(samples, counting.ledger),
    through: known ? at : counting.through,
    known,
    canary: sideAtBaseline(canary),
    stable: sideAtBaseline(stable),
    ...scrapeTimes(counting, samples),
  }
  // Counting should have begun earlier, and the canary may have served since, nobody knows when.
  const gap = known && at > counting.through && incrementsSince(counting.ledger, canary).events.size > 0
  return { next, gap, completeThrough: known ? oldestScrape(judged) : undefined }
}

/** A process of the canary that was there before a time without readings is gone after it, and its last events with it. */
function lostProcess(before: Side, after: Side): boolean {
  return [...before.processes].some((process) => !after.processes.has(process))
}

function lacksBucket(samples: readonly MeshSample[]): boolean {
  const fast = new Set(samples.filter((sample) => sample.bucket === 'fast').map((sample) => sample.family))
  return samples.some((sample) => sample.bucket === 'all' && !fast.has(sample.family))
}

function scrapeTimes(counting: Counting, samples: readonly MeshSample[]) {
  const scrapes = new Map(counting.scrapes)
  let { ms, pairs } = counting.scrapeInterval
  for (const { target, scrapedAt } of samples) {
    if (scrapedAt === undefined) continue
    const before = scrapes.get(target)
    if (before !== undefined && scrapedAt > before) {
      ms = Math.min(ms, scrapedAt - before)
      pairs++
    }
    scrapes.set(target, scrapedAt)
  }
  return { scrapes, scrapeInterval: { ms, pairs } }
}

/**
 * One raw counter of one scraped process at one instant. Values are cumulative since the process started.
 */
export interface CounterSample {
  /** Names the counter over time: equal in two snapshots exactly when it is the same counter. */
  series: string
  /** Counters of one histogram move together: when one of them went back, all of them started anew. */
  family: string
  /** The scraped process. */
  target: string
  value: number
}

/** The last value of each counter, kept while its process is away so that its return counts nothing twice. */
export type Ledger = ReadonlyMap<string, LedgerEntry>

interface LedgerEntry {
  value: number
  family: string
  target: string
}

/** A ledger that knows nothing: every counter first read against it is new. */
export const emptyLedger: Ledger = new Map()

/** What happened between two snapshots. */
export interface Increments {
  /** Events per series, only where there were any. */
  events: ReadonlyMap<string, number>
  /** To be given to the next reading. */
  ledger: Ledger
}

/** Reads a first snapshot: nothing is counted, everything is known from now on. */
export function baselineOf(samples: readonly CounterSample[], ledger: Ledger = emptyLedger): Ledger {
  const next = new Map(ledger)
  for (const sample of samples) {
    if (isCount(sample.value)) next.set(sample.series, entry(sample))
  }
  return next
}

/**
 * The events between the last known values and this snapshot, by the rules of raw counters:
 * a series never seen before counts from zero, a decrease means that the process restarted and counts from zero,
 * a process that is absent adds nothing and is remembered.
 * A process has restarted when a counter of the family went back, or when all its counters together did:
 * then each of them counts from zero, also the one that has outgrown its old value already.
 * What is no count (NaN, infinite, negative) is as if absent.
 *
 * Never counts more events than happened; a restart that leaves no counter lower than before cannot be seen, and
 * hides as many events as were known before it.
 */
export function incrementsSince(ledger: Ledger, samples: readonly CounterSample[]): Increments {
  const readable = samples.filter((sample) => isCount(sample.value))
  const restarted = restarts(ledger, readable)
  const events = new Map<string, number>()
  const next = new Map(ledger)
  for (const sample of readable) {
    const before = ledger.get(sample.series)
    const fromZero =
      before === undefined || restarted.families.has(sample.family) || restarted.targets.has(sample.target)
    const grown = fromZero ? sample.value : sample.value - before.value
    if (grown > 0) events.set(sample.series, grown)
    next.set(sample.series, entry(sample))
  }
  forgetAbsent(next, samples)
  return { events, ledger: next }
}

/** Whether a value can be a counter's at all. */
export function isCount(value: number): boolean {
  return Number.isFinite(value) && value >= 0
}

function restarts(ledger: Ledger, samples: readonly CounterSample[]) {
  const families = new Set<string>()
  const totals = new Map<string, { before: number; now: number }>()
  for (const sample of samples) {
    const before = ledger.get(sample.series)
    if (before !== undefined && sample.value < before.value) families.add(sample.family)
    const total = totals.get(sample.target) ?? { before: 0, now: 0 }
    total.now += sample.value
    if (before !== undefined) total.before += before.value
    totals.set(sample.target, total)
  }
  const targets = new Set<string>()
  for (const [target, total] of totals) if (total.now < total.before) targets.add(target)
  return { families, targets }
}

/** A process that was read shows all it has: a counter it does not show is no more, and starts at zero if it returns. */
function forgetAbsent(ledger: Map<string, LedgerEntry>, samples: readonly CounterSample[]) {
  const series = new Set<string>()
  const targets = new Set<string>()
  for (const sample of samples) {
    series.add(sample.series)
    targets.add(sample.target)
  }
  for (const [known, { target }] of ledger) {
    if (targets.has(target) && !series.has(known)) ledger.delete(known)
  }
}

function entry(sample: CounterSample): LedgerEntry {
  return { value: sample.value, family: sample.family, target: sample.target }
}

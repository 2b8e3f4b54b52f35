import { Labels } from './labels.ts'
import type { Matcher } from './matcher.ts'

/** What became of an appended sample; Prometheus drops the last two as well. */
export type AppendOutcome = 'appended' | 'out-of-order' | 'duplicate'

/** The samples of one series in a time range, oldest first. Arrays are views: valid until the next append. */
export interface SampleRange {
  readonly times: Float64Array
  readonly values: Float64Array
}

/** One stored series: parallel, growing arrays of times, values and staleness flags. */
export class StoredSeries {
  readonly labels: Labels
  #times = new Float64Array(16)
  #values = new Float64Array(16)
  #stale = new Uint8Array(16)
  #from = 0
  #to = 0

  constructor(labels: Labels) {
    this.labels = labels
  }

  get size(): number {
    return this.#to - this.#from
  }

  get firstTime(): number {
    return this.#times[this.#from]!
  }

  get lastTime(): number {
    return this.size === 0 ? Number.NEGATIVE_INFINITY : this.#times[this.#to - 1]!
  }

  append(timeMs: number, value: number, stale: boolean): AppendOutcome {
    if (timeMs < this.lastTime) return 'out-of-order'
    if (timeMs === this.lastTime) return 'duplicate'
    if (this.#to === this.#times.length) this.#makeRoom()
    this.#times[this.#to] = timeMs
    this.#values[this.#to] = value
    this.#stale[this.#to] = stale ? 1 : 0
    this.#to++
    return 'appended'
  }

  /** Forgets samples older than `beforeMs`. */
  truncate(beforeMs: number): void {
    this.#from = Math.max(this.#from, this.#after(beforeMs - 1))
  }

  /** The newest sample at or before `timeMs`, unless it is older than `timeMs - lookbackMs` or a staleness marker. */
  latest(timeMs: number, lookbackMs: number): { timeMs: number; value: number } | undefined {
    const i = (this.lastTime <= timeMs ? this.#to : this.#after(timeMs)) - 1
    if (i < this.#from || this.#stale[i] === 1) return undefined
    const at = this.#times[i]!
    return at < timeMs - lookbackMs ? undefined : { timeMs: at, value: this.#values[i]! }
  }

  /** The samples in the closed range, without staleness markers. */
  range(minMs: number, maxMs: number): SampleRange {
    const from = this.#after(minMs - 1)
    const to = this.#after(maxMs)
    const markers = this.#stale.indexOf(1, from)
    if (markers < 0 || markers >= to) {
      return { times: this.#times.subarray(from, to), values: this.#values.subarray(from, to) }
    }
    const fresh = (_: number, i: number) => this.#stale[from + i] === 0
    return {
      times: this.#times.subarray(from, to).filter(fresh),
      values: this.#values.subarray(from, to).filter(fresh),
    }
  }

  hasSampleIn(minMs: number, maxMs: number): boolean {
    return this.#after(maxMs) > this.#after(minMs - 1)
  }

  /** Index of the first sample later than `timeMs` (times are whole milliseconds). */
  #after(timeMs: number): number {
    let low = this.#from
    let high = this.#to
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#times[middle]! <= timeMs) low = middle + 1
      else high = middle
    }
    return low
  }

  #makeRoom(): void {
    const size = this.size
    const capacity = size > this.#times.length / 2 ? this.#times.length * 2 : this.#times.length
    const times = new Float64Array(capacity)
    const values = new Float64Array(capacity)
    const stale = new Uint8Array(capacity)
    times.set(this.#times.subarray(this.#from, this.#to))
    values.set(this.#values.subarray(this.#from, this.#to))
    stale.set(this.#stale.subarray(this.#from, this.#to))
    this.#times = times
    this.#values = values
    this.#stale = stale
    this.#from = 0
    this.#to = size
  }
}

/** An in-memory time series store with an inverted index from label to series and a bounded retention. */
export class Store {
  readonly #series = new Map<string, StoredSeries>()
  readonly #index = new Map<string, Map<string, Set<StoredSeries>>>()
  readonly #retentionMs: number

  /** @param retentionMs how long samples are kept, counted back from the time given to `prune`. */
  constructor(retentionMs: number = 24 * 3_600_000) {
    this.#retentionMs = retentionMs
  }

  get seriesCount(): number {
    return this.#series.size
  }

  /** Adds a sample; times are whole milliseconds since the epoch and must rise within a series. */
  append(labels: Labels | Readonly<Record<string, string>>, timeMs: number, value: number): AppendOutcome {
    return this.#seriesOf(labels instanceof Labels ? labels : Labels.from(labels)).append(
      Math.round(timeMs),
      value,
      false,
    )
  }

  /** Ends a series: from `timeMs` on it is absent from instant queries until a new sample arrives. */
  markStale(labels: Labels, timeMs: number): AppendOutcome | 'unknown' {
    return this.#series.get(labels.key)?.append(Math.round(timeMs), Number.NaN, true) ?? 'unknown'
  }

  has(labels: Labels): boolean {
    return this.#series.has(labels.key)
  }

  /** Every series all matchers accept, in the order they were first seen. */
  select(matchers: readonly Matcher[]): StoredSeries[] {
    const found: StoredSeries[] = []
    for (const series of this.#candidates(matchers)) {
      if (matchers.every((matcher) => matcher.matches(series.labels.get(matcher.name)))) found.push(series)
    }
    return found
  }

  labelNames(): string[] {
    return [...this.#index.keys()].sort()
  }

  labelValues(name: string): string[] {
    return [...(this.#index.get(name)?.keys() ?? [])].sort()
  }

  /** Drops samples past the retention and series without samples. */
  prune(nowMs: number): void {
    for (const series of this.#series.values()) {
      series.truncate(nowMs - this.#retentionMs)
      if (series.size === 0) this.#remove(series)
    }
  }

  #seriesOf(labels: Labels): StoredSeries {
    const known = this.#series.get(labels.key)
    if (known) return known
    const series = new StoredSeries(labels)
    this.#series.set(labels.key, series)
    for (const [name, value] of labels.entries()) {
      const values = this.#index.get(name) ?? new Map<string, Set<StoredSeries>>()
      const members = values.get(value) ?? new Set<StoredSeries>()
      this.#index.set(name, values)
      values.set(value, members)
      members.add(series)
    }
    return series
  }

  #remove(series: StoredSeries): void {
    this.#series.delete(series.labels.key)
    for (const [name, value] of series.labels.entries()) {
      const values = this.#index.get(name)
      const members = values?.get(value)
      members?.delete(series)
      if (members?.size === 0) values?.delete(value)
      if (values?.size === 0) this.#index.delete(name)
    }
  }

  /** The smallest set of series that one matcher alone narrows the answer down to. */
  #candidates(matchers: readonly Matcher[]): Iterable<StoredSeries> {
    let best: Set<StoredSeries>[] | undefined
    let bestSize = Number.POSITIVE_INFINITY
    for (const matcher of matchers) {
      if (matcher.matches('')) continue // also accepts series without the label, which the index does not list
      const values = this.#index.get(matcher.name)
      const sets: Set<StoredSeries>[] = []
      let size = 0
      if (matcher.type === '=') {
        const members = values?.get(matcher.value)
        if (members) sets.push(members)
      } else {
        for (const [value, members] of values ?? []) if (matcher.matches(value)) sets.push(members)
      }
      for (const members of sets) size += members.size
      if (size < bestSize) [best, bestSize] = [sets, size]
    }
    if (!best) return this.#series.values()
    return best.length === 1 ? best[0]! : best.flatMap((members) => [...members])
  }
}

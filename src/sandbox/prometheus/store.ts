import { Labels } from './labels.ts'
import type { Matcher } from './matcher.ts'
import { type AppendOutcome, StoredSeries } from './series.ts'

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

import type { Labels } from './labels.ts'

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
  #times: Float64Array
  #values: Float64Array
  /** Allocated with the first marker: most series never see one. */
  #stale: Uint8Array | undefined
  #from = 0
  #to = 0

  constructor(labels: Labels) {
    this.labels = labels
    ;[this.#times, this.#values] = allocate(16)
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
    if (stale) this.#stale ??= new Uint8Array(this.#times.length)
    if (this.#stale) this.#stale[this.#to] = stale ? 1 : 0
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
    if (i < this.#from || this.#stale?.[i] === 1) return undefined
    const at = this.#times[i]!
    return at < timeMs - lookbackMs ? undefined : { timeMs: at, value: this.#values[i]! }
  }

  /** The samples in the closed range, without staleness markers. */
  range(minMs: number, maxMs: number): SampleRange {
    const from = this.#after(minMs - 1)
    const to = this.#after(maxMs)
    const stale = this.#stale?.subarray(from, to)
    if (!stale?.includes(1)) {
      return { times: this.#times.subarray(from, to), values: this.#values.subarray(from, to) }
    }
    const fresh = (_: number, i: number) => stale[i] === 0
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
    const [times, values] = allocate(capacity)
    times.set(this.#times.subarray(this.#from, this.#to))
    values.set(this.#values.subarray(this.#from, this.#to))
    this.#times = times
    this.#values = values
    if (this.#stale?.subarray(this.#from, this.#to).includes(1)) {
      const stale = new Uint8Array(capacity)
      stale.set(this.#stale.subarray(this.#from, this.#to))
      this.#stale = stale
    } else this.#stale = undefined
    this.#from = 0
    this.#to = size
  }
}

/** Two arrays in one buffer: tens of thousands of small series feel every allocation. */
function allocate(capacity: number): [Float64Array, Float64Array] {
  const both = new Float64Array(2 * capacity)
  return [both.subarray(0, capacity), both.subarray(capacity)]
}

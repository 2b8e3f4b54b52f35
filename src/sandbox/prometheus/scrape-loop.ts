import type { Runtime } from '../../runtime.ts'
import {
  type ExposedSample,
  type Exposition,
  ExpositionError,
  type MetricMetadata,
  parseExposition,
} from './exposition.ts'
import type { Labels } from './labels.ts'
import type { Store } from './store.ts'
import { storedLabels, type Target, targetLabels } from './target.ts'

/** What the targets page shows of the last scrape. */
export interface ScrapeStatus {
  health: 'unknown' | 'up' | 'down'
  lastError: string
  lastScrapeMs: number
  lastDurationSeconds: number
}

const reportNames = [
  'up',
  'scrape_duration_seconds',
  'scrape_samples_scraped',
  'scrape_samples_post_metric_relabeling',
  'scrape_series_added',
] as const

/** Scrapes one target and keeps account of its series, to mark those stale that a scrape no longer shows. */
export class ScrapeLoop {
  readonly target: Target
  readonly labels: Labels
  readonly status: ScrapeStatus = { health: 'unknown', lastError: '', lastScrapeMs: 0, lastDurationSeconds: 0 }
  metadata: ReadonlyMap<string, MetricMetadata> = new Map()
  busy = false
  readonly #store: Store
  readonly #runtime: Runtime
  #shown = new Map<string, Labels>()
  /** Labels of the last scrape's series by their text: nearly every line is a known series. */
  #known = new Map<string, Labels>()

  constructor(target: Target, store: Store, runtime: Runtime) {
    this.target = target
    this.labels = targetLabels(target)
    this.#store = store
    this.#runtime = runtime
  }

  get everScraped(): boolean {
    return this.status.lastScrapeMs > 0
  }

  /**
   * Scrapes once and stores the result at `timeMs`. A failure is a result: `up` 0 and every series stale.
   * Aborted, it stores nothing.
   */
  async scrape(timeMs: number, timeoutMs: number, signal: AbortSignal): Promise<void> {
    const started = this.#runtime.monotonic()
    let exposition: Exposition | undefined
    let lastError = ''
    let seen: readonly ExposedSample[] = []
    try {
      exposition = parseExposition(await this.#read(timeoutMs, signal))
      seen = exposition.samples
    } catch (error) {
      lastError = error instanceof Error ? describe(error) : String(error)
      if (error instanceof ExpositionError) seen = error.samplesBefore
    }
    if (signal.aborted) return
    const seconds = (this.#runtime.monotonic() - started) / 1000
    const added = this.#storeSamples(seen, exposition !== undefined, timeMs)
    if (exposition) this.metadata = exposition.metadata
    this.#report(timeMs, [exposition ? 1 : 0, seconds, seen.length, seen.length, added])
    Object.assign(this.status, {
      health: exposition ? 'up' : 'down',
      lastError,
      lastScrapeMs: timeMs,
      lastDurationSeconds: seconds,
    } satisfies ScrapeStatus)
  }

  /** Ends all series of a target that is gone; where it came back meanwhile, newer samples win over the markers. */
  end(timeMs: number): void {
    for (const labels of this.#shown.values()) this.#store.markStale(labels, timeMs)
    for (const name of reportNames) this.#store.markStale(this.#reportLabels(name), timeMs)
    this.#shown.clear()
  }

  /**
   * Stores what was seen and ends what was not. Of a scrape that failed at a bad line nothing is stored, but, as in
   * Prometheus, the series before that line count as seen. Answers how many series are new.
   */
  #storeSamples(seen: readonly ExposedSample[], valid: boolean, timeMs: number): number {
    const shown = new Map<string, Labels>()
    const known = new Map<string, Labels>()
    let added = 0
    for (const sample of seen) {
      const labels =
        this.#known.get(sample.series) ?? storedLabels(sample.labels, this.labels, this.target.honorLabels ?? false)
      known.set(sample.series, labels)
      if (valid && !this.#shown.has(labels.key) && !shown.has(labels.key)) added++
      if (valid) this.#store.append(labels, sample.timeMs ?? timeMs, sample.value)
      // A target that writes its own timestamps decides itself when its series end.
      if (sample.timeMs === undefined) shown.set(labels.key, labels)
    }
    for (const [key, labels] of this.#shown) if (!shown.has(key)) this.#store.markStale(labels, timeMs)
    this.#shown = shown
    this.#known = known
    return added
  }

  #report(timeMs: number, values: [number, number, number, number, number]): void {
    reportNames.forEach((name, i) => {
      this.#store.append(this.#reportLabels(name), timeMs, values[i]!)
    })
  }

  #reportLabels(name: string): Labels {
    return this.labels.with('__name__', name)
  }

  async #read(timeoutMs: number, signal: AbortSignal): Promise<string> {
    const settled = new AbortController()
    const expired = new AbortController()
    const either = AbortSignal.any([settled.signal, signal])
    const deadline = this.#runtime.sleep(timeoutMs, either).then(() => {
      expired.abort(new Error(`no answer within ${timeoutMs} ms`))
      throw expired.signal.reason
    })
    deadline.catch(() => undefined)
    try {
      return await Promise.race([this.#fetch(AbortSignal.any([expired.signal, signal])), deadline])
    } finally {
      settled.abort()
    }
  }

  async #fetch(signal: AbortSignal): Promise<string> {
    const { target } = this
    if (target.read) return await target.read()
    const headers = { accept: 'text/plain;version=0.0.4;q=0.5,*/*;q=0.1', 'user-agent': 'Prometheus/2.42.0 (sandbox)' }
    const response = await fetch(target.url, { headers, signal })
    if (response.status !== 200) {
      await response.body?.cancel()
      throw new Error(`server returned HTTP status ${response.status} ${response.statusText}`)
    }
    if (response.headers.get('content-type')?.startsWith('application/openmetrics-text')) {
      await response.body?.cancel()
      throw new Error('the target answered OpenMetrics, which is not supported here; answer text/plain; version=0.0.4')
    }
    return await response.text()
  }
}

function describe(error: Error): string {
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message
}

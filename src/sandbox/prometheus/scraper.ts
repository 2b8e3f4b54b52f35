import type { Runtime } from '../../runtime.ts'
import { ScrapeLoop } from './scrape-loop.ts'
import type { Store } from './store.ts'
import { scrapeOffset, type Target, targetKey } from './target.ts'

export interface ScraperOptions {
  /** Asked again at least four times an interval, so that targets can come and go. */
  targets: () => Target[]
  intervalMs: number
  store: Store
  runtime: Runtime
  /** While true, nothing is scraped and nothing marked stale, as if Prometheus hung. */
  isStopped: () => boolean
}

export interface Scraper {
  /** The targets at present, with the state of their last scrape. */
  active(): ScrapeLoop[]
  /** Stops scraping and gives up the scrapes under way; resolves when none is left. Nothing is marked stale. */
  stop(): Promise<void>
}

interface Scheduled {
  loop: ScrapeLoop
  dueMs: number
}

interface Retired {
  loop: ScrapeLoop
  staleMs: number
  actAtMs: number
}

/** Timer lateness up to which a sample still gets the aligned time, as in Prometheus. */
const alignmentToleranceMs = 2

/** Scrapes every target once per interval at its own phase, and ends the series of targets that vanish. */
export function startScraper(options: ScraperOptions): Scraper {
  const { intervalMs, store, runtime } = options
  const scheduled = new Map<string, Scheduled>()
  const retired = new Set<Retired>()
  const underWay = new Set<Promise<void>>()
  const stopping = new AbortController()
  const timeoutMs = Math.min(10_000, intervalMs)

  function discover(now: number): void {
    const present = new Set<string>()
    for (const target of options.targets()) {
      const key = targetKey(target)
      present.add(key)
      if (scheduled.has(key)) continue
      const phase = scrapeOffset(target, intervalMs)
      const dueMs = Math.ceil((now - phase) / intervalMs) * intervalMs + phase
      scheduled.set(key, { loop: new ScrapeLoop(target, store, runtime), dueMs })
    }
    for (const [key, { loop, dueMs }] of scheduled) {
      if (present.has(key)) continue
      scheduled.delete(key)
      // Prometheus marks the series stale at the time of the scrape that did not happen, but only once the scrape
      // after it is past too: by then a target that was merely re-created has newer samples, which win.
      if (loop.everScraped) retired.add({ loop, staleMs: dueMs, actAtMs: dueMs + intervalMs * 1.1 })
    }
  }

  function scrapeDue(now: number): void {
    for (const entry of scheduled.values()) {
      if (entry.dueMs > now) continue
      const missed = Math.floor((now - entry.dueMs) / intervalMs)
      const alignedMs = entry.dueMs + missed * intervalMs
      entry.dueMs = alignedMs + intervalMs
      if (entry.loop.busy || options.isStopped()) continue
      const timeMs = now - alignedMs <= alignmentToleranceMs ? alignedMs : now
      entry.loop.busy = true
      const scrape = entry.loop.scrape(timeMs, timeoutMs, stopping.signal).finally(() => {
        entry.loop.busy = false
        underWay.delete(scrape)
      })
      underWay.add(scrape)
    }
  }

  function endRetired(now: number): void {
    for (const entry of retired) {
      if (entry.actAtMs > now || entry.loop.busy) continue
      retired.delete(entry)
      entry.loop.end(entry.staleMs)
    }
  }

  async function run(): Promise<void> {
    let prunedMs = runtime.now()
    while (!stopping.signal.aborted) {
      const now = runtime.now()
      discover(now)
      scrapeDue(now)
      if (!options.isStopped()) endRetired(now)
      if (now - prunedMs >= intervalMs) {
        store.prune(now)
        prunedMs = now
      }
      let next = now + Math.max(1, intervalMs / 4)
      for (const { dueMs } of scheduled.values()) next = Math.min(next, dueMs)
      await runtime.sleep(Math.max(1, Math.ceil(next - runtime.now())), stopping.signal)
    }
  }

  const running = run().catch((error: unknown) => {
    if (!stopping.signal.aborted) throw error
  })

  return {
    active: () => [...scheduled.values()].map(({ loop }) => loop),
    async stop() {
      stopping.abort(new Error('the scraper was stopped'))
      await running
      await Promise.allSettled(underWay)
    },
  }
}

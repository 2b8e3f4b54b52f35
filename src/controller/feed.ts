import type { AnalysisRequest, Analyst } from '../analysis/analyst.ts'
import { formatDuration, parseDuration } from '../api/duration.ts'
import type { AnalysisObservation, SliObservation } from '../plan/observation.ts'
import type { Runtime } from '../runtime.ts'

/** The latest completed look at the evidence of every rollout in flight. Reading it never waits for Prometheus. */
export interface AnalysisFeed {
  /** Keeps looking, once per interval, from now on; the same request again changes nothing. */
  follow(key: string, request: AnalysisRequest): void
  /** Stops looking. */
  forget(key: string): void
  /** What the last look said, as far as it is about this attempt and this step, and still fresh enough. */
  latest(key: string, request: AnalysisRequest, now: number): AnalysisObservation
  /** Ends all looks for good; what is followed from now on is not looked at. */
  stop(): void
}

/** A timer may come so much too early, and a look just before its instant would be one more at the instant before. */
const EARLY_MS = 2

interface Followed {
  request: AnalysisRequest
  latest?: { attempt: string; stepSince: number; observation: AnalysisObservation }
  controller: AbortController
}

/**
 * Looks run beside reconciles, so that a stalled Prometheus delays no retreat, abort or approval.
 * `onLook` is told after every look; `breached` says that it is urgent.
 */
export function createAnalysisFeed(options: {
  analyst: Analyst
  runtime: Runtime
  onLook: (key: string, breached: boolean) => void
  onError: (key: string, error: unknown) => void
}): AnalysisFeed {
  const { analyst, runtime, onLook, onError } = options
  const followed = new Map<string, Followed>()
  let stopped = false

  async function run(key: string, entry: Followed): Promise<void> {
    const { signal } = entry.controller
    while (!signal.aborted) {
      const wait = analyst.nextLookAt(entry.request, runtime.now()) - runtime.now()
      await runtime.sleep(Math.max(10, wait + EARLY_MS), signal)
      const { request } = entry
      const observation = await analyst.look(request, runtime.now())
      if (signal.aborted) return
      entry.latest = { attempt: request.attempt, stepSince: request.stepSince, observation }
      onLook(
        key,
        observation.slis.some((sli) => sli.verdict === 'Breach'),
      )
    }
  }

  return {
    follow(key, request) {
      const known = followed.get(key)
      if (known) {
        known.request = request
        return
      }
      // A reconcile that was under way at the stop must not keep the process alive.
      if (stopped) return
      const entry: Followed = { request, controller: new AbortController() }
      followed.set(key, entry)
      run(key, entry).catch((error: unknown) => {
        if (entry.controller.signal.aborted) return
        followed.delete(key)
        onError(key, error)
      })
    },
    forget(key) {
      followed.get(key)?.controller.abort()
      followed.delete(key)
      analyst.forget(key)
    },
    latest(key, request, now) {
      const latest = followed.get(key)?.latest
      if (!latest || latest.attempt !== request.attempt) return { slis: [] }
      const sameStep = latest.stepSince === request.stepSince
      const limit = parseDuration(request.analysis.maxSampleAge) + parseDuration(request.analysis.interval)
      return {
        ...latest.observation,
        slis: latest.observation.slis.map((sli) =>
          aged(sameStep ? sli : { ...sli, stepEvents: 0, stepWindows: 0 }, now, limit),
        ),
      }
    },
    stop() {
      stopped = true
      for (const entry of followed.values()) entry.controller.abort()
      followed.clear()
    },
  }
}

/** A look that hangs must not leave the last good answer standing for ever. */
function aged(sli: SliObservation, now: number, limit: number): SliObservation {
  if (sli.answer !== 'Fresh' || sli.newestAt === undefined || now - sli.newestAt <= limit) return sli
  const message = `the newest sample is ${formatDuration(now - sli.newestAt)} old`
  return { ...sli, answer: 'NoData', verdict: sli.verdict === 'Breach' ? 'Breach' : 'NoData', message }
}

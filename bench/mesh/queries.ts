import { type AnalysisRequest, createAnalyst } from '../../src/analysis/analyst.ts'
import { rolloutSpec } from '../../src/api/rollout.ts'
import type { Runtime } from '../../src/runtime.ts'
import { Store } from '../../src/sandbox/prometheus/store.ts'
import { createPodCounters } from './counters.ts'
import { countedPrometheus } from './prometheus.ts'

export interface QueryCount {
  rollouts: number
  /** Kinds of SLIs in use: two SLIs that count the same are one. */
  kinds: number
  /** Queries in the interval in which all rollouts start. */
  starting: number
  /** Queries in every interval after that; the greatest of the intervals. */
  perInterval: number
  /** Looks per interval that came to an answer. */
  answered: number
  /** Longest query sent, in characters. */
  longest: number
}

const INTERVAL = 15_000

/**
 * Counts what the analysis of so many rollouts in flight asks Prometheus, in simulated time. Rollouts look one after the
 * other within half a second, never together, so that sharing is not owed to luck.
 */
export async function countQueries(options: {
  rollouts: number
  thresholds: readonly string[]
  intervals: number
}): Promise<QueryCount> {
  const start = 1_800_000_000_000
  let now = start
  let longest = 0
  const runtime: Runtime = { now: () => now, monotonic: () => now, sleep: async () => undefined, random: () => 0.5 }
  const store = new Store()
  const counted = countedPrometheus(store)
  const analyst = createAnalyst({
    prometheusFor: async () => ({ ok: true, value: prometheus }),
    runtime,
  })
  const prometheus = {
    ...counted,
    instant: (query: string, at: number) => {
      longest = Math.max(longest, query.length)
      return counted.instant(query, at)
    },
  }
  const rollouts = Array.from({ length: options.rollouts }, (_, i) => rolloutAt(i, options.thresholds, start))
  const pods = rollouts.flatMap(({ namespace, stable, canary }) =>
    [...stable.workloads, ...canary.workloads].map((workload) => createPodCounters({ namespace, workload })),
  )
  const perInterval: number[] = []
  let answered = 0
  for (let interval = 0; interval <= options.intervals; interval++) {
    now = start + interval * INTERVAL
    for (const pod of pods) {
      pod.serve(150, 0)
      pod.scrape(store, now - 1_000)
    }
    const before = asked()
    answered = 0
    for (const [i, request] of rollouts.entries()) {
      now = start + interval * INTERVAL + 500 + (500 * i) / rollouts.length
      const { slis } = await analyst.look(request, now)
      if (slis.every((sli) => sli.answer === 'Fresh')) answered++
    }
    perInterval.push(asked() - before)
  }

  function asked(): number {
    const { instant, range } = counted.asked()
    return instant + range
  }

  const [starting = 0, ...steady] = perInterval
  return {
    rollouts: options.rollouts,
    kinds: 1 + options.thresholds.length,
    starting,
    perInterval: Math.max(...steady),
    answered,
    longest,
  }
}

function rolloutAt(i: number, thresholds: readonly string[], startedAt: number): AnalysisRequest {
  const name = `app-${i}`
  return {
    key: `team-${i % 20}/${name}`,
    attempt: `uid-${i}/1`,
    startedAt,
    namespace: `team-${i % 20}`,
    name,
    stable: { workloads: [`${name}-v1`], revision: 'v1' },
    canary: { workloads: [`${name}-v2`], revision: 'v2' },
    analysis: rolloutSpec.shape.analysis.parse({
      interval: `${INTERVAL / 1000}s`,
      slis: [
        { name: 'success-rate', successRate: { objective: 99.5 } },
        ...thresholds.map((threshold, n) => ({ name: `latency-${n}`, latency: { objective: 99, threshold } })),
      ],
    }),
    stepSince: startedAt,
    checkpoints: {},
  }
}

import type { Prometheus } from '../../src/analysis/prometheus.ts'
import type { PromSample, PromSeries } from '../../src/analysis/prometheus-answer.ts'
import { evaluate } from '../../src/sandbox/prometheus/promql/evaluate.ts'
import type { Store } from '../../src/sandbox/prometheus/store.ts'

/** A Prometheus without a network, and what it was asked. */
export interface CountedPrometheus extends Prometheus {
  asked(): { instant: number; range: number }
}

/** Answers every query from the store by the sandbox's PromQL, and counts them. */
export function countedPrometheus(store: Store): CountedPrometheus {
  const asked = { instant: 0, range: 0 }
  return {
    url: 'http://prometheus.bench',
    asked: () => ({ ...asked }),
    async instant(query, at) {
      asked.instant++
      const result = evaluate(query, store, { timeMs: at })
      if (result.type !== 'vector') throw new Error(`a ${result.type} answers ${query}`)
      const value = result.samples.map(
        (sample): PromSample => ({ labels: Object.fromEntries(sample.labels.entries()), at, value: sample.value }),
      )
      return { ok: true, value, warnings: [] }
    },
    async range(query, { start, end, step }) {
      asked.range++
      const result = evaluate(query, store, { startMs: start, endMs: end, stepMs: step })
      if (result.type !== 'matrix') throw new Error(`a ${result.type} answers ${query}`)
      const value = result.series.map(
        ({ labels, times, values }): PromSeries => ({
          labels: Object.fromEntries(labels.entries()),
          points: times.map((at, i): [number, number] => [at, values[i]!]),
        }),
      )
      return { ok: true, value, warnings: [] }
    },
  }
}

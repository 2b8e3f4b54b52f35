import type { AnalysisRequest, Analyst } from '../../src/analysis/analyst.ts'
import { createAnalyst } from '../../src/analysis/analyst.ts'
import type { Prometheus } from '../../src/analysis/prometheus.ts'
import type { Answer, PromSample, PromSeries } from '../../src/analysis/prometheus-answer.ts'
import { rolloutSpec } from '../../src/api/rollout.ts'
import type { Runtime } from '../../src/runtime.ts'
import { Labels } from '../../src/sandbox/prometheus/labels.ts'
import { evaluate } from '../../src/sandbox/prometheus/promql/evaluate.ts'
import { Store } from '../../src/sandbox/prometheus/store.ts'

/** What is wrong with Prometheus just now. */
export type Fault = 'refused' | 'html' | 'empty' | 'NaN'

/** A process with counters that is scraped at a phase of its own. */
export interface Process {
  labels: { pod: string; instance: string; job: string }
  offset: number
  alive: boolean
  /** The target cannot be scraped just now. */
  unreachable: boolean
  counters: Map<string, { labels: Record<string, string>; value: number }>
  stored: Set<Labels>
}

const BOUNDS = [5, 10, 25, 50, 100, 250, 500, 1000, 2500]

/** A simulated mesh and the Prometheus that scrapes it, in simulated time. */
export function createWorld({ start = 1_800_000_000_000, scrape = 15_000 } = {}) {
  const store = new Store()
  const processes: Process[] = []
  const queries: string[] = []
  let now = start
  let down = false
  let fault: Fault | undefined
  let forgottenBefore = 0

  function scrapeAll() {
    for (const process of processes) {
      if (now % scrape !== process.offset) continue
      const seen = new Set<Labels>()
      if (process.alive && !process.unreachable) {
        for (const { labels, value } of process.counters.values()) {
          const all = Labels.from({ ...labels, ...process.labels })
          store.append(all, now, value)
          seen.add(all)
        }
      }
      const keys = new Set([...seen].map((labels) => labels.key))
      for (const labels of process.stored) if (!keys.has(labels.key)) store.markStale(labels, now)
      process.stored = seen
    }
  }

  function ask<T>(query: string, read: () => T): Answer<T> {
    queries.push(query)
    if (down || fault === 'refused') {
      return { ok: false, problem: { reason: 'PrometheusUnreachable', message: 'Prometheus refuses connections' } }
    }
    if (fault === 'html') {
      return { ok: false, problem: { reason: 'PrometheusBadAnswer', message: 'Prometheus answered an HTML page' } }
    }
    return { ok: true, value: read(), warnings: [] }
  }

  const number = (value: number) => (fault === 'NaN' ? Number.NaN : value)
  const prometheus: Prometheus = {
    url: 'http://prometheus.test',
    instant: async (query, at) =>
      ask<PromSample[]>(query, () => {
        if (fault === 'empty' || at < forgottenBefore) return []
        const result = evaluate(query, store, { timeMs: at })
        if (result.type !== 'vector') throw new Error(`${result.type}: ${query}`)
        return result.samples.map(({ labels, value }) => ({
          labels: Object.fromEntries(labels.entries()),
          at,
          value: number(value),
        }))
      }),
    range: async (query, { start: from, end, step }) =>
      ask<PromSeries[]>(query, () => {
        if (fault === 'empty') return []
        const result = evaluate(query, store, { startMs: from, endMs: end, stepMs: step })
        if (result.type !== 'matrix') throw new Error(result.type)
        return result.series.map(({ labels, times, values }) => ({
          labels: Object.fromEntries(labels.entries()),
          points: times
            .map((at, i): [number, number] => [at, number(values[i]!)])
            .filter(([at]) => at >= forgottenBefore),
        }))
      }),
  }

  const world = {
    store,
    queries,
    prometheus,
    now: () => now,
    /** Prometheus is gone: it neither answers nor scrapes. */
    setDown: (value: boolean) => {
      down = value
    },
    setFault: (value: Fault | undefined) => {
      fault = value
    },
    /** Prometheus has no history before this time. */
    forgetBefore: (time: number) => {
      forgottenBefore = time
    },
    process(pod: string, options: { offset?: number; job?: string; instance?: string } = {}): Process {
      const index = processes.length
      const process: Process = {
        labels: {
          pod,
          instance: options.instance ?? `10.0.0.${index}:15020`,
          job: options.job ?? 'pods',
        },
        offset: options.offset ?? ((index * 4 + 2) * 1000) % scrape,
        alive: true,
        unreachable: false,
        counters: new Map(),
        stored: new Set(),
      }
      processes.push(process)
      return process
    },
    restart(process: Process) {
      process.counters.clear()
    },
    /** Time goes on by seconds, scraping, with something to do in each. */
    async run(seconds: number, each?: (second: number) => void) {
      for (let second = 0; second < seconds; second++) {
        each?.(second)
        now += 1000
        if (!down) scrapeAll()
      }
    },
    add(process: Process, name: string, labels: Record<string, string>, value: number) {
      if (value <= 0) return
      const key = JSON.stringify([name, labels])
      const counter = process.counters.get(key) ?? { labels: { __name__: name, ...labels }, value: 0 }
      counter.value += value
      process.counters.set(key, counter)
    },
    /** Requests of one workload, as one reporter counted them. */
    requests(
      process: Process,
      workload: string,
      n: number,
      how: { code?: string; flags?: string; reporter?: string; ms?: number; grpc?: string } = {},
    ) {
      const labels = {
        reporter: how.reporter ?? 'destination',
        destination_workload: workload,
        destination_workload_namespace: 'shop',
        response_code: how.code ?? '200',
        response_flags: how.flags ?? '-',
        ...(how.grpc && { grpc_response_status: how.grpc }),
      }
      world.add(process, 'istio_requests_total', labels, n)
      const name = 'istio_request_duration_milliseconds_bucket'
      for (const bound of BOUNDS) {
        const within = (how.ms ?? 20) <= bound ? n : 0
        const key = JSON.stringify([name, { ...labels, le: String(bound) }])
        if (n > 0 && !process.counters.has(key)) {
          process.counters.set(key, { labels: { __name__: name, ...labels, le: String(bound) }, value: 0 })
        }
        world.add(process, name, { ...labels, le: String(bound) }, within)
      }
      world.add(process, name, { ...labels, le: '+Inf' }, n)
    },
    serve(process: Process, workload: string, good: number, bad = 0) {
      world.requests(process, workload, good)
      world.requests(process, workload, bad, { code: '503' })
    },
    runtime: {
      now: () => now,
      monotonic: () => now,
      sleep: async () => undefined,
      random: () => 0.5,
    } satisfies Runtime,
    analyst(): Analyst {
      return createAnalyst({ prometheusFor: async () => ({ ok: true, value: prometheus }), runtime: world.runtime })
    },
    request(analysis: object = {}, more: Partial<AnalysisRequest> = {}): AnalysisRequest {
      const spec = rolloutSpec.shape.analysis.parse(analysis)
      return {
        key: 'shop/checkout',
        attempt: 'uid/1',
        startedAt: now,
        namespace: 'shop',
        name: 'checkout',
        stable: { workloads: ['checkout-v1'], revision: 'v1-abc' },
        canary: { workloads: ['checkout-v2'], revision: 'v2-def' },
        analysis: spec,
        stepSince: now,
        checkpoints: {},
        ...more,
      }
    },
  }
  return world
}

export type World = ReturnType<typeof createWorld>

import { Labels } from '../../src/sandbox/prometheus/labels.ts'
import type { Store } from '../../src/sandbox/prometheus/store.ts'

/** Counters of one pod's sidecar, as a scrape finds them: Istio's requests and latency histogram, as the server reports them. */
export interface PodCounters {
  /** So many more requests, all of them within 500 ms, so many of them failed. */
  serve(requests: number, bad: number): void
  /** Prometheus reads them now. */
  scrape(store: Store, timeMs: number): void
}

export interface PodIdentity {
  namespace: string
  /** Name of the Deployment. */
  workload: string
}

const BOUNDS = ['500', '+Inf']

/** Counters at zero; both outcomes exist from the first scrape on, as after a first good and a first bad request. */
export function createPodCounters({ namespace, workload }: PodIdentity): PodCounters {
  const labels = (name: string, more: Record<string, string>) =>
    Labels.from({
      __name__: name,
      job: 'kubernetes-pods',
      instance: `${workload}.${namespace}:15020`,
      pod: `${workload}-0`,
      reporter: 'destination',
      response_flags: '-',
      destination_workload: workload,
      destination_workload_namespace: namespace,
      ...more,
    })
  const series = ['200', '503'].map((code) => ({
    count: 0,
    total: labels('istio_requests_total', { response_code: code }),
    buckets: BOUNDS.map((le) => labels('istio_request_duration_milliseconds_bucket', { response_code: code, le })),
  }))
  const [good, failed] = series
  return {
    serve(requests, bad) {
      good!.count += requests - bad
      failed!.count += bad
    },
    scrape(store, timeMs) {
      for (const { count, total, buckets } of series) {
        store.append(total, timeMs, count)
        for (const bucket of buckets) store.append(bucket, timeMs, count)
      }
    },
  }
}

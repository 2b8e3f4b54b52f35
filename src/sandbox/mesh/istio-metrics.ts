import { renderLabels } from './exposition.ts'

/** Envoy's default histogram bounds in milliseconds, which Istio keeps. */
const DURATION_BUCKETS_MS: readonly number[] = [
  0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000, 600_000, 1_800_000,
  3_600_000,
]

/** One side of a request as Istio's telemetry names it. */
export interface Peer {
  workload: string
  namespace: string
  principal: string
  app: string
  version: string
  canonicalService: string
  canonicalRevision: string
  cluster: string
}

/**
 * What telemetry says of a destination that was never chosen (no healthy endpoint, no route). The canonical revision really is `latest`:
 * it is never to be read as a version.
 */
export const UNKNOWN_PEER: Peer = {
  workload: 'unknown',
  namespace: 'unknown',
  principal: 'unknown',
  app: 'unknown',
  version: 'unknown',
  canonicalService: 'unknown',
  canonicalRevision: 'latest',
  cluster: 'unknown',
}

/** The Service a request was for; `host` alone when no Service stands behind it. */
export interface DestinationService {
  host: string
  name: string
  namespace: string
}

/** One finished request, as one reporter saw it. */
export interface RequestReport {
  reporter: 'source' | 'destination'
  source: Peer
  destination: Peer
  service: DestinationService
  /** 0 when the client went away before an answer. */
  responseCode: number
  /** Envoy's response flags joined by commas, `-` for none. */
  responseFlags: string
  grpcStatus: string
  protocol: 'http' | 'grpc'
  durationMs: number
}

/** The standard Istio metrics of one proxy. */
export interface IstioMetrics {
  record(report: RequestReport): void
  /** Prometheus text exposition of everything recorded so far. */
  render(): string
}

interface Series {
  report: RequestReport
  count: number
  sumMs: number
  /** Per bucket, not cumulative; the last is +Inf. */
  buckets: number[]
  /** Label text without braces, rendered on first use. */
  labels: string | undefined
}

/** Counters and histograms with the tag vector of Istio's stats filter (istio_stats.cc), one set per proxy. */
export function createIstioMetrics(): IstioMetrics {
  const series = new Map<string, Series>()
  return {
    record(report) {
      const key = seriesKey(report)
      let entry = series.get(key)
      if (!entry) {
        entry = {
          report,
          count: 0,
          sumMs: 0,
          buckets: Array(DURATION_BUCKETS_MS.length + 1).fill(0),
          labels: undefined,
        }
        series.set(key, entry)
      }
      entry.count++
      // Envoy records whole milliseconds.
      const ms = Math.floor(report.durationMs)
      entry.sumMs += ms
      const index = DURATION_BUCKETS_MS.findIndex((bound) => ms <= bound)
      const bucket = index === -1 ? DURATION_BUCKETS_MS.length : index
      entry.buckets[bucket] = (entry.buckets[bucket] ?? 0) + 1
    },
    render() {
      const all = [...series.values()]
      if (all.length === 0) return ''
      const lines = ['# TYPE istio_requests_total counter']
      for (const entry of all) lines.push(`istio_requests_total{${labelsOf(entry)}} ${entry.count}`)
      lines.push('# TYPE istio_request_duration_milliseconds histogram')
      for (const entry of all) renderHistogram(entry, lines)
      return `${lines.join('\n')}\n`
    },
  }
}

function renderHistogram(entry: Series, lines: string[]): void {
  const labels = labelsOf(entry)
  let cumulative = 0
  for (const [index, count] of entry.buckets.entries()) {
    cumulative += count
    const bound = DURATION_BUCKETS_MS[index]
    lines.push(`istio_request_duration_milliseconds_bucket{${labels},le="${bound ?? '+Inf'}"} ${cumulative}`)
  }
  lines.push(`istio_request_duration_milliseconds_sum{${labels}} ${entry.sumMs}`)
  lines.push(`istio_request_duration_milliseconds_count{${labels}} ${entry.count}`)
}

function labelsOf(entry: Series): string {
  entry.labels ??= renderLabels(tagsOf(entry.report)).slice(1, -1)
  return entry.labels
}

function seriesKey(report: RequestReport): string {
  const { source, destination, service } = report
  return [
    report.reporter,
    source.namespace,
    source.workload,
    source.version,
    destination.namespace,
    destination.workload,
    destination.version,
    destination.canonicalRevision,
    service.host,
    report.protocol,
    report.responseCode,
    report.grpcStatus,
    report.responseFlags,
  ].join('|')
}

function tagsOf(report: RequestReport): Record<string, string> {
  const { source, destination, service } = report
  return {
    reporter: report.reporter,
    source_workload: source.workload,
    source_canonical_service: source.canonicalService,
    source_canonical_revision: source.canonicalRevision,
    source_workload_namespace: source.namespace,
    source_principal: source.principal,
    source_app: source.app,
    source_version: source.version,
    source_cluster: source.cluster,
    destination_workload: destination.workload,
    destination_workload_namespace: destination.namespace,
    destination_principal: destination.principal,
    destination_app: destination.app,
    destination_version: destination.version,
    destination_service: service.host,
    destination_canonical_service: destination.canonicalService,
    destination_canonical_revision: destination.canonicalRevision,
    destination_service_name: service.name,
    destination_service_namespace: service.namespace,
    destination_cluster: destination.cluster,
    request_protocol: report.protocol,
    response_code: String(report.responseCode),
    grpc_response_status: report.grpcStatus,
    response_flags: report.responseFlags,
    // Only the accepting side knows whether the connection was mutual TLS.
    connection_security_policy:
      report.reporter === 'destination' && source.principal !== 'unknown' ? 'mutual_tls' : 'unknown',
  }
}

import { parseDuration } from '../api/duration.ts'
import type { Sli } from '../api/rollout.ts'
import type { PromSample } from './prometheus-answer.ts'
import { anyOf, quote } from './promql.ts'
import type { CounterSample } from './window.ts'

/** A Deployment by the names that the mesh writes into `destination_workload` and `destination_workload_namespace`. */
export interface Workload {
  namespace: string
  name: string
}

/** What is counted: requests by their outcome, or requests faster than a threshold in milliseconds. */
export type Measure = { kind: 'requests' } | { kind: 'latency'; thresholdMs: number }

/** One raw counter of the mesh at one instant, with what its labels say. */
export interface MeshSample extends CounterSample {
  /** When it was scraped, epoch ms; unknown for what only the baseline remembers. */
  scrapedAt?: number
  /** Who counted: the server's side (sidecar or waypoint), or the caller's. */
  reporter: 'server' | 'caller'
  /** `gone`: the caller hung up before an answer, which says nothing about the server. */
  outcome: 'good' | 'bad' | 'gone'
  /** The caller saw that the request did not arrive or was cut off. */
  cutOff: boolean
  /** Of a histogram: all requests, or those within the threshold. */
  bucket?: 'all' | 'fast'
  /** The pod, when the labels tell; one pod may be scraped by two jobs. */
  pod?: string
}

/** Everything one query said, by `namespace/workload`. */
export type Reading = ReadonlyMap<string, MeshSample[]>

/** Selecting more workloads than this by name makes longer queries than selecting all. */
const MANY = 100
/** How long a counter that vanished is remembered across a restart of Sluice. Prometheus looks back 5 min by itself. */
const REMEMBERED = '15m'
const LABELS = [
  'destination_workload',
  'destination_workload_namespace',
  'reporter',
  'response_code',
  'response_flags',
  'grpc_response_status',
  'job',
  'instance',
  'pod',
]
const PROCESS = ['destination_workload', 'destination_workload_namespace', 'reporter', 'job', 'instance', 'pod']
/** Marks the series that carry scrape times instead of counts. */
const MARK = 'sluice_time'
/** Marks counts that are only remembered. */
const PAST = 'sluice_past'

/**
 * Envoy's response flags of requests that never reached the server or were cut off: connection failure, no healthy
 * host, overflow, timeout, connection termination, retries exhausted.
 */
const CUT_OFF = ['UF', 'UH', 'UO', 'UT', 'UC', 'URX']
/** UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS. */
const GRPC_BAD = new Set(['2', '4', '12', '13', '14', '15'])

/** What an SLI needs counted; nothing for a query of the user's own. */
export function measureOf(sli: Sli): Measure | undefined {
  if (sli.successRate) return { kind: 'requests' }
  if (sli.latency) return { kind: 'latency', thresholdMs: parseDuration(sli.latency.threshold) }
  return undefined
}

/** Names a measure; SLIs with the same name share their queries. */
export function measureName(measure: Measure): string {
  return measure.kind === 'requests' ? 'requests' : `latency/${measure.thresholdMs}`
}

/**
 * One query for the raw counters of Istio (`istio_requests_total`, or the buckets of
 * `istio_request_duration_milliseconds`) of the given workloads, by process, reporter and outcome, together with the
 * time of each process's last scrape; in one query, so that no scrape comes between counts and times.
 * What callers counted without a cut is only asked for where no server counts.
 *
 * @param remember also bring the last values of counters that vanished within 15 minutes
 */
export function countersQuery(measure: Measure, workloads: readonly Workload[], remember = false): string {
  const labels = measure.kind === 'requests' ? LABELS : [...LABELS, 'le']
  const by = `sum by (${labels.join(', ')})`
  const where = selection(measure, workloads)
  const flags = `response_flags=~${quote(`(.*,)?(${CUT_OFF.join('|')})(,.*)?`)}`
  const server = `${where}, reporter=~"destination|waypoint"}`
  const caller = `${where}, reporter="source"`
  const counts = (range: string, wrap: (selector: string) => string) =>
    [
      `${by} (${wrap(server + range)})`,
      `${by} (${wrap(`${caller}, ${flags}}${range}`)})`,
      `(${by} (${wrap(`${caller}, ${flags.replace('=~', '!~')}}${range}`)}) unless on (destination_workload, destination_workload_namespace) ${wrap(server + range)})`,
    ].join(' or ')
  const times = `label_replace(max by (${PROCESS.join(', ')}) (timestamp(${where}})), "${MARK}", "1", "", "")`
  const now = counts('', (selector) => selector)
  const past = counts(`[${REMEMBERED}]`, (selector) => `last_over_time(${selector})`)
  return remember ? `${now} or label_replace(${past}, "${PAST}", "1", "", "") or ${times}` : `${now} or ${times}`
}

/** The bounds of the latency histogram that exist for these workloads, one series per `le`. */
export function boundsQuery(workloads: readonly Workload[]): string {
  return `count by (le) (istio_request_duration_milliseconds_bucket${names(workloads)}})`
}

/** The finite bounds in milliseconds, rising. */
export function boundsOf(samples: readonly PromSample[]): number[] {
  const bounds = samples.map((sample) => Number(sample.labels.le)).filter(Number.isFinite)
  return [...new Set(bounds)].sort((a, b) => a - b)
}

/** Reads the answer of `countersQuery`. Samples without the labels of the mesh are left out. */
export function readCounters(measure: Measure, samples: readonly PromSample[]): Reading {
  const times = new Map<string, number>()
  for (const { labels, value } of samples) {
    if (labels[MARK] && Number.isFinite(value)) times.set(join(PROCESS, labels), Math.round(value * 1000))
  }
  const reading = new Map<string, MeshSample[]>()
  // Thousands of samples share few names: one copy of each is kept.
  const names = new Map<string, string>()
  const intern = (name: string): string => {
    const known = names.get(name)
    if (known === undefined) names.set(name, name)
    return known ?? name
  }
  for (const { labels, value } of samples) {
    // What a process that is there had before belongs to its life before a restart.
    if (labels[MARK] || (labels[PAST] && times.has(join(PROCESS, labels)))) continue
    const bucket = measure.kind === 'latency' ? bucketOf(labels.le) : undefined
    if (measure.kind === 'latency' && bucket === undefined) continue
    const family = join(LABELS, labels)
    const key = workloadKey({
      namespace: labels.destination_workload_namespace ?? '',
      name: labels.destination_workload ?? '',
    })
    const cutOff = (labels.response_flags ?? '').split(',').some((flag) => CUT_OFF.includes(flag))
    const of = reading.get(key) ?? []
    of.push({
      series: bucket ? `${family}|${bucket}` : family,
      family,
      target: intern(join(['job', 'instance', 'pod'], labels)),
      value,
      scrapedAt: times.get(join(PROCESS, labels)),
      reporter: labels.reporter === 'source' ? 'caller' : 'server',
      outcome: outcomeOf(labels),
      cutOff: labels.reporter === 'source' && cutOff,
      bucket,
      pod: labels.pod ? intern(`${labels.pod}|${(labels.instance ?? '').replace(/:\d+$/, '')}`) : undefined,
    })
    reading.set(key, of)
  }
  return reading
}

/** The key of a workload in a reading. */
export function workloadKey({ namespace, name }: Workload): string {
  return `${namespace}/${name}`
}

/** Whether so many workloads are selected that the query names none of them. */
export function selectsAll(workloads: readonly Workload[]): boolean {
  return workloads.length > MANY
}

function selection(measure: Measure, workloads: readonly Workload[]): string {
  if (measure.kind === 'requests') return `istio_requests_total${names(workloads)}`
  const spellings = anyOf([...boundSpellings(measure.thresholdMs), '+Inf'])
  return `istio_request_duration_milliseconds_bucket${names(workloads)}, le=~${quote(spellings)}`
}

/** An open selector (no closing brace). */
function names(workloads: readonly Workload[]): string {
  if (selectsAll(workloads)) return '{destination_workload!=""'
  const name = quote(anyOf(workloads.map((workload) => workload.name)))
  const namespace = quote(anyOf(workloads.map((workload) => workload.namespace)))
  return `{destination_workload=~${name}, destination_workload_namespace=~${namespace}`
}

/** `le` is text: Envoy writes 500, OpenMetrics and Prometheus 3 write 500.0 and 1e+06. */
function boundSpellings(ms: number): string[] {
  const exponent = ms.toExponential().replace(/e\+(\d)$/, 'e+0$1')
  return [String(ms), ms.toFixed(1), ...(ms >= 1e6 ? [exponent] : [])]
}

function bucketOf(le: string | undefined): 'all' | 'fast' | undefined {
  if (le === undefined) return undefined
  return le === '+Inf' ? 'all' : 'fast'
}

function outcomeOf(labels: Record<string, string>): MeshSample['outcome'] {
  const code = labels.response_code ?? ''
  if (code === '0') return 'gone'
  return /^5/.test(code) || GRPC_BAD.has(labels.grpc_response_status ?? '') ? 'bad' : 'good'
}

function join(names: readonly string[], labels: Record<string, string>): string {
  return names.map((name) => labels[name] ?? '').join('|')
}

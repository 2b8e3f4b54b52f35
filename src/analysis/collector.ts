import type { Runtime } from '../runtime.ts'
import {
  boundsOf,
  boundsQuery,
  countersQuery,
  type Measure,
  measureName,
  type Reading,
  readCounters,
  selectsAll,
  type Workload,
  workloadKey,
} from './istio.ts'
import type { Answer, Prometheus, PromSample, PromSeries, TimeSpan } from './prometheus.ts'

/** Shared reading of one Prometheus: what several rollouts need at one instant is asked once. */
export interface Collector {
  /** These workloads will be read from now on, so that others' queries bring them along. */
  register(key: string, workloads: readonly Workload[], at: number): void
  forget(key: string): void
  /** Raw counters at an instant. `remember` also brings counters that vanished shortly before. */
  counters(ask: CountersRequest, remember?: boolean): Promise<Answer<Reading>>
  /** Raw counters at every step of a span, in order. */
  history(ask: Omit<CountersRequest, 'at'>, span: TimeSpan): Promise<Answer<{ at: number; reading: Reading }[]>>
  /** Finite bounds in ms of the latency histogram of these workloads. */
  bounds(workloads: readonly Workload[], at: number): Promise<Answer<number[]>>
  /** A query of the user's own. */
  instant(query: string, at: number): Promise<Answer<PromSample[]>>
}

export interface CountersRequest {
  measure: Measure
  workloads: readonly Workload[]
  /** Epoch ms. */
  at: number
}

interface Shared {
  /** Undefined: all workloads there are. */
  covers?: ReadonlySet<string>
  answer: Promise<Answer<unknown>>
  /** Monotonic ms from which on it is asked again. */
  until: number
}

/** Answers kept for those who ask a moment later, at most so many and so long. */
const KEPT = 64
const ANSWER_SHARED_MS = 10_000
/** A failure is everybody's for this long; then the next one asks again. */
const FAILURE_SHARED_MS = 1_000
/** A rollout that has not been read for so long is not asked for on others' behalf. */
const REGISTRATION_MS = 15 * 60_000
/** A history of more points than this is read for one rollout only. */
const SHARED_POINTS = 10

/** A collector for one Prometheus. */
export function createCollector(prometheus: Prometheus, runtime: Runtime): Collector {
  const registered = new Map<string, { workloads: readonly Workload[]; at: number }>()
  const kept = new Map<string, Shared>()

  function together(own: readonly Workload[], at: number): Workload[] {
    const all = new Map(own.map((workload) => [workloadKey(workload), workload]))
    for (const [key, other] of registered) {
      if (at - other.at > REGISTRATION_MS) registered.delete(key)
      else for (const workload of other.workloads) all.set(workloadKey(workload), workload)
    }
    return [...all.values()]
  }

  async function share<T>(
    name: string,
    needed: readonly Workload[],
    asked: readonly Workload[],
    ask: () => Promise<Answer<T>>,
  ): Promise<Answer<T>> {
    const known = kept.get(name)
    const stillGood = known !== undefined && runtime.monotonic() < known.until
    const covered = needed.every((workload) => known?.covers?.has(workloadKey(workload)) ?? true)
    // A name is only ever used with one T.
    if (known && stillGood && covered) return known.answer as Promise<Answer<T>>
    const answer = ask()
    const covers = selectsAll(asked) ? undefined : new Set(asked.map(workloadKey))
    const shared: Shared = { covers, answer, until: Number.POSITIVE_INFINITY }
    kept.delete(name)
    kept.set(name, shared)
    for (const oldest of kept.keys()) {
      if (kept.size <= KEPT) break
      kept.delete(oldest)
    }
    const result = await answer
    shared.until = runtime.monotonic() + (result.ok ? ANSWER_SHARED_MS : FAILURE_SHARED_MS)
    return result
  }

  return {
    register: (key, workloads, at) => void registered.set(key, { workloads, at }),
    forget: (key) => void registered.delete(key),

    counters({ measure, workloads, at }, remember = false) {
      const asked = together(workloads, at)
      return share(`${measureName(measure)}@${at}${remember ? '+' : ''}`, workloads, asked, async () => {
        const answer = await prometheus.instant(countersQuery(measure, asked, remember), at)
        return answer.ok ? { ...answer, value: readCounters(measure, answer.value) } : answer
      })
    },

    history({ measure, workloads }, span) {
      const points = (span.end - span.start) / span.step
      const asked = points <= SHARED_POINTS ? together(workloads, span.end) : [...workloads]
      const name = `${measureName(measure)}@${span.start}-${span.end}/${span.step}`
      return share(name, workloads, asked, async () => {
        const answer = await prometheus.range(countersQuery(measure, asked), span)
        return answer.ok ? { ...answer, value: readHistory(measure, answer.value) } : answer
      })
    },

    async bounds(workloads, at) {
      const answer = await prometheus.instant(boundsQuery(workloads), at)
      return answer.ok ? { ...answer, value: boundsOf(answer.value) } : answer
    },

    instant: (query, at) => share(`${query}@${at}`, [], [], () => prometheus.instant(query, at)),
  }
}

function readHistory(measure: Measure, series: readonly PromSeries[]): { at: number; reading: Reading }[] {
  const instants = new Map<number, PromSample[]>()
  for (const { labels, points } of series) {
    for (const [at, value] of points) {
      const samples = instants.get(at) ?? []
      samples.push({ labels, at, value })
      instants.set(at, samples)
    }
  }
  return [...instants]
    .sort(([a], [b]) => a - b)
    .map(([at, samples]) => ({ at, reading: readCounters(measure, samples) }))
}

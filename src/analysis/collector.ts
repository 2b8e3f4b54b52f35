import { setImmediate } from 'node:timers/promises'
import type { Pacer } from '../pacer.ts'
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
import type { Prometheus, TimeSpan } from './prometheus.ts'
import type { Answer, PromSample, PromSeries } from './prometheus-answer.ts'

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

/** Sends a question, and says about which workloads it is. */
type Ask<T> = () => { workloads: readonly Workload[]; answer: Promise<Answer<T>> }

interface Shared {
  /** Undefined: all workloads there are, or those of whoever asks until the question is sent. */
  covers?: ReadonlySet<string>
  answer: Promise<Answer<unknown>>
  /** Monotonic ms from which on it is asked again. */
  until: number
}

/** An answer is kept for those who ask a moment later. */
const ANSWER_SHARED_MS = 10_000
/** A failure is everybody's for this long; then the next one asks again. */
const FAILURE_SHARED_MS = 1_000
/** A rollout that has not been read for so long is not asked for on others' behalf. */
const REGISTRATION_MS = 15 * 60_000
/** A history of more points than this is read for one rollout only. */
const SHARED_POINTS = 10

/** A collector for one Prometheus. */
export function createCollector(prometheus: Prometheus, runtime: Runtime, pacer: Pacer): Collector {
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

  /** `ask` is given every workload that somebody registered until the question was sent. */
  function share<T>(name: string, needed: readonly Workload[], ask: Ask<T>): Promise<Answer<T>> {
    const now = runtime.monotonic()
    for (const [key, { until }] of kept) if (until <= now) kept.delete(key)
    const known = kept.get(name)
    const covered = needed.every((workload) => known?.covers?.has(workloadKey(workload)) ?? true)
    // A name is only ever used with one T.
    if (known && covered) return paced(known.answer as Promise<Answer<T>>)
    const shared: Shared = { answer: gather(), until: Number.POSITIVE_INFINITY }
    kept.set(name, shared)
    async function gather(): Promise<Answer<T>> {
      // Others who are about to ask the same get into this question: it is sent when the event loop comes round.
      await setImmediate()
      const { workloads, answer } = ask()
      shared.covers = selectsAll(workloads) ? undefined : new Set(workloads.map(workloadKey))
      const result = await answer
      shared.until = runtime.monotonic() + (result.ok ? ANSWER_SHARED_MS : FAILURE_SHARED_MS)
      return result
    }
    return paced(shared.answer as Promise<Answer<T>>)
  }

  /** One answer may be what a thousand rollouts wait for: each takes it in a turn of its own, and a retreat comes in between. */
  async function paced<T>(answer: Promise<T>): Promise<T> {
    const result = await answer
    await pacer.turn()
    return result
  }

  return {
    register: (key, workloads, at) => void registered.set(key, { workloads, at }),
    forget: (key) => void registered.delete(key),

    counters({ measure, workloads, at }, remember = false) {
      const read = async (asked: readonly Workload[]): Promise<Answer<Reading>> => {
        const answer = await prometheus.instant(countersQuery(measure, asked, remember), at)
        return answer.ok ? { ...answer, value: readCounters(measure, answer.value) } : answer
      }
      return share(`${measureName(measure)}@${at}${remember ? '+' : ''}`, workloads, () => {
        const asked = together(workloads, at)
        return { workloads: asked, answer: read(asked) }
      })
    },

    history({ measure, workloads }, span) {
      const read = async (asked: readonly Workload[]): Promise<Answer<{ at: number; reading: Reading }[]>> => {
        const answer = await prometheus.range(countersQuery(measure, asked), span)
        return answer.ok ? { ...answer, value: readHistory(measure, answer.value) } : answer
      }
      const points = (span.end - span.start) / span.step
      if (points > SHARED_POINTS) return read(workloads)
      return share(`${measureName(measure)}@${span.start}-${span.end}/${span.step}`, workloads, () => {
        const asked = together(workloads, span.end)
        return { workloads: asked, answer: read(asked) }
      })
    },

    async bounds(workloads, at) {
      const answer = await prometheus.instant(boundsQuery(workloads), at)
      return answer.ok ? { ...answer, value: boundsOf(answer.value) } : answer
    },

    instant: (query, at) =>
      share(`${query}@${at}`, [], () => ({ workloads: [], answer: prometheus.instant(query, at) })),
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

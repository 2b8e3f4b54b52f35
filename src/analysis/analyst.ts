import { parseDuration } from '../api/duration.ts'
import type { Analysis, Sli } from '../api/rollout.ts'
import type { Problem } from '../errors.ts'
import { createPacer, type Pacer } from '../pacer.ts'
import type { AnalysisObservation, SliObservation } from '../plan/observation.ts'
import type { Runtime } from '../runtime.ts'
import type { RatioMemory } from './catch-up.ts'
import { type Collector, createCollector } from './collector.ts'
import { instantOf, nextInstant } from './instant.ts'
import { measureOf, type Workload } from './istio.ts'
import type { Prometheus } from './prometheus.ts'
import { lookQuery, type QueryMemory } from './query-look.ts'
import { lookRatio } from './ratio-look.ts'

/** What is to be judged, and what is remembered about it outside this process. */
export interface AnalysisRequest {
  /** namespace/name of the Rollout. */
  key: string
  /** Changes at every start of a rollout; the evidence then starts anew. */
  attempt: string
  /** When the attempt began, epoch ms: the baseline of the counters. */
  startedAt: number
  namespace: string
  name: string
  /** Names of the Deployments behind each version, in `namespace`. */
  stable: { workloads: string[]; revision: string }
  canary: { workloads: string[]; revision: string }
  analysis: Analysis
  /** When the current weight was accepted, epoch ms: complete windows that begin then or later count for the step. */
  stepSince: number
  /** From status, by SLI; used only for what is not in memory. */
  checkpoints: Record<string, string | undefined>
}

/** Looks at rollouts, and remembers their evidence between looks. */
export interface Analyst {
  /**
   * What each SLI says now. Two looks at one aligned instant are one. Never throws for what the world does: what cannot
   * be known is `NoData` or `Error` with a sentence, and changes no evidence.
   */
  look(request: AnalysisRequest, now: number): Promise<AnalysisObservation>
  /** The rollout is over: its evidence is dropped. */
  forget(key: string): void
  /** When the next look can bring something new, epoch ms. */
  nextLookAt(request: AnalysisRequest, now: number): number
}

/** Which Prometheus a rollout is judged by. The same object for the same server, so that reading is shared. */
export type PrometheusFor = (
  request: AnalysisRequest,
) => Promise<{ ok: true; value: Prometheus } | { ok: false; problem: Problem }>

export interface AnalystOptions {
  prometheusFor: PrometheusFor
  runtime: Runtime
  /** Shared with other work of the same process that may wait. */
  pacer?: Pacer
  /** For bugs and failures that are in nobody's status. */
  log?: { warn(fields: object, message: string): void }
}

/** What is remembered about one attempt of one rollout. */
interface Memory {
  attempt: string
  ratios: Map<string, RatioMemory>
  queries: Map<string, QueryMemory>
  last?: { question: string; observation: AnalysisObservation }
  /** Looks at one rollout follow each other. */
  turn: Promise<unknown>
}

/** What one SLI's look needs. */
export interface LookContext {
  request: AnalysisRequest
  collector: Collector
  sli: Sli
  /** Dotted path of the SLI in the Rollout. */
  field: string
  /** The aligned instant, and the time between two of them; epoch ms and ms. */
  at: number
  interval: number
  maxSampleAge: number
  tests: number
  stable: Workload[]
  canary: Workload[]
}

/** One SLI's answer, and what is wrong with it for good. */
export interface LookResult {
  observation: SliObservation
  problem?: Problem
}

/** The stateful thin part around the pure judge. */
export function createAnalyst({ prometheusFor, runtime, log, pacer = createPacer() }: AnalystOptions): Analyst {
  const memories = new Map<string, Memory>()
  const collectors = new Map<Prometheus, Collector>()

  function memoryOf({ key, attempt }: AnalysisRequest): Memory {
    const known = memories.get(key)
    if (known?.attempt === attempt) return known
    const memory: Memory = { attempt, ratios: new Map(), queries: new Map(), turn: Promise.resolve() }
    memories.set(key, memory)
    return memory
  }

  function collectorOf(prometheus: Prometheus): Collector {
    const known = collectors.get(prometheus)
    if (known) return known
    const collector = createCollector(prometheus, runtime, pacer)
    collectors.set(prometheus, collector)
    return collector
  }

  async function find(request: AnalysisRequest): ReturnType<PrometheusFor> {
    try {
      return await prometheusFor(request)
    } catch (error) {
      log?.warn({ err: error, rollout: request.key }, 'finding the Prometheus of a rollout failed')
      const message = 'it could not be found out which Prometheus to ask, or with which credentials'
      return { ok: false, problem: { reason: 'PrometheusUnreachable', message } }
    }
  }

  async function lookNow(request: AnalysisRequest, memory: Memory, now: number): Promise<AnalysisObservation> {
    const interval = parseDuration(request.analysis.interval)
    const at = instantOf(now, interval)
    const { checkpoints: _, ...asked } = request
    const question = JSON.stringify([at, asked])
    if (memory.last?.question === question) return memory.last.observation

    const found = await find(request)
    const collector = found.ok ? collectorOf(found.value) : createCollector(unavailable(found.problem), runtime, pacer)
    const workloads = (names: string[]): Workload[] => names.map((name) => ({ namespace: request.namespace, name }))
    const stable = workloads(request.stable.workloads)
    const canary = workloads(request.canary.workloads)
    collector.register(request.key, [...stable, ...canary], at)
    const { slis } = request.analysis
    const context = {
      request,
      collector,
      at,
      interval,
      maxSampleAge: parseDuration(request.analysis.maxSampleAge),
      tests: Math.max(1, slis.filter((sli) => measureOf(sli)).length),
      stable,
      canary,
    }
    const results = await Promise.all(
      slis.map((sli, i) => {
        const own: LookContext = { ...context, sli, field: `spec.analysis.slis[${i}]` }
        return sli.query ? lookQuery(own, memory.queries) : lookRatio(own, memory.ratios)
      }),
    )
    const missing = !found.ok && found.problem.reason === 'PrometheusMissing' ? found.problem : undefined
    const problem = missing ?? results.find((result) => result.problem)?.problem
    const observation: AnalysisObservation = {
      slis: results.map((result) => result.observation),
      ...(problem && { problem }),
    }
    memory.last = { question, observation }
    return observation
  }

  return {
    look(request, now) {
      const memory = memoryOf(request)
      const looked = memory.turn.then(() => lookNow(request, memory, now))
      memory.turn = looked.catch((error: unknown) => {
        log?.warn({ err: error, rollout: request.key }, 'analysis failed')
      })
      return looked
    },
    forget(key) {
      memories.delete(key)
      for (const collector of collectors.values()) collector.forget(key)
    },
    nextLookAt: (request, now) => nextInstant(now, parseDuration(request.analysis.interval)),
  }
}

/** Where there is no Prometheus to ask, every question has the same answer, and what is remembered still counts. */
function unavailable(problem: Problem): Prometheus {
  const answer = async () => ({ ok: false as const, problem })
  return { url: '', instant: answer, range: answer }
}

import type { Problem } from '../errors.ts'
import type { SliObservation } from '../plan/observation.ts'
import type { LookContext, LookResult } from './analyst.ts'
import { readRatio, writeRatio } from './checkpoint.ts'
import type { Counted } from './count.ts'
import { logEvidence } from './evidence.ts'
import { type Measure, measureName, measureOf, type Reading, type Workload, workloadKey } from './istio.ts'
import { judge, type RatioRules, type RatioState, ratioVerdict, restartTest, startRatio } from './ratio.ts'
import { newestScrape, type Side } from './side.ts'
import { ageText, log10Evidence, objectiveText, observedText, stableFails } from './verdict.ts'

/** What is remembered of one ratio SLI between looks. */
export interface RatioMemory {
  measure: string
  state: RatioState
  /** Everything up to this instant has been read, epoch ms; undefined before the baseline. */
  readTo?: number
  /** What a checkpoint knew beyond the counters, until they are read. */
  resumed?: { sides: [Resumed, Resumed] }
  /** Newest sample at the last reading, epoch ms. */
  newestAt?: number
  /** Why the last reading could not be used. */
  unusable?: Counted['unusable']
}

type Resumed = Pick<Side, 'arrived' | 'cutOff'>

/** Points of one range query. Prometheus allows 11,000; fewer keep answers small. */
const CHUNK = 500
/** A longer history is replayed in wider windows. */
const MOST_WINDOWS = 6_000

/**
 * One look at a success rate or latency: reads what is missing since the last used instant (the attempt's start, the
 * checkpoint, the last look), window by window, and says what the evidence is.
 */
export async function lookRatio(context: LookContext, memories: Map<string, RatioMemory>): Promise<LookResult> {
  const measure = measureOf(context.sli)
  if (!measure) throw new TypeError(`${context.sli.name} is no ratio`)
  const rules = rulesOf(context)
  const memory = remembered(context, memories, measure, rules)
  const failure = await catchUp(context, memory, measure, rules)
  if (failure) return { observation: observe(context, memory, rules, { answer: 'Error', message: failure.message }) }
  if (memory.unusable === 'noBucket') return refuseThreshold(context, memory, rules)
  return { observation: observe(context, memory, rules, freshness(context, memory)) }
}

function rulesOf({ sli, request, maxSampleAge, tests }: LookContext): RatioRules {
  const objective = sli.successRate?.objective ?? sli.latency?.objective ?? 0
  return {
    test: `${objective}${sli.latency ? `<${sli.latency.threshold}` : ''}`,
    objective,
    tests,
    alpha: request.analysis.alpha,
    minRequests: request.analysis.minRequests,
    maxSampleAge,
    stepSince: request.stepSince,
  }
}

function remembered(
  { request, sli, interval }: LookContext,
  memories: Map<string, RatioMemory>,
  measure: Measure,
  rules: RatioRules,
): RatioMemory {
  const name = measureName(measure)
  const known = memories.get(sli.name)
  if (known && known.measure === name) {
    if (known.state.test !== rules.test) known.state = restartTest(known.state, rules.test)
    return known
  }
  const fresh = { measure: name }
  const checkpoint = known ? undefined : readRatio(request.checkpoints[sli.name], request.attempt)
  // An edited threshold begins where the old one was; an SLI that is new to the rollout begins with the attempt.
  const start = known ? known.state.counting.through : Math.floor(request.startedAt / interval) * interval
  const memory: RatioMemory =
    checkpoint === undefined
      ? { ...fresh, state: startRatio(rules.test, start) }
      : checkpoint.state.test === rules.test
        ? { ...fresh, state: checkpoint.state, resumed: { sides: checkpoint.sides } }
        : { ...fresh, state: startRatio(rules.test, checkpoint.state.counting.through) }
  memories.set(sli.name, memory)
  return memory
}

/** Reads and judges everything up to the context's instant; or says why that is not possible, keeping what was read. */
async function catchUp(
  context: LookContext,
  memory: RatioMemory,
  measure: Measure,
  rules: RatioRules,
): Promise<Problem | undefined> {
  const { collector, at, interval } = context
  const workloads = [...context.stable, ...context.canary]
  if (memory.readTo === undefined) {
    const problem = await readBaseline(context, memory, measure, rules)
    if (problem || memory.readTo === undefined) return problem
  }
  const from = Math.floor(memory.readTo / interval) * interval + interval
  if (from > at) return undefined
  // Only the instant of this look is asked for by itself; it is the one that others ask for too.
  const windows = (at - from) / interval
  const step = Math.ceil(windows / MOST_WINDOWS) * interval || interval
  for (let start = from; start < at; start += CHUNK * step) {
    const end = Math.min(start + (CHUNK - 1) * step, at - interval)
    const past = await collector.history({ measure, workloads }, { start, end, step })
    if (!past.ok) return past.problem
    for (const { at: instant, reading } of past.value) take(context, memory, reading, instant, rules)
  }
  const now = await collector.counters({ measure, workloads, at })
  if (!now.ok) return now.problem
  take(context, memory, now.value, at, rules)
  return undefined
}

function take(context: LookContext, memory: RatioMemory, reading: Reading, at: number, rules: RatioRules): void {
  const { state, counted } = judge(memory.state, lookOf(context, reading, at), rules)
  memory.state = state
  memory.newestAt = counted.newestAt
  memory.unusable = counted.unusable
  memory.readTo = at
}

/**
 * Reads the counters where counting begins. An answer without fresh samples is believed only when Prometheus has fresh
 * ones for the instant of this look: otherwise it may find the older ones again, and is asked again.
 */
async function readBaseline(
  context: LookContext,
  memory: RatioMemory,
  measure: Measure,
  rules: RatioRules,
): Promise<Problem | undefined> {
  const { collector, at } = context
  const workloads = [...context.stable, ...context.canary]
  const before = memory.state
  const from = Math.min(before.counting.through, at)
  const base = await collector.counters({ measure, workloads, at: from }, true)
  if (!base.ok) return base.problem
  take(context, memory, base.value, from, rules)
  if (!memory.state.counting.known) {
    const now = await collector.counters({ measure, workloads, at })
    if (!now.ok || !hasFresh(context, now.value)) {
      memory.state = before
      memory.readTo = undefined
      if (!now.ok) return now.problem
      const live = judge(before, lookOf(context, now.value, at), rules).counted
      memory.newestAt = live.newestAt
      memory.unusable = live.unusable
      return undefined
    }
  }
  resume(memory)
  return undefined
}

function hasFresh(context: LookContext, reading: Reading): boolean {
  const { canary, stable } = lookOf(context, reading, context.at)
  const newest = newestScrape([...canary, ...stable])
  return newest !== undefined && context.at - newest <= context.maxSampleAge
}

function lookOf(context: LookContext, reading: Reading, at: number) {
  const of = (workloads: Workload[]) => workloads.flatMap((workload) => reading.get(workloadKey(workload)) ?? [])
  return { at, canary: of(context.canary), stable: of(context.stable) }
}

/** After a restart the counters at the checkpoint are the ledger again; the rest of what was known comes back too. */
function resume(memory: RatioMemory): void {
  const { resumed, state } = memory
  if (!resumed) return
  const { counting } = state
  const [canary, stable] = resumed.sides
  memory.state = {
    ...state,
    // Prometheus does not have the instant of the checkpoint any more: what came after it cannot be counted from it.
    gap: state.gap || !counting.known,
    counting: {
      ...counting,
      canary: { ...counting.canary, ...canary },
      stable: { ...counting.stable, ...stable },
    },
  }
  memory.resumed = undefined
}

type Freshness = { answer: SliObservation['answer']; message?: string }

function freshness({ at, maxSampleAge, canary }: LookContext, memory: RatioMemory): Freshness {
  const { newestAt } = memory
  if (memory.unusable === 'notCounts') {
    return { answer: 'NoData', message: 'a counter of the mesh is NaN, infinite or negative, which is no count' }
  }
  const names = canary.map((workload) => workload.name).join(', ')
  if (newestAt === undefined) {
    const seen = memory.state.counting.canary.countedBy !== 'nobody'
    return {
      answer: 'NoData',
      message: seen
        ? `the series of the canary (${names}) are not in Prometheus any more`
        : `Prometheus has no series of the mesh for the canary (${names}) or for stable`,
    }
  }
  if (at - newestAt > maxSampleAge) {
    const age = ageText(at - newestAt)
    return { answer: 'NoData', message: `the newest sample is ${age} old, more than ${ageText(maxSampleAge)}` }
  }
  return { answer: 'Fresh', message: slowScrapes(memory, maxSampleAge) }
}

/** maxSampleAge must leave room for a late scrape, otherwise fresh data looks stale now and then. */
function slowScrapes({ state }: RatioMemory, maxSampleAge: number): string | undefined {
  const { ms, pairs } = state.counting.scrapeInterval
  if (pairs < 3 || maxSampleAge >= 1.5 * ms) return undefined
  const needed = ageText(1.5 * ms)
  return `samples come every ${ageText(ms)}, maxSampleAge is ${ageText(maxSampleAge)}: raise it to at least ${needed}`
}

async function refuseThreshold(context: LookContext, memory: RatioMemory, rules: RatioRules): Promise<LookResult> {
  const bounds = await context.collector.bounds([...context.stable, ...context.canary], context.at)
  const exist = bounds.ok ? bounds.value.map((bound) => `${bound}ms`).join(', ') : 'unknown'
  const message = `${context.sli.latency?.threshold} is no bucket bound of the mesh's latency histogram; the bounds are ${exist}`
  return {
    observation: observe(context, memory, rules, { answer: 'Error', message }),
    problem: { reason: 'ThresholdNotABucket', field: `${context.field}.latency.threshold`, message },
  }
}

function observe(
  { sli, request }: LookContext,
  { state }: RatioMemory,
  rules: RatioRules,
  { answer, message }: Freshness,
): SliObservation {
  const verdict = state.breached ? 'Breach' : answer === 'Fresh' ? ratioVerdict(state, rules) : answer
  const own = state.step.since === rules.stepSince
  return {
    name: sli.name,
    kind: sli.latency ? 'latency' : 'successRate',
    answer,
    message,
    verdict,
    good: state.canary.n - state.canary.k,
    bad: state.canary.k,
    stepEvents: own ? state.step.events : 0,
    stepWindows: own ? state.step.windows : 0,
    observed: observedText(sli, state.breached ?? state.canary),
    objective: objectiveText(sli),
    evidence: log10Evidence(logEvidence(state.evidence)),
    newestAt: state.newestAt,
    completeThrough: state.completeThrough,
    gap: state.gap || undefined,
    stableBad: stableFails(state.stable, rules.objective),
    checkpoint: writeRatio(state, request.attempt) ?? request.checkpoints[sli.name],
  }
}

import type { SliObservation } from '../plan/observation.ts'
import type { LookContext, LookResult } from './analyst.ts'
import { catchUp, type RatioMemory } from './catch-up.ts'
import { readRatio, writeRatio } from './checkpoint.ts'
import { logEvidence } from './evidence.ts'
import { type Measure, measureName, measureOf } from './istio.ts'
import { type RatioRules, ratioVerdict, restartTest, startRatio } from './ratio.ts'
import { ageText, log10Evidence, objectiveText, observedText, stableFails } from './verdict.ts'

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
    stable: { good: state.stable.n - state.stable.k, bad: state.stable.k },
    checkpoint: writeRatio(state, request.attempt) ?? request.checkpoints[sli.name],
  }
}

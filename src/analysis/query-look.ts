import type { SliObservation } from '../plan/observation.ts'
import type { LookContext, LookResult } from './analyst.ts'
import { readQuery, writeQuery } from './checkpoint.ts'
import { type QueryRules, type QueryState, queryVerdict, readSample, startQuery, takeSample } from './query.ts'
import { prepareQuery } from './template.ts'
import { objectiveText } from './verdict.ts'

/** What is remembered of one query SLI between looks. */
export interface QueryMemory {
  state: QueryState
}

/** One look at a query SLI: a number, its age, and how often in a row it has been outside its bounds. */
export async function lookQuery(context: LookContext, memories: Map<string, QueryMemory>): Promise<LookResult> {
  const { request, sli, collector, at, maxSampleAge, field } = context
  const query = sli.query
  if (!query) throw new TypeError(`${sli.name} is no query`)
  const rules: QueryRules = {
    test: JSON.stringify([query.promql, query.min ?? null, query.max ?? null]),
    min: query.min,
    max: query.max,
    failureLimit: query.failureLimit,
    maxSampleAge,
    stepSince: request.stepSince,
  }
  const memory = remembered(context, memories, rules)
  const prepared = prepareQuery(query.promql, request, `${field}.query.promql`)
  if (!prepared.ok) {
    const { problem } = prepared
    return { observation: observe(context, memory, { answer: 'Error', message: problem.message }), problem }
  }
  const [value, ages] = await Promise.all([
    collector.instant(prepared.value.promql, at),
    collector.instant(prepared.value.ages, at),
  ])
  const sample = readSample(value, ages, at, maxSampleAge)
  memory.state = takeSample(memory.state, sample, rules)
  if (sample.answer === 'Fresh') return { observation: observe(context, memory, { answer: 'Fresh' }) }
  const { answer, problem } = sample
  return { observation: observe(context, memory, { answer, message: problem.message }) }
}

function remembered({ request, sli }: LookContext, memories: Map<string, QueryMemory>, rules: QueryRules): QueryMemory {
  const known = memories.get(sli.name)
  const state = known?.state ?? readQuery(request.checkpoints[sli.name], request.attempt)
  const memory = known ?? { state: state ?? startQuery(rules.test) }
  if (memory.state.test !== rules.test) memory.state = startQuery(rules.test)
  memories.set(sli.name, memory)
  return memory
}

function observe(
  { sli, request }: LookContext,
  { state }: QueryMemory,
  { answer, message }: { answer: SliObservation['answer']; message?: string },
): SliObservation {
  const value = state.breached ?? state.value
  return {
    name: sli.name,
    kind: 'query',
    answer,
    message,
    verdict: state.breached !== undefined || answer === 'Fresh' ? queryVerdict(state) : answer,
    good: state.good,
    bad: state.bad,
    stepEvents: state.step.since === request.stepSince ? state.step.events : 0,
    stepWindows: state.step.since === request.stepSince ? state.step.windows : 0,
    observed: value === undefined ? undefined : String(Number(value.toPrecision(6))),
    objective: objectiveText(sli),
    newestAt: state.newestAt,
    completeThrough: state.newestAt,
    checkpoint: writeQuery(state, request.attempt),
  }
}

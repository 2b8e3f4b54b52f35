import type { Problem } from '../errors.ts'
import type { LookContext } from './analyst.ts'
import type { Counted } from './count.ts'
import { type Measure, type Reading, type Workload, workloadKey } from './istio.ts'
import { judge, type RatioRules, type RatioState } from './ratio.ts'
import { newestScrape, type Side } from './side.ts'

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

/** Reads and judges everything up to the context's instant; or says why that is not possible, keeping what was read. */
export async function catchUp(
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

import { z } from 'zod'
import { nothingCounted } from './count.ts'
import { GRID } from './evidence.ts'
import type { QueryState } from './query.ts'
import type { RatioState } from './ratio.ts'
import type { Side } from './side.ts'

const number = z.number()
const tally = z.tuple([number, number])
const side = z.object({ arrived: tally, cutOff: z.array(tally).max(20) })

const ratioShape = z.object({
  v: z.literal(1),
  attempt: z.string(),
  test: z.string(),
  /** Instant up to which windows are in the evidence. */
  through: number,
  /** ln S_j; null is −∞. */
  logS: z.array(number.nullable()).length(GRID),
  windows: number,
  canary: tally,
  stable: tally,
  recent: tally,
  step: z.tuple([number, number, number]),
  sides: z.tuple([side, side]),
  newestAt: number.optional(),
  completeThrough: number.optional(),
  breached: tally.optional(),
  gap: z.literal(true).optional(),
})

const queryShape = z.object({
  v: z.literal(1),
  attempt: z.string(),
  test: z.string(),
  newestAt: number.optional(),
  good: number,
  bad: number,
  failures: number,
  value: number.optional(),
  step: z.tuple([number, number, number]),
  breached: number.optional(),
})

/** A ratio SLI as it resumes: its counters are still to be read, at `state.counting.through`. */
export interface RatioCheckpoint {
  state: RatioState
  /** What the counters alone do not tell, for canary and stable. */
  sides: [Pick<Side, 'arrived' | 'cutOff'>, Pick<Side, 'arrived' | 'cutOff'>]
}

/** One line of text, below 1 kB, that resumes a ratio SLI. Nothing while there is no baseline to resume from. */
export function writeRatio(state: RatioState, attempt: string): string | undefined {
  if (!state.counting.known) return undefined
  const { canary, stable } = state.counting
  return JSON.stringify({
    v: 1,
    attempt,
    test: state.test,
    through: state.counting.through,
    logS: state.evidence.logS.map((logS) => (Number.isFinite(logS) ? Math.round(logS * 1e5) / 1e5 : null)),
    windows: state.evidence.windows,
    canary: pair(state.canary),
    stable: pair(state.stable),
    recent: pair(state.recent),
    step: [Number.isFinite(state.step.since) ? state.step.since : 0, state.step.events, state.step.windows],
    sides: [writeSide(canary), writeSide(stable)],
    newestAt: state.newestAt,
    completeThrough: state.completeThrough,
    breached: state.breached && pair(state.breached),
    gap: state.gap || undefined,
  } satisfies z.input<typeof ratioShape>)
}

/**
 * Reads what `writeRatio` wrote. Nothing when the text is of another attempt or version, or damaged: the evidence then
 * starts anew by replay from the attempt's start.
 */
export function readRatio(text: string | undefined, attempt: string): RatioCheckpoint | undefined {
  const parsed = ratioShape.safeParse(parse(text))
  if (!parsed.success || parsed.data.attempt !== attempt) return undefined
  const { data } = parsed
  const [since, events, windows] = data.step
  return {
    state: {
      test: data.test,
      counting: nothingCounted(data.through),
      evidence: { logS: data.logS.map((logS) => logS ?? Number.NEGATIVE_INFINITY), windows: data.windows },
      canary: unpair(data.canary),
      stable: unpair(data.stable),
      recent: unpair(data.recent),
      step: { since, events, windows },
      breached: data.breached && unpair(data.breached),
      gap: data.gap ?? false,
      newestAt: data.newestAt,
      completeThrough: data.completeThrough,
    },
    sides: [readSide(data.sides[0]), readSide(data.sides[1])],
  }
}

/** One line of text that resumes a query SLI. */
export function writeQuery(state: QueryState, attempt: string): string {
  const { since, events, windows } = state.step
  return JSON.stringify({
    v: 1,
    attempt,
    test: state.test,
    newestAt: state.newestAt,
    good: state.good,
    bad: state.bad,
    failures: state.failures,
    value: state.value,
    step: [Number.isFinite(since) ? since : 0, events, windows],
    breached: state.breached,
  } satisfies z.input<typeof queryShape>)
}

/** Reads what `writeQuery` wrote; nothing when it is of another attempt or version, or damaged. */
export function readQuery(text: string | undefined, attempt: string): QueryState | undefined {
  const parsed = queryShape.safeParse(parse(text))
  if (!parsed.success || parsed.data.attempt !== attempt) return undefined
  const { test, newestAt, good, bad, failures, value, step, breached } = parsed.data
  const [since, events, windows] = step
  return { test, newestAt, good, bad, failures, value, breached, step: { since, events, windows } }
}

function parse(text: string | undefined): unknown {
  try {
    return text === undefined ? undefined : JSON.parse(text)
  } catch {
    return undefined
  }
}

function writeSide({ arrived, cutOff }: Side) {
  return { arrived: pair(arrived), cutOff: cutOff.slice(-20).map(({ at, n }): [number, number] => [at, n]) }
}

function readSide({ arrived, cutOff }: z.output<typeof side>): Pick<Side, 'arrived' | 'cutOff'> {
  return { arrived: unpair(arrived), cutOff: cutOff.map(([at, n]) => ({ at, n })) }
}

function pair({ n, k }: { n: number; k: number }): [number, number] {
  return [n, k]
}

function unpair([n, k]: [number, number]) {
  return { n, k }
}

import type { Problem } from '../errors.ts'
import type { Answer, PromSample } from './prometheus-answer.ts'
import { ageText } from './verdict.ts'

/** What one query SLI of one attempt has come to. Plain data. */
export interface QueryState {
  /** Names query and bounds: another one starts anew. */
  test: string
  /** Samples within and outside the bounds. */
  good: number
  bad: number
  /** Samples outside the bounds since the last one within. */
  failures: number
  step: { since: number; events: number; windows: number }
  /** The newest value that counted. */
  value?: number
  newestAt?: number
  /** The value at the breach, which is final for the attempt. */
  breached?: number
}

/** The bounds of a query SLI. */
export interface QueryRules {
  test: string
  min?: number
  max?: number
  failureLimit: number
  /** ms */
  maxSampleAge: number
  /** When the current weight was accepted, epoch ms. */
  stepSince: number
}

/** What Prometheus said, reduced to one dated number or the reason why there is none. */
export type QuerySample =
  | { answer: 'Fresh'; value: number; newestAt: number }
  | { answer: 'NoData' | 'Error'; problem: Problem }

/** No sample yet. */
export function startQuery(test: string): QueryState {
  return { test, good: 0, bad: 0, failures: 0, step: { since: Number.NaN, events: 0, windows: 0 } }
}

/**
 * Reads the answers to a query and to the ages of what it reads. The number is as old as the selector that was
 * scraped longest ago; selectors without any series (`or vector(0)`) do not date it.
 */
export function readSample(
  value: Answer<PromSample[]>,
  ages: Answer<PromSample[]>,
  at: number,
  maxAge: number,
): QuerySample {
  if (!value.ok) return { answer: 'Error', problem: value.problem }
  if (!ages.ok) return { answer: 'Error', problem: ages.problem }
  if (value.value.length > 1) {
    return {
      answer: 'Error',
      problem: {
        reason: 'InvalidSpec',
        message: `the query answered ${value.value.length} series, must be one: aggregate it`,
      },
    }
  }
  const [sample] = value.value
  const dated = ages.value.filter((age) => Number.isFinite(age.value))
  if (!sample || dated.length === 0) return noData('NoSamples', 'the query answered no series')
  if (!Number.isFinite(sample.value))
    return noData('NoSamples', `the query answered ${sample.value}, which is no number`)
  const newestAt = Math.round(Math.min(...dated.map((age) => age.value)) * 1000)
  if (at - newestAt > maxAge) {
    return noData(
      'StaleSamples',
      `the newest sample the query reads is ${ageText(at - newestAt)} old, more than ${ageText(maxAge)}`,
    )
  }
  return { answer: 'Fresh', value: sample.value, newestAt }
}

/** Counts one sample, if it is newer than the last: `failureLimit` in a row outside the bounds are a breach. */
export function takeSample(state: QueryState, sample: QuerySample, rules: QueryRules): QueryState {
  const step = state.step.since === rules.stepSince ? state.step : { since: rules.stepSince, events: 0, windows: 0 }
  if (sample.answer !== 'Fresh' || (state.newestAt !== undefined && sample.newestAt <= state.newestAt)) {
    return { ...state, step }
  }
  const { value, newestAt } = sample
  const fails = (rules.min !== undefined && value < rules.min) || (rules.max !== undefined && value > rules.max)
  const failures = fails ? state.failures + 1 : 0
  const counts = newestAt >= rules.stepSince ? 1 : 0
  return {
    ...state,
    value,
    newestAt,
    failures,
    good: state.good + (fails ? 0 : 1),
    bad: state.bad + (fails ? 1 : 0),
    step: { since: step.since, events: step.events + counts, windows: step.windows + counts },
    breached: state.breached ?? (failures >= rules.failureLimit ? value : undefined),
  }
}

/** A breach stays; a value outside the bounds that has not lasted is undecided. */
export function queryVerdict(state: QueryState): 'Breach' | 'Pass' | 'Undecided' {
  if (state.breached !== undefined) return 'Breach'
  return state.newestAt !== undefined && state.failures === 0 ? 'Pass' : 'Undecided'
}

function noData(reason: Problem['reason'], message: string): QuerySample {
  return { answer: 'NoData', problem: { reason, message } }
}

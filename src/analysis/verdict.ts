import { formatDuration } from '../api/duration.ts'
import type { Sli } from '../api/rollout.ts'
import { badShareAllowed, type Tally } from './evidence.ts'

/** A breach needs at least this many bad events, however small the objective makes one of them. */
const MIN_BAD = 5

export interface VerdictInput {
  /** ln E of the test. */
  logEvidence: number
  /** Canary events of the attempt. */
  total: Tally
  /** Percent of events that must be good. */
  objective: number
  /** Tests that share α. */
  tests: number
  alpha: number
  /** Events needed before "no breach" means something. */
  minRequests: number
}

/**
 * What the evidence says.
 * `Breach`: E ≥ tests/α and at least five bad events; a canary inside its objective gets here with probability at most
 * α/tests, however often one looks.
 * `Pass`: no breach, at least `minRequests` events, and their observed share is within the objective; it is a
 * description, not a test, and moving on does not depend on it.
 * `Undecided`: everything else, no events included.
 */
export function verdictOf(input: VerdictInput): 'Breach' | 'Pass' | 'Undecided' {
  if (input.total.k >= MIN_BAD && input.logEvidence >= Math.log(input.tests / input.alpha)) return 'Breach'
  const enough = input.total.n > 0 && input.total.n >= input.minRequests
  return enough && input.total.k <= badShareAllowed(input.objective) * input.total.n ? 'Pass' : 'Undecided'
}

/** Does stable fail the same objective? By its observed share over the attempt, and at least five bad events. */
export function stableFails(stable: Tally, objective: number): boolean {
  return stable.k >= MIN_BAD && stable.k > badShareAllowed(objective) * stable.n
}

/** The share of good events for people, cut and not rounded so that one bad event is never "100 %": `93.10 %`. */
export function percentGood({ n, k }: Tally): string {
  const hundredths = k === 0 ? 10_000 : Math.min(9_999, Math.floor((10_000 * (n - k)) / n))
  return `${(hundredths / 100).toFixed(2)} %`
}

/** What was promised, for people: `99.5 %`, `99 % < 500ms`, `0 to 100`. */
export function objectiveText(sli: Sli): string {
  if (sli.successRate) return `${sli.successRate.objective} %`
  if (sli.latency) return `${sli.latency.objective} % < ${sli.latency.threshold}`
  const { min, max } = sli.query ?? {}
  if (min !== undefined && max !== undefined) return `${min} to ${max}`
  return min !== undefined ? `at least ${min}` : `at most ${max}`
}

/** What was measured, for people, in the shape of `objectiveText`. Nothing when there were no events. */
export function observedText(sli: Sli, tally: Tally): string | undefined {
  if (tally.n <= 0) return undefined
  const share = percentGood(tally)
  return sli.latency ? `${share} < ${sli.latency.threshold}` : share
}

/** The evidence as the decimal logarithm that status shows; absent while there is none. */
export function log10Evidence(logEvidence: number): number | undefined {
  return Number.isFinite(logEvidence) ? Math.round((logEvidence / Math.LN10) * 1000) / 1000 : undefined
}

/** For messages: an age or interval in the shortest words. */
export function ageText(ms: number): string {
  return formatDuration(ms < 1000 ? ms : Math.round(ms / 1000) * 1000)
}

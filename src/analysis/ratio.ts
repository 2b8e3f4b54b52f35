import { type Counted, type Counting, count, type Look, nothingCounted } from './count.ts'
import type { Tally, Window } from './evidence.ts'
import { absoluteTest, advance, badShareAllowed, type Evidence, logEvidence, noEvidence } from './evidence.ts'
import { verdictOf } from './verdict.ts'

/** What one ratio SLI of one attempt has come to. Plain data; `judge` makes the next one. */
export interface RatioState {
  /** Names the test: another objective or threshold is another test, and starts without evidence. */
  test: string
  counting: Counting
  evidence: Evidence
  /** Canary and stable events since the evidence began. */
  canary: Tally
  stable: Tally
  /** Canary events since the observed share last was within the objective: what a breach is about. */
  recent: Tally
  step: { since: number; events: number; windows: number }
  /** A crossing is final for the attempt; the canary's recent events at that moment. */
  breached?: Tally
  gap: boolean
  /** Newest sample that was used, and up to when every process has been read; epoch ms. */
  newestAt?: number
  completeThrough?: number
}

/** How one SLI is judged. */
export interface RatioRules {
  test: string
  /** Percent of events that must be good. */
  objective: number
  /** Tests that share α. */
  tests: number
  alpha: number
  minRequests: number
  /** ms */
  maxSampleAge: number
  /** When the current weight was accepted, epoch ms. */
  stepSince: number
  /** Overdispersion of failures, at least 1. */
  phi?: number
}

/** Counting from `at` on, without evidence. */
export function startRatio(test: string, at: number): RatioState {
  return {
    test,
    counting: nothingCounted(at),
    evidence: noEvidence(),
    canary: { n: 0, k: 0 },
    stable: { n: 0, k: 0 },
    recent: { n: 0, k: 0 },
    step: { since: Number.NaN, events: 0, windows: 0 },
    gap: false,
  }
}

/** The same counting under another test: evidence and totals begin anew, nothing is counted twice. */
export function restartTest(state: RatioState, test: string): RatioState {
  return { ...startRatio(test, state.counting.through), counting: state.counting, gap: state.gap, step: state.step }
}

/** One look: counts what is new, advances the evidence, and judges. A window is judged when it is counted, also in replay. */
export function judge(state: RatioState, look: Look, rules: RatioRules): { state: RatioState; counted: Counted } {
  const counted = count(state.counting, look, rules.maxSampleAge, state.canary.n > 0)
  const base: RatioState = {
    ...state,
    counting: counted.next,
    step: stepOf(state, rules),
    gap: state.gap || counted.gap,
  }
  if (counted.completeThrough !== undefined) {
    base.newestAt = counted.newestAt
    base.completeThrough = counted.completeThrough
  }
  return { counted, state: counted.window ? takeWindow(base, counted.window, rules) : base }
}

/** What the evidence says now; a crossing stays. */
export function ratioVerdict(state: RatioState, rules: RatioRules): 'Breach' | 'Pass' | 'Undecided' {
  if (state.breached) return 'Breach'
  return verdictOf({ ...rules, logEvidence: logEvidence(state.evidence), total: state.canary })
}

function takeWindow(state: RatioState, window: Window, rules: RatioRules): RatioState {
  const evidence = advance(state.evidence, window, absoluteTest(rules.objective, rules.phi))
  const recent = add(state.recent, window.canary)
  const within = recent.k <= badShareAllowed(rules.objective) * recent.n
  const counts = window.start >= state.step.since
  const next: RatioState = {
    ...state,
    evidence,
    canary: add(state.canary, window.canary),
    stable: add(state.stable, window.stable),
    recent: within ? { n: 0, k: 0 } : recent,
    step: counts
      ? { ...state.step, events: state.step.events + window.canary.n, windows: state.step.windows + 1 }
      : state.step,
  }
  return ratioVerdict(next, rules) === 'Breach' && !next.breached ? { ...next, breached: recent } : next
}

function stepOf(state: RatioState, rules: RatioRules): RatioState['step'] {
  return state.step.since === rules.stepSince ? state.step : { since: rules.stepSince, events: 0, windows: 0 }
}

function add(a: Tally, b: Tally): Tally {
  return { n: a.n + b.n, k: a.k + b.k }
}

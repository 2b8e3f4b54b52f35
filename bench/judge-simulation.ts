import {
  absoluteTest,
  advance,
  type Evidence,
  logEvidence,
  noEvidence,
  overdispersion,
  relativeTest,
  type Tally,
  type Test,
  type Window,
} from '../src/analysis/evidence.ts'
import { verdictOf } from '../src/analysis/verdict.ts'
import { binomial } from './judge-random.ts'

type Random = () => number

/** When a rule ended a rollout, and what it cost until then. */
export interface Outcome {
  breached: boolean
  seconds: number
  /** Bad requests that the canary answered until the breach. */
  bad: number
  windows: number
  requests: number
}

/** Steps of five minutes at 10, 50 and 100 % of the traffic. */
export interface Story {
  errorRate: number
  objective: number
  /** Requests per second, both versions together. */
  rps: number
}

const WEIGHTS = [0.1, 0.5, 1]
const STEP_SECONDS = 300
const ALPHA = 0.01

/** The rule of fixed thresholds: so many failed checks of one minute each end the rollout. */
export function thresholdRule(random: Random, story: Story, failures: number): Outcome {
  let failed = 0
  let bad = 0
  let requests = 0
  const checks = (STEP_SECONDS / 60) * WEIGHTS.length
  for (let check = 1; check <= checks; check++) {
    const weight = WEIGHTS[Math.floor(((check - 1) * 60) / STEP_SECONDS)]!
    const n = Math.round(story.rps * weight * 60)
    const k = binomial(random, n, story.errorRate)
    bad += k
    requests += n
    if (k / n > (100 - story.objective) / 100) failed++
    if (failed >= failures) return { breached: true, seconds: check * 60, bad, windows: check, requests }
  }
  return { breached: false, seconds: checks * 60, bad, windows: checks, requests }
}

/** The judge at every `interval` seconds of the same rollout. */
export function judgedRollout(random: Random, story: Story, interval: number): Outcome {
  const windows = (STEP_SECONDS * WEIGHTS.length) / interval
  const weightAt = (window: number) => WEIGHTS[Math.floor((window * interval) / STEP_SECONDS)]!
  const outcome = untilBreach(random, {
    objective: story.objective,
    windows,
    size: (window) => Math.round(story.rps * weightAt(window) * interval),
    errorRate: () => story.errorRate,
  })
  return { ...outcome, seconds: outcome.windows * interval }
}

/** Windows of canary requests under the absolute test. */
export interface Course {
  objective: number
  windows: number
  size: (window: number) => number
  errorRate: (window: number) => number
  /** Evidence to begin with, for instance that of a healthy day. */
  evidence?: Evidence
  /** Events to begin with. */
  total?: Tally
  /** How the evidence moves on; the judge's own way by default. */
  move?: (evidence: Evidence, window: Window, test: Test) => Evidence
}

/** Runs a course until the judge says Breach. */
export function untilBreach(random: Random, course: Course): Outcome {
  const test = absoluteTest(course.objective)
  const move = course.move ?? advance
  let evidence = course.evidence ?? noEvidence()
  let total = course.total ?? { n: 0, k: 0 }
  let bad = 0
  let requests = 0
  for (let i = 0; i < course.windows; i++) {
    const n = course.size(i)
    const k = binomial(random, n, course.errorRate(i))
    bad += k
    requests += n
    total = { n: total.n + n, k: total.k + k }
    evidence = move(evidence, alone(n, k), test)
    const input = { logEvidence: logEvidence(evidence), total, objective: course.objective }
    if (verdictOf({ ...input, tests: 1, alpha: ALPHA, minRequests: 0 }) === 'Breach') {
      return { breached: true, seconds: Number.NaN, bad, windows: i + 1, requests }
    }
  }
  return { breached: false, seconds: Number.NaN, bad, windows: course.windows, requests }
}

/** The judge without the mixture over the onset: the plain product that a healthy past blinds. */
export function plainProduct(evidence: Evidence, window: Window, test: Test): Evidence {
  const likelihoods = test.logLikelihoods(window)
  if (likelihoods === undefined) return evidence
  const before = evidence.windows === 0 ? evidence.logS.map(() => 0) : evidence.logS
  return { windows: evidence.windows + 1, logS: before.map((logS, j) => logS + likelihoods[j]!) }
}

/** Evidence after a healthy past of so many windows. */
export function healthyPast(
  random: Random,
  course: Omit<Course, 'evidence' | 'total'>,
): Pick<Course, 'evidence' | 'total'> {
  const test = absoluteTest(course.objective)
  const move = course.move ?? advance
  let evidence = noEvidence()
  const total = { n: 0, k: 0 }
  for (let i = 0; i < course.windows; i++) {
    const n = course.size(i)
    const k = binomial(random, n, course.errorRate(i))
    evidence = move(evidence, alone(n, k), test)
    total.n += n
    total.k += k
  }
  return { evidence, total }
}

/** Two versions side by side under the relative test. */
export interface Comparison {
  stableRate: number
  canaryRate: number
  /** The canary's share of the requests. */
  split: number
  maxRatio: number
  /** Canary requests per look. */
  look: number
  looks: number
  phi?: number
  /** Failures come in bursts of this size. */
  burst?: number
  move?: (evidence: Evidence, window: Window, test: Test) => Evidence
}

/** Canary requests until the relative test rejects at α; breached false when it does not within the looks. */
export function compared(random: Random, comparison: Comparison): Outcome {
  const { split, look, looks, burst = 1 } = comparison
  const test = relativeTest(comparison.maxRatio, comparison.phi)
  const move = comparison.move ?? plainProduct
  let evidence = noEvidence()
  for (let i = 1; i <= looks; i++) {
    evidence = move(
      evidence,
      sideBySide(random, comparison, look, Math.round((look * (1 - split)) / split), burst),
      test,
    )
    if (logEvidence(evidence) >= Math.log(1 / ALPHA)) {
      return { breached: true, seconds: Number.NaN, bad: Number.NaN, windows: i, requests: i * look }
    }
  }
  return { breached: false, seconds: Number.NaN, bad: Number.NaN, windows: looks, requests: looks * look }
}

/** φ as estimated from stable against stable, in windows like the comparison's. */
export function estimatedPhi(random: Random, comparison: Comparison, windows: number): number {
  const same = { ...comparison, canaryRate: comparison.stableRate }
  const half = comparison.look / comparison.split / 2
  return overdispersion(
    Array.from({ length: windows }, () => sideBySide(random, same, half, half, comparison.burst ?? 1)),
  )
}

/** Wald's bound on the expected requests until a test at α can tell p1 from p0. */
export function waldBound(p0: number, p1: number): number {
  return Math.log(1 / ALPHA) / (p1 * Math.log(p1 / p0) + (1 - p1) * Math.log((1 - p1) / (1 - p0)))
}

/** Canary requests of a one-sided z-test at α with power 0.9 and a fixed sample size. */
export function fixedSample(stable: number, canary: number, split: number): number {
  const ratio = split / (1 - split)
  const pooled = split * canary + (1 - split) * stable
  const a = 2.3263 * Math.sqrt(pooled * (1 - pooled) * (1 + ratio))
  const b = 1.2816 * Math.sqrt(canary * (1 - canary) + stable * (1 - stable) * ratio)
  return ((a + b) / (canary - stable)) ** 2
}

function sideBySide(
  random: Random,
  { canaryRate, stableRate }: { canaryRate: number; stableRate: number },
  canary: number,
  stable: number,
  burst: number,
): Window {
  const failures = (n: number, rate: number) => Math.min(n, burst * binomial(random, n, rate / burst))
  return {
    start: 0,
    end: 0,
    canary: { n: canary, k: failures(canary, canaryRate) },
    stable: { n: stable, k: failures(stable, stableRate) },
  }
}

function alone(n: number, k: number): Window {
  return { start: 0, end: 0, canary: { n, k }, stable: { n: 0, k: 0 } }
}

/** Events of one side between two instants. */
export interface Tally {
  /** All events. */
  n: number
  /** Bad events among them. */
  k: number
}

/** The events of both sides between two looks. Times are epoch milliseconds. */
export interface Window {
  start: number
  end: number
  canary: Tally
  stable: Tally
}

/**
 * A simple-against-simple bet for every point of a grid of alternatives.
 * `logLikelihoods` gives ln L_j per point, or nothing when the window has nothing to say to this test.
 */
export interface Test {
  points: number
  logLikelihoods(window: Window): number[] | undefined
}

/** Evidence of one test: ln S_j per point, and how many windows have spoken. */
export interface Evidence {
  logS: readonly number[]
  windows: number
}

/** Points of every grid. */
export const GRID = 24

/** Evidence before the first event: S_j = 0. */
export function noEvidence(points: number = GRID): Evidence {
  return { logS: new Array<number>(points).fill(Number.NEGATIVE_INFINITY), windows: 0 }
}

/**
 * The prior over when the trouble starts: γ_1 = ½, γ_t = C/((t+1)·ln²(t+2)) with C = 0.56, so that Σγ ≤ 1.
 * Mixing over the onset keeps a long healthy past from hiding a fresh regression (e-detectors, arXiv 2203.03532).
 */
export function onsetWeight(window: number): number {
  return window === 1 ? 0.5 : 0.56 / ((window + 1) * Math.log(window + 2) ** 2)
}

/**
 * One more window: S_j ← (S_j + γ_t)·L_j, in logarithms.
 * A window that the test cannot use (no canary events) changes nothing, not even t.
 */
export function advance(evidence: Evidence, window: Window, test: Test): Evidence {
  const likelihoods = test.logLikelihoods(window)
  if (likelihoods === undefined) return evidence
  const windows = evidence.windows + 1
  const prior = Math.log(onsetWeight(windows))
  return { windows, logS: evidence.logS.map((logS, j) => logAdd(logS, prior) + likelihoods[j]!) }
}

/** ln E, where E = Σ S_j / points: by Ville's inequality P(ever E ≥ 1/α) ≤ α while the null hypothesis holds. */
export function logEvidence(evidence: Evidence): number {
  const top = Math.max(...evidence.logS)
  if (top === Number.NEGATIVE_INFINITY) return top
  let sum = 0
  for (const logS of evidence.logS) sum += Math.exp(logS - top)
  return top + Math.log(sum / evidence.logS.length)
}

/**
 * Does the canary break its objective? Null: its bad share is at most p0 = 1 − objective.
 * L_j = exp([k·ln(q_j/p0) + (n−k)·ln((1−q_j)/(1−p0))] / φ), q_j geometric from 1.15·p0 to min(64·p0, 0.99).
 * Sequential testing of deployments: arXiv 2205.14762.
 *
 * @param objective percent of events that must be good, between 0 and 100
 * @param phi overdispersion of the failures, at least 1
 */
export function absoluteTest(objective: number, phi = 1): Test {
  const p0 = badShareAllowed(objective)
  const grid = alternatives(p0).map((q) => ({
    bad: Math.log(q / p0) / phi,
    good: (Math.log1p(-q) - Math.log1p(-p0)) / phi,
  }))
  return {
    points: GRID,
    logLikelihoods: ({ canary: { n, k } }) =>
      n > 0 ? grid.map((point) => k * point.bad + (n - k) * point.good) : undefined,
  }
}

/**
 * Is the canary's bad share more than θ0 times stable's? Null: p_c ≤ θ0·p_s, whatever p_s does meanwhile.
 * With w = n_c/(n_c+n_s) and θ_j = θ0·exp(linspace(ln 1.15, ln 64)):
 * D_j = (w·θ0 + 1 − w)/(w·θ_j + 1 − w), L_j = exp([k_c·(ln(θ_j/θ0) + ln D_j) + k_s·ln D_j] / φ).
 * It needs events on both sides. Guard it with an absolute test at a floor (`jointLogEvidence`), so that
 * twice almost nothing is no alarm.
 *
 * @param maxRatio θ0, at least 1
 */
export function relativeTest(maxRatio: number, phi = 1): Test {
  const thetas = linspace(Math.log(1.15), Math.log(64), GRID).map((step) => maxRatio * Math.exp(step))
  return {
    points: GRID,
    logLikelihoods({ canary, stable }) {
      if (canary.n <= 0 || stable.n <= 0) return undefined
      const w = canary.n / (canary.n + stable.n)
      return thetas.map((theta) => {
        const logD = Math.log((w * maxRatio + 1 - w) / (w * theta + 1 - w))
        return (canary.k * (Math.log(theta / maxRatio) + logD) + stable.k * logD) / phi
      })
    },
  }
}

/** Evidence that all of several tests reject: ln of the least. Still honest, because it is below each of them. */
export function jointLogEvidence(evidence: readonly Evidence[]): number {
  return Math.min(...evidence.map(logEvidence))
}

/**
 * How much more the failures scatter than independent ones would: φ = max(1, 1.2·mean[(k_c − wK)²/(K·w(1−w))]), over
 * windows of stable against stable (its pods split in two). At least 100 windows with failures on either side are
 * needed; with fewer there is nothing to estimate from and φ is 1.
 */
export function overdispersion(windows: readonly Pick<Window, 'canary' | 'stable'>[]): number {
  let sum = 0
  let used = 0
  for (const { canary, stable } of windows) {
    const bad = canary.k + stable.k
    const w = canary.n / (canary.n + stable.n)
    if (!(bad > 0 && w > 0 && w < 1)) continue
    sum += (canary.k - w * bad) ** 2 / (bad * w * (1 - w))
    used++
  }
  return used < 100 ? 1 : Math.max(1, (1.2 * sum) / used)
}

/** p0 of an objective in percent, without the rounding of 1 − 99.5/100. */
export function badShareAllowed(objective: number): number {
  return (100 - objective) / 100
}

function alternatives(p0: number): number[] {
  const from = 1.15 * p0
  const to = Math.min(64 * p0, 0.99)
  // Objectives below 14 % leave no room for the usual grid: any points between p0 and 1 are honest.
  if (from >= to) return linspace(p0 + 0.1 * (1 - p0), p0 + 0.9 * (1 - p0), GRID)
  return linspace(Math.log(from), Math.log(to), GRID).map(Math.exp)
}

function linspace(from: number, to: number, points: number): number[] {
  return Array.from({ length: points }, (_, i) => from + ((to - from) * i) / (points - 1))
}

function logAdd(a: number, b: number): number {
  const top = Math.max(a, b)
  return top === Number.NEGATIVE_INFINITY ? top : top + Math.log1p(Math.exp(-Math.abs(a - b)))
}

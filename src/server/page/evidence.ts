import type { RolloutSpec, Sli } from '../../api/rollout.ts'
import type { SliStatus } from '../../api/status.ts'
import type { Course } from '../../controller/chronicle.ts'
import type { SliPoint } from '../../controller/series.ts'

/** Events of one side. */
export interface Side {
  good: number
  bad: number
}

/** What the judge has against a canary, and how it is said. */
export interface Evidence {
  /** Part of the way from nothing to a breach, on the judge's scale: 0 is nothing, 1 is enough. */
  share: number
  /** How sure the judge is that the objective is broken, and how sure it has to be, as text: `96.8 %`. */
  confidence: string
  needed: string
  /** One sentence for people, and one that says what the number means. */
  words: string
  meaning: string
}

/** One SLI as the page shows it. */
export interface SliView {
  name: string
  verdict: SliStatus['verdict']
  objective: string
  observed?: string
  /** Why there is no answer. */
  message?: string
  since?: string
  /** Undefined for queries, where nothing is counted. */
  canary?: Side
  stable?: Side
  /** Canary requests in this step, and how many it takes to pass. */
  step?: { events: number; needed: number }
  evidence?: Evidence
  /** Share of events that may be bad, in percent. */
  allowedBad?: number
  /** log10 of the evidence at which traffic goes back. */
  threshold?: number
  points: readonly SliPoint[]
}

/** What every SLI says, in the order of the spec. */
export function sliViews(
  analysis: readonly SliStatus[],
  spec: RolloutSpec | undefined,
  course: Course | undefined,
  inFlight: boolean,
): SliView[] {
  return analysis.map((sli) => {
    const declared = spec?.analysis.slis.find(({ name }) => name === sli.name)
    const points = course?.slis.get(sli.name) ?? []
    const counted = sli.good !== undefined && sli.bad !== undefined && !declared?.query
    const last = points.at(-1)
    const threshold = spec && declared && !declared.query ? thresholdOf(spec) : undefined
    const objective = declared?.successRate?.objective ?? declared?.latency?.objective
    return {
      name: sli.name,
      verdict: sli.verdict,
      objective: sli.objective,
      observed: sli.observed,
      message: sli.message,
      since: sli.since,
      ...(counted ? { canary: { good: sli.good ?? 0, bad: sli.bad ?? 0 } } : {}),
      ...(counted && last && !Number.isNaN(last.stableGood)
        ? { stable: { good: last.stableGood, bad: last.stableBad } }
        : {}),
      ...(counted && inFlight && spec && sli.stepEvents !== undefined
        ? { step: { events: sli.stepEvents, needed: spec.analysis.minRequests } }
        : {}),
      ...(threshold !== undefined && sli.evidence !== undefined
        ? { threshold, evidence: evidenceView(sli.evidence, threshold, sli.verdict, sli.bad) }
        : {}),
      ...(objective === undefined ? {} : { allowedBad: 100 - objective }),
      points,
    }
  })
}

/** log10 of the evidence that is a breach: tests / α, every test having its share of α. */
function thresholdOf({ analysis: { slis, alpha } }: RolloutSpec): number {
  return Math.log10(Math.max(1, slis.filter(isRatio).length) / alpha)
}

function isRatio(sli: Sli): boolean {
  return sli.query === undefined
}

/**
 * Evidence E (an e-process; see src/analysis/evidence.ts) in words. Were the objective
 * met, E would ever reach x with probability at most 1/x (Ville's inequality), however often one looks: 1 − 1/E is the confidence.
 * @param log10 log10 of E
 * @param threshold log10 of the E that is a breach
 * @param bad bad events so far
 */
export function evidenceView(log10: number, threshold: number, verdict: SliStatus['verdict'], bad = 0): Evidence {
  const needed = confidenceText(threshold)
  const share = Math.max(0, Math.min(1, log10 / threshold))
  if (verdict !== 'Breach' && log10 <= Math.log10(1.05)) {
    return {
      share,
      confidence: '0 %',
      needed,
      words: bad > 0 ? 'What is bad is no more than chance may bring.' : 'Nothing speaks against the canary.',
      meaning: `Traffic goes back once the judge is ${needed} sure that the objective is broken.`,
    }
  }
  const confidence = confidenceText(log10)
  const meaning = `Were the objective kept, evidence this strong would turn up in at most one of ${rarity(log10)} rollouts, however often one looks.`
  if (verdict === 'Breach') {
    return { share: 1, confidence, needed, words: `Breach: ${sure(log10)} that the objective is broken.`, meaning }
  }
  if (log10 >= threshold) {
    const words = `${sure(log10)} that the objective is broken, but there are too few bad requests to act on.`
    return { share, confidence, needed, words: capital(words), meaning }
  }
  return {
    share,
    confidence,
    needed,
    words: `${capital(sure(log10))} that the objective is broken; at ${needed} traffic goes back.`,
    meaning,
  }
}

function sure(log10: number): string {
  return `${confidenceText(log10)} sure`
}

/** Never rounded up: 99.5, not 100. */
function confidenceText(log10: number): string {
  const doubt = 10 ** -Math.max(0, log10)
  if (doubt < 0.000_1) return 'more than 99.99 %'
  const digits = doubt < 0.002 ? 2 : doubt < 0.2 ? 1 : 0
  const factor = 10 ** digits
  return `${(Math.floor((1 - doubt) * 100 * factor + 1e-9) / factor).toFixed(digits)} %`
}

function rarity(log10: number): string {
  if (log10 >= 6) return 'a million'
  const times = 10 ** log10
  return times < 10 ? (Math.floor(times * 10) / 10).toString() : Math.floor(times).toLocaleString('en-US')
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}

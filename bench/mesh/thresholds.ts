import { createAnalyst } from '../../src/analysis/analyst.ts'
import { rolloutSpec } from '../../src/api/rollout.ts'
import type { Runtime } from '../../src/runtime.ts'
import { Store } from '../../src/sandbox/prometheus/store.ts'
import { binomial } from '../judge-random.ts'
import { createPodCounters } from './counters.ts'
import { countedPrometheus } from './prometheus.ts'

/** Requests of one second: how many each version got, and how many of them failed. */
export interface Second {
  canary: { n: number; k: number }
  stable: { n: number; k: number }
}

/** Requests to come, second by second, the same to everyone who looks at them. */
export interface Traffic {
  /** Seconds of health before the onset. */
  onset: number
  seconds: Second[]
}

/** What a rule made of one traffic. */
export interface Reaction {
  /** It put the traffic back within the traffic given. */
  reacted: boolean
  /** It did so before anything was wrong. */
  early: boolean
  /** Bad requests that the canary answered from the onset until then. */
  bad: number
  /** From the onset until then. */
  seconds: number
}

export interface TrafficOptions {
  healthySeconds: number
  sickSeconds: number
  /** Of the canary, before and after the onset; stable keeps the first. */
  healthyRate: number
  sickRate: number
  /** Requests per second, both versions together, and the canary's part of them. */
  rps: number
  share: number
}

/** Draws traffic: every request goes to the canary or not, and fails or not, for itself. */
export function drawTraffic(random: () => number, options: TrafficOptions): Traffic {
  const { healthySeconds, sickSeconds, healthyRate, sickRate, rps, share } = options
  const seconds = Array.from({ length: healthySeconds + sickSeconds }, (_, second): Second => {
    const n = binomial(random, rps, share)
    const rate = second < healthySeconds ? healthyRate : sickRate
    return {
      canary: { n, k: binomial(random, n, rate) },
      stable: { n: rps - n, k: binomial(random, rps - n, healthyRate) },
    }
  })
  return { onset: healthySeconds, seconds }
}

/**
 * The fixed rule of today's controllers: once a minute the share of the last minute is compared with the objective, and
 * so many failed checks end the rollout. It is given every request the moment it is answered, without the delay of a scrape.
 *
 * @param phase seconds by which the first check comes before the end of the first minute
 */
export function byThreshold(traffic: Traffic, rule: { objective: number; failures: number; phase: number }): Reaction {
  let failed = 0
  for (let end = 60 - rule.phase; end <= traffic.seconds.length; end += 60) {
    const minute = traffic.seconds.slice(Math.max(0, end - 60), end)
    const n = minute.reduce((sum, { canary }) => sum + canary.n, 0)
    const k = minute.reduce((sum, { canary }) => sum + canary.k, 0)
    if (n > 0 && 100 * k > (100 - rule.objective) * n) failed++
    if (failed >= rule.failures) return reactedAt(traffic, end, end)
  }
  return never(traffic)
}

export interface JudgeRule {
  objective: number
  /** Seconds between two looks and between two scrapes. */
  interval: number
  scrape: number
  /** Seconds by which the scrapes of the two versions are late against the looks. */
  phase: number
}

/**
 * The analysis that the controller runs, from PromQL to verdict, over a Prometheus that scrapes the same requests. Traffic
 * goes on until the look that says Breach is done.
 */
export async function byJudge(traffic: Traffic, rule: JudgeRule): Promise<Reaction> {
  const start = 1_800_000_000_000
  let now = start
  const runtime: Runtime = { now: () => now, monotonic: () => now, sleep: async () => undefined, random: () => 0.5 }
  const store = new Store(1_200_000)
  const prometheus = countedPrometheus(store)
  const analyst = createAnalyst({ prometheusFor: async () => ({ ok: true, value: prometheus }), runtime })
  const canary = createPodCounters({ namespace: 'shop', workload: 'checkout-v2' })
  const stable = createPodCounters({ namespace: 'shop', workload: 'checkout-v1' })
  const request = {
    key: 'shop/checkout',
    attempt: 'bench/1',
    startedAt: start,
    namespace: 'shop',
    name: 'checkout',
    stable: { workloads: ['checkout-v1'], revision: 'v1' },
    canary: { workloads: ['checkout-v2'], revision: 'v2' },
    analysis: rolloutSpec.shape.analysis.parse({
      interval: `${rule.interval}s`,
      slis: [{ name: 'success-rate', successRate: { objective: rule.objective } }],
    }),
    stepSince: start,
    checkpoints: {},
  }
  let lookAt = analyst.nextLookAt(request, now)
  for (const [second, { canary: c, stable: s }] of traffic.seconds.entries()) {
    const end = start + (second + 1) * 1000
    if (lookAt <= end) {
      now = lookAt
      const { slis } = await analyst.look(request, now)
      // Requests of the second in which the look happens are counted whole.
      if (slis.some((sli) => sli.verdict === 'Breach')) return reactedAt(traffic, second + 1, (lookAt - start) / 1000)
      lookAt = analyst.nextLookAt(request, now)
    }
    now = end
    canary.serve(c.n, c.k)
    stable.serve(s.n, s.k)
    if ((second + 1) % rule.scrape === rule.phase % rule.scrape) {
      canary.scrape(store, now)
      stable.scrape(store, now)
      if (second % 600 < rule.scrape) store.prune(now)
    }
  }
  return never(traffic)
}

function reactedAt(traffic: Traffic, counted: number, at: number): Reaction {
  const sick = traffic.seconds.slice(traffic.onset, counted)
  return {
    reacted: true,
    early: at <= traffic.onset,
    bad: sick.reduce((sum, { canary }) => sum + canary.k, 0),
    seconds: at - traffic.onset,
  }
}

function never(traffic: Traffic): Reaction {
  const sick = traffic.seconds.slice(traffic.onset)
  return {
    reacted: false,
    early: false,
    bad: sick.reduce((sum, { canary }) => sum + canary.k, 0),
    seconds: Number.POSITIVE_INFINITY,
  }
}

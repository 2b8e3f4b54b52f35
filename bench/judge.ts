/**
 * What the judge promises, by simulation: how often it is wrong, how fast it is right, and what the usual rules do.
 *
 *   node bench/judge.ts [--quick] [--json] [--seed N]
 *
 * The numbers depend on the seed alone.
 */
import { parseArgs } from 'node:util'
import { mean, quantile, seeded } from './judge-random.ts'
import {
  compared,
  estimatedPhi,
  fixedSample,
  healthyPast,
  judgedRollout,
  type Outcome,
  plainProduct,
  thresholdRule,
  untilBreach,
  waldBound,
} from './judge-simulation.ts'
import { printer } from './table.ts'

const { values: options } = parseArgs({
  options: { quick: { type: 'boolean' }, json: { type: 'boolean' }, seed: { type: 'string' } },
})
const print = printer(options.json)
const seed = Number(options.seed ?? 1)
const scale = options.quick ? 0.1 : 1
const runs = (full: number) => Math.max(20, Math.round(full * scale))
const percent = (share: number) => `${(100 * share).toFixed(share > 0 && share < 0.01 ? 2 : 1)} %`
const rate = (p: number) => `${Number((100 * p).toFixed(1))} %`

function repeat<T>(times: number, run: (random: () => number) => T): T[] {
  const random = seeded(seed)
  return Array.from({ length: times }, () => run(random))
}

const table = (title: string, head: string[], rows: string[][]) => print.table({ title, head, rows })

function againstThresholds(rps: number, rates: number[]) {
  const rules: [string, (random: () => number, errorRate: number) => Outcome][] = [
    ['threshold, 5 failures', (random, errorRate) => thresholdRule(random, { errorRate, objective: 99, rps }, 5)],
    ['threshold, 1 failure', (random, errorRate) => thresholdRule(random, { errorRate, objective: 99, rps }, 1)],
    ['judge, every 15 s', (random, errorRate) => judgedRollout(random, { errorRate, objective: 99, rps }, 15)],
    ['judge, every 5 s', (random, errorRate) => judgedRollout(random, { errorRate, objective: 99, rps }, 5)],
  ]
  table(
    `Objective 99 %, steps 10/50/100 of 5 minutes, ${rps} requests/s in all: rolled back, or median time / bad requests until it is`,
    ['canary error rate', ...rules.map(([name]) => name)],
    rates.map((errorRate) => [
      `${rate(errorRate)}${errorRate < 0.01 ? ' (inside)' : ''}`,
      ...rules.map(([, rule]) => {
        const outcomes = repeat(runs(errorRate < 0.01 ? 2000 : 400), (random) => rule(random, errorRate))
        const breached = outcomes.filter((outcome) => outcome.breached)
        if (errorRate < 0.01) return percent(breached.length / outcomes.length)
        const missed = breached.length < outcomes.length ? ` (${percent(breached.length / outcomes.length)})` : ''
        const seconds = quantile(
          breached.map((outcome) => outcome.seconds),
          0.5,
        )
        return `${seconds} s / ${quantile(
          breached.map((outcome) => outcome.bad),
          0.5,
        )}${missed}`
      }),
    ]),
  )
}

function onTheObjective() {
  const rows = [50, 150, 1000].map((size) => {
    const outcomes = repeat(runs(2000), (random) =>
      untilBreach(random, { objective: 99, windows: 2000, size: () => size, errorRate: () => 0.01 }),
    )
    return [String(size), percent(outcomes.filter((outcome) => outcome.breached).length / outcomes.length), '1.0 %']
  })
  table('False alarms exactly on the objective (99 %), 2,000 looks', ['requests per look', 'judge', 'allowed'], rows)
}

function afterHealth() {
  const size = () => 150
  const pasts: [string, number][] = [
    ['0', 0],
    ['10 min', 40],
    ['1 h', 240],
    ['24 h', 5760],
  ]
  const columns: [string, number, typeof plainProduct | undefined][] = [
    ['plain product: 5 %', 0.05, plainProduct],
    ['judge: 5 %', 0.05, undefined],
    ['plain product: 20 %', 0.2, plainProduct],
    ['judge: 20 %', 0.2, undefined],
    ['judge: 2 %', 0.02, undefined],
  ]
  const rows = pasts.map(([name, windows]) => [
    name,
    ...columns.map(([, errorRate, move]) => {
      const outcomes = repeat(runs(windows > 1000 ? 100 : 400), (random) => {
        const past = healthyPast(random, { objective: 99.5, windows, size, errorRate: () => 0.001, move })
        return untilBreach(random, { objective: 99.5, windows: 3000, size, errorRate: () => errorRate, move, ...past })
      })
      const median = (of: (outcome: Outcome) => number) => quantile(outcomes.map(of), 0.5)
      return `${median((outcome) => outcome.windows)} / ${median((outcome) => outcome.bad)}`
    }),
  ])
  table(
    'Objective 99.5 %, windows of 150 requests, 0.1 % errors until the trouble: median windows / bad requests until breach',
    ['healthy before', ...columns.map(([name]) => name)],
    rows,
  )
}

function requestsUntilBreach() {
  const rows = [0.02, 0.05, 0.1, 0.2].map((errorRate) => {
    const requests = repeat(runs(1000), (random) =>
      untilBreach(random, { objective: 99, windows: 5000, size: () => 20, errorRate: () => errorRate }),
    ).map((outcome) => outcome.requests)
    return [
      `1 → ${rate(errorRate)}`,
      mean(requests).toFixed(0),
      String(quantile(requests, 0.9)),
      waldBound(0.01, errorRate).toFixed(0),
    ]
  })
  table(
    'Canary requests until breach, onset at once, a look every 20 requests',
    ['regression', 'mean', '90 %', 'Wald’s bound'],
    rows,
  )
}

function comparedWithStable() {
  const pairs: [string, number, number, number][] = [
    ['0.1 → 1 %', 0.001, 0.01, 1],
    ['1 → 2 %', 0.01, 0.02, 1],
    ['1 → 5 %', 0.01, 0.05, 1],
    ['0.1 → 1 %, ratio 1.25', 0.001, 0.01, 1.25],
    ['1 → 2 %, ratio 1.25', 0.01, 0.02, 1.25],
    ['1 → 5 %, ratio 1.25', 0.01, 0.05, 1.25],
    ['latency +50 %, bound 250 ms', 0.0518, 0.1472, 1],
    ['1 % of requests at 0.8 s, bound 500 ms', 0.0044, 0.0144, 1],
  ]
  const splits = [0.05, 0.1, 0.2, 0.5]
  table(
    'Compared with stable: canary requests until rollback, mean/90 %',
    ['stable → canary', ...splits.map((split) => `split ${rate(split)}`), 'fixed sample, split 10 %'],
    pairs.map(([name, stableRate, canaryRate, maxRatio]) => [
      name,
      ...splits.map((split) => {
        const requests = repeat(runs(500), (random) =>
          compared(random, { stableRate, canaryRate, split, maxRatio, look: 10, looks: 5000 }),
        ).map((outcome) => outcome.requests)
        return `${mean(requests).toFixed(0)}/${quantile(requests, 0.9)}`
      }),
      fixedSample(stableRate, canaryRate, 0.1).toFixed(0),
    ]),
  )
}

function bursts() {
  const rows = [1, 3, 10].map((burst) => {
    const comparison = { stableRate: 0.01, canaryRate: 0.01, split: 0.1, maxRatio: 1, look: 50, looks: 500, burst }
    const share = (outcomes: Outcome[]) => percent(outcomes.filter((o) => o.breached).length / outcomes.length)
    const phis: number[] = []
    const raw = share(repeat(runs(500), (random) => compared(random, comparison)))
    const guarded = share(
      repeat(runs(500), (random) => {
        const phi = estimatedPhi(random, comparison, 400)
        phis.push(phi)
        return compared(random, { ...comparison, phi })
      }),
    )
    return [String(burst), raw, guarded, mean(phis).toFixed(1)]
  })
  table(
    'Failures in bursts: false alarms of the comparison over 500 looks, both versions at 1 %',
    ['burst', 'φ = 1', 'estimated φ', 'φ'],
    rows,
  )
}

print.note(`seed ${seed}${options.quick ? ', quick' : ''}`)
againstThresholds(100, [0.001, 0.009, 0.02, 0.05, 0.2, 1])
againstThresholds(20, [0.009, 0.05, 0.2])
onTheObjective()
afterHealth()
requestsUntilBreach()
comparedWithStable()
bursts()

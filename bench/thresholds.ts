/**
 * Bad requests let through from the onset of errors until traffic is put back: Sluice's analysis against the fixed
 * thresholds of other controllers, on the same requests.
 *
 *   node bench/thresholds.ts [--quick] [--json] [--seed N]
 *
 * Time is simulated and the numbers depend on the seed alone. Bar: at 20 % errors at most a tenth of what five failed
 * checks of a minute let through.
 */
import { parseArgs } from 'node:util'
import { type Comparison, compareRules, SETTING, type Toll } from './mesh/compare-rules.ts'
import { percent, printer, times } from './table.ts'

const { values } = parseArgs({
  options: { quick: { type: 'boolean' }, json: { type: 'boolean' }, seed: { type: 'string' } },
})
const print = printer(values.json)
const seed = Number(values.seed ?? 1)

const pasts = values.quick
  ? [
      { name: 'at once', healthySeconds: 60, plays: 10 },
      { name: 'after a healthy hour', healthySeconds: 3_600, plays: 10 },
    ]
  : [
      { name: 'at once', healthySeconds: 60, plays: 100 },
      { name: 'after a healthy day', healthySeconds: 86_400, plays: 10 },
    ]

const rows: string[][] = []
for (const { name, healthySeconds, plays } of pasts) {
  for (const sickRate of [0.02, 0.05, 0.2, 1]) {
    const act = { sickRate, healthySeconds, sickSeconds: sickRate < 0.05 ? 3_600 : 900, plays }
    rows.push(row(name, await compareRules(act, seed)))
  }
}

function row(past: string, { act, fiveFailures, oneFailure, judge }: Comparison): string[] {
  const unit = SETTING.scrape + SETTING.interval
  return [
    `${Number((100 * act.sickRate).toFixed(0))} %, ${past}`,
    fiveFailures.bad.toFixed(0),
    oneFailure.bad.toFixed(0),
    judge.bad.toFixed(0),
    times(judge.bad / fiveFailures.bad),
    times(judge.bad / oneFailure.bad),
    (judge.median / unit).toFixed(2),
    (judge.p90 / unit).toFixed(2),
    [fiveFailures, oneFailure, judge].map(({ missed, early }) => missed + early).join('/'),
  ]
}

print.table({
  title:
    'Bad requests let through (mean), 100 requests/s, 10 % canary, objective 99 %; detection in units of one scrape plus one interval',
  head: [
    'errors',
    '5 checks',
    '1 check',
    'Sluice',
    'of 5 checks',
    'of 1 check',
    'units median',
    'units 90 %',
    'missed or early',
  ],
  rows,
})
const inside = await compareRules(
  { sickRate: 0.008, healthySeconds: 0, sickSeconds: 3_600, plays: values.quick ? 5 : 100 },
  seed,
)
const rolledBack = ({ missed }: Toll) => percent(1 - missed / inside.act.plays)
print.table({
  title: 'A canary inside its objective (0.8 % errors, 99 % must succeed) for one hour: rolled back all the same',
  head: ['', '5 checks', '1 check', 'Sluice'],
  rows: [['of all plays', rolledBack(inside.fiveFailures), rolledBack(inside.oneFailure), rolledBack(inside.judge)]],
})
print.note(`seed ${seed}; checks look at one minute; scrape and interval ${SETTING.interval} s; bar at 20 %: 0.10×`)

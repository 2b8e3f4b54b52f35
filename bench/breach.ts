/**
 * How fast traffic is put back: from the verdict to the accepted weight write, and from the onset of errors to weight 0.
 *
 *   node bench/breach.ts [--quick] [--json] [--rollouts N] [--broken N] [--interval SECONDS] [--errors PERCENT] [--seed N]
 *
 * The controller is a process of its own against the sandbox's API server and Prometheus; requests are drawn, and follow
 * the weights. Nine of ten canaries break unless told, each at a moment of its own within four intervals. Bars: 99 of 100 writes
 * within 50 ms of the verdict; one scrape plus one interval from the onset.
 */
import { parseArgs } from 'node:util'
import { measureFleet } from './cluster/fleet.ts'
import { percent, printer, times } from './table.ts'

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean' },
    json: { type: 'boolean' },
    rollouts: { type: 'string' },
    broken: { type: 'string' },
    interval: { type: 'string' },
    errors: { type: 'string' },
    seed: { type: 'string' },
  },
})
const print = printer(values.json)
const rollouts = Number(values.rollouts ?? (values.quick ? 10 : 20))
const intervalSeconds = Number(values.interval ?? 1)
const errorRate = Number(values.errors ?? 20) / 100
const result = await measureFleet({
  rollouts,
  intervalSeconds,
  errorRate,
  broken: values.broken === undefined ? undefined : Number(values.broken),
  seed: Number(values.seed ?? 1),
})
const ms = (seconds: number) => `${(1000 * seconds).toFixed(0)} ms`

print.table({
  title: `${rollouts} rollouts at 10 %, interval and scrape ${intervalSeconds} s, ${percent(errorRate)} errors from a known moment on`,
  head: ['', 'mean', 'half', '90 of 100', '99 of 100', 'bar'],
  rows: [
    ['verdict → accepted write, within', ms(result.writeMean), ms(result.writeP50), '', ms(result.writeP99), '50 ms'],
    ['one plain write in the same run', ms(result.plainMean), ms(result.plainP50), '', ms(result.plainP99), ''],
    ['verdict → accepted write, in plain writes', times(result.writeMean / result.plainMean), '', '', '', ''],
    ['onset → weight 0, in scrape + interval', '', result.unitsP50.toFixed(2), result.unitsP90.toFixed(2), '', '1'],
  ],
})
print.table({
  title: 'The same run in counts',
  head: ['', 'measured', 'bar'],
  rows: [
    ['broken canaries put back', `${result.putBack}/${result.broken}`, 'all'],
    ['well canaries left alone', `${result.kept}/${result.well}`, 'all'],
    ['writes within 50 ms of the verdict', percent(result.within50ms), '99 %'],
  ],
})

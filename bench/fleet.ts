/**
 * What many Rollouts in one process cost, and how fast one of them is put back; each figure beside its bar.
 *
 *   node bench/fleet.ts [--quick] [--json] [--rollouts N --in-flight N [--broken N]] [--interval SECONDS] [--node='…']
 *
 * Unless told otherwise three runs: 1,000 Rollouts of which 100 are in flight, 1,000 in flight, and 10,000 with nothing to do.
 * The controller is a process of its own, in the environment of the image, against the sandbox's API server and Prometheus,
 * which count. A hundred canaries break at 20 % errors unless told, each at a moment of its own within two
 * intervals: all that break in one interval are noticed at the same look.
 */
import { parseArgs } from 'node:util'
import { type Bar, missed } from './bar.ts'
import { calibrate } from './calibration.ts'
import type { Costs } from './cluster/costs.ts'
import { type FleetOptions, type FleetResult, measureFleet } from './cluster/fleet.ts'
import { measureIdle } from './cluster/idle.ts'
import { percent, renderTable, times } from './table.ts'

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean' },
    json: { type: 'boolean' },
    rollouts: { type: 'string' },
    'in-flight': { type: 'string' },
    broken: { type: 'string' },
    interval: { type: 'string' },
    node: { type: 'string' },
  },
})
const intervalSeconds = Number(values.interval ?? (values.quick ? 1 : 15))
const node = values.node?.split(' ') ?? []
const common = {
  intervalSeconds,
  errorRate: 0.2,
  seed: 1,
  node,
  idleSeconds: values.quick ? 2 : 5,
  busySeconds: values.quick ? 4 : 46,
}
const told = values.rollouts === undefined ? undefined : Number(values.rollouts)
const fleets: Pick<FleetOptions, 'rollouts' | 'inFlight' | 'broken'>[] = told
  ? [
      {
        rollouts: told,
        inFlight: Number(values['in-flight'] ?? told),
        broken: values.broken ? Number(values.broken) : undefined,
      },
    ]
  : values.quick
    ? [{ rollouts: 20, inFlight: 10, broken: 5 }]
    : [
        { rollouts: 1_000, inFlight: 100, broken: 100 },
        { rollouts: 1_000, inFlight: 1_000, broken: 100 },
      ]
const many = told ? undefined : values.quick ? 50 : 10_000

const runs: { title: string; bars: Bar[] }[] = []
for (const fleet of fleets) {
  const result = await measureFleet({ ...common, ...fleet, onsetIntervals: 2, progress })
  const title = `${count(fleet.rollouts)} Rollouts, ${count(result.inFlight)} of them in flight, every ${intervalSeconds} s`
  runs.push({ title, bars: barsOf(result) })
}
if (many) {
  const { adoption, restart } = await measureIdle({ rollouts: many, idleSeconds: values.quick ? 2 : 10, node })
  const bars: Bar[] = [
    synced('start → synced, the first time', adoption.syncedMs),
    synced('start → synced, after a restart', restart.syncedMs),
    rss('RSS once all are adopted', adoption.rssBytes, 400),
    rss('RSS after a restart', restart.rssBytes, 400),
    none('API requests while idle', adoption.requests + restart.requests),
    none('Prometheus queries while idle', adoption.queries + restart.queries),
    none('writes after a restart', restart.writes),
  ]
  runs.push({ title: `${count(many)} Rollouts with nothing to do`, bars })
}
const machine = await calibrate()

if (values.json) console.log(JSON.stringify({ node, machine, runs }))
else {
  for (const { title, bars } of runs) {
    const rows = bars.map(({ what, measured, bar, met }) => [
      what,
      measured,
      bar,
      met === undefined ? '' : met ? 'yes' : 'MISSED',
    ])
    console.log(`${renderTable({ title, head: ['', 'measured', 'bar', 'met'], rows })}\n`)
  }
  const failed = runs.flatMap(({ title, bars }) => missed(bars).map((line) => `${line} (${title})`))
  console.log(failed.length === 0 ? 'every bar is met' : failed.join('\n'))
  console.log(
    `\nthis machine just now: ${machine.speed.toFixed(0)} MB/s of SHA-256 in one thread, timers late by up to ${machine.late.toFixed(0)} ms`,
  )
}

function barsOf({ idle, busy, ...result }: FleetResult): Bar[] {
  const intervals = 60 / intervalSeconds
  return [
    synced('start → synced', result.syncedMs),
    ...(idle ? idleBars(idle) : []),
    rss('busy: RSS, the most of five samples', busy.rssBytes, 200),
    { what: 'busy: share of one core', measured: percent(busy.core), bar: '25 %', met: busy.core <= 0.25 },
    { what: 'busy: API requests a minute', measured: rate(busy.requestsPerMinute), bar: '' },
    { what: 'busy: of them writes of status', measured: rate(busy.statusWritesPerMinute), bar: '' },
    {
      what: `busy: most writes of one status, within ${busy.seconds.toFixed(0)} s`,
      measured: String(busy.mostStatusWrites),
      bar: String(Math.ceil(busy.seconds / 60)),
      met: busy.mostStatusWrites <= Math.ceil(busy.seconds / 60),
    },
    {
      what: 'busy: Prometheus queries a minute, one kind of SLI',
      measured: rate(busy.queriesPerMinute),
      bar: rate(intervals),
      met: busy.queriesPerMinute <= 1.3 * intervals,
    },
    {
      what: 'busy: reconciles per rollout and interval',
      measured: (busy.reconcilesPerMinute / intervals / result.inFlight).toFixed(2),
      bar: '1',
      met: busy.reconcilesPerMinute / intervals / result.inFlight <= 1.1,
    },
    { what: 'breach → weight write, half within', measured: ms(result.writeP50), bar: '' },
    {
      what: 'breach → weight write, 99 of 100 within',
      measured: ms(result.writeP99),
      bar: '50 ms',
      met: result.writeP99 <= 0.05,
    },
    {
      what: '  the mean, in plain writes of the same run',
      measured: times(result.writeMean / result.plainMean),
      bar: '',
    },
    {
      what: 'onset of 20 % errors → weight 0, in scrape + interval, 9 of 10',
      measured: result.unitsP90.toFixed(2),
      bar: '1',
      met: result.unitsP90 <= 1.05,
    },
    all('broken canaries put back', result.putBack, result.broken),
    ...(result.well > 0 ? [all('well canaries left alone', result.kept, result.well)] : []),
  ]
}

function idleBars(idle: Costs): Bar[] {
  return [
    none('idle: API requests a minute', idle.requestsPerMinute),
    none('idle: Prometheus queries a minute', idle.queriesPerMinute),
    { what: 'idle: RSS', measured: megabytes(idle.rssBytes), bar: '' },
    { what: 'idle: share of one core', measured: percent(idle.core), bar: '' },
  ]
}

function synced(what: string, taken: number): Bar {
  return { what, measured: `${(taken / 1000).toFixed(1)} s`, bar: '10 s', met: taken <= 10_000 }
}

function rss(what: string, bytes: number, bar: number): Bar {
  return { what, measured: megabytes(bytes), bar: `${bar} MB`, met: bytes <= bar * 1e6 }
}

function none(what: string, found: number): Bar {
  return { what, measured: rate(found), bar: '0', met: found === 0 }
}

function all(what: string, found: number, of: number): Bar {
  return { what, measured: `${found}/${of}`, bar: 'all', met: found === of }
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(0)} MB`
}

function ms(seconds: number): string {
  return `${(1000 * seconds).toFixed(0)} ms`
}

function rate(number: number): string {
  return Number(number.toPrecision(3)).toLocaleString('en')
}

function count(number: number): string {
  return number.toLocaleString('en')
}

function progress(text: string): void {
  process.stderr.write(`  … ${text}\n`)
}

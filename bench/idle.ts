/**
 * What the controller costs while there is nothing to do: memory, requests and queries, with many Rollouts in a cluster.
 *
 *   node bench/idle.ts [--quick] [--json] [--rollouts N] [--seconds N] [--node='--max-semi-space-size=8']
 *
 * The controller is a process of its own; requests are counted by the API server and Prometheus it talks to. Bars: no
 * requests and no queries while idle besides watches; 400 MB and 10 s until synced with 10,000 Rollouts.
 */
import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { calibrate } from './calibration.ts'
import { type Idleness, measureIdle } from './cluster/idle.ts'
import { printer } from './table.ts'

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean' },
    json: { type: 'boolean' },
    rollouts: { type: 'string' },
    seconds: { type: 'string' },
    node: { type: 'string' },
  },
})
const print = printer(values.json)
const idleSeconds = Number(values.seconds ?? (values.quick ? 3 : 15))
const sizes = values.rollouts ? [Number(values.rollouts)] : [1, 50]

const rows: string[][] = []
const seen = new Set<string>()
for (const rollouts of sizes) {
  const result = await measureIdle({ rollouts, idleSeconds, node: values.node?.split(' ') ?? [] })
  rows.push(row([String(rollouts), 'first', ''], result.adoption))
  rows.push(row(['', 'again', String(result.healthy)], result.restart))
  for (const idleness of [result.adoption, result.restart]) for (const line of idleness.seen) seen.add(line)
}

function row(start: string[], idleness: Idleness): string[] {
  return [
    ...start,
    `${(idleness.rssBytes / 1e6).toFixed(0)} MB`,
    `${(idleness.heapBytes / 1e6).toFixed(0)} MB`,
    `${(idleness.syncedMs / 1000).toFixed(1)} s`,
    `${idleness.settling} (${idleness.writes})`,
    String(idleness.requests),
    String(idleness.watches),
    String(idleness.queries),
  ]
}

print.table({
  title: `The controller with nothing to do; requests and queries within ${idleSeconds} s of idleness`,
  head: [
    'Rollouts',
    'start',
    'Healthy',
    'RSS',
    'of it heap',
    'synced after',
    'requests (writes) until quiet',
    'requests idle',
    'watches renewed',
    'queries idle',
  ],
  rows,
})
const { speed, late } = await calibrate()
print.note(
  `this machine just now: ${cpus().length} cores, ${speed.toFixed(0)} MB/s of SHA-256 in one thread, timers late by up to ${late.toFixed(0)} ms`,
)
if (seen.size > 0) print.note(`asked while idle: ${[...seen].slice(0, 10).join(', ')}`)

/**
 * What the controller costs while there is nothing to do: memory, requests and queries, with many Rollouts in a cluster.
 *
 *   node bench/idle.ts [--quick] [--rollouts N] [--seconds N]
 *
 * The controller is a process of its own; requests are counted by the API server and Prometheus it talks to. Bars: no
 * requests and no queries while idle besides watches; 400 MB and 10 s until synced with 10,000 Rollouts.
 */
import { parseArgs } from 'node:util'
import { type Idleness, measureIdle } from './cluster/idle.ts'
import { renderTable } from './table.ts'

const { values } = parseArgs({
  options: { quick: { type: 'boolean' }, rollouts: { type: 'string' }, seconds: { type: 'string' } },
})
const idleSeconds = Number(values.seconds ?? (values.quick ? 3 : 15))
const sizes = values.rollouts ? [Number(values.rollouts)] : values.quick ? [1, 50] : [1, 1_000]

const rows: string[][] = []
const seen = new Set<string>()
for (const rollouts of sizes) {
  const result = await measureIdle({ rollouts, idleSeconds })
  const healthy = `${result.healthy}/${rollouts}`
  rows.push(row(`${rollouts} Rollouts, first start`, healthy, result.adoption))
  rows.push(row(`${rollouts} Rollouts, restart`, healthy, result.restart))
  for (const idleness of [result.adoption, result.restart]) for (const line of idleness.seen) seen.add(line)
}

function row(name: string, healthy: string, idleness: Idleness): string[] {
  return [
    name,
    healthy,
    `${(idleness.rssBytes / 1e6).toFixed(0)} MB`,
    `${(idleness.syncedMs / 1000).toFixed(1)} s`,
    String(idleness.settling),
    String(idleness.requests),
    String(idleness.watches),
    String(idleness.queries),
  ]
}

console.log(
  renderTable({
    title: `The controller with nothing to do; requests and queries within ${idleSeconds} s of idleness`,
    head: [
      'cluster',
      'Healthy',
      'RSS',
      'synced after',
      'requests until quiet',
      'requests idle',
      'watches renewed',
      'queries idle',
    ],
    rows,
  }),
)
if (seen.size > 0) console.log(`\nasked while idle: ${[...seen].slice(0, 10).join(', ')}`)

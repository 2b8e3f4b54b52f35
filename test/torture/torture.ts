import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { systemRuntime as runtime } from '../../src/runtime.ts'
import type { Kind } from './release.ts'
import { run } from './run.ts'

/**
 * `npm run torture -- [--seed N] [--minutes M] [--controllers 1|2]`: runs with rising seeds until the time is up. Exits with 1 when
 * an invariant was violated; the run's whole story is in the file that is named then. The seed decides what goes wrong and in which
 * order; processes and sockets keep their own time, so a seed repeats the kind of a run and not each of its instants.
 */
const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    minutes: { type: 'string', default: '5' },
    controllers: { type: 'string' },
  },
})
const first = numberOf('seed', 0)
const endsAt = runtime.monotonic() + numberOf('minutes', 0) * 60_000
const fixed = values.controllers === undefined ? undefined : numberOf('controllers', 1)
const kinds: Kind[] = ['bad', 'good', 'gated', 'reverted']

const total = { runs: 0, releases: 0, kills: 0, starts: 0, violations: 0 }
const faults = new Map<string, number>()
const say = (line: string) => void process.stdout.write(`${line}\n`)

// The controllers are killed when this process exits; a signal alone would leave them.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130))

for (let seed = first; seed === first || runtime.monotonic() < endsAt; seed++) {
  const controllers = fixed ?? 1 + (seed % 2)
  const result = await run({ seed, controllers, kinds, disturbMs: 30_000, patienceMs: 120_000 })
  total.runs++
  total.releases += kinds.length
  total.kills += result.kills
  total.starts += result.starts
  total.violations += result.violations.length
  for (const [name, count] of result.faults) faults.set(name, (faults.get(name) ?? 0) + count)
  const disturbed = [...result.faults.values()].reduce((sum, count) => sum + count, 0)
  say(
    `seed ${seed}, ${controllers} controller${controllers > 1 ? 's' : ''}: ${result.kills} kills, ${disturbed} faults, ${result.violations.length} violations`,
  )
  if (result.violations.length === 0) continue
  for (const { namespace, violation } of result.violations) say(`  ${violation.rule} ${namespace}: ${violation.what}`)
  const file = join(await mkdtemp(join(tmpdir(), 'sluice-torture-')), `seed-${seed}.txt`)
  const title = `seed ${seed}, ${controllers} controllers\n${JSON.stringify(result.violations, null, 1)}`
  await writeFile(file, `${title}\n${result.text}\n`)
  say(`  the whole story: ${file}`)
}

say('')
for (const [what, count] of Object.entries(total)) say(`${what.padEnd(44)} ${count}`)
for (const [name, count] of [...faults].sort(([a], [b]) => (a < b ? -1 : 1))) say(`${name.padEnd(44)} ${count}`)
process.exitCode = total.violations > 0 ? 1 : 0

function numberOf(name: 'seed' | 'minutes' | 'controllers', least: number): number {
  const value = Number(values[name])
  if (!(value >= least)) throw new RangeError(`--${name} must be a number from ${least} up, not "${values[name]}"`)
  return value
}

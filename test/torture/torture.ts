import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { systemRuntime as runtime } from '../../src/runtime.ts'
import { randomStream } from '../../src/sandbox/mesh/random.ts'
import { kinds } from './plot.ts'
import { type RunOptions, run } from './run.ts'

/**
 * `npm run torture -- [--seed N] [--minutes M] [--controllers N] [--mode subsets|deployment]`: runs with rising seeds until the time is up. Exits with 1 when
 * an invariant was violated; the run's whole story is in the file that is named then. The seed decides what goes wrong and in which
 * order; processes and sockets keep their own time, so a seed repeats the kind of a run and not each of its instants.
 */
const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    minutes: { type: 'string', default: '5' },
    controllers: { type: 'string' },
    mode: { type: 'string' },
  },
})
const first = numberOf('seed', 0)
const endsAt = runtime.monotonic() + numberOf('minutes', 0) * 60_000
const fixedMode = modeOf(values.mode)
const fixed = values.controllers === undefined ? undefined : numberOf('controllers', 1)
type Play = RunOptions['plays'][number]

/** Releases side by side in one run. */
const RELEASES = 5

const total = { runs: 0, releases: 0, kills: 0, faults: 0, starts: 0, starved: 0, violations: 0 }
const releases = new Map<string, number>()
const kills = new Map<string, number>()
const faults = new Map<string, number>()
const say = (line: string) => void process.stdout.write(`${line}\n`)

// The controllers are killed when this process exits; a signal alone would leave them.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130))

for (let seed = first; seed === first || runtime.monotonic() < endsAt; seed++) {
  const controllers = fixed ?? 1 + (seed % 2)
  const chosen = choose(seed)
  const result = await run({ seed, controllers, plays: chosen, disturbMs: 20_000, patienceMs: 120_000 })
  const killed = sum(result.kills)
  const disturbed = sum(result.faults)
  total.runs++
  total.releases += chosen.length
  total.kills += killed
  total.faults += disturbed
  total.starts += result.starts
  if (result.starved) total.starved++
  total.violations += result.violations.length
  for (const play of chosen) add(releases, nameOf(play), 1)
  for (const [name, count] of result.kills) add(kills, name, count)
  for (const [name, count] of result.faults) add(faults, name, count)
  say(
    `seed ${seed}, ${controllers} controller${controllers > 1 ? 's' : ''}: ${killed} kills, ${disturbed} faults, ${result.violations.length} violations${result.starved ? ', not finished because the machine had no time' : ''}; ${chosen.map(nameOf).join(', ')}`,
  )
  if (result.violations.length === 0) continue
  for (const { namespace, violation } of result.violations) say(`  ${violation.rule} ${namespace}: ${violation.what}`)
  const file = join(await mkdtemp(join(tmpdir(), 'sluice-torture-')), `seed-${seed}.txt`)
  const title = `seed ${seed}, ${controllers} controllers\n${JSON.stringify(result.violations, null, 1)}`
  await writeFile(file, `${title}\n${result.text}\n`)
  say(`  the whole story: ${file}`)
}

table('in all', new Map(Object.entries(total)))
table('releases', releases)
table('kills, by what was being done', kills)
table('faults', faults)
process.exitCode = total.violations > 0 ? 1 : 0

function numberOf(name: 'seed' | 'minutes' | 'controllers', least: number): number {
  const value = Number(values[name])
  if (!(value >= least)) throw new RangeError(`--${name} must be a number from ${least} up, not "${values[name]}"`)
  return value
}

function modeOf(text: string | undefined): Play['mode'] | undefined {
  if (text === undefined || text === 'subsets' || text === 'deployment') return text
  throw new RangeError(`--mode must be subsets or deployment, not "${text}"`)
}

/** Which releases a seed plays: no two alike, and all kinds as often in the long run. */
function choose(seed: number): Play[] {
  const random = randomStream(seed, 'kinds')
  const drawn = kinds.map((kind) => ({ kind, lot: random() })).sort((a, b) => a.lot - b.lot)
  return drawn
    .slice(0, RELEASES)
    .map(({ kind }) => ({ kind, mode: fixedMode ?? (random() < 0.5 ? 'subsets' : 'deployment') }))
}

function nameOf({ kind, mode }: Play): string {
  return mode === 'subsets' ? kind : `${kind} of a Deployment`
}

function add(counts: Map<string, number>, name: string, count: number): void {
  counts.set(name, (counts.get(name) ?? 0) + count)
}

function sum(counts: ReadonlyMap<string, number>): number {
  return [...counts.values()].reduce((all, count) => all + count, 0)
}

function table(title: string, counts: ReadonlyMap<string, number>): void {
  say(`\n${title}`)
  for (const [name, count] of [...counts].sort(([a], [b]) => (title === 'in all' ? 0 : a < b ? -1 : 1)))
    say(`  ${name.padEnd(76)} ${count}`)
}

/**
 * What deciding costs: plans per second and core, and how large a status gets, for the situations a Rollout is in.
 *
 *   node bench/plan.ts [--quick] [--json]
 *
 * The ratios between the rows mean more than the numbers, which are this machine's.
 */
import { parseArgs } from 'node:util'
import { plan } from '../src/plan/plan.ts'
import { World } from '../test/plan/world.ts'
import { printer, times } from './table.ts'

const { values: options } = parseArgs({ options: { quick: { type: 'boolean' }, json: { type: 'boolean' } } })
const print = printer(options.json)
const measureMs = options.quick ? 100 : 1_000

/** A world in which v2 is held at 10 %. */
function holding(): World {
  const world = new World()
  world.settle()
  world.desire('v2')
  for (let i = 0; i < 20 && world.weight !== 10; i++) world.pass(15_000)
  return world
}

function idle(): World {
  const world = new World()
  world.settle()
  return world
}

function breaching(): World {
  const world = holding()
  world.breaching.add('v2')
  return world
}

/** Git has been down for long: everything that was decided is still owed. */
function owing(): World {
  const world = holding()
  world.gitDown = true
  for (let i = 0; i < 60; i++) {
    world.desire(i % 2 === 0 ? 'v3' : 'v4')
    world.settle()
  }
  return world
}

/** Twenty contents have been rolled back before this one. */
function scarred(): World {
  const world = holding()
  for (let i = 0; i < 20; i++) {
    world.breaching.add('v2')
    world.settle()
    world.breaching.clear()
    world.contents.v2 += 'x'
    world.desire('v2')
    for (let look = 0; look < 20 && world.weight !== 10; look++) world.pass(15_000)
  }
  return world
}

/** Plans per second of CPU time for one world that does not change. */
function decisionsPerSecond(world: World): number {
  const [status, seen, now] = [world.status, world.observe(), world.now]
  for (let i = 0; i < 2_000; i++) plan(status, seen, now)
  const batch = 200
  let [decisions, micros] = [0, 0]
  while (micros < measureMs * 1_000) {
    const before = process.cpuUsage()
    for (let i = 0; i < batch; i++) plan(status, seen, now)
    const { user, system } = process.cpuUsage(before)
    decisions += batch
    micros += user + system
  }
  return (decisions * 1e6) / micros
}

const cases: [name: string, make: () => World][] = [
  ['idle: nothing is released', idle],
  ['holding at 10 %', holding],
  ['breaching: weight 0 is decided', breaching],
  ['holding, 20 known-bad revisions', scarred],
  ['holding, 50 commits owed to Git', owing],
]

const measured = cases.map(([name, make]) => {
  const world = make()
  const bytes = Buffer.byteLength(JSON.stringify(world.status))
  return { name, perSecond: decisionsPerSecond(world), bytes }
})
const base = measured[0]
const rows = measured.map(({ name, perSecond, bytes }) => [
  name,
  Math.round(perSecond).toLocaleString('en'),
  `${Math.round(1e6 / perSecond)} µs`,
  base ? times(base.perSecond / perSecond) : '-',
  bytes.toLocaleString('en'),
  base ? times(bytes / base.bytes) : '-',
])
print.table({
  title: 'plan: what one decision costs, on one core',
  head: ['the Rollout is', 'decisions per second', 'each', 'cost against idle', 'status, bytes', 'against idle'],
  rows,
})

import fc from 'fast-check'
import { type Common, common, declaration, ending, happen, happens, killing, type Setup, setup } from './commands.ts'
import { watch } from './watch.ts'
import { World } from './world.ts'

const names = ['v1', 'v2', 'v3'] as const
type Name = (typeof names)[number]

/** One thing that happens to a Rollout between two versions that run side by side. */
export type Command =
  | Common
  | { do: 'desire'; name: Name }
  | { do: 'content'; name: Name; to: string }
  | { do: 'breach'; name: Name; on: boolean }
  | { do: 'pods'; name: Name; state: 'ready' | 'unready' | 'gone' | 'rolling' }
  | { do: 'stale' }

export interface History {
  setup: Setup
  commands: Command[]
}

const name = fc.constantFrom<Name[]>('v2', 'v2', 'v3', 'v1')
const on = fc.boolean()

const command: fc.Arbitrary<Command> = fc.oneof(
  ...common,
  { weight: 3, arbitrary: happens<Command>('desire', { name }) },
  { weight: 1, arbitrary: happens<Command>('content', { name, to: fc.constantFrom('x', 'yy') }) },
  { weight: 3, arbitrary: happens<Command>('breach', { name, on }) },
  {
    weight: 3,
    arbitrary: happens<Command>('pods', {
      name,
      state: fc.constantFrom('ready', 'ready', 'unready', 'gone', 'rolling'),
    }),
  },
  { weight: 1, arbitrary: happens<Command>('stale', {}) },
)

/** Histories of a Rollout that begins to release v2, and of everything that gets in its way. */
export function histories(maxLength = 11): fc.Arbitrary<History> {
  return fc
    .tuple(setup, fc.array(command, { minLength: 1, maxLength }), ending)
    .map(([declared, body, end]) => ({ setup: declared, commands: [...body, ...end] }))
}

/** Plays a history and looks at everything that can be seen from outside all the while. `kill` says which reconcile dies where. */
export function play(
  history: History,
  kill?: (reconcile: number) => number | undefined,
  onStatus?: (status: World['status']) => void,
): World {
  const { setup: declared, commands } = history
  const world = new World(declaration(declared))
  world.commits = declared.commits
  world.gitMode = declared.mode
  if (declared.twoRoutes) world.second = { ...world.points }
  const watcher = watch(world)
  world.onStatus = onStatus
  if (kill) world.mishap = killing(kill)
  world.settle()
  world.desire('v2')
  world.settle()
  for (const c of commands) {
    if (world.gone) break
    watcher.before(c)
    happenHere(world, c, declared)
    if (!world.gone) world.settle()
    watcher.after(c)
  }
  world.mishap = undefined
  watcher.end()
  return world
}

function happenHere(world: World, c: Command, declared: Setup): void {
  switch (c.do) {
    case 'desire':
      world.desire(c.name)
      return
    case 'content':
      world.contents[c.name] += c.to
      return
    case 'breach':
      if (c.on) world.breaching.add(c.name)
      else world.breaching.delete(c.name)
      return
    case 'pods':
      world.workloadGone.delete(c.name)
      if (world.rolling === c.name) world.rolling = undefined
      world.pods[c.name] = { replicas: 2, ready: c.state === 'unready' ? 0 : 2 }
      if (c.state === 'gone') world.workloadGone.add(c.name)
      if (c.state === 'rolling') world.rolling = c.name
      return
    case 'stale': {
      const { points, writer, resourceVersion } = world
      world.cached = structuredClone({ points, writer, resourceVersion })
      world.settle()
      world.cached = undefined
      return
    }
    default:
      happen(world, c, declared)
  }
}

import fc from 'fast-check'
import { watch } from './watch.ts'
import { World } from './world.ts'

const names = ['v1', 'v2', 'v3'] as const
type Name = (typeof names)[number]

/** One thing that happens to a Rollout. */
export type Command =
  | { do: 'time'; ms: number }
  | { do: 'leap'; ms: number }
  | { do: 'desire'; name: Name }
  | { do: 'content'; name: Name; to: string }
  | { do: 'touch' }
  | { do: 'breach'; name: Name; on: boolean }
  | { do: 'silence'; how: 'NoData' | 'Error' | 'None' }
  | { do: 'gap'; on: boolean }
  | { do: 'few'; on: boolean }
  | { do: 'pods'; name: Name; state: 'ready' | 'unready' | 'gone' | 'rolling' }
  | { do: 'git'; state: 'up' | 'down' | 'refuses' }
  | { do: 'person'; weight: number }
  | { do: 'decide'; state: 'Approved' | 'Rejected' | 'Expired'; old: boolean }
  | {
      do: 'request'
      verb: 'pause' | 'resume' | 'promote' | 'abort' | 'retry'
      aim: 'right' | 'wrong' | 'none'
      full: boolean
    }
  | { do: 'suspend'; on: boolean }
  | { do: 'window'; open: boolean }
  | { do: 'steps'; weights: number[] }
  | { do: 'objective'; percent: number }
  | { do: 'valid'; on: boolean }
  | { do: 'others'; weight: number; oneRoute: boolean }
  | { do: 'route'; state: 'there' | 'missing' | 'ambiguous' }
  | { do: 'fail'; times: number }
  | { do: 'crash'; after: number; recorded: boolean }
  | { do: 'stale' }
  | { do: 'deposed' }
  | { do: 'delete'; terminating: boolean }

/** How a Rollout is declared. */
export interface Setup {
  approvalAt: number
  commits: 'EveryStep' | 'Outcomes'
  mode: 'Push' | 'Off'
  onInsufficientData: 'Hold' | 'Rollback' | 'Proceed'
  onExpiry: 'Reject' | 'Hold'
  twoRoutes: boolean
}

export interface History {
  setup: Setup
  commands: Command[]
}

const name = fc.constantFrom<Name[]>('v2', 'v2', 'v3', 'v1')
const on = fc.boolean()
const weight = fc.constantFrom(0, 5, 10, 30, 50, 100)

function happens<T extends Command['do']>(what: T, rest: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<Command> {
  return fc.record({ do: fc.constant(what), ...rest }).map((c) => c as unknown as Command)
}

const time = fc.oneof(
  happens('time', { ms: fc.constantFrom(1_000, 5_000, 15_000, 15_000, 30_000, 30_000, 75_000) }),
  happens('leap', { ms: fc.constantFrom(60_000, 600_000, 3_600_000, 90_000_000) }),
)

const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 14, arbitrary: time },
  { weight: 3, arbitrary: happens('desire', { name }) },
  { weight: 1, arbitrary: happens('content', { name, to: fc.constantFrom('x', 'yy') }) },
  { weight: 1, arbitrary: happens('touch', {}) },
  { weight: 3, arbitrary: happens('breach', { name, on }) },
  { weight: 2, arbitrary: happens('silence', { how: fc.constantFrom('NoData', 'Error', 'None') }) },
  { weight: 1, arbitrary: happens('gap', { on }) },
  { weight: 1, arbitrary: happens('few', { on }) },
  {
    weight: 3,
    arbitrary: happens('pods', { name, state: fc.constantFrom('ready', 'ready', 'unready', 'gone', 'rolling') }),
  },
  { weight: 3, arbitrary: happens('git', { state: fc.constantFrom('up', 'up', 'down', 'refuses') }) },
  { weight: 1, arbitrary: happens('person', { weight }) },
  {
    weight: 4,
    arbitrary: happens('decide', { state: fc.constantFrom('Approved', 'Approved', 'Rejected', 'Expired'), old: on }),
  },
  {
    weight: 3,
    arbitrary: happens('request', {
      verb: fc.constantFrom('pause', 'resume', 'promote', 'abort', 'retry'),
      aim: fc.constantFrom('right', 'wrong', 'none'),
      full: on,
    }),
  },
  { weight: 1, arbitrary: happens('suspend', { on }) },
  { weight: 1, arbitrary: happens('window', { open: on }) },
  {
    weight: 1,
    arbitrary: happens('steps', { weights: fc.constantFrom([10, 50, 100], [5, 30, 100], [100], [20, 40, 60, 100]) }),
  },
  { weight: 1, arbitrary: happens('objective', { percent: fc.constantFrom(99, 99.5) }) },
  { weight: 1, arbitrary: happens('valid', { on }) },
  { weight: 2, arbitrary: happens('others', { weight, oneRoute: on }) },
  { weight: 1, arbitrary: happens('route', { state: fc.constantFrom('there', 'missing', 'ambiguous') }) },
  { weight: 2, arbitrary: happens('fail', { times: fc.constantFrom(1, 2, 5) }) },
  { weight: 4, arbitrary: happens('crash', { after: fc.nat(5), recorded: on }) },
  { weight: 1, arbitrary: happens('stale', {}) },
  { weight: 1, arbitrary: happens('deposed', {}) },
)

const ending = fc.oneof(
  { weight: 6, arbitrary: fc.constant<Command[]>([]) },
  {
    weight: 1,
    arbitrary: happens('delete', { terminating: on }).map((c): Command[] => [c, { do: 'time', ms: 15_000 }]),
  },
)

const setup: fc.Arbitrary<Setup> = fc.record({
  approvalAt: fc.constantFrom(-1, -1, 0, 1, 2),
  commits: fc.constantFrom('EveryStep', 'EveryStep', 'Outcomes'),
  mode: fc.constantFrom('Push', 'Push', 'Push', 'Off'),
  onInsufficientData: fc.constantFrom('Hold', 'Rollback', 'Proceed'),
  onExpiry: fc.constantFrom('Reject', 'Hold'),
  twoRoutes: on,
})

/** Histories of a Rollout that begins to release v2, and of everything that gets in its way. */
export function histories(maxLength = 11): fc.Arbitrary<History> {
  return fc
    .tuple(setup, fc.array(command, { minLength: 1, maxLength }), ending)
    .map(([declared, body, end]) => ({ setup: declared, commands: [...body, ...end] }))
}

/** The steps of a history: 15 s each, an approval before one of them. */
function stepsOf(weights: readonly number[], { approvalAt, onExpiry }: Setup) {
  return weights.map((w, i) => ({
    weight: w,
    hold: '15s',
    ...(i === approvalAt ? { approval: { from: ['user:dana'], expires: '24h', onExpiry } } : {}),
  }))
}

/** Plays a history and looks at everything that can be seen from outside all the while. `kill` says which reconcile dies where. */
export function play(
  history: History,
  kill?: (reconcile: number) => number | undefined,
  onStatus?: (status: World['status']) => void,
): World {
  const { setup: declared, commands } = history
  const world = new World({
    steps: stepsOf([10, 50, 100], declared),
    analysis: { onInsufficientData: { after: '10m', do: declared.onInsufficientData } },
  })
  world.commits = declared.commits
  world.gitMode = declared.mode
  if (declared.twoRoutes) world.second = { ...world.points }
  const watcher = watch(world)
  world.onStatus = onStatus
  let count = 0
  if (kill)
    world.mishap = () => {
      const at = kill(count++)
      return at === undefined ? {} : at < 0 ? { crashRecorded: true } : { crashAfter: at }
    }
  world.settle()
  world.desire('v2')
  world.settle()
  for (const c of commands) {
    if (world.gone) break
    watcher.before(c)
    happen(world, c, declared)
    if (!world.gone) world.settle()
    watcher.after(c)
  }
  world.mishap = undefined
  watcher.end()
  return world
}

function happen(world: World, c: Command, declared: Setup): void {
  const { canary, stable } = world.status
  switch (c.do) {
    case 'time':
      world.pass(c.ms)
      return
    case 'leap':
      world.advance(c.ms)
      return
    case 'desire':
      world.desire(c.name)
      return
    case 'content':
      world.contents[c.name] += c.to
      return
    case 'touch':
      world.generation++
      return
    case 'breach':
      if (c.on) world.breaching.add(c.name)
      else world.breaching.delete(c.name)
      return
    case 'silence':
      world.silence = c.how === 'None' ? undefined : c.how
      return
    case 'gap':
      world.gap = c.on
      return
    case 'few':
      world.stepEvents = c.on ? 3 : undefined
      return
    case 'pods':
      world.workloadGone.delete(c.name)
      if (world.rolling === c.name) world.rolling = undefined
      world.pods[c.name] = { replicas: 2, ready: c.state === 'unready' ? 0 : 2 }
      if (c.state === 'gone') world.workloadGone.add(c.name)
      if (c.state === 'rolling') world.rolling = c.name
      return
    case 'git':
      world.gitDown = c.state === 'down'
      world.gitRefuses = c.state === 'refuses'
      return
    case 'person':
      if (canary && world.gitMode === 'Push' && !world.gitDown) world.personWrites(canary.name, c.weight)
      return
    case 'decide':
      for (const a of Object.values(world.approvals)) {
        if (a.state !== 'Pending' || (a.closed !== undefined) !== c.old) continue
        if (c.state === 'Expired' && !c.old) world.advance(25 * 3_600_000)
        Object.assign(a, { state: c.state, by: c.state === 'Expired' ? [] : ['dana'] })
      }
      return
    case 'request':
      world.ask(c.verb, {
        ...(c.aim === 'none' || c.verb === 'retry'
          ? {}
          : { revision: c.aim === 'right' ? (canary?.revision ?? '') : 'v9-x' }),
        full: c.full,
      })
      return
    case 'suspend':
      world.spec = { ...world.spec, suspend: c.on }
      world.generation++
      return
    case 'window':
      world.spec = { ...world.spec, windows: c.open ? [] : [{ deny: '0 0 * * *', for: '24h', timezone: 'UTC' }] }
      return
    case 'steps':
      world.spec = { ...world.spec, steps: new World({ steps: stepsOf(c.weights, declared) }).spec.steps }
      return
    case 'objective':
      world.spec = {
        ...world.spec,
        analysis: { ...world.spec.analysis, slis: [{ name: 'success-rate', successRate: { objective: c.percent } }] },
      }
      return
    case 'valid':
      world.specProblem = c.on ? undefined : { reason: 'InvalidSpec', message: 'spec.steps: must rise' }
      return
    case 'others':
      if (!canary || !stable || world.problem) return
      if (c.oneRoute && world.second) {
        const first = { ...world.points }
        world.write(canary.name, c.weight, 'kubectl')
        world.points = first
      } else world.write(canary.name, c.weight, 'kubectl')
      return
    case 'route':
      world.problem =
        c.state === 'there'
          ? undefined
          : c.state === 'missing'
            ? { reason: 'VirtualServiceMissing', message: 'the VirtualService my-app does not exist' }
            : { reason: 'RouteAmbiguous', message: 'two routes split traffic' }
      return
    case 'fail': {
      let left = c.times
      for (let i = 0; i < 4; i++) world.reconcile({ fails: (e) => e.kind === 'setWeight' && left-- > 0 })
      return
    }
    case 'crash':
      world.reconcile(c.recorded ? { crashRecorded: true } : { crashAfter: c.after })
      return
    case 'stale': {
      const { points, writer, resourceVersion } = world
      world.cached = structuredClone({ points, writer, resourceVersion })
      world.settle()
      world.cached = undefined
      return
    }
    case 'deposed':
      world.deposed()
      return
    case 'delete':
      world.deleting = true
      world.deletedAt = world.now
      world.namespaceTerminating = c.terminating
      return
  }
}

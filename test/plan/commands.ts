import fc from 'fast-check'
import { World } from './world.ts'

/** One thing that happens to a Rollout, whichever way its workload is declared. */
export type Common =
  | { do: 'time'; ms: number }
  | { do: 'leap'; ms: number }
  | { do: 'touch' }
  | { do: 'silence'; how: 'NoData' | 'Error' | 'None' }
  | { do: 'gap'; on: boolean }
  | { do: 'few'; on: boolean }
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

const on = fc.boolean()
const weight = fc.constantFrom(0, 5, 10, 30, 50, 100)

/** A command of one kind, with arbitrary particulars. */
export function happens<T extends { do: string }>(
  what: T['do'],
  rest: Record<string, fc.Arbitrary<unknown>>,
): fc.Arbitrary<T> {
  return fc.record({ do: fc.constant(what), ...rest }).map((c) => c as unknown as T)
}

const time = fc.oneof(
  happens<Common>('time', { ms: fc.constantFrom(1_000, 5_000, 15_000, 15_000, 30_000, 30_000, 75_000) }),
  happens<Common>('leap', { ms: fc.constantFrom(60_000, 600_000, 3_600_000, 90_000_000) }),
)

/** What happens in either mode, with how often. */
export const common: readonly fc.WeightedArbitrary<Common>[] = [
  { weight: 14, arbitrary: time },
  { weight: 1, arbitrary: happens('touch', {}) },
  { weight: 2, arbitrary: happens('silence', { how: fc.constantFrom('NoData', 'Error', 'None') }) },
  { weight: 1, arbitrary: happens('gap', { on }) },
  { weight: 1, arbitrary: happens('few', { on }) },
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
  { weight: 1, arbitrary: happens('deposed', {}) },
]

/** One history in seven ends with the Rollout being deleted. */
export const ending: fc.Arbitrary<Common[]> = fc.oneof(
  { weight: 6, arbitrary: fc.constant<Common[]>([]) },
  {
    weight: 1,
    arbitrary: happens<Common>('delete', { terminating: on }).map((c): Common[] => [c, { do: 'time', ms: 15_000 }]),
  },
)

export const setup: fc.Arbitrary<Setup> = fc.record({
  approvalAt: fc.constantFrom(-1, -1, 0, 1, 2),
  commits: fc.constantFrom('EveryStep', 'EveryStep', 'Outcomes'),
  mode: fc.constantFrom('Push', 'Push', 'Push', 'Off'),
  onInsufficientData: fc.constantFrom('Hold', 'Rollback', 'Proceed'),
  onExpiry: fc.constantFrom('Reject', 'Hold'),
  twoRoutes: on,
})

/** The steps of a history: 15 s each, an approval before one of them. */
export function stepsOf(weights: readonly number[], { approvalAt, onExpiry }: Setup) {
  return weights.map((w, i) => ({
    weight: w,
    hold: '15s',
    ...(i === approvalAt ? { approval: { from: ['user:dana'], expires: '24h', onExpiry } } : {}),
  }))
}

/** What is declared besides the workload and the route. */
export function declaration(declared: Setup) {
  return {
    steps: stepsOf([10, 50, 100], declared),
    analysis: { onInsufficientData: { after: '10m', do: declared.onInsufficientData } },
  }
}

/** The reconciles that die, as the world is told of it: by number, before which effect, or (-1) once the status was recorded. */
export function killing(kill: (reconcile: number) => number | undefined): NonNullable<World['mishap']> {
  let count = 0
  return () => {
    const at = kill(count++)
    return at === undefined ? {} : at < 0 ? { crashRecorded: true } : { crashAfter: at }
  }
}

/** Lets a command happen. */
export function happen(world: World, c: Common, declared: Setup): void {
  const pair = world.status.canary && world.destinations()
  switch (c.do) {
    case 'time':
      world.pass(c.ms)
      return
    case 'leap':
      world.advance(c.ms)
      return
    case 'touch':
      world.generation++
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
    case 'git':
      world.gitDown = c.state === 'down'
      world.gitRefuses = c.state === 'refuses'
      return
    case 'person':
      if (pair && world.gitMode === 'Push' && !world.gitDown) world.personWrites(pair.canary, c.weight)
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
          : { revision: c.aim === 'right' ? (world.status.canary?.revision ?? '') : 'v9-x' }),
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
      if (!pair || world.problem) return
      if (c.oneRoute && world.second) {
        const first = { ...world.points }
        world.write(pair.canary, c.weight, 'kubectl')
        world.points = first
      } else world.write(pair.canary, c.weight, 'kubectl')
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

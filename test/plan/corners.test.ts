import { describe, expect, test } from 'vitest'
import { rolloutStatus } from '../../src/api/status.ts'
import { plan } from '../../src/plan/plan.ts'
import { World } from './world.ts'

const approvalSteps = [
  { weight: 10, hold: '1m' },
  { weight: 50, hold: '1m', approval: { from: ['user:dana'] } },
  { weight: 100, hold: '1m' },
]

type Spec = ConstructorParameters<typeof World>[0]

/** A world in which v2 is held at `weight`. */
function at(weight: number, spec: Spec = {}): World {
  const world = new World(spec)
  world.settle()
  world.desire('v2')
  for (let i = 0; i < 100 && world.weight !== weight; i++) world.pass(15_000)
  expect(world.weight).toBe(weight)
  return world
}

const dead = { replicas: 2, ready: 0 }
const alive = { replicas: 2, ready: 2 }

describe('the weight comes first', () => {
  test('an abort lowers the weight before anything else is done', () => {
    const world = at(10)
    world.request = { id: '1', verb: 'abort' }
    const { effects } = plan(world.status, world.observe(), world.now)
    expect(effects[0]).toMatchObject({ kind: 'setWeight', weight: 0, direction: 'retreat' })
  })

  test('a breach seen together with the end of a forward move lowers the weight before that is told', () => {
    const world = at(10)
    while (!world.status.step?.entering) world.pass(1_000, { fails: (e) => e.kind === 'setWeight' })
    world.write('v2', 50, 'sluice')
    world.breaching.add('v2')
    const { effects } = plan(world.status, world.observe(), world.now)
    expect(effects[0]).toMatchObject({ kind: 'setWeight', weight: 0, direction: 'retreat' })
  })
})

describe('what this process wrote itself', () => {
  /** The route as a watch has it that has seen nothing since. */
  const shown = ({ points, writer, resourceVersion }: World) => structuredClone({ points, writer, resourceVersion })

  /** Reconciles until `subset` gets traffic, and what a lagging watch shows then. */
  function firstMove(world: World, subset: string) {
    for (let i = 0; i < 20; i++) {
      const before = shown(world)
      world.reconcile()
      if (world.points[subset] !== 0) return before
    }
    throw new Error('did not move')
  }

  test('a watch that lags behind a forward move is not somebody lowering the weight', () => {
    const world = new World()
    world.settle()
    world.desire('v2')
    world.cached = firstMove(world, 'v2')
    world.settle()
    expect(world.events.map((e) => e.reason)).not.toContain('WeightLowered')
    world.cached = undefined
    world.pass(10 * 60_000)
    expect(world.weightsOf('v2')).toEqual([10, 50, 100])
  })

  test('a watch that lags for longer is believed', () => {
    const world = new World()
    world.settle()
    world.desire('v2')
    world.cached = firstMove(world, 'v2')
    world.now += 11_000
    world.settle()
    expect(world.events.map((e) => e.reason)).toContain('WeightLowered')
  })

  test('a watch that still shows the retreat from the revision before rolls nothing back', () => {
    const world = at(10)
    world.breaching.add('v2')
    world.settle()
    expect(world.writer?.manager).toContain('sluice-retreat.Breach')
    world.desire('v3')
    world.cached = firstMove(world, 'v3')
    world.settle()
    expect(world.status.knownBad).toHaveLength(1)
    expect(world.status).toMatchObject({ canary: { name: 'v3' }, step: { weight: 10 } })
  })

  test('a breach is answered also while the watch lags', () => {
    const world = new World()
    world.settle()
    world.desire('v2')
    world.cached = firstMove(world, 'v2')
    world.breaching.add('v2')
    const { effects } = world.reconcile()
    expect(effects[0]).toMatchObject({ kind: 'setWeight', weight: 0, direction: 'retreat' })
  })

  test('a watch that lags behind a retreat is not taken for weights found at a start', () => {
    const world = at(10)
    world.gitMode = 'Off'
    const before = shown(world)
    world.breaching.add('v2')
    world.contents.v2 = 'bb'
    world.reconcile()
    world.breaching.clear()
    world.cached = before
    world.now += 100
    world.reconcile()
    expect(world.status.canary).toBeUndefined()
    world.cached = undefined
    world.settle()
    expect(world.status.knownBad).toHaveLength(1)
    expect(world.status).toMatchObject({ attempt: 2, canary: { name: 'v2' } })
  })
})

describe('evidence of a lowered canary', () => {
  test('a breach in the evidence up to the lowering is a breach although the canary has no traffic any more', () => {
    const world = at(10)
    world.write('v2', 0, 'kubectl')
    world.settle()
    world.verdicts['success-rate'] = 'Breach'
    world.pass(5 * 60_000)
    expect(world.weightsOf('v2')).toEqual([10, 0])
    expect(world.status).toMatchObject({ knownBad: [{ name: 'v2' }], lastOutcome: { result: 'RolledBack' } })
  })

  test('a query that is outside its bounds before the canary has traffic holds, and is no breach', () => {
    const world = new World()
    world.settle()
    world.verdicts['success-rate'] = 'Breach'
    world.desire('v2')
    world.pass(5 * 60_000)
    expect(world.changes).toEqual([])
    expect(world.status.knownBad ?? []).toEqual([])
    expect(world.status.message).toContain('success-rate')
  })
})

describe('no ready stable pod', () => {
  test('a retreat that could not be written holds when stable has gone meanwhile', () => {
    const world = at(10)
    world.breaching.add('v2')
    world.reconcile({ fails: (e) => e.kind === 'setWeight' })
    world.pods.v1 = dead
    world.pass(30_000)
    expect(world.weightsOf('v2')).toEqual([10])
    world.pods.v1 = alive
    world.settle()
    expect(world.weightsOf('v2')).toEqual([10, 0])
  })

  test('a person who lowers the weight in Git all the same is heard', () => {
    const world = at(10)
    world.pods.v1 = dead
    world.breaching.add('v2')
    world.settle()
    expect(world.weightsOf('v2')).toEqual([10])
    world.personWrites('v2', 0)
    world.settle()
    expect(world.weightsOf('v2')).toEqual([10, 0])
  })

  test('a superseded canary is kept likewise, and moves nowhere, also when it is desired again', () => {
    const world = at(10)
    world.desire('v3')
    world.reconcile({ fails: (e) => e.kind === 'setWeight' })
    world.pods.v1 = dead
    world.pass(30_000)
    world.desire('v2')
    world.pass(5 * 60_000)
    expect(world.weightsOf('v2')).toEqual([10])
    world.pods.v1 = alive
    world.settle()
    expect(world.weightsOf('v2').slice(0, 2)).toEqual([10, 0])
  })

  test.each<[string, Spec, (world: World) => void]>([
    [
      'too few requests',
      { analysis: { onInsufficientData: { after: '1m', do: 'Rollback' } } },
      (world) => Object.assign(world, { stepEvents: 1 }),
    ],
    [
      'an expired approval',
      { steps: approvalSteps },
      (world) => {
        for (const a of Object.values(world.approvals)) a.state = 'Expired'
        world.now += 25 * 3_600_000
      },
    ],
  ])('%s does not send traffic to nobody', (_, spec, happens) => {
    const world = at(10, spec)
    world.pass(2 * 60_000)
    world.pods.v1 = dead
    happens(world)
    world.pass(5 * 60_000)
    expect(world.weightsOf('v2').at(-1)).not.toBe(0)
    expect(world.status.message).toContain('no ready pod to go back to')
    world.pods.v1 = alive
    world.settle()
    expect(world.weightsOf('v2').at(-1)).toBe(0)
  })

  test('a canary that somebody raised because stable is gone is left there', () => {
    const world = at(10)
    world.pods.v1 = dead
    world.write('v2', 100, 'kubectl')
    world.pass(60_000)
    expect(world.weight).toBe(100)
    expect(world.status.message).toContain('no ready pod')
    world.pods.v1 = alive
    world.reconcile()
    expect(world.weight).toBe(10)
  })

  test('an abort that a person asks for is done all the same, and not forgotten behind a breach', () => {
    const world = at(10)
    world.pods.v1 = dead
    world.breaching.add('v2')
    world.settle()
    world.request = { id: '1', verb: 'abort', by: 'dana' }
    world.settle()
    expect(world.weightsOf('v2')).toEqual([10, 0])
    expect(world.status.lastOutcome?.result).toBe('Aborted')
  })

  test('a known-bad version that carries traffic at adoption keeps it until stable is ready', () => {
    const world = new World({ workload: { subsets: { desired: 'v2' } } }, { v1: 90, v2: 10, v3: 0, v4: 0 })
    const { revision, hash } = world.revision('v2')
    const { revision: stable, hash: stableHash } = world.revision('v1')
    world.memory = {
      cluster: 'c',
      stable: { revision: stable, name: 'v1', hash: stableHash },
      knownBad: [{ revision, name: 'v2', hash, reason: 'Breach.success-rate', at: '2025-12-31T00:00:00Z' }],
    }
    world.pods.v1 = dead
    world.settle()
    expect(world.points.v2).toBe(10)
    expect(world.status.message).toContain('no ready pod')
    world.pods.v1 = alive
    world.settle()
    expect(world.points.v2).toBe(0)
    expect(world.status.phase).toBe('RolledBack')
  })
})

describe('routes that do not split alike', () => {
  test('one route lowered by somebody is a lowering: the others follow, nothing spins', () => {
    const world = at(10)
    world.second = { ...world.points, v1: 95, v2: 5 }
    world.resourceVersion++
    world.writer = { manager: 'kubectl' }
    world.settle()
    expect(world.weight).toBe(5)
    expect(world.events.map((e) => e.reason)).toContain('WeightLowered')
    world.pass(10 * 60_000)
    expect(world.points.v2).toBe(100)
  })

  test('one route raised by somebody is put back', () => {
    const world = at(10)
    world.second = { ...world.points, v1: 40, v2: 60 }
    world.resourceVersion++
    world.writer = { manager: 'kubectl' }
    world.settle()
    expect(world.second?.v2).toBe(10)
    expect(world.points.v2).toBe(10)
    expect(world.events.map((e) => e.reason)).toContain('WeightRaised')
  })
})

describe('workloads that vanish', () => {
  test('the canary is deleted while it carries traffic: back within seconds', () => {
    const world = at(10)
    world.workloadGone.add('v2')
    world.settle()
    world.now += 5_000
    world.settle()
    expect(world.weightsOf('v2')).toEqual([10, 0])
    expect(world.status.lastOutcome?.reason).toBe('NoReadyPods')
  })

  test('desired names a version without a workload: the one in flight goes back', () => {
    const world = at(10)
    world.workloadGone.add('v3')
    world.desire('v3')
    world.settle()
    expect(world.weightsOf('v2')).toEqual([10, 0])
    expect(world.status.lastOutcome?.result).toBe('Superseded')
    expect(world.status).toMatchObject({ phase: 'Invalid' })
    expect(world.status.message).toContain('v3')
  })

  test('with stable deleted as well a dead canary holds and says so', () => {
    const world = at(10)
    world.workloadGone.add('v2').add('v1')
    world.pass(60_000)
    expect(world.weightsOf('v2')).toEqual([10])
    expect(world.status.message).toContain('no ready pod to go back to')
  })

  test('the destination of the canary is taken out of the route together with a revert: done, nothing hangs', () => {
    const world = at(10)
    delete world.points.v2
    world.points.v1 = 100
    world.resourceVersion++
    world.desire('v1')
    world.settle()
    expect(world.status).toMatchObject({ phase: 'Healthy', lastOutcome: { result: 'Reverted' } })
  })
})

describe('weights in Git end as they are live', () => {
  test('a move given up while Git refused and made later is what Git says, whatever was owed before', () => {
    const world = at(10)
    world.gitRefuses = true
    world.pass(3 * 60_000)
    for (const verb of ['pause', 'resume'] as const) {
      world.ask(verb, {})
      world.settle()
    }
    expect(world.status.step?.entering).toBeDefined()
    world.gitRefuses = false
    world.settle()
    expect(world.weight).toBe(50)
    world.pass(15_000)
    expect(world.gitWeights.v2).toBe(50)
  })

  test('a retry that comes before the rollback was committed is not undone by it', () => {
    const world = at(10)
    world.gitDown = true
    world.breaching.add('v2')
    world.pass(60_000)
    world.breaching.clear()
    world.request = { id: '1', verb: 'retry', by: 'dana' }
    world.settle()
    world.gitDown = false
    world.pass(10 * 60_000)
    expect(world.spec.workload.subsets?.desired).toBe('v2')
    expect(world.status).toMatchObject({ phase: 'Healthy', stable: { name: 'v2' } })
  })

  test('a retry of an older revision while a newer rollback is owed: the newest word about the desired version wins', () => {
    const world = at(10)
    const { revision, name, hash } = world.revision('v4')
    world.status.knownBad = [{ revision, name, hash, reason: 'Breach', at: '2025-12-31T00:00:00Z' }]
    world.gitDown = true
    world.breaching.add('v2')
    world.settle()
    world.ask('retry', { revision })
    world.settle()
    world.gitDown = false
    world.pass(60_000)
    expect(world.spec.workload.subsets?.desired).toBe('v4')
  })

  test('a rollback beside a weight that a person wrote into Git still puts the desired version back', () => {
    const world = at(10)
    world.personWrites('v2', 30)
    world.settle()
    world.breaching.add('v2')
    world.pass(60_000)
    expect(world.points.v2).toBe(0)
    expect(world.log.map((c) => c.kind)).toContain('rollback')
    expect(world.spec.workload.subsets?.desired).toBe('v1')
    expect(world.gitWeights.v2).toBe(30)
  })

  test('killed while a lower weight is being followed: nobody is said to have lowered it, and nothing more is committed', () => {
    const world = at(10)
    world.personWrites('v2', 5)
    world.reconcile({ crashAfter: 1 })
    world.settle()
    expect(world.weightsOf('v2')).toEqual([10, 5])
    expect(world.status).toMatchObject({ step: { weight: 5 }, paused: { reason: 'GitConflict' } })
    expect(world.events.map((e) => e.reason)).not.toContain('WeightLowered')
    expect(world.log).toHaveLength(1)
  })

  test('what is committed after a lower weight was followed is no conflict with it', () => {
    const world = at(10)
    world.personWrites('v2', 5)
    world.settle()
    world.desire('v1')
    world.settle()
    expect(world.points.v2).toBe(0)
    expect(world.gitWeights.v2).toBe(0)
  })

  test('a lower weight that was followed stays paused whatever else happens on the branch', () => {
    const world = at(10)
    world.personWrites('v2', 5)
    world.settle()
    world.gitCommits++
    world.pass(5 * 60_000)
    expect(world.weightsOf('v2')).toEqual([10, 5])
  })

  test('a person puts the weight back in Git: the rollout goes on by itself', () => {
    const world = at(10)
    world.personWrites('v2', 30)
    world.settle()
    expect(world.status).toMatchObject({ phase: 'Paused', paused: { reason: 'GitConflict' } })
    world.now += 60_000
    world.personWrites('v2', 10)
    world.pass(10 * 60_000)
    expect(world.weightsOf('v2')).toEqual([10, 50, 100])
  })

  test.each(['before', 'after'] as const)('a pause that a person asked for %s the conflict outlasts it', (when) => {
    const world = at(10)
    if (when === 'before') world.ask('pause', {})
    world.settle()
    world.personWrites('v2', 30)
    world.settle()
    if (when === 'after') world.ask('pause', {})
    world.settle()
    world.personWrites('v2', 10)
    world.pass(5 * 60_000)
    expect(world.weightsOf('v2')).toEqual([10])
    world.ask('resume', {})
    world.pass(5 * 60_000)
    expect(world.weight).toBe(0)
    expect(world.status.stable?.name).toBe('v2')
  })

  test('commits: Outcomes says nothing of a lowered weight', () => {
    const world = new World()
    world.commits = 'Outcomes'
    world.settle()
    world.desire('v2')
    for (let i = 0; i < 100 && world.weight !== 50; i++) world.pass(15_000)
    world.write('v2', 10, 'kubectl')
    world.settle()
    expect(world.log).toEqual([])
  })

  test('the source is taken away while a move waits for Git: it goes on without', () => {
    const world = at(10)
    world.gitDown = true
    world.pass(3 * 60_000)
    expect(world.status.step?.entering).toBeDefined()
    world.gitDown = false
    world.gitMode = 'Off'
    world.pass(10 * 60_000)
    expect(world.weightsOf('v2')).toEqual([10, 50, 100])
    expect(world.status.git?.pending ?? []).toEqual([])
  })

  test('an intent whose commit is not owed any more moves nothing ahead of Git', () => {
    const world = at(10)
    world.gitDown = true
    world.pass(3 * 60_000)
    world.status.git = { ...world.status.git, pending: [] }
    world.pass(60_000)
    expect(world.weightsOf('v2')).toEqual([10])
  })

  test('a rollback is never dropped from a long list of owed commits', () => {
    const world = at(10)
    world.gitDown = true
    world.breaching.add('v2')
    world.settle()
    world.desire('v3')
    world.settle()
    for (let i = 0; i < 60; i++) {
      world.desire(i % 2 ? 'v3' : 'v4')
      world.settle()
    }
    expect(world.status.git?.pending?.length).toBeLessThanOrEqual(50)
    world.gitDown = false
    world.settle()
    expect(world.log.map((c) => c.kind)).toContain('rollback')
  })
})

describe('clocks', () => {
  test('time before the first sample of a step is not held', () => {
    const world = at(10)
    world.silence = 'Error'
    world.neverSampled = true
    world.now += 10 * 60_000
    world.settle()
    world.silence = undefined
    world.settle()
    expect(world.weightsOf('v2')).toEqual([10])
    expect(world.status.step?.heldMs ?? 0).toBeLessThan(60_000)
  })

  test('an approval does not expire by time spent suspended: it is asked again for the time that is left', () => {
    const world = at(10, { steps: approvalSteps })
    world.pass(3 * 60_000)
    expect(world.status.phase).toBe('AwaitingApproval')
    world.spec = { ...world.spec, suspend: true }
    world.settle()
    world.now += 48 * 3_600_000
    for (const a of Object.values(world.approvals)) a.state = 'Expired'
    world.spec = { ...world.spec, suspend: false }
    world.settle()
    expect(world.weightsOf('v2')).toEqual([10])
    expect(world.status.phase).toBe('AwaitingApproval')
    expect(Object.keys(world.approvals)).toHaveLength(2)
    world.approve()
    world.settle()
    expect(world.weight).toBe(50)
  })
})

describe('approvals', () => {
  test('killed while an approval is being spent: it is not asked a second time', () => {
    for (let k = 0; k < 6; k++) {
      const world = at(10, { steps: approvalSteps })
      world.pass(3 * 60_000)
      world.approve()
      world.reconcile({ crashAfter: k })
      world.settle()
      world.pass(30_000)
      expect(world.weight).toBe(50)
      expect(Object.values(world.approvals).map((a) => a.closed)).toEqual(['Consumed'])
    }
  })

  test('killed while a rejection is being carried out: it is not asked again', () => {
    for (let k = 0; k < 6; k++) {
      const world = at(10, { steps: approvalSteps })
      world.pass(3 * 60_000)
      for (const a of Object.values(world.approvals)) Object.assign(a, { state: 'Rejected', by: ['dana'] })
      world.reconcile({ crashAfter: k, fails: (e) => e.kind === 'setWeight' })
      world.settle()
      expect(world.status.lastOutcome).toMatchObject({ result: 'Aborted', reason: 'Rejected' })
    }
  })

  test('killed while a rejection before the first step is being carried out: it is not asked again', () => {
    for (let k = 0; k < 6; k++) {
      const steps = approvalSteps.map((s) => (s.weight === 10 ? { ...s, approval: { from: ['user:dana'] } } : s))
      const world = new World({ steps })
      world.settle()
      world.desire('v2')
      world.pass(30_000)
      for (const a of Object.values(world.approvals)) Object.assign(a, { state: 'Rejected', by: ['dana'] })
      world.reconcile({ crashAfter: k })
      world.settle()
      expect(world.status.lastOutcome).toMatchObject({ result: 'Aborted', reason: 'Rejected' })
    }
  })

  test('who asked for a retry is an author of it, although another revision was in flight when they asked', () => {
    const steps = approvalSteps.map((s) => (s.weight === 10 ? { ...s, approval: { from: ['user:dana'] } } : s))
    const world = new World({ steps })
    world.settle()
    const { revision, name, hash } = world.revision('v2')
    world.status.knownBad = [{ revision, name, hash, reason: 'Breach', at: '2025-12-31T00:00:00Z' }]
    world.desire('v3')
    world.settle()
    world.request = { id: '1', verb: 'retry', revision, by: 'dana' }
    let authors: string[] = []
    world.onPlan = ({ effects }) => {
      for (const e of effects) if (e.kind === 'askApproval') authors = e.approval.authors
    }
    world.pass(60_000)
    expect(world.status.canary?.name).toBe('v2')
    expect(authors).toContain('dana')
  })

  test('a question that is not needed any more is closed as void', () => {
    const world = at(10, { steps: approvalSteps })
    world.pass(3 * 60_000)
    world.spec = { ...world.spec, steps: world.spec.steps.map(({ approval: _, ...step }) => step) }
    world.settle()
    expect(world.weight).toBe(50)
    expect(Object.values(world.approvals)).toMatchObject([{ closed: 'Void' }])
    expect(world.status.approval).toBeUndefined()
  })
})

describe('adoption', () => {
  test('the subset with the most weight is not there yet: another one is not taken for stable', () => {
    const world = new World({}, { v1: 90, v2: 10, v3: 0, v4: 0 })
    world.desire('v2')
    world.workloadGone.add('v1')
    world.settle()
    expect(world.status.stable).toBeUndefined()
    world.workloadGone.clear()
    world.settle()
    expect(world.status.stable?.name).toBe('v1')
  })

  test('what Git remembers as stable is not there yet: nothing else is taken for it', () => {
    const world = new World()
    world.memory = { cluster: 'c', stable: { revision: 'v2-x', name: 'v2', hash: 'x' }, knownBad: [] }
    world.workloadGone.add('v2')
    world.settle()
    expect(world.status.stable).toBeUndefined()
    expect(world.status.message).toContain('v2')
    world.workloadGone.clear()
    world.settle()
    expect(world.status.stable?.name).toBe('v2')
  })

  test('a memory of more bad revisions than status may hold keeps the newest', () => {
    const world = new World()
    const bad = Array.from({ length: 30 }, (_, i) => ({
      revision: `b${i}`,
      name: `b${i}`,
      hash: `${i}`,
      reason: 'Breach',
      at: '2025-12-31T00:00:00Z',
    }))
    world.memory = { cluster: 'c', knownBad: bad }
    world.settle()
    expect(rolloutStatus.safeParse(world.status).success).toBe(true)
    expect(world.status.knownBad?.at(-1)?.name).toBe('b29')
  })
})

describe('killed right after the weight of a retreat', () => {
  test('an abort whose request has gone is finished as an abort', () => {
    const world = at(10)
    world.request = { id: '1', verb: 'abort', by: 'dana' }
    world.reconcile({ crashAfter: 1 })
    expect(world.points.v2).toBe(0)
    world.request = undefined
    world.pass(10 * 60_000)
    expect(world.weightsOf('v2')).toEqual([10, 0])
    expect(world.status).toMatchObject({ lastOutcome: { result: 'Aborted' }, knownBad: [{ name: 'v2' }] })
  })
})

describe('deletion', () => {
  test('a route that cannot be read keeps the finalizer for a while, so that traffic is not left on the canary', () => {
    const world = at(10)
    world.problem = { reason: 'RouteAmbiguous', message: 'two routes' }
    Object.assign(world, { deleting: true, deletedAt: world.now })
    world.pass(60_000)
    expect(world.gone).toBe(false)
    world.problem = undefined
    world.settle()
    expect(world.gone).toBe(true)
    expect(world.points.v2).toBe(0)
  })

  test('a route that stays unreadable does not keep it for ever, and what is left is said', () => {
    const world = at(10)
    world.problem = { reason: 'RouteAmbiguous', message: 'two routes' }
    Object.assign(world, { deleting: true, deletedAt: world.now })
    world.pass(11 * 60_000)
    expect(world.gone).toBe(true)
    expect(world.events.map((e) => e.reason)).toContain('TrafficLeftBehind')
  })

  test('without a VirtualService there is nothing to wait for', () => {
    const world = at(10)
    world.problem = { reason: 'VirtualServiceMissing', message: 'gone' }
    Object.assign(world, { deleting: true, deletedAt: world.now })
    world.settle()
    expect(world.gone).toBe(true)
  })

  test('deletion leaves the workload serving: with no ready stable pod the canary keeps its traffic', () => {
    const world = at(10)
    world.pods.v1 = dead
    Object.assign(world, { deleting: true, deletedAt: world.now })
    world.pass(11 * 60_000)
    expect(world.gone).toBe(true)
    expect(world.points.v2).toBe(10)
    expect(world.events.map((e) => e.reason)).toContain('TrafficLeftBehind')
    expect(world.gitWeights.v2).toBe(10)
  })

  test('a suspended Rollout is deleted, with traffic back on stable', () => {
    const world = at(10)
    world.spec = { ...world.spec, suspend: true }
    world.settle()
    Object.assign(world, { deleting: true, deletedAt: world.now })
    world.settle()
    expect(world.gone).toBe(true)
    expect(world.points.v2).toBe(0)
  })

  test('without a source nobody waits for Git', () => {
    const world = at(10)
    world.gitDown = true
    world.breaching.add('v2')
    world.settle()
    world.gitMode = 'Off'
    Object.assign(world, { deleting: true, deletedAt: world.now })
    world.settle()
    expect(world.gone).toBe(true)
  })
})

describe('an invalid spec', () => {
  test('what is owed to Git is paid while the spec cannot work', () => {
    const world = at(10)
    world.gitDown = true
    world.breaching.add('v2')
    world.settle()
    world.specProblem = { reason: 'InvalidSpec', message: 'spec.steps: must rise' }
    world.settle()
    world.gitDown = false
    world.settle()
    expect(world.log.map((c) => c.kind)).toContain('rollback')
    expect(world.status).toMatchObject({ phase: 'Invalid', git: { committed: true } })
  })

  test('a breach retreats, and its record is committed', () => {
    const world = at(10)
    world.specProblem = { reason: 'InvalidSpec', message: 'spec.steps: must rise' }
    world.breaching.add('v2')
    world.settle()
    expect(world.weightsOf('v2')).toEqual([10, 0])
    expect(world.log.map((c) => c.kind)).toContain('rollback')
  })

  test('a spec too long to be kept does not make the status unwritable', () => {
    const slis = Array.from({ length: 20 }, (_, i) => ({
      name: `q${i}`,
      query: { promql: 'x'.repeat(4096), max: 1, failureLimit: 3 },
    }))
    const world = at(10, { analysis: { slis } })
    expect(rolloutStatus.safeParse(world.status).success).toBe(true)
  })
})

describe('sentences', () => {
  test('are one line, whatever a problem or a person says', () => {
    const world = at(10)
    world.request = { id: '1', verb: 'abort', by: 'dana', reason: 'odd\n\nRollout-Op: 0' }
    world.settle()
    expect(world.status.lastOutcome?.message).not.toContain('\n')
    expect(world.log.map((c) => c.subject).join('')).not.toContain('\n')
    world.problem = { reason: 'RouteMissing', message: 'line one\nline two' }
    world.settle()
    expect(world.status.message).not.toContain('\n')
    for (const { message } of world.status.conditions ?? []) expect(message).not.toContain('\n')
  })
})

describe('resume', () => {
  test('after a Git conflict does not skip the evidence that a lowering asks for', () => {
    const world = at(10)
    world.write('v2', 0, 'kubectl')
    world.settle()
    world.request = { id: '1', verb: 'pause' }
    world.settle()
    world.silence = 'NoData'
    world.request = { id: '2', verb: 'resume' }
    world.settle()
    expect(world.status.lowered?.settled ?? false).toBe(false)
  })
})

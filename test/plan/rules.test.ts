import { describe, expect, test } from 'vitest'
import { plan } from '../../src/plan/plan.ts'
import { World } from './world.ts'

const approvalSteps = [
  { weight: 10, hold: '1m' },
  { weight: 50, hold: '1m', approval: { from: ['user:dana'] } },
  { weight: 100, hold: '1m' },
]

/** After how many effects the next reconcile sets a weight; undefined when it does not. */
function moves(world: World): number | undefined {
  const index = plan(world.status, world.observe(), world.now).effects.findIndex((e) => e.kind === 'setWeight')
  return index < 0 ? undefined : index + 1
}

/** A world in which v2 is held at 10 %. */
function atTen(spec: ConstructorParameters<typeof World>[0] = {}): World {
  const world = new World(spec)
  world.settle()
  world.desire('v2')
  while (world.weight !== 10) world.pass(15_000)
  return world
}

describe('which rule speaks', () => {
  test('desired is stable again: traffic returns at once, nothing is marked bad', () => {
    const world = atTen()
    world.desire('v1')
    world.settle()
    expect(world.weightsOf('v2')).toEqual([10, 0])
    expect(world.status).toMatchObject({ phase: 'Healthy', lastOutcome: { result: 'Reverted' } })
    expect(world.status.knownBad ?? []).toEqual([])
  })

  test('a revert and a breach in one look is a revert', () => {
    const world = atTen()
    world.breaching.add('v2')
    world.desire('v1')
    world.settle()
    expect(world.status.lastOutcome?.result).toBe('Reverted')
    expect(world.status.knownBad ?? []).toEqual([])
  })

  test('a breach and a new revision in one look: the old one is bad, then the new one starts from 0', () => {
    const world = atTen()
    world.breaching.add('v2')
    world.desire('v3')
    world.settle()
    expect(world.status.history?.map((h) => h.result)).toEqual(['RolledBack'])
    expect(world.status.knownBad).toMatchObject([{ name: 'v2' }])
    expect(world.status).toMatchObject({ canary: { name: 'v3' }, attempt: 2 })
    expect(world.points.v2).toBe(0)
  })

  test('a new revision mid-flight goes back first, then is tried from step 0 with fresh evidence', () => {
    const world = atTen()
    world.desire('v3')
    world.settle()
    expect(world.weightsOf('v2')).toEqual([10, 0])
    expect(world.status).toMatchObject({ canary: { name: 'v3' }, attempt: 2 })
    world.pass(10 * 60_000)
    expect(world.weightsOf('v3')).toEqual([10, 50, 100])
    expect(world.weightsOf('v2')).toEqual([10, 0])
  })

  test('other content under the same name mid-flight is a new revision', () => {
    const world = atTen()
    world.contents.v2 = 'bb'
    world.settle()
    expect(world.weightsOf('v2')).toEqual([10, 0, 10])
    expect(world.status.lastOutcome?.result).toBe('Superseded')
    expect(world.status.attempt).toBe(2)
  })

  test('the same content at another generation starts nothing', () => {
    const world = atTen()
    world.generation++
    world.settle()
    expect(world.status).toMatchObject({ attempt: 1, step: { weight: 10 } })
    expect(world.weightsOf('v2')).toEqual([10])
  })

  test('suspend touches nothing, a breach included, and says so', () => {
    const world = atTen()
    world.spec = { ...world.spec, suspend: true }
    world.breaching.add('v2')
    world.pass(5 * 60_000)
    expect(world.weightsOf('v2')).toEqual([10])
    expect(world.status.message).toContain('UNGUARDED')
    world.spec = { ...world.spec, suspend: false }
    world.settle()
    expect(world.weightsOf('v2')).toEqual([10, 0])
  })

  test('a breach and an abort in one look: the breach names the outcome', () => {
    const world = atTen()
    world.breaching.add('v2')
    world.ask('abort', {})
    world.settle()
    expect(world.status.lastOutcome).toMatchObject({ result: 'RolledBack', reason: 'Breach.success-rate' })
  })

  test('an abort and a new revision in one look: the old one is aborted, and stays out', () => {
    const world = atTen()
    world.ask('abort', {})
    world.desire('v3')
    world.settle()
    expect(world.status.history?.map((h) => h.result)).toEqual(['Aborted'])
    expect(world.status.knownBad).toMatchObject([{ name: 'v2' }])
  })

  test('suspend stops a retreat that could not be written, and the end of suspend lets it go on', () => {
    const world = atTen()
    world.breaching.add('v2')
    world.reconcile({ fails: (e) => e.kind === 'setWeight' })
    world.spec = { ...world.spec, suspend: true }
    world.pass(60_000)
    expect(world.weightsOf('v2')).toEqual([10])
    world.spec = { ...world.spec, suspend: false }
    world.settle()
    expect(world.weightsOf('v2')).toEqual([10, 0])
  })

  test('deletion at 10 % puts traffic back, tells Git, then lets go', () => {
    const world = atTen()
    world.deleting = true
    world.deletedAt = world.now
    world.settle()
    expect(world.gone).toBe(true)
    expect(world.points.v2).toBe(0)
    expect(world.log.at(-1)).toMatchObject({ kind: 'delete', weights: { weight: 0 } })
  })

  test('deletion waits for Git at most ten minutes and then says what Git still holds', () => {
    const world = atTen()
    world.gitDown = true
    world.deleting = true
    world.deletedAt = world.now
    world.pass(9 * 60_000)
    expect(world.gone).toBe(false)
    expect(world.points.v2).toBe(0)
    world.pass(2 * 60_000)
    expect(world.gone).toBe(true)
    expect(world.events.map((e) => e.reason)).toContain('GitLeftBehind')
  })
})

describe('retreat is never gated', () => {
  test.each<[string, (world: World) => void]>([
    ['while paused', (world) => Object.assign(world, { request: { id: '1', verb: 'pause' } })],
    [
      'while a window is closed',
      (world) =>
        Object.assign(world, {
          spec: { ...world.spec, windows: [{ deny: '0 0 1 1 *', for: '14d', timezone: 'UTC' }] },
        }),
    ],
    ['while Git is down', (world) => Object.assign(world, { gitDown: true })],
  ])('a breach %s puts the weight to 0', (_, hinder) => {
    const world = atTen()
    hinder(world)
    world.pass(60_000)
    world.breaching.add('v2')
    world.settle()
    expect(world.weightsOf('v2')).toEqual([10, 0])
  })

  test('a breach while waiting for approval puts the weight to 0', () => {
    const world = atTen({ steps: approvalSteps })
    world.pass(5 * 60_000)
    expect(world.status.phase).toBe('AwaitingApproval')
    world.breaching.add('v2')
    world.settle()
    expect(world.weightsOf('v2')).toEqual([10, 0])
  })

  test('the weight is the first effect of a breach', () => {
    const world = atTen()
    world.breaching.add('v2')
    const { effects } = world.reconcile()
    expect(effects[0]).toMatchObject({ kind: 'setWeight', weight: 0, direction: 'retreat' })
    expect(effects[0]).not.toHaveProperty('resourceVersion')
  })

  test('a retreat that could not be written is finished after a restart even when Prometheus is gone', () => {
    const world = atTen()
    world.breaching.add('v2')
    world.reconcile({ fails: (e) => e.kind === 'setWeight' })
    expect(world.status).toMatchObject({ phase: 'RollingBack', retreating: { result: 'RolledBack' } })
    world.breaching.clear()
    world.silence = 'Error'
    world.settle()
    expect(world.points.v2).toBe(0)
    expect(world.status).toMatchObject({ lastOutcome: { result: 'RolledBack' }, knownBad: [{ name: 'v2' }] })
  })

  test('killed right after the weight, before the status, with Prometheus down: traffic stays on stable and the record follows', () => {
    const world = atTen()
    world.breaching.add('v2')
    world.reconcile({ crashAfter: 1 })
    expect(world.status.step?.weight).toBe(10)
    world.breaching.clear()
    world.silence = 'Error'
    world.pass(60_000)
    expect(world.weightsOf('v2')).toEqual([10, 0])
    expect(world.status).toMatchObject({ lastOutcome: { result: 'RolledBack', reason: 'Breach.success-rate' } })
  })

  test('with no ready stable pod a breach holds and says so', () => {
    const world = atTen()
    world.pods.v1 = { replicas: 2, ready: 0 }
    world.breaching.add('v2')
    world.pass(60_000)
    expect(world.weightsOf('v2')).toEqual([10])
    expect(world.status.message).toContain('no ready pod to go back to')
    world.pods.v1 = { replicas: 2, ready: 2 }
    world.settle()
    expect(world.weightsOf('v2')).toEqual([10, 0])
  })

  test('a canary without a ready pod for five seconds goes back, and not before', () => {
    const world = atTen()
    world.pods.v2 = { replicas: 2, ready: 0 }
    world.settle()
    world.now += 4_000
    world.settle()
    expect(world.weightsOf('v2')).toEqual([10])
    world.now += 1_000
    world.settle()
    expect(world.weightsOf('v2')).toEqual([10, 0])
    expect(world.status.lastOutcome?.reason).toBe('NoReadyPods')
  })
})

describe('no guess', () => {
  test.each(['NoData', 'Error'] as const)('%s holds, however long, and goes on afterwards', (silence) => {
    const world = atTen()
    world.silence = silence
    world.pass(60 * 60_000)
    expect(world.weightsOf('v2')).toEqual([10])
    world.silence = undefined
    world.pass(10 * 60_000)
    expect(world.weightsOf('v2')).toEqual([10, 50, 100])
  })

  test('holds while the evidence looks like a breach on too few bad requests, and goes on when it does not any more', () => {
    const world = atTen()
    world.evidence = 2.5
    world.pass(30 * 60_000)
    expect(world.weightsOf('v2')).toEqual([10])
    expect(world.status.message).toContain('looks like a breach')
    world.evidence = 1.5
    world.settle()
    expect(world.weightsOf('v2')).toEqual([10, 50])
  })

  test('the hold stands still while there is no data', () => {
    const world = atTen()
    world.silence = 'NoData'
    world.pass(10 * 60_000)
    world.silence = undefined
    world.settle()
    expect(world.weightsOf('v2')).toEqual([10])
  })

  test('too few requests: Hold waits, Proceed goes on, Rollback goes back', () => {
    const outcome = (what: 'Hold' | 'Proceed' | 'Rollback') => {
      const world = atTen({ analysis: { onInsufficientData: { after: '2m', do: what } } })
      world.stepEvents = 3
      world.pass(3 * 60_000 + 30_000)
      return world.weightsOf('v2')
    }
    expect(outcome('Hold')).toEqual([10])
    expect(outcome('Rollback')).toEqual([10, 0])
    expect(outcome('Proceed').slice(0, 2)).toEqual([10, 50])
  })

  test('Proceed does not proceed out of the last step', () => {
    const world = atTen({ analysis: { onInsufficientData: { after: '1m', do: 'Proceed' } } })
    world.stepEvents = 3
    world.pass(60 * 60_000)
    expect(world.weightsOf('v2')).toEqual([10, 50, 100])
    expect(world.status.lastOutcome?.result).not.toBe('Promoted')
  })
})

describe('Git leads forward moves', () => {
  test('while Git is down nothing moves forward, and the message says so; then it goes on', () => {
    const world = new World()
    world.settle()
    world.gitDown = true
    world.desire('v2')
    world.pass(10 * 60_000)
    expect(world.changes).toEqual([])
    expect(world.status.message).toContain('the remote is down')
    world.gitDown = false
    world.pass(10 * 60_000)
    expect(world.weightsOf('v2')).toEqual([10, 50, 100])
  })

  test('a source that cannot be used is said while nothing is released; an outage, which passes, is not', () => {
    const world = new World()
    world.settle()
    world.gitDown = true
    world.settle()
    expect(world.status.message).not.toContain('committed')
    world.gitDown = false
    world.gitProblem = { reason: 'SourceMissing', message: 'there is no RolloutSource shop/config' }
    world.settle()
    expect(world.status).toMatchObject({ phase: 'Healthy' })
    expect(world.status.message).toContain('nothing can be committed: there is no RolloutSource shop/config')
  })

  test('commits: Outcomes moves without a commit per step', () => {
    const world = new World()
    world.commits = 'Outcomes'
    world.settle()
    world.desire('v2')
    world.pass(10 * 60_000)
    expect(world.weightsOf('v2')).toEqual([10, 50, 100])
    expect(world.log.map((c) => c.kind)).toEqual(['promote'])
  })

  test('a rollback while Git is down is committed once when it is back', () => {
    const world = atTen()
    world.gitDown = true
    world.breaching.add('v2')
    world.pass(60 * 60_000)
    expect(world.points.v2).toBe(0)
    expect(world.status).toMatchObject({ phase: 'RolledBack', git: { committed: false } })
    world.gitDown = false
    world.pass(60_000)
    expect(world.log.filter((c) => c.kind === 'rollback')).toHaveLength(1)
    expect(world.spec.workload.subsets?.desired).toBe('v1')
    expect(world.status).toMatchObject({ phase: 'Healthy', git: { committed: true } })
  })

  test('an intent that waits for Git does not move when its window has closed meanwhile', () => {
    const world = atTen()
    world.gitDown = true
    world.pass(5 * 60_000)
    expect(world.status.step?.entering).toBeDefined()
    world.spec = { ...world.spec, windows: [{ deny: '0 0 1 1 *', for: '14d', timezone: 'UTC' }] }
    world.gitDown = false
    world.pass(5 * 60_000)
    expect(world.weightsOf('v2')).toEqual([10])
  })

  test('killed between weight and status of a forward move: no flap, one commit', () => {
    const world = new World()
    world.settle()
    world.desire('v2')
    for (let i = 0; i < 20 && world.changes.length === 0; i++) world.reconcile({ crashAfter: moves(world) })
    expect(world.status.step?.weight).toBe(0)
    world.settle()
    expect(world.weightsOf('v2')).toEqual([10])
    expect(world.log.filter((c) => c.weights?.weight === 10)).toHaveLength(1)
  })

  test('a person changed an owned weight in Git: nothing moves until resume', () => {
    const world = atTen()
    world.gitConflict = { weight: 30, commit: 'abc', author: 'Eve' }
    world.pass(10 * 60_000)
    expect(world.weightsOf('v2')).toEqual([10])
    expect(world.status).toMatchObject({ phase: 'Paused', paused: { reason: 'GitConflict' } })
    expect(world.events.filter((e) => e.reason === 'GitConflict')).toHaveLength(1)
    world.request = { id: 'r', verb: 'resume' }
    world.pass(10 * 60_000)
    expect(world.weightsOf('v2')).toEqual([10, 50, 100])
  })

  test('a lower weight that a person wrote in Git is followed at once', () => {
    const world = atTen()
    world.gitConflict = { weight: 5, commit: 'abc', author: 'Eve' }
    world.settle()
    expect(world.weightsOf('v2')).toEqual([10, 5])
    expect(world.status).toMatchObject({ phase: 'Paused', step: { weight: 5, index: 0 } })
  })
})

describe('gates', () => {
  const closed = [{ deny: '0 0 1 1 *', for: '14d', timezone: 'UTC' }]

  test('nothing moves while a pod of the canary is not ready, or runs the content before', () => {
    const world = atTen()
    world.pods.v2 = { replicas: 2, ready: 1 }
    world.pass(5 * 60_000)
    expect(world.status.message).toContain('1 of 2 pods')
    world.pods.v2 = { replicas: 2, ready: 2 }
    world.rolling = 'v2'
    world.pass(5 * 60_000)
    expect(world.status.message).toContain('rolling')
    expect(world.weightsOf('v2')).toEqual([10])
  })

  test('nothing moves while stable has no ready pod', () => {
    const world = atTen()
    world.pods.v1 = { replicas: 2, ready: 0 }
    world.pass(5 * 60_000)
    expect(world.weightsOf('v2')).toEqual([10])
    expect(world.status.message).toContain('no ready pod to go back to')
  })

  test('promotion waits for an open window', () => {
    const world = atTen()
    while (world.weight !== 100) world.pass(15_000)
    world.spec = { ...world.spec, windows: closed }
    world.pass(10 * 60_000)
    expect(world.status.canary?.name).toBe('v2')
    world.spec = { ...world.spec, windows: [] }
    world.settle()
    expect(world.status.stable?.name).toBe('v2')
  })

  test.each<[string, (world: World) => void]>([
    [
      'the step',
      (world) => {
        const steps = world.spec.steps.map((s) => (s.weight === 50 ? { ...s, hold: '2m' } : s))
        world.spec = { ...world.spec, steps }
      },
    ],
    [
      'an objective',
      (world) => {
        const slis = [{ name: 'success-rate', successRate: { objective: 99.9 } }]
        world.spec = { ...world.spec, analysis: { ...world.spec.analysis, slis } }
      },
    ],
  ])('an open intent is given up when %s is edited, and its approval is asked again', (_, edit) => {
    const world = atTen({ steps: approvalSteps })
    world.gitDown = true
    world.pass(3 * 60_000)
    world.approve()
    world.settle()
    expect(world.status.step?.entering).toBeDefined()
    edit(world)
    world.gitDown = false
    world.pass(60_000)
    expect(world.weightsOf('v2')).toEqual([10])
    expect(world.status.phase).toBe('AwaitingApproval')
    expect(Object.keys(world.approvals)).toHaveLength(2)
  })

  test('a forward move that fails leaves the intent standing, and says what is true', () => {
    const world = atTen({ steps: approvalSteps })
    world.pass(3 * 60_000)
    expect(world.status.phase).toBe('AwaitingApproval')
    world.approve()
    for (let i = 0; i < 5; i++) world.reconcile({ fails: (e) => e.kind === 'setWeight' })
    expect(world.status).toMatchObject({ phase: 'Progressing', step: { weight: 10, entering: { weight: 50 } } })
    world.settle()
    expect(world.weight).toBe(50)
  })
})

describe('what ends with a rollout, an intent or a pause', () => {
  test('the commit of an intent that a breach voided is never made', () => {
    const world = atTen()
    world.gitDown = true
    world.pass(3 * 60_000)
    expect(world.status.step?.entering).toBeDefined()
    world.breaching.add('v2')
    world.settle()
    world.gitDown = false
    world.pass(60_000)
    expect(world.log.map((c) => [c.kind, c.weights?.weight])).toEqual([
      ['step', 10],
      ['rollback', 0],
    ])
  })

  test('the commit of an intent is not made while its gates are shut', () => {
    const world = atTen()
    world.gitDown = true
    world.pass(3 * 60_000)
    world.spec = { ...world.spec, windows: [{ deny: '0 0 1 1 *', for: '14d', timezone: 'UTC' }] }
    world.gitDown = false
    world.settle({ crashRecorded: false })
    world.queue.clear()
    world.results = {}
    world.log = world.log.filter((c) => c.weights?.weight === 10)
    world.pass(60_000)
    expect(world.log).toHaveLength(1)
  })

  test('a spent approval is not good for the same move after its intent was given up', () => {
    const world = atTen({ steps: approvalSteps })
    world.gitDown = true
    world.pass(3 * 60_000)
    world.approve()
    world.settle()
    expect(Object.values(world.approvals)).toMatchObject([{ closed: 'Consumed' }])
    world.ask('pause', {})
    world.settle()
    world.ask('resume', {})
    world.gitDown = false
    world.pass(60_000)
    expect(world.weightsOf('v2')).toEqual([10])
    expect(Object.values(world.approvals)).toMatchObject([{ closed: 'Consumed' }, { state: 'Pending' }])
  })

  test('an approval that was spent a moment ago is closed when its intent is given up', () => {
    const world = atTen({ steps: approvalSteps })
    world.pass(3 * 60_000)
    world.approve()
    world.reconcile()
    expect(world.status.step?.entering).toBeDefined()
    world.ask('pause', {})
    world.settle()
    expect(Object.values(world.approvals)).toMatchObject([{ closed: 'Void' }])
  })

  test('a pause ends with the revision that was paused', () => {
    const world = atTen()
    world.ask('pause', {})
    world.settle()
    world.desire('v3')
    world.pass(60_000)
    expect(world.weightsOf('v3')[0]).toBe(10)
  })

  test('holds that were waived for one revision apply to the next', () => {
    const world = atTen()
    world.pass(15_000)
    world.gitDown = true
    world.ask('promote', { full: true })
    world.settle()
    world.gitDown = false
    world.desire('v3')
    world.pass(45_000)
    expect(world.weightsOf('v3')).toEqual([10])
  })

  test.each<[string, (world: World) => void, (world: World) => void]>([
    ['paused', (world) => world.ask('pause', {}), (world) => world.ask('resume', {})],
    [
      'the spec cannot work',
      (world) => Object.assign(world, { specProblem: { reason: 'InvalidSpec', message: 'no' } }),
      (world) => Object.assign(world, { specProblem: undefined }),
    ],
  ])('the hold stands still while %s', (_, stop, go) => {
    const world = atTen()
    stop(world)
    world.pass(10 * 60_000)
    go(world)
    world.pass(15_000)
    expect(world.weightsOf('v2')).toEqual([10])
    world.pass(60_000)
    expect(world.weightsOf('v2')).toEqual([10, 50])
  })

  test('a hold that is ended early still waits for the first complete window', () => {
    const world = new World({ analysis: { minRequests: 0 } })
    world.settle()
    world.desire('v2')
    for (let i = 0; i < 20 && world.weight !== 10; i++) world.reconcile()
    world.ask('promote', {})
    world.settle()
    expect(world.weightsOf('v2')).toEqual([10])
    world.advance(15_000)
    world.settle()
    expect(world.weightsOf('v2')).toEqual([10, 50])
  })
})

describe('contested weights', () => {
  test('raised by hand: put back at once, naming who', () => {
    const world = atTen()
    world.write('v2', 60, 'kubectl-edit')
    world.settle()
    expect(world.weightsOf('v2')).toEqual([10, 60, 10])
    expect(world.events.find((e) => e.reason === 'WeightRaised')?.message).toContain('kubectl-edit')
  })

  test('lowered by hand: respected until evidence is complete, then on', () => {
    const world = atTen()
    world.pass(90_000)
    expect(world.weight).toBe(50)
    world.write('v2', 10, 'kubectl-edit')
    world.settle()
    expect(world.status.step).toMatchObject({ index: 1, weight: 10 })
    world.pass(10 * 60_000)
    expect(world.weightsOf('v2')).toEqual([10, 50, 10, 50, 100])
  })

  test('lowered by hand above an approval: the approval is asked again', () => {
    const world = atTen({ steps: approvalSteps })
    world.pass(3 * 60_000)
    world.approve()
    world.settle()
    expect(world.weight).toBe(50)
    world.write('v2', 10, 'kubectl-edit')
    world.pass(10 * 60_000)
    expect(world.weight).toBe(10)
    expect(world.status.phase).toBe('AwaitingApproval')
    expect(Object.keys(world.approvals)).toHaveLength(2)
  })

  test('lowered by hand: nothing is raised while the evidence up to then has not come in', () => {
    const world = atTen()
    world.completeThrough = world.now - 1_000
    world.write('v2', 0, 'kubectl-edit')
    world.pass(5 * 60_000)
    expect(world.weightsOf('v2')).toEqual([10, 0])
    expect(world.status.message).toContain('kubectl-edit')
    world.completeThrough = undefined
    world.settle()
    expect(world.weightsOf('v2')).toEqual([10, 0, 10])
  })

  test('lowered while an approval is asked for: the question is closed and another one asked', () => {
    const world = atTen({ steps: approvalSteps })
    world.pass(3 * 60_000)
    world.write('v2', 5, 'kubectl-edit')
    world.reconcile()
    expect(Object.values(world.approvals)).toMatchObject([{ closed: 'Void' }])
  })

  test('the third lowering in one step is contested, naming who, until somebody resumes', () => {
    const world = atTen()
    for (let i = 0; i < 3; i++) {
      while (world.weight !== 10) world.pass(15_000)
      world.write('v2', 0, 'flux')
      world.settle()
    }
    expect(world.status).toMatchObject({ phase: 'Paused', paused: { reason: 'WeightContested' } })
    expect(world.status.message).toContain('flux')
    world.pass(10 * 60_000)
    expect(world.weight).toBe(0)
    world.request = { id: '1', verb: 'resume' }
    world.pass(10 * 60_000)
    expect(world.weightsOf('v2').at(-1)).toBe(100)
  })
})

describe('raised again and again', () => {
  test('the third raise in one step takes all traffic to stable, in Git too, naming who, until somebody resumes', () => {
    const world = atTen()
    for (let i = 0; i < 3; i++) {
      world.write('v2', 60, 'argocd-controller')
      world.settle()
    }
    expect(world.weightsOf('v2')).toEqual([10, 60, 10, 60, 10, 60, 0])
    expect(world.status).toMatchObject({
      phase: 'Paused',
      paused: { reason: 'WeightContested', by: 'argocd-controller' },
    })
    expect(world.status.message).toContain('argocd-controller')
    expect(world.log.at(-1)).toMatchObject({ kind: 'restore', weights: { canary: 'v2', weight: 0 } })
    expect(world.told.filter((t) => t.topic === 'paused')).toHaveLength(1)
    world.pass(10 * 60_000)
    expect(world.weight).toBe(0)
    world.ask('resume', {})
    world.pass(10 * 60_000)
    expect(world.weightsOf('v2').slice(-3)).toEqual([10, 50, 100])
    expect(world.status.phase).toBe('Healthy')
  })

  test('a raise after that is put back and said, and nobody is told a second time', () => {
    const world = atTen()
    for (let i = 0; i < 5; i++) {
      world.write('v2', 60, 'flux')
      world.settle()
    }
    expect(world.weightsOf('v2').slice(-4)).toEqual([60, 0, 60, 0])
    expect(world.told.filter((t) => t.topic === 'paused')).toHaveLength(1)
  })

  test('two in one step and one in the next are no contest', () => {
    const world = atTen()
    for (const _ of [1, 2]) {
      world.write('v2', 60, 'flux')
      world.settle()
    }
    while (world.weight !== 50) world.pass(15_000)
    world.write('v2', 90, 'flux')
    world.settle()
    expect(world.weight).toBe(50)
    expect(world.status.paused).toBeUndefined()
  })

  test('with stable gone, whoever raises it may be saving the service: nothing is taken away', () => {
    const world = atTen()
    world.pods.v1 = { replicas: 2, ready: 0 }
    for (let i = 0; i < 4; i++) {
      world.write('v2', 60 + i, 'flux')
      world.settle()
    }
    expect(world.weight).toBe(63)
  })

  test('an engine that applies the old weight once more after a revert, before Git could be told, is put back at once', () => {
    const world = atTen()
    world.gitDown = true
    world.desire('v1')
    world.settle()
    expect(world.status).toMatchObject({ phase: 'Healthy' })
    world.write('v2', 10, 'flux')
    world.settle()
    expect(world.points).toMatchObject({ v1: 100, v2: 0 })
    world.gitDown = false
    world.settle()
    // Git says so now: from here on a weight is what somebody wants.
    world.write('v2', 10, 'kubectl-edit')
    world.settle()
    expect(world.points).toMatchObject({ v1: 90, v2: 10 })
  })

  test('a weight that people declined to take back in Git is theirs, and left alone', () => {
    const world = atTen()
    world.gitMode = 'PullRequest'
    world.commits = 'Outcomes'
    world.declines = true
    world.desire('v1')
    world.settle()
    expect(world.status.git?.pending).toMatchObject([{ declined: true }])
    world.write('v2', 10, 'flux')
    world.settle()
    expect(world.points).toMatchObject({ v1: 90, v2: 10 })
  })

  test('the same after a rollback, naming who wrote it', () => {
    const world = atTen()
    world.gitDown = true
    world.breaching.add('v2')
    world.settle()
    world.write('v2', 10, 'kustomize-controller')
    world.settle()
    expect(world.points).toMatchObject({ v1: 100, v2: 0 })
    expect(world.events.at(-1)?.message).toContain('kustomize-controller')
  })
})

describe('yes, but', () => {
  test('approved for later: the move waits for its time, then is made without being asked again', () => {
    const world = atTen({ steps: approvalSteps })
    world.pass(3 * 60_000)
    const later = world.now + 30 * 60_000
    world.approve('dana', { notBefore: later })
    world.settle()
    expect(world.status).toMatchObject({
      phase: 'AwaitingApproval',
      approval: { state: 'Approved', notBefore: new Date(later).toISOString() },
    })
    expect(world.status.message).toContain(new Date(later).toISOString())
    world.pass(29 * 60_000)
    expect(world.weight).toBe(10)
    world.pass(90_000)
    expect(world.weightsOf('v2').slice(0, 2)).toEqual([10, 50])
    expect(Object.keys(world.approvals)).toHaveLength(1)
  })

  test('a breach while an approval waits for its time goes back at once', () => {
    const world = atTen({ steps: approvalSteps })
    world.pass(3 * 60_000)
    world.approve('dana', { notBefore: world.now + 30 * 60_000 })
    world.settle()
    world.breaching.add('v2')
    world.pass(15_000)
    expect(world.weight).toBe(0)
  })

  test('an emergency is told to everybody once, and stands in the commit, the status and the events', () => {
    const world = atTen({ steps: approvalSteps })
    world.pass(3 * 60_000)
    world.approve('user:ops', { override: 'the site is down' })
    world.settle()
    expect(world.weight).toBe(50)
    expect(world.status.step).toMatchObject({ approvedBy: ['user:ops'], override: 'the site is down' })
    expect(world.events.filter((e) => e.reason === 'ApprovalOverridden')).toHaveLength(1)
    expect(world.told.filter((t) => t.topic === 'override')).toMatchObject([
      { message: expect.stringContaining('the site is down') },
    ])
    expect(world.handed.find((e) => e.weights?.weight === 50)?.trailers).toMatchObject({
      'Approved-by': 'user:ops',
      Override: 'the site is down',
    })
  })

  test('who is asked learns what would change, and which of the approvers must be among them', () => {
    const steps = approvalSteps.map((s) =>
      s.approval ? { ...s, approval: { ...s.approval, requiredFrom: ['group:security'] } } : s,
    )
    const world = atTen({ steps })
    world.pass(3 * 60_000)
    const [asked] = Object.values(world.approvals)
    expect(asked?.question).toMatchObject({
      requiredFrom: ['group:security'],
      change: { from: { image: 'my-app:v1' }, to: { revision: world.status.canary?.revision, image: 'my-app:v2' } },
    })
    expect(world.status.message).toContain('group:security')
    expect(world.told.filter((t) => t.topic === 'approval')).toHaveLength(1)
  })
})

describe('pull requests', () => {
  test('a rollback is over when traffic is back; its commit lies in a pull request and is not waited for at deletion', () => {
    const world = atTen()
    world.gitMode = 'PullRequest'
    world.commits = 'Outcomes'
    world.proposes = 'https://forge.example.com/shop/config/pull/7'
    world.breaching.add('v2')
    world.settle()
    expect(world.status.phase).toBe('RolledBack')
    expect(world.status.git?.pending).toMatchObject([{ kind: 'rollback', proposed: world.proposes }])
    world.deleting = true
    world.settle()
    expect(world.gone).toBe(true)
    expect(world.events.find((e) => e.reason === 'GitLeftBehind')?.message).toContain('pull/7')
  })

  test('what people declined is said, and proposed no more once there is a newer outcome', () => {
    const world = atTen()
    world.gitMode = 'PullRequest'
    world.commits = 'Outcomes'
    world.declines = true
    world.breaching.add('v2')
    world.settle()
    expect(world.status.git).toMatchObject({ committed: false, pending: [{ kind: 'rollback', declined: true }] })
    world.desire('v3')
    while (world.status.canary?.name !== 'v3') world.pass(15_000)
    world.breaching.add('v3')
    world.pass(60_000)
    expect(world.status.git?.pending).toHaveLength(1)
  })
})

describe('windows', () => {
  const night = [{ allow: '0 9 * * 1-5', for: '8h', timezone: 'Europe/London' }]

  test('a canary in flight keeps its weight when the window closes; status says why and when it opens, and then it goes on', () => {
    const world = atTen({ windows: night })
    // The model begins on Thursday 2026-01-01 at midnight, so that it moved to 10 % at 09:00.
    expect(new Date(world.now).toISOString()).toMatch(/^2026-01-01T09:00/)
    world.pass(45_000)
    world.advance(8 * 3_600_000)
    world.pass(60_000)
    expect(world.weight).toBe(10)
    expect(world.status.window).toMatchObject({ open: false, opensAt: '2026-01-02T09:00:00.000Z' })
    expect(world.status.message).toContain('2026-01-02T09:00:00.000Z')
    world.breaching.add('v2')
    world.settle()
    expect(world.weight).toBe(0)
    expect(world.status.window).toBeUndefined()
  })

  test('another window in the place of a closed one counts at once', () => {
    const world = atTen({ windows: night })
    world.advance(9 * 3_600_000)
    world.pass(60_000)
    expect(world.status.window?.open).toBe(false)
    world.spec = { ...world.spec, windows: [{ allow: '0 0 * * *', for: '24h', timezone: 'UTC' }] }
    world.generation++
    world.settle()
    expect(world.weight).toBe(50)
  })

  test('an edited window counts at once', () => {
    const world = atTen({ windows: night })
    world.advance(9 * 3_600_000)
    world.pass(60_000)
    expect(world.status.window?.open).toBe(false)
    world.spec = { ...world.spec, windows: [] }
    world.generation++
    world.settle()
    expect(world.weight).toBe(50)
  })
})

describe('approvals are for a digest', () => {
  test('a changed spec after the approval voids it and asks again', () => {
    const world = atTen({ steps: approvalSteps })
    world.pass(3 * 60_000)
    world.approve()
    world.spec = { ...world.spec, steps: world.spec.steps.map((s) => (s.weight === 50 ? { ...s, weight: 60 } : s)) }
    world.pass(5 * 60_000)
    expect(world.weight).toBe(10)
    expect(world.status.phase).toBe('AwaitingApproval')
    world.approve()
    world.settle()
    expect(world.weight).toBe(60)
  })

  test('a yes to another digest under the same name moves nothing', () => {
    const world = atTen({ steps: approvalSteps })
    world.pass(3 * 60_000)
    world.approve()
    for (const a of Object.values(world.approvals)) a.digest = 'another'
    world.pass(60_000)
    expect(world.weightsOf('v2')).toEqual([10])
  })

  test('the same move in another attempt is another question', () => {
    const steps = approvalSteps.map((s) => (s.weight === 10 ? { ...s, approval: { from: ['user:dana'] } } : s))
    const world = new World({ steps })
    world.settle()
    for (const name of ['v2', 'v3', 'v2']) {
      world.desire(name)
      world.pass(30_000)
    }
    expect(Object.keys(world.approvals)).toHaveLength(3)
  })

  test('a rejected approval goes back and marks the revision with the reason', () => {
    const world = atTen({ steps: approvalSteps })
    world.pass(3 * 60_000)
    for (const a of Object.values(world.approvals)) Object.assign(a, { state: 'Rejected', by: ['dana'] })
    world.settle()
    expect(world.weightsOf('v2')).toEqual([10, 0])
    expect(world.status).toMatchObject({
      lastOutcome: { result: 'Aborted', reason: 'Rejected' },
      knownBad: [{ name: 'v2' }],
    })
  })

  test('expiry rejects or asks again, and never approves', () => {
    const expired = (onExpiry: 'Reject' | 'Hold') => {
      const world = atTen({
        steps: approvalSteps.map((s) => (s.approval ? { ...s, approval: { ...s.approval, onExpiry } } : s)),
      })
      world.pass(3 * 60_000)
      for (const a of Object.values(world.approvals)) a.state = 'Expired'
      world.now += 24 * 3_600_000
      world.pass(60_000)
      return world
    }
    expect(expired('Reject').weightsOf('v2')).toEqual([10, 0])
    const held = expired('Hold')
    expect(held.weightsOf('v2')).toEqual([10])
    expect(Object.keys(held.approvals)).toHaveLength(2)
  })
})

describe('requests', () => {
  test('pause stops forward moves only, resume goes on', () => {
    const world = atTen()
    world.request = { id: '1', verb: 'pause', by: 'dana' }
    world.pass(30 * 60_000)
    expect(world.weightsOf('v2')).toEqual([10])
    expect(world.status.message).toContain('dana')
    world.request = { id: '2', verb: 'resume' }
    world.pass(10 * 60_000)
    expect(world.weightsOf('v2')).toEqual([10, 50, 100])
  })

  test('abort goes back and reverts Git, with the reason', () => {
    const world = atTen()
    world.request = { id: '1', verb: 'abort', by: 'dana', reason: 'looks odd' }
    world.settle()
    expect(world.weightsOf('v2')).toEqual([10, 0])
    expect(world.status.lastOutcome).toMatchObject({ result: 'Aborted' })
    expect(world.status.lastOutcome?.message).toContain('looks odd')
    world.desire('v3')
    world.pass(3 * 60_000)
    expect(world.weightsOf('v3')[0]).toBe(10)
  })

  test('promote ends the hold of this step', () => {
    const world = atTen()
    world.stepEvents = 0
    world.request = { id: '1', verb: 'promote' }
    world.now += 15_000
    world.settle()
    expect(world.weightsOf('v2')).toEqual([10, 50])
  })

  test('a request for another revision is void, and said', () => {
    const world = atTen()
    world.request = { id: '1', verb: 'promote', revision: 'v9-x' }
    world.settle()
    expect(world.status.lastRequest).toMatchObject({ result: 'Void' })
    expect(world.weightsOf('v2')).toEqual([10])
  })

  test('retry clears the mark, commits the revision as desired and tries it afresh', () => {
    const world = atTen()
    world.breaching.add('v2')
    world.pass(60_000)
    const revision = world.status.knownBad?.[0]?.revision ?? ''
    world.breaching.clear()
    world.request = { id: '1', verb: 'retry', revision }
    world.pass(10 * 60_000)
    expect(world.log.map((c) => c.kind)).toContain('retry')
    expect(world.status).toMatchObject({ stable: { name: 'v2' }, phase: 'Healthy' })
  })
})

describe('starts find weights as they are', () => {
  test('adoption at 90/10 with desired = the 10: nothing moves, then on from there', () => {
    const world = new World({ workload: { subsets: { desired: 'v2' } } }, { v1: 90, v2: 10, v3: 0, v4: 0 })
    world.settle()
    expect(world.changes).toEqual([])
    expect(world.status).toMatchObject({
      stable: { name: 'v1' },
      canary: { name: 'v2' },
      step: { index: 1, weight: 10 },
    })
    world.pass(10 * 60_000)
    expect(world.weightsOf('v2')).toEqual([50, 100])
  })

  test('a tie is Invalid and names initialStable', () => {
    const world = new World({}, { v1: 50, v2: 50, v3: 0, v4: 0 })
    world.settle()
    expect(world.status).toMatchObject({ phase: 'Invalid' })
    expect(world.status.message).toContain('initialStable')
  })

  test('edited steps keep the weight and go on at the first later one', () => {
    const world = atTen()
    world.spec = { ...world.spec, steps: [5, 30, 100].map((weight) => ({ weight, hold: '1m' })) }
    world.pass(10 * 60_000)
    expect(world.weightsOf('v2')).toEqual([10, 30, 100])
  })

  test('the route vanishes and comes back: said, then right again without help', () => {
    const world = atTen()
    world.problem = { reason: 'VirtualServiceMissing', message: 'the VirtualService my-app does not exist' }
    world.pass(60_000)
    expect(world.status).toMatchObject({ phase: 'Invalid' })
    expect(world.status.message).toContain('does not exist')
    world.problem = undefined
    world.pass(10 * 60_000)
    expect(world.status).toMatchObject({ phase: 'Healthy', stable: { name: 'v2' } })
  })
})

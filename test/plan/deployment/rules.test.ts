import { describe, expect, test } from 'vitest'
import { create, tick, write } from './cluster.ts'
import { adopted, at, deploymentOf, expectQuiet, runs, until } from './stage.ts'
import { DeploymentWorld, version } from './world.ts'

const minute = 60_000
const hour = 60 * minute

describe('adoption', () => {
  test('labels the Deployment, proves the latch, and restarts nothing', () => {
    const world = new DeploymentWorld()
    const pods = structuredClone(deploymentOf(world).sets)
    world.settle()
    expect(world.cluster).toMatchObject({ labelled: true, latch: { state: 'Proven' } })
    expect(deploymentOf(world)).toMatchObject({ paused: false, sets: pods })
    expect(world.status).toMatchObject({ phase: 'Healthy', stable: { name: 'v1' } })
    expect(world.finalizer).toBe(true)
  })

  test('in the middle of a native roll it waits for its end, and what is there then is stable', () => {
    const world = new DeploymentWorld()
    world.release(version('v2'))
    world.settle()
    expect(world.status).toMatchObject({ phase: 'Pending' })
    expect(world.status.stable).toBeUndefined()
    expect(world.status.message).toContain('v2')
    until(world, () => world.status.phase === 'Healthy')
    expect(world.status.stable?.name).toBe('v2')
  })

  test('at zero replicas the template is stable', () => {
    const world = new DeploymentWorld({}, { replicas: 0 })
    world.settle()
    expect(world.status).toMatchObject({ phase: 'Healthy', stable: { name: 'v1' } })
  })

  test('stable is what has pods, not what a paused template says', () => {
    const world = new DeploymentWorld()
    write(world.cluster, 'people', (d) => Object.assign(d, { paused: true }))
    world.release(version('v2'), 'kubectl')
    world.settle()
    expect(world.status).toMatchObject({ stable: { name: 'v1' }, canary: { name: 'v2' } })
    expect(runs(world)).toEqual(['v1'])
  })

  test('what Git remembers as stable is not what serves: it is served, and reported as untested', () => {
    const world = new DeploymentWorld()
    world.memory = {
      cluster: 'c',
      stable: { revision: 'v0-aaaaaaaaaa', name: 'v0', hash: 'aaaaaaaaaa' },
      knownBad: [],
      attempt: 7,
    }
    world.settle()
    expect(world.status).toMatchObject({ stable: { name: 'v1', tested: false }, attempt: 7 })
    expect(world.status.conditions).toContainEqual(expect.objectContaining({ reason: 'UntestedServing' }))
    expect(runs(world)).toEqual(['v1'])
  })

  test('a template that Git remembers as bad and that serves is reported as not Ready', () => {
    const world = adopted()
    const { revision = '', name = '', hash = '' } = world.status.stable ?? {}
    const rebuilt = new DeploymentWorld()
    rebuilt.memory = {
      cluster: 'c',
      stable: { revision: 'v0-aaaaaaaaaa', name: 'v0', hash: 'aaaaaaaaaa' },
      knownBad: [{ revision, name, hash, reason: 'Breach', at: '2026-01-01T00:00:00Z' }],
    }
    rebuilt.settle()
    expect(rebuilt.status.conditions).toContainEqual(
      expect.objectContaining({ type: 'Ready', status: 'False', reason: 'UntestedServing' }),
    )
    expect(runs(rebuilt)).toEqual(['v1'])
  })

  test('a Rollout in conflict with an older one touches nothing', () => {
    const world = new DeploymentWorld()
    const { observe } = world
    world.observe = (status) => ({
      ...observe.call(world, status),
      conflict: { reason: 'Conflict', message: 'the older Rollout shop/a owns the same Deployment' },
    })
    world.settle()
    expect(world.status.phase).toBe('Invalid')
    expect(world.cluster).toMatchObject({ labelled: false, latch: { state: 'Unknown' } })
  })
})

describe('the latch', () => {
  test('is proven before the Rollout is Healthy; without it, it is Invalid, and recovers by itself', () => {
    const world = new DeploymentWorld()
    world.cluster.policy = false
    world.settle()
    expect(world.status.phase).toBe('Invalid')
    expect(world.status.conditions).toContainEqual(expect.objectContaining({ reason: 'LatchMissing' }))
    world.cluster.policy = true
    world.wait(minute)
    expect(world.status.phase).toBe('Healthy')
  })

  test('is proven afresh before each rollout: a policy that has gone meanwhile stops the start', () => {
    const world = adopted()
    world.release(version('v2'))
    world.cluster.policy = false
    world.wait(2 * minute)
    expect(world.status.canary, 'proven a moment ago').toBeDefined()

    const later = adopted()
    later.advance(hour)
    later.release(version('v2'))
    later.cluster.policy = false
    later.wait(2 * minute)
    expect(later.status.conditions).toContainEqual(expect.objectContaining({ reason: 'LatchMissing' }))
    expect(later.cluster.canary).toBeUndefined()
    expect(runs(later)).toEqual(['v1'])
    later.cluster.policy = true
    until(later, () => later.weight === 10)
  })

  test('a restarted controller proves it again before it starts a rollout', () => {
    const world = adopted()
    world.reconcile({ crashRecorded: true })
    expect(world.cluster.latch.state).toBe('Unknown')
    world.release(version('v2'))
    world.settle()
    expect(world.cluster.latch.state).toBe('Proven')
    expect(world.status.canary?.name).toBe('v2')
  })

  test('a template that rolls because nothing latched it is stable when the roll is over, and untested', () => {
    const world = adopted()
    world.cluster.policy = false
    world.release(version('v2'))
    world.settle()
    expect(world.status.message).toContain('the latch did not hold it')
    world.wait(2 * minute)
    expect(runs(world)).toEqual(['v2'])
    expect(world.status).toMatchObject({ stable: { name: 'v2', tested: false } })
    expect(world.cluster.canary).toBeUndefined()
  })

  test('latch: Pause keeps the Deployment paused all the time, also after a promotion', () => {
    const world = adopted({}, { deployment: { latch: 'Pause' } })
    world.cluster.policy = false
    expect(deploymentOf(world).paused).toBe(true)
    expect(world.status.phase).toBe('Healthy')
    world.release(version('v2'))
    until(world, () => world.status.phase === 'Healthy' && world.status.stable?.name === 'v2')
    expect(runs(world)).toEqual(['v2'])
    expect(world.weightsOf('canary')).toEqual([10, 50, 100, 0])
    expect(deploymentOf(world).paused).toBe(true)
  })

  test('latch: Pause lets a restart go, and pauses again', () => {
    const world = adopted({}, { deployment: { latch: 'Pause' } })
    world.restart()
    world.wait(5 * minute)
    const [last] = deploymentOf(world).sets.filter((set) => set.pods.length > 0)
    expect(last?.template.restart).toBe(1)
    expect(deploymentOf(world).paused).toBe(true)
    expect(world.status).toMatchObject({ phase: 'Healthy', stable: { name: 'v1' } })
    expect(world.status.attempt).toBeUndefined()
  })
})

describe('what is latched without need', () => {
  test('a restart rolls at once and starts no rollout', () => {
    const world = adopted()
    world.restart()
    expect(deploymentOf(world).paused).toBe(true)
    world.settle()
    expect(deploymentOf(world).paused).toBe(false)
    world.wait(2 * minute)
    const active = deploymentOf(world).sets.filter((set) => set.pods.length > 0)
    expect(active.map((set) => set.template.restart)).toEqual([1])
    expect(world.status).toMatchObject({ phase: 'Healthy' })
    expect(world.status.attempt).toBeUndefined()
  })

  test('a spurious latch is cured', () => {
    const world = adopted()
    write(world.cluster, 'webhook', (d) => Object.assign(d, { paused: true }))
    world.settle()
    expect(deploymentOf(world).paused).toBe(false)
  })

  test('a full replace without paused keeps what is latched latched (46)', () => {
    const world = at(10)
    world.release(version('v2'), 'replace')
    expect(deploymentOf(world).paused).toBe(true)
    world.settle()
    expect(world.weight).toBe(10)
  })

  test('a new template between the look and the resume is not let go', () => {
    const world = adopted()
    world.restart()
    const seen = structuredClone(world.cluster)
    world.release(version('v2'))
    world.seen = seen
    world.reconcile()
    world.seen = undefined
    expect(deploymentOf(world).paused).toBe(true)
    world.settle()
    expect(runs(world)).toEqual(['v1'])
    expect(world.status.canary?.name).toBe('v2')
  })

  test('a label that somebody has taken away is put back', () => {
    const world = adopted()
    world.cluster.labelled = false
    world.settle()
    expect(world.cluster.labelled).toBe(true)
  })
})

describe('bypass', () => {
  test('broken glass: the template rolls, is stable when that is over, and reported as untested', () => {
    const world = adopted()
    world.cluster.breakGlass = true
    world.release(version('v2'))
    world.settle()
    expect(world.status.message).toContain('break-glass')
    world.wait(2 * minute)
    expect(runs(world)).toEqual(['v2'])
    expect(world.status.stable).toMatchObject({ name: 'v2', tested: false })
    world.cluster.breakGlass = false
    world.wait(minute)
    expect(world.status.phase).toBe('Healthy')
    expect(world.status.conditions).toContainEqual(expect.objectContaining({ reason: 'UntestedServing' }))
  })

  test('broken glass mid-flight ends the rollout: traffic back to the Deployment first', () => {
    const world = at(50)
    world.cluster.breakGlass = true
    write(world.cluster, 'people', (d) => Object.assign(d, { paused: false }))
    tick(world.cluster, () => undefined)
    world.settle()
    expect(world.weight).toBe(0)
    expect(world.status.lastOutcome).toMatchObject({ result: 'Superseded', reason: 'Bypassed' })
    world.wait(3 * minute)
    expect(runs(world)).toEqual(['v2'])
    expect(world.status.stable).toMatchObject({ name: 'v2', tested: false })
    expectQuiet(world)
  })

  test('a Deployment deleted and created anew with another template is served, and reported as untested', () => {
    const world = adopted()
    world.cluster.deployment = undefined
    world.settle()
    expect(world.status.phase).toBe('Invalid')
    world.gitTemplate = version('v2')
    create(world.cluster, version('v2'), 4)
    tick(world.cluster, () => undefined)
    world.wait(2 * minute)
    expect(world.status).toMatchObject({ phase: 'Healthy', stable: { name: 'v2', tested: false } })
    expect(world.cluster.labelled).toBe(true)
  })
})

describe('scaled to zero', () => {
  test('a new template waits until there is something to compare with', () => {
    const world = adopted({}, { replicas: 0 })
    world.release(version('v2'))
    world.wait(20 * minute)
    expect(world.weight).toBe(0)
    expect(world.status.message).toContain('scaled to zero')
    expect(deploymentOf(world).paused).toBe(true)
  })

  test('scaled to zero and back mid-flight: Kubernetes brings up what ran before, and the rollout goes on', () => {
    const world = at(10)
    write(world.cluster, 'people', (d) => Object.assign(d, { replicas: 0 }))
    tick(world.cluster, () => undefined)
    world.wait(minute)
    expect(runs(world)).toEqual([])
    write(world.cluster, 'people', (d) => Object.assign(d, { replicas: 4 }))
    tick(world.cluster, () => undefined)
    until(world, () => world.status.phase === 'Healthy')
    expect(world.status.stable).toMatchObject({ name: 'v2' })
    expect(world.status.stable?.tested).not.toBe(false)
  })

  test('a latched template that Kubernetes brings up from zero without asking is reported as untested', () => {
    const world = at(100)
    until(world, () => world.status.phase === 'Healthy')
    world.wait(minute)
    world.release(version('v1'))
    write(world.cluster, 'people', (d) => Object.assign(d, { replicas: 0 }))
    tick(world.cluster, () => undefined)
    world.settle()
    write(world.cluster, 'people', (d) => Object.assign(d, { replicas: 4 }))
    tick(world.cluster, () => undefined)
    world.wait(5 * minute)
    expect(runs(world)).toEqual(['v1'])
    expect(world.status).toMatchObject({ phase: 'Healthy', stable: { name: 'v1', tested: false } })
    expect(deploymentOf(world).paused).toBe(false)
    expectQuiet(world)
  })
})

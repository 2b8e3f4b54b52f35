import { describe, expect, test } from 'vitest'
import { plan } from '../../../src/plan/plan.ts'
import { create, tick, write } from './cluster.ts'
import { adopted, asked, at, deploymentOf, expectQuiet, rolling, runs, until } from './stage.ts'
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

describe('capacity', () => {
  const cases: [replicas: number, canaryReplicas: string | number, pods: number[]][] = [
    [4, 'Proportional', [1, 2, 4]],
    [10, 'Proportional', [1, 5, 10]],
    [25, 'Proportional', [3, 13, 25]],
    [1, 'Proportional', [1, 1, 1]],
    [10, 3, [3, 5, 10]],
    [10, 1, [1, 5, 10]],
    [10, '50%', [5, 5, 10]],
    [3, '50%', [2, 2, 3]],
    [4, '100%', [4, 4, 4]],
    [2, 5, [5, 5, 5]],
  ]
  test.each(cases)(
    '%i pods of stable, canaryReplicas %s: %j pods for 10, 50 and 100%%',
    (replicas, canaryReplicas, pods) => {
      const world = adopted({}, { replicas, deployment: { canaryReplicas } })
      world.release(version('v2'))
      const seen = [10, 50, 100].map((weight) => {
        until(world, () => world.weight === weight)
        const now = asked(world)
        const { canary } = world.cluster
        expect(canary?.deployment.sets.flatMap((set) => set.pods)).toHaveLength(now ?? 0)
        return now
      })
      expect(seen).toEqual(pods)
    },
  )

  test('traffic waits for ready pods, however long that takes within the deadline', () => {
    const world = adopted()
    world.cluster.neverReady = ['v2/']
    world.release(version('v2'))
    world.wait(9 * minute)
    expect(world.weight).toBe(0)
    expect(world.status.message).toContain('0 of 1 pods of v2')
    world.cluster.neverReady = []
    until(world, () => world.weight === 10)
  })

  test('pods are asked for when the window has opened, not before', () => {
    const world = adopted({ windows: [{ deny: '0 0 * * *', for: '20m', timezone: 'UTC' }] })
    world.release(version('v2'))
    world.wait(10 * minute)
    expect(world.cluster.canary).toBeUndefined()
    until(world, () => world.weight === 10, hour)
  })

  test('pods that never become ready end it after the progress deadline, with the reason', () => {
    const world = adopted({}, { deployment: { progressDeadline: '5m' } })
    world.cluster.neverReady = ['v2/']
    world.release(version('v2'))
    world.wait(4 * minute)
    expect(world.status.phase).toBe('Progressing')
    until(world, () => world.status.lastOutcome !== undefined, 2 * minute)
    expect(world.status.lastOutcome).toMatchObject({ result: 'RolledBack', reason: 'ProgressDeadlineExceeded' })
    expect(world.status.lastOutcome?.message).toContain('0 of 1 pods')
    expect(world.weightsOf('canary')).toEqual([])
    world.wait(5 * minute)
    expect(world.gitTemplate.tag).toBe('v1')
    expect(world.status.phase).toBe('Healthy')
    expectQuiet(world)
  })

  test('the clock of the progress deadline stands still while suspended', () => {
    const world = adopted({}, { deployment: { progressDeadline: '5m' } })
    world.cluster.neverReady = ['v2/']
    world.release(version('v2'))
    world.wait(2 * minute)
    world.spec = { ...world.spec, suspend: true }
    world.settle()
    world.wait(hour)
    world.spec = { ...world.spec, suspend: false }
    world.settle()
    world.wait(2 * minute)
    expect(world.status.lastOutcome).toBeUndefined()
    world.wait(2 * minute)
    expect(world.status.lastOutcome?.reason).toBe('ProgressDeadlineExceeded')
  })

  test('when stable grows, the canary grows with the weight it carries, and never shrinks', () => {
    const world = at(50)
    expect(asked(world)).toBe(2)
    write(world.cluster, 'people', (d) => Object.assign(d, { replicas: 12 }))
    world.settle()
    expect(asked(world)).toBe(6)
    write(world.cluster, 'people', (d) => Object.assign(d, { replicas: 2 }))
    world.wait(5_000)
    expect(asked(world)).toBe(6)
  })

  test('when stable shrinks mid-flight, the canary is still measured by what stable had at the start', () => {
    const world = at(10, {}, { replicas: 10 })
    write(world.cluster, 'people', (d) => Object.assign(d, { replicas: 4 }))
    until(world, () => world.weight === 50)
    expect(asked(world)).toBe(5)
  })

  test('ready pods that run something else are no capacity', () => {
    const world = at(10)
    world.refused = true
    const { canary } = world.cluster
    if (canary) canary.deployment.template = version('v9')
    world.wait(8 * minute)
    expect(world.weight).toBe(10)
    world.refused = false
    until(world, () => world.weight === 50)
  })

  test('pods that were ready and are lost have the progress deadline to come back', () => {
    const steps = [10, 20, 100].map((weight) => ({ weight, hold: '1m' }))
    const world = at(10, { steps }, { deployment: { canaryReplicas: 2, progressDeadline: '5m' } })
    const [set] = world.cluster.canary?.deployment.sets ?? []
    if (set) set.pods[0] = world.now + hour
    world.wait(4 * minute)
    expect(world.status.message).toContain('1 of 2 pods')
    until(world, () => world.status.lastOutcome !== undefined, 3 * minute)
    expect(world.status.lastOutcome?.reason).toBe('ProgressDeadlineExceeded')
    expect(world.weight).toBe(0)
  })

  test('a canary that people delete, scale down or edit is put right again', () => {
    const world = at(50)
    const copy = () => {
      const { canary } = world.cluster
      if (!canary) throw new Error('there is no canary')
      return canary.deployment
    }
    world.cluster.canary = undefined
    world.settle()
    expect(asked(world)).toBe(2)
    copy().replicas = 1
    world.settle()
    expect(copy().replicas).toBe(2)
    copy().template = version('v9')
    world.settle()
    expect(copy().template.tag).toBe('v2')
  })

  test('while in flight the autoscaler keeps what stable had at the start, and gets its minimum back', () => {
    const world = new DeploymentWorld({}, { replicas: 6 })
    world.cluster.autoscaler = { min: 2, max: 12, demand: 6 }
    world.settle()
    world.release(version('v2'))
    until(world, () => world.weight === 10)
    world.cluster.autoscaler.demand = 2
    world.wait(30_000)
    expect(deploymentOf(world).replicas).toBe(6)
    world.breaching.add('v2')
    until(world, () => world.weight === 0)
    expect(world.cluster.autoscaler.min, 'until the canary has gone').toBe(6)
    world.wait(5 * minute)
    expectQuiet(world)
    expect(world.cluster.autoscaler.min).toBe(2)
    expect(deploymentOf(world).replicas).toBe(2)
  })
})

describe('promotion', () => {
  test('the Deployment is resumed after the last hold and rolls under the canary; then traffic returns, then the canary goes', () => {
    const world = at(100)
    const last = world.now
    until(world, () => !deploymentOf(world).paused)
    expect(world.now - last).toBeGreaterThanOrEqual(minute)
    until(world, () => runs(world).length === 2)
    expect(world.weight).toBe(100)
    until(world, () => world.weight === 0)
    expect(runs(world)).toEqual(['v2'])
    expect(world.status).toMatchObject({
      phase: 'Healthy',
      stable: { name: 'v2' },
      lastOutcome: { result: 'Promoted' },
    })
    expect(world.cluster.canary?.until).toBeUndefined()
    world.wait(20_000)
    expect(asked(world)).toBe(4)
    world.wait(20_000)
    expectQuiet(world)
    expect(world.log.map((c) => c.kind)).toEqual(['step', 'step', 'step', 'promote'])
    expect(world.gitPoints).toEqual({ stable: 100, canary: 0 })
  })

  test('needs an open window and no pause to begin; the return of traffic needs neither', () => {
    const world = at(100)
    world.ask('pause', {})
    world.wait(10 * minute)
    expect(deploymentOf(world).paused).toBe(true)
    world.ask('resume', {})
    until(world, () => !deploymentOf(world).paused)
    world.ask('pause', {})
    world.spec = { ...world.spec, windows: [{ deny: '0 0 * * *', for: '24h', timezone: 'UTC' }] }
    until(world, () => world.status.phase === 'Healthy')
    expect(runs(world)).toEqual(['v2'])
    expect(world.weight).toBe(0)
  })

  test('a roll that fails leaves traffic where it works, and says so', () => {
    const world = at(100)
    world.cluster.neverReady = ['my-app:v2/']
    world.wait(30 * minute)
    expect(world.weight).toBe(100)
    expect(world.status.phase).toBe('Promoting')
    expect(world.status.message).toMatch(/CrashLoopBackOff.*traffic stays with the canary/)
    world.cluster.neverReady = []
    until(world, () => world.status.phase === 'Healthy')
    expect(world.weight).toBe(0)
  })

  test('a template latched during the roll leaves a mix: traffic returns to it, then the new one starts (51)', () => {
    const world = rolling()
    world.release(version('v3'))
    expect(deploymentOf(world).paused).toBe(true)
    until(world, () => world.weight === 0)
    expect(runs(world).sort()).toEqual(['v1', 'v2'])
    expect(world.status).toMatchObject({ stable: { name: 'v2' }, lastOutcome: { result: 'Promoted' } })
    until(world, () => world.weight === 10)
    expect(world.status.canary?.name).toBe('v3')
    expect(runs(world).sort()).toEqual(['v1', 'v2'])
    until(world, () => world.status.phase === 'Healthy' && world.status.stable?.name === 'v3')
    expect(runs(world)).toEqual(['v3'])
  })

  test('a rollback from the mix commits the promoted template, and the Deployment rolls it', () => {
    const world = rolling()
    world.release(version('v3'))
    until(world, () => world.weight === 10)
    world.breaching.add('v3')
    world.wait(10 * minute)
    expect(world.gitTemplate.tag).toBe('v2')
    expect(runs(world)).toEqual(['v2'])
    expect(world.status).toMatchObject({ phase: 'Healthy', stable: { name: 'v2' } })
    expectQuiet(world)
  })

  test('a new revision before anything of the promoted one runs supersedes it', () => {
    const world = at(100)
    world.refused = true
    until(world, () => world.status.deployment?.promotion !== undefined)
    world.release(version('v3'))
    world.refused = false
    world.settle()
    expect(world.status.lastOutcome).toMatchObject({ result: 'Superseded' })
    expect(world.status.stable?.name).toBe('v1')
  })

  test('a breach before the resume is the quick way back', () => {
    const world = at(100)
    world.breaching.add('v2')
    world.wait(15_000)
    expect(world.weight).toBe(0)
    expect(runs(world)).toEqual(['v1'])
    expect(world.status.lastOutcome?.message).not.toContain('slow')
  })

  test('a breach past the resume is a slow rollback that says so, and Git says so', () => {
    const world = rolling()
    world.breaching.add('v2')
    until(world, () => world.weight === 0, 30_000)
    expect(world.status).toMatchObject({ phase: 'RollingBack', stable: { name: 'v1' } })
    expect(world.status.lastOutcome?.message).toContain('slow')
    until(world, () => runs(world).join() === 'v1')
    world.wait(5 * minute)
    expect(world.gitTemplate.tag).toBe('v1')
    expect(world.log.at(-1)).toMatchObject({ kind: 'rollback' })
    expect(world.status).toMatchObject({ phase: 'Healthy', stable: { name: 'v1' }, knownBad: [{ name: 'v2' }] })
    expect(world.status.stable?.tested).not.toBe(false)
    expectQuiet(world)
  })

  test('a controller that dies in the middle of a slow rollback does not take its own work for a revert', () => {
    for (let i = 1; i <= 8; i++) {
      const world = rolling()
      let died = false
      world.mishap = () => {
        if (died || !world.breaching.has('v2')) return {}
        died = plan(world.status, world.observe(), world.now).effects[0]?.kind === 'setWeight'
        return died ? { crashAfter: i } : {}
      }
      world.breaching.add('v2')
      world.wait(10 * minute)
      expect(
        world.status.history?.map((h) => h.result),
        `killed before effect ${i}`,
      ).toEqual(['RolledBack'])
      expect(runs(world)).toEqual(['v1'])
      expect(world.gitTemplate.tag).toBe('v1')
    }
  })

  test('a slow rollback needs no Git', () => {
    const world = rolling()
    world.gitDown = true
    world.breaching.add('v2')
    until(world, () => runs(world).join() === 'v1')
    expect(world.status).toMatchObject({ stable: { name: 'v1' }, knownBad: [{ name: 'v2' }] })
  })

  test('scaled to zero during the roll: traffic stays with the canary, where somebody is', () => {
    const world = rolling()
    write(world.cluster, 'people', (d) => Object.assign(d, { replicas: 0 }))
    tick(world.cluster, () => undefined)
    world.wait(5 * minute)
    expect(world.weight).toBe(100)
    write(world.cluster, 'people', (d) => Object.assign(d, { replicas: 4 }))
    tick(world.cluster, () => undefined)
    until(world, () => world.status.phase === 'Healthy')
    expect(runs(world)).toEqual(['v2'])
  })

  test('a person who lets the promoted template go before Sluice does is a resume all the same', () => {
    const world = at(100, {}, { replicas: 10 })
    world.onStatus = ({ deployment }) => {
      const { cluster } = world
      if (!deployment?.promotion || deployment.promotion.resumedAt || cluster.breakGlass) return
      cluster.breakGlass = true
      write(cluster, 'people', (d) => Object.assign(d, { paused: false }))
    }
    until(world, () => runs(world)[0] === 'v2')
    world.breaching.add('v2')
    until(world, () => world.weight === 0, 30_000)
    until(world, () => runs(world).join() === 'v1')
    expect(world.status.lastOutcome?.message).toContain('slow')
  })

  test('a breach of what a Deployment created anew runs already: nothing is there to roll back to, and that is said', () => {
    const world = rolling()
    world.gitMode = 'Off'
    create(world.cluster, version('v2'), 10)
    tick(world.cluster, () => undefined)
    world.breaching.add('v2')
    world.wait(10 * minute)
    expect(world.weight).toBe(0)
    expect(runs(world)).toEqual(['v2'])
    expect(world.status.conditions).toContainEqual(
      expect.objectContaining({ type: 'Ready', status: 'False', reason: 'UntestedServing' }),
    )
  })

  test('a revert during the roll is an abort: traffic back, the old version rolls, nobody is to blame', () => {
    const world = rolling()
    world.release(version('v1'))
    world.settle()
    expect(world.weight).toBe(0)
    expect(world.status.lastOutcome?.result).toBe('Reverted')
    until(world, () => runs(world).join() === 'v1')
    world.wait(minute)
    expect(world.status).toMatchObject({ phase: 'Healthy', stable: { name: 'v1' } })
    expect(world.status.knownBad ?? []).toEqual([])
    expectQuiet(world)
  })
})

describe('retreat', () => {
  test('weight 0 first, the template in Git put back, the Deployment let go, the canary away after its delay', () => {
    const world = at(10)
    const scaled: number[] = []
    world.onHands = (effect) => {
      if (effect.kind === 'removeCanary') scaled.push(world.now)
    }
    world.breaching.add('v2')
    until(world, () => world.weight === 0, 30_000)
    const back = world.now
    expect(world.log.at(-1)).toMatchObject({
      kind: 'rollback',
      template: { deployment: 'my-app' },
      weights: { weight: 0 },
    })
    expect(world.gitTemplate.tag).toBe('v1')
    world.wait(2 * minute)
    expect(scaled[0]! - back).toBeGreaterThanOrEqual(30_000)
    expect(deploymentOf(world)).toMatchObject({ paused: false, template: { tag: 'v1' } })
    expect(world.status.phase).toBe('Healthy')
    expectQuiet(world)
  })

  test('without Git the bad template stays latched, and is said', () => {
    const world = adopted()
    world.gitMode = 'Off'
    world.release(version('v2'))
    until(world, () => world.weight === 10)
    world.breaching.add('v2')
    world.wait(5 * minute)
    expect(world.status.phase).toBe('RolledBack')
    expect(deploymentOf(world)).toMatchObject({ paused: true, template: { tag: 'v2' } })
    expect(runs(world)).toEqual(['v1'])
    expectQuiet(world)
  })

  test('known bad content that a person brings back is left latched and gets no canary', () => {
    const world = at(10)
    world.breaching.add('v2')
    world.wait(3 * minute)
    world.release(version('v2'))
    world.wait(5 * minute)
    expect(world.status.phase).toBe('RolledBack')
    expect(world.status.conditions).toContainEqual(expect.objectContaining({ type: 'Stalled', reason: 'KnownBad' }))
    expect(world.cluster.canary).toBeUndefined()
    expect(runs(world)).toEqual(['v1'])
    expect(world.gitTemplate.tag).toBe('v2')
    world.breaching.clear()
    world.ask('retry', {})
    until(world, () => world.status.phase === 'Healthy')
    expect(runs(world)).toEqual(['v2'])
  })

  test('retry commits the template as desired again', () => {
    const world = at(10)
    world.breaching.add('v2')
    world.wait(3 * minute)
    expect(world.gitTemplate.tag).toBe('v1')
    world.breaching.clear()
    world.ask('retry', {})
    until(world, () => world.status.stable?.name === 'v2')
    expect(world.gitTemplate.tag).toBe('v2')
  })

  test('other content under the same tag is another revision', () => {
    const world = at(10)
    world.breaching.add('v2')
    world.wait(3 * minute)
    world.breaching.clear()
    world.release(version('v2', 'fixed'))
    until(world, () => world.status.phase === 'Healthy' && world.status.lastOutcome?.result === 'Promoted')
    expect(runs(world)).toEqual(['v2'])
  })

  test('all canary pods are gone: back within seconds', () => {
    const world = at(50)
    world.cluster.down = ['my-app-canary']
    until(world, () => world.weight === 0, 15_000)
    expect(world.status.lastOutcome?.reason).toBe('NoReadyPods')
  })

  test('stable is gone too: it stays, and that is said', () => {
    const world = at(50)
    world.cluster.down = ['my-app-canary', 'my-app']
    world.wait(minute)
    expect(world.weight).toBe(50)
    expect(world.status.message).toContain('no ready pod')
    expect(asked(world)).toBe(2)
  })

  test('the template is stable’s again while the labels do not fit: an abort all the same', () => {
    const world = at(50)
    world.cluster.misfit = true
    world.settle()
    expect(world.status.phase).toBe('Invalid')
    world.release(version('v1'))
    world.settle()
    expect(world.weight).toBe(0)
    expect(world.status.lastOutcome?.result).toBe('Reverted')
  })

  test('a new revision mid-flight goes back, waits for the old canary to go, then starts afresh', () => {
    const world = at(50)
    world.release(version('v3'))
    world.settle()
    expect(world.weight).toBe(0)
    expect(world.status.canary).toBeUndefined()
    expect(world.status.message).toContain('from the attempt before')
    until(world, () => world.weight === 10)
    expect(world.cluster.canary?.deployment.template.tag).toBe('v3')
    expect(runs(world)).toEqual(['v1'])
  })

  test('the template is stable’s again mid-flight: traffic back at once, resumed, nothing restarts', () => {
    const world = at(50)
    const pods = structuredClone(deploymentOf(world).sets)
    world.release(version('v1'))
    world.settle()
    expect(world.weight).toBe(0)
    expect(deploymentOf(world)).toMatchObject({ paused: false, sets: pods })
    world.wait(2 * minute)
    expect(world.status).toMatchObject({ phase: 'Healthy', lastOutcome: { result: 'Reverted' } })
    expectQuiet(world)
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

describe('deletion', () => {
  const gone = (world: DeploymentWorld, terminating = false) => {
    world.deleting = true
    world.deletedAt = world.now
    world.namespaceTerminating = terminating
    world.wait(15 * minute, () => world.gone)
    world.advance(minute)
    expect(world.gone).toBe(true)
  }

  test('while Healthy: the label goes, and nothing else changes', () => {
    const world = adopted()
    gone(world)
    expect(world.cluster.labelled).toBe(false)
    expect(deploymentOf(world)).toMatchObject({ paused: false, template: { tag: 'v1' } })
    expectQuiet(world)
  })

  test('while Healthy with latch: Pause: the Deployment is not left paused', () => {
    const world = adopted({}, { deployment: { latch: 'Pause' } })
    gone(world)
    expect(deploymentOf(world).paused).toBe(false)
  })

  test.each([10, 50, 100])(
    'at %i%%: traffic back, canary gone, the untested template stays paused, which is said',
    (weight) => {
      const world = at(weight)
      gone(world)
      expectQuiet(world)
      expect(world.cluster.labelled).toBe(false)
      expect(deploymentOf(world).paused).toBe(true)
      expect(runs(world)).toEqual(['v1'])
      expect(world.events).toContainEqual(expect.objectContaining({ reason: 'LeftBehind' }))
      expect(world.log.at(-1)).toMatchObject({ kind: 'delete', weights: { weight: 0 } })
    },
  )

  test('during the native roll: it ends on one version that was tried, with all traffic', () => {
    const world = rolling()
    gone(world)
    expectQuiet(world)
    expect(world.cluster.labelled).toBe(false)
    world.advance(5 * minute)
    expect(runs(world)).toHaveLength(1)
    expect(deploymentOf(world).paused).toBe(false)
  })

  test('during a slow rollback: the version before is back first', () => {
    const world = rolling()
    world.breaching.add('v2')
    until(world, () => world.status.deployment?.restoring !== undefined)
    gone(world)
    expect(runs(world)).toEqual(['v1'])
    expectQuiet(world)
    expect(world.cluster.labelled).toBe(false)
  })

  test('after a rollback whose template is still there: it stays paused', () => {
    const world = adopted()
    world.gitMode = 'Off'
    world.release(version('v2'))
    until(world, () => world.weight === 10)
    world.breaching.add('v2')
    until(world, () => world.weight === 0)
    gone(world)
    expectQuiet(world)
    expect(deploymentOf(world)).toMatchObject({ paused: true, template: { tag: 'v2' } })
    expect(runs(world)).toEqual(['v1'])
  })

  test('while suspended: it ends the suspend', () => {
    const world = at(50)
    world.spec = { ...world.spec, suspend: true }
    world.settle()
    gone(world)
    expectQuiet(world)
    expect(world.cluster.labelled).toBe(false)
  })

  test('the autoscaler gets its minimum back before the Rollout goes, also when that fails at first', () => {
    const world = new DeploymentWorld({}, { replicas: 6 })
    world.cluster.autoscaler = { min: 2, max: 12, demand: 6 }
    world.settle()
    world.release(version('v2'))
    until(world, () => world.weight === 10)
    world.deleting = true
    world.deletedAt = world.now
    world.onHands = (effect) => {
      world.refused = effect.kind === 'floor' && world.now - (world.deletedAt ?? 0) < 2 * minute
    }
    world.wait(5 * minute)
    expect(world.gone).toBe(true)
    expect(world.cluster.autoscaler).toMatchObject({ min: 2 })
    expectQuiet(world)
  })

  test('while the Deployment may not be written: it waits ten minutes, then goes and says what it leaves', () => {
    const world = adopted()
    world.refused = true
    world.deleting = true
    world.deletedAt = world.now
    world.wait(9 * minute)
    expect(world.gone).toBe(false)
    world.wait(2 * minute)
    expect(world.gone).toBe(true)
    expect(world.events.at(-1)).toMatchObject({ reason: 'LeftBehind' })
  })

  test('with a spec that has become invalid: the Deployment is given back all the same', () => {
    const world = adopted()
    world.specProblem = { reason: 'InvalidSpec', message: 'spec.steps: must rise' }
    world.settle()
    gone(world)
    expect(world.cluster.labelled).toBe(false)
  })

  test('while the labels do not fit: what is stable is not left paused', () => {
    const world = at(10)
    world.breaching.add('v2')
    until(world, () => world.weight === 0)
    world.cluster.misfit = true
    world.wait(5 * minute)
    expect(deploymentOf(world)).toMatchObject({ paused: false, template: { tag: 'v1' } })
    write(world.cluster, 'webhook', (d) => Object.assign(d, { paused: true }))
    gone(world)
    expect(deploymentOf(world).paused).toBe(false)
    expectQuiet(world)
  })

  test('while the route cannot be read: the canary that may carry traffic is not left without a word', () => {
    const world = at(10)
    world.release(version('v1'))
    world.settle()
    world.problem = { reason: 'RouteAmbiguous', message: 'two routes split traffic' }
    world.deleting = true
    world.deletedAt = world.now
    world.wait(minute)
    expect(world.gone).toBe(false)
    world.problem = undefined
    world.wait(minute)
    expect(world.gone).toBe(true)
    expectQuiet(world)
  })

  test('of a Rollout whose route comes back late with its old weight: traffic is taken back before the canary goes', () => {
    const world = at(10)
    world.problem = { reason: 'VirtualServiceMissing', message: 'the VirtualService my-app does not exist' }
    world.settle()
    world.deleting = true
    world.deletedAt = world.now
    world.settle()
    world.problem = undefined
    world.wait(2 * minute)
    expect(world.gone).toBe(true)
    expectQuiet(world)
  })

  test('of a Rollout whose Deployment is gone: its canary goes along', () => {
    const world = at(10)
    world.release(version('v1'))
    world.settle()
    world.cluster.deployment = undefined
    world.settle()
    gone(world)
    expectQuiet(world)
  })
})

describe('leftovers', () => {
  test('canary pods of nobody are taken away', () => {
    const world = at(10)
    const copy = structuredClone(world.cluster.canary)
    world.release(version('v1'))
    world.wait(2 * minute)
    expect(world.cluster.canary).toBeUndefined()
    world.cluster.canary = copy
    world.wait(2 * minute)
    expectQuiet(world)
  })

  test('a canary Deployment of nobody under traffic is not taken away', () => {
    const world = at(10)
    const copy = structuredClone(world.cluster.canary)
    world.release(version('v1'))
    world.wait(2 * minute)
    world.cluster.canary = copy
    world.write('canary', 30, 'kubectl')
    world.wait(5 * minute)
    expect(world.points.canary).toBe(30)
    expect(asked(world)).toBe(1)
  })

  test('a Deployment that was created anew is not brought back to what the one before ran', () => {
    const world = rolling()
    world.breaching.add('v2')
    until(world, () => world.status.deployment?.restoring !== undefined)
    world.cluster.deployment = undefined
    world.settle()
    world.gitTemplate = version('v3')
    create(world.cluster, version('v3'), 4)
    tick(world.cluster, () => undefined)
    world.wait(5 * minute)
    expect(runs(world)).toEqual(['v3'])
    expect(world.status).toMatchObject({ phase: 'Healthy', stable: { name: 'v3', tested: false } })
  })
})

import { describe, expect, test } from 'vitest'
import { write } from './cluster.ts'
import { adopted, asked, at, deploymentOf, expectQuiet, until } from './stage.ts'
import { DeploymentWorld, version } from './world.ts'

const minute = 60_000
const hour = 60 * minute

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
    const world = at(10, {}, { deployment: { canaryReplicas: 2 } })
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

import { describe, expect, test } from 'vitest'
import { create, isReady, tick, write } from './cluster.ts'
import { readyPods } from './native.ts'
import { adopted, asked, at, deploymentOf, expectQuiet, rolling, runs, until } from './stage.ts'
import { DeploymentWorld, version } from './world.ts'

const minute = 60_000

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

  test('during the native roll: traffic returns when there are enough pods to take it', () => {
    const world = rolling()
    deploymentOf(world).maxUnavailable = 6
    write(world.cluster, 'people', () => undefined)
    tick(world.cluster, () => undefined)
    const ready = () => readyPods(deploymentOf(world), isReady(world.cluster))
    expect(ready()).toBeLessThan(10)
    const seen: number[] = []
    world.onWrite = () => seen.push(ready())
    gone(world)
    expect(seen).toEqual([10])
    expectQuiet(world)
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
  test('traffic that somebody sent to no canary at all is taken back before a rollout starts, and convicts nobody', () => {
    const world = adopted()
    world.write('canary', 30, 'kubectl')
    world.settle()
    expect(world.points.canary, 'left alone while nothing is released').toBe(30)
    world.release(version('v2'))
    world.settle()
    expect(world.points.canary).toBe(0)
    until(world, () => world.status.phase === 'Healthy')
    expect(world.status.history?.map((h) => h.result)).toEqual(['Promoted'])
    expect(runs(world)).toEqual(['v2'])
  })

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

import { describe, expect, test } from 'vitest'
import { adopted, asked, at, deploymentOf, expectQuiet, runs, until } from './stage.ts'
import { version } from './world.ts'

const minute = 60_000

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

import { describe, expect, test } from 'vitest'
import { plan } from '../../../src/plan/plan.ts'
import { create, tick, write } from './cluster.ts'
import { asked, at, deploymentOf, expectQuiet, rolling, runs, until } from './stage.ts'
import { version } from './world.ts'

const minute = 60_000

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

  test('scaled to zero during the roll and given up then: what comes back is what ran before', () => {
    const world = rolling()
    world.gitDown = true
    write(world.cluster, 'people', (d) => Object.assign(d, { replicas: 0 }))
    tick(world.cluster, () => undefined)
    world.wait(minute)
    world.ask('abort', {})
    world.wait(minute)
    write(world.cluster, 'people', (d) => Object.assign(d, { replicas: 4 }))
    const seen = new Set<string>()
    for (let i = 0; i < 20; i++) {
      tick(world.cluster, () => undefined)
      world.wait(15_000)
      for (const name of runs(world)) seen.add(name)
    }
    expect([...seen]).toEqual(['v1'])
    expect(world.status.stable?.name).toBe('v1')
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

import { describe, expect, test } from 'vitest'
import { DeploymentWorld } from './deployment/world.ts'
import { World } from './world.ts'

const ready = (world: World) => world.status.conditions?.find((c) => c.type === 'Ready')

describe('a cluster that is rebuilt from Git', () => {
  test.each(['GitOtherCluster', 'ManifestInvalid'] as const)(
    'adopts nothing while the state file may not be believed (%s), and goes on from it when it may',
    (reason) => {
      const world = new World({}, { v1: 40, v2: 60 })
      world.gitProblem = {
        reason,
        message: 'belongs to the cluster old, and this is new',
        file: '.sluice/shop/my-app.yaml',
      }
      world.pass(60_000)
      expect(world.status).toMatchObject({ phase: 'Pending' })
      expect(world.status.stable).toBeUndefined()
      expect(world.status.message).toContain('.sluice/shop/my-app.yaml')
      expect(ready(world)).toMatchObject({ status: 'False', reason })
      expect(world.log).toEqual([])
      world.gitProblem = undefined
      const { revision, name, hash } = world.revision('v2')
      const stable = world.revision('v1')
      world.memory = {
        cluster: 'new',
        stable: { revision: stable.revision, name: 'v1', hash: stable.hash },
        knownBad: [{ revision, name, hash, reason: 'Breach.success-rate', at: '2026-01-01T00:00:00Z' }],
      }
      world.desire('v2')
      world.pass(60_000)
      expect(world.status).toMatchObject({ phase: 'RolledBack', stable: { name: 'v1' }, knownBad: [{ name: 'v2' }] })
      expect(world.points).toMatchObject({ v1: 100, v2: 0 })
    },
  )

  test('a source that is only read does not keep a Rollout waiting for another cluster’s memory', () => {
    const world = new World()
    world.gitMode = 'Off'
    world.gitProblem = { reason: 'GitOtherCluster', message: 'belongs to the cluster old, and this is new' }
    world.settle()
    expect(world.status).toMatchObject({ phase: 'Healthy', stable: { name: 'v1' } })
  })

  test('taken over, Git is told the new name once, also for a Rollout that was adopted before', () => {
    const world = new World()
    world.settle()
    const { stable } = world.status
    if (!stable) throw new Error('adopted')
    const { revision, name, hash } = stable
    world.memory = { cluster: 'old', takenOver: true, stable: { revision, name, hash }, knownBad: [] }
    world.reconcile()
    expect(world.log.map((c) => c.kind)).toEqual(['adopt'])
    world.memory = { cluster: 'new', stable: { revision, name, hash }, knownBad: [] }
    world.pass(5 * 60_000)
    expect(world.log.filter((c) => c.kind === 'adopt').length).toBeLessThanOrEqual(2)
    expect(world.status).toMatchObject({ phase: 'Healthy', git: { committed: true } })
  })

  test('a Deployment that serves another content than Git remembers is not Ready, and says which Git remembers', () => {
    const world = new DeploymentWorld()
    world.memory = {
      cluster: 'c',
      stable: { revision: 'v0-aaaaaaaaaa', name: 'v0', hash: 'aaaaaaaaaa' },
      knownBad: [],
    }
    world.pass(60_000)
    expect(ready(world)).toMatchObject({ status: 'False', reason: 'UntestedServing' })
    expect(world.status.message).toContain('v0-aaaaaaaaaa')
  })

  test('a share of the traffic that goes to a canary without pods goes back to stable, in Git too', () => {
    const world = new DeploymentWorld()
    world.settle()
    const pair = world.destinations()
    if (!pair) throw new Error('a pair')
    const { revision, name, hash } = world.status.stable ?? { revision: '', name: '', hash: '' }
    world.memory = { cluster: 'c', stable: { revision, name, hash }, step: { index: 2, weight: 50 }, knownBad: [] }
    world.write(pair.canary, 50, 'argocd-controller')
    world.settle()
    delete world.memory.step
    world.pass(60_000)
    expect(world.points[pair.canary]).toBe(0)
    expect(world.log.map((c) => [c.kind, c.weights?.weight])).toEqual([['restore', 0]])
    expect(world.status).toMatchObject({ phase: 'Healthy', git: { committed: true } })
  })
})

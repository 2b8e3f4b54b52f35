import { expect } from 'vitest'
import { runningIn } from './see.ts'
import { type Beginning, DeploymentWorld, version } from './world.ts'

type Spec = ConstructorParameters<typeof DeploymentWorld>[0]

/** A world in which v1 was adopted. */
export function adopted(spec: Spec = {}, beginning: Beginning = {}): DeploymentWorld {
  const world = new DeploymentWorld(spec, beginning)
  world.settle()
  return world
}

/** Lets time pass until it has come to this; fails when it never does. */
export function until(world: DeploymentWorld, come: () => boolean, ms = 3_600_000): void {
  world.wait(ms, come)
  expect(come(), `never came to it: ${world.status.phase}: ${world.status.message}`).toBe(true)
}

/** A world in which v2 is held at this weight. */
export function at(weight: number, spec: Spec = {}, beginning: Beginning = {}): DeploymentWorld {
  const world = adopted(spec, beginning)
  world.release(version('v2'))
  until(world, () => world.weight === weight)
  return world
}

/** A world in which the Deployment rolls v2, of which it has more pods than of v1. */
export function rolling(spec: Spec = {}, beginning: Beginning = { replicas: 10 }): DeploymentWorld {
  const world = at(100, spec, beginning)
  until(world, () => runs(world)[0] === 'v2')
  expect(runs(world)).toEqual(['v2', 'v1'])
  return world
}

/** The versions of which the user's Deployment has pods, most first. */
export function runs(world: DeploymentWorld): string[] {
  const { cluster } = world
  return cluster.deployment ? runningIn(cluster, cluster.deployment).map((r) => r.revision.split('-')[0] ?? '') : []
}

/** Pods of the canary that Sluice has asked for. */
export function asked(world: DeploymentWorld): number | undefined {
  return world.cluster.canary?.until === undefined ? world.cluster.canary?.asked : undefined
}

/** The user's Deployment; it must be there. */
export function deploymentOf(world: DeploymentWorld) {
  const { deployment } = world.cluster
  if (!deployment) throw new Error('there is no Deployment')
  return deployment
}

/** Nothing of Sluice is left in flight: traffic on the Deployment, no canary, the autoscaler its own. */
export function expectQuiet(world: DeploymentWorld): void {
  expect(world.points).toEqual({ stable: 100, canary: 0 })
  expect(world.cluster.canary).toBeUndefined()
  expect(world.cluster.autoscaler?.own).toBeUndefined()
}

import { expect } from 'vitest'
import type { RolloutStatus } from '../../src/api/status.ts'
import { sameRevision } from '../../src/plan/revision.ts'
import type { Command } from './history.ts'
import { guard, over } from './promises.ts'
import type { World } from './world.ts'

/** Looks at a world from outside and throws as soon as a promise of DESIGN section 2 is broken. */
export function watch(world: World): { before(c: Command): void; after(c: Command): void; end(): void } {
  const account = guard(world)
  let remembered: Pick<RolloutStatus, 'attempt' | 'canary' | 'knownBad' | 'stable'> & { changes: number } = {
    changes: 0,
  }

  return {
    before() {
      const { attempt, canary, knownBad, stable } = world.status
      remembered = { ...structuredClone({ attempt, canary, knownBad, stable }), changes: world.changes.length }
    },
    after(c) {
      if (world.gone) return
      account()
      const free = !world.spec.suspend && !world.problem && !world.deleting
      const inFlight = remembered.canary
      if (
        c.do === 'desire' &&
        free &&
        inFlight &&
        c.name === remembered.stable?.name &&
        !world.workloadGone.has(c.name)
      ) {
        if (!sameRevision(remembered.stable, world.revision(c.name))) return
        expect(world.points[inFlight.name], 'a revert is an abort (I9)').toBe(0)
        if (world.status.lastOutcome?.result === 'Reverted')
          expect(world.status.knownBad ?? [], 'and nobody is to blame').toEqual(remembered.knownBad ?? [])
      }
      if (c.do === 'touch')
        expect(world.status.attempt, 'the same content starts nothing (I7)').toBe(remembered.attempt)
      if (
        c.do === 'person' &&
        world.person &&
        free &&
        inFlight &&
        world.status.canary?.name === inFlight.name &&
        !world.gitDown
      )
        expect(world.weight, 'a lower weight in Git is followed (I13)').toBeLessThanOrEqual(
          Math.max(c.weight, 0) + 0.5 > world.weight ? world.weight : c.weight,
        )
    },
    end() {
      quiet(world)
      if (world.gone) return
      over(world)
      expect(world.points[world.status.stable?.name ?? ''], 'stable has all traffic').toBe(100)
    },
  }
}

/** Everything that stood in the way is gone, and people answer: the rollout has to come to an end. */
function quiet(world: World): void {
  Object.assign(world, {
    silence: undefined,
    gap: false,
    stepEvents: undefined,
    gitDown: false,
    gitRefuses: false,
    problem: undefined,
    specProblem: undefined,
    rolling: undefined,
    cached: undefined,
  })
  world.workloadGone.clear()
  for (const name of Object.keys(world.pods)) world.pods[name] = { replicas: 2, ready: 2 }
  world.spec = { ...world.spec, suspend: false, windows: [] }
  const quietNow = () =>
    world.gone ||
    (!world.status.canary &&
      !world.status.git?.pending?.length &&
      ['Healthy', 'RolledBack'].includes(world.status.phase ?? ''))
  for (let i = 0; i < 40; i++) {
    if (world.person) world.personWrites(world.person.canary, world.ours[world.person.canary] ?? 0)
    world.approve()
    if (world.status.paused) world.ask('resume', {})
    if (!world.gone) world.pass(30_000)
    if (quietNow() && i > 0) return
  }
  throw new Error(`does not come to an end: ${world.status.phase}: ${world.status.message}`)
}

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ConfiguredWorld } from './configured-world.ts'
import { deploymentOf, until } from './stage.ts'
import { version } from './world.ts'

const minute = 60_000

function adopted(...given: ConstructorParameters<typeof ConfiguredWorld>): ConfiguredWorld {
  const world = new ConfiguredWorld(...given)
  world.settle()
  return world
}

/** A world in which new configuration is held at this weight. */
function at(weight: number, world = adopted()): ConfiguredWorld {
  world.config = 'b'
  until(world, () => world.weight === weight)
  return world
}

/** Pods of the user's Deployment by the annotation they were made with, most first. */
function pods(world: ConfiguredWorld): (string | undefined)[] {
  return deploymentOf(world)
    .sets.filter((set) => set.pods.length > 0)
    .sort((a, b) => b.pods.length - a.pods.length)
    .map((set) => world.carried(set.template))
}

function expectQuiet(world: ConfiguredWorld): void {
  expect(world.points).toEqual({ stable: 100, canary: 0 })
  expect(world.cluster.canary).toBeUndefined()
}

const born = (world: ConfiguredWorld) => structuredClone(deploymentOf(world).sets)
const promoted = (world: ConfiguredWorld) => until(world, () => world.status.lastOutcome?.result === 'Promoted')

describe('configuration of a Deployment', () => {
  test('is a part of stable from adoption on, and no pod restarts', () => {
    const world = new ConfiguredWorld()
    const before = born(world)
    world.settle()
    expect(world.status).toMatchObject({
      phase: 'Healthy',
      stable: { name: 'v1', config: { objects: expect.anything() } },
    })
    expect(Object.keys(world.status.stable?.config?.objects ?? {})).toEqual(['ConfigMap/env', 'Secret/token'])
    expect(world.status.stable?.template).toBe(world.bare(version('v1')))
    expect(born(world)).toEqual(before)
    world.wait(10 * minute)
    expect(born(world)).toEqual(before)
  })

  test('that changes alone is released like a new image, and the template gets its annotation', () => {
    const world = adopted()
    const before = born(world)
    const stable = world.status.stable?.revision
    at(10, world)
    expect(world.status.canary).toMatchObject({ name: 'v1', template: world.status.stable?.template })
    expect(world.status.canary?.revision).not.toBe(stable)
    expect(world.status.message).not.toContain('without Sluice')
    expect(deploymentOf(world)).toMatchObject({ paused: false, sets: before })
    const tried = world.status.canary
    promoted(world)
    expect(world.weightsOf('canary')).toEqual([10, 50, 100, 0])
    world.wait(5 * minute)
    expect(world.status).toMatchObject({ phase: 'Healthy', stable: { revision: tried?.revision } })
    expect(pods(world)).toEqual([tried?.config?.hash])
    expectQuiet(world)
  })

  test('gives traffic back only when all pods were made with it', () => {
    const world = at(100)
    const hash = world.status.canary?.config?.hash
    until(world, () => pods(world).includes(hash))
    while (pods(world).length > 1 || pods(world)[0] !== hash) {
      expect(world.weight).toBe(100)
      world.wait(4_000)
    }
    promoted(world)
  })

  test('that fails goes back to weight 0, is known bad, leaves Git alone, and says what has to be put back', () => {
    const world = at(50)
    const before = born(world)
    world.breaching.add('v1')
    until(world, () => world.status.phase === 'RolledBack')
    world.breaching.clear()
    world.wait(5 * minute)
    expectQuiet(world)
    expect(world.status).toMatchObject({ phase: 'RolledBack', lastOutcome: { result: 'RolledBack' } })
    expect(world.status.message).toContain('put back the content of ConfigMap/env')
    expect(world.status.message).not.toContain('Secret/token')
    expect(world.log.every((commit) => commit.template === undefined)).toBe(true)
    expect(world.log.some((commit) => commit.kind === 'rollback')).toBe(true)
    expect(born(world)).toEqual(before)
    world.config = 'a'
    world.wait(minute)
    expect(world.status.phase).toBe('Healthy')
    world.config = 'b'
    world.wait(5 * minute)
    expect(world.status.phase).toBe('RolledBack')
    expect(world.weight).toBe(0)
  })

  test('that failed does not leave a template latched that is home again', () => {
    const world = at(50)
    const before = born(world)
    world.breaching.add('v1')
    world.release(version('v2'))
    until(world, () => world.status.canary?.name === 'v2')
    world.release(version('v1'))
    until(world, () => world.status.phase === 'RolledBack')
    world.wait(5 * minute)
    expect(world.status.knownBad).toMatchObject([{ name: 'v1' }])
    expect(deploymentOf(world).paused).toBe(false)
    expect(born(world)).toEqual(before)
  })

  test('that failed keeps a restart latched, whose pods would read it', () => {
    const world = at(50)
    world.breaching.add('v1')
    until(world, () => world.status.phase === 'RolledBack')
    const before = born(world)
    world.annotations.push('')
    world.restart()
    world.wait(5 * minute)
    expect(deploymentOf(world).paused).toBe(true)
    expect(born(world)).toEqual(before)
  })

  test('that changes again mid-flight takes traffic back and starts at the first step', () => {
    const world = at(50)
    const { attempt = 0, canary } = world.status
    world.config = 'c'
    until(world, () => world.weight === 10 && world.status.canary?.revision !== canary?.revision)
    expect(world.weightsOf('canary')).toEqual([10, 50, 0, 10])
    expect(world.status).toMatchObject({ attempt: attempt + 1, lastOutcome: { result: 'Superseded' } })
    expect(world.status.knownBad ?? []).toEqual([])
  })

  test('that is put back mid-flight is a revert: traffic back, nobody is to blame, no pod restarts', () => {
    const world = at(50)
    const before = born(world)
    world.config = 'a'
    world.wait(5 * minute)
    expect(world.status).toMatchObject({ phase: 'Healthy', lastOutcome: { result: 'Reverted' } })
    expect(world.status.knownBad ?? []).toEqual([])
    expect(born(world)).toEqual(before)
    expectQuiet(world)
  })

  test('that is put back while the Deployment takes it over brings the pods before back', () => {
    const world = at(100)
    const hash = world.status.canary?.config?.hash
    until(world, () => pods(world).includes(hash))
    world.config = 'a'
    world.wait(10 * minute)
    expect(world.status).toMatchObject({ phase: 'Healthy', lastOutcome: { result: 'Reverted' } })
    expect(pods(world)).toEqual([undefined])
    expectQuiet(world)
  })

  test('that fails while the Deployment takes it over brings the pods before back, slowly, and says so', () => {
    const world = at(100)
    const hash = world.status.canary?.config?.hash
    until(world, () => pods(world)[0] === hash)
    world.breaching.add('v1')
    until(world, () => world.weight === 0)
    world.breaching.clear()
    expect(world.status.message).toContain('slow')
    world.wait(10 * minute)
    expect(world.status).toMatchObject({ phase: 'RolledBack', stable: { name: 'v1' } })
    expect(world.status.message).toContain('put back the content of ConfigMap/env')
    expect(world.status.deployment?.restoring).toBeUndefined()
    expect(pods(world)).toEqual([undefined])
    expect(deploymentOf(world).paused).toBe(false)
    expectQuiet(world)
  })

  test('that changes while the Deployment takes the one before over waits for its turn', () => {
    const world = at(100)
    const tried = world.status.canary
    until(world, () => pods(world).includes(tried?.config?.hash))
    world.config = 'c'
    promoted(world)
    expect(world.status.lastOutcome?.revision).toBe(tried?.revision)
    until(world, () => world.status.canary !== undefined && world.weight === 10)
    expect(world.status.stable?.revision).toBe(tried?.revision)
    promoted(world)
    until(world, () => world.status.phase === 'Healthy' && world.status.stable?.revision !== tried?.revision)
  })

  test('and image that change together are one release, and only the template is put back in Git', () => {
    const world = adopted()
    world.release(version('v2'))
    world.config = 'b'
    until(world, () => world.weight === 50)
    expect(world.status.canary).toMatchObject({ name: 'v2', template: world.bare(version('v2')) })
    world.breaching.add('v2')
    until(world, () => world.status.phase === 'RolledBack')
    world.breaching.clear()
    world.wait(5 * minute)
    const [edit] = world.log.flatMap((commit) => commit.template ?? [])
    expect(edit).toMatchObject({ from: { hash: world.bare(version('v2')) }, to: { hash: world.bare(version('v1')) } })
    expect(world.gitTemplate.tag).toBe('v1')
    const failed = world.status.history?.find((outcome) => outcome.result === 'RolledBack')
    expect(failed?.message).toContain('put back the content of ConfigMap/env')
    // The new configuration is still there: with the image before it is something that nobody has tried.
    expect(world.status.lastOutcome).toMatchObject({ result: 'Promoted' })
    expect(world.status.stable).toMatchObject({ name: 'v1', template: world.bare(version('v1')) })
  })

  test('a template that an engine replaces without the annotation is the same content: no rollout, no new pods', () => {
    const world = at(100)
    promoted(world)
    world.wait(5 * minute)
    const before = born(world)
    const { attempt, stable } = world.status
    world.replaceTemplate()
    expect(deploymentOf(world).paused).toBe(true)
    world.wait(5 * minute)
    expect(world.status).toMatchObject({ phase: 'Healthy', attempt, stable })
    expect(deploymentOf(world).paused).toBe(false)
    expect(born(world)).toEqual(before)
  })

  test('under latch: Pause the Deployment is paused again after its promotion', () => {
    const world = at(100, adopted({}, { latch: 'Pause' }))
    promoted(world)
    world.wait(5 * minute)
    expect(world.status.phase).toBe('Healthy')
    expect(deploymentOf(world).paused).toBe(true)
    expect(pods(world)).toEqual([world.status.stable?.config?.hash])
  })
})

describe('configuration that is not known', () => {
  test.each(['Unread', 'Absent'] as const)(
    '(%s) keeps a new image from starting, says what it waits for, and goes on by itself',
    (state) => {
      const world = adopted()
      world.lookup = state
      world.release(version('v2'))
      world.wait(5 * minute)
      expect(world.status.canary).toBeUndefined()
      expect(world.status.message).toContain('ConfigMap/env')
      expect(deploymentOf(world).paused).toBe(true)
      world.lookup = 'There'
      until(world, () => world.weight === 10)
    },
  )

  test('after a restart changes nothing: the rollout in flight is not taken for a revert, and its guard is on', () => {
    const world = at(50)
    const { attempt } = world.status
    world.lookup = 'Unread'
    world.reconcile({ crashRecorded: true })
    world.wait(minute)
    expect(world.status).toMatchObject({ attempt, step: { weight: 50 } })
    expect(world.weight).toBe(50)
    world.breaching.add('v1')
    until(world, () => world.weight === 0)
    expect(world.status.lastOutcome?.result).toBe('RolledBack')
  })

  test('because it may not be read is said, and no restart is needed once it may', () => {
    const world = adopted()
    world.lookup = 'Refused'
    world.wait(minute)
    expect(world.status).toMatchObject({
      phase: 'Invalid',
      message: expect.stringContaining('sluice may not list configmaps'),
    })
    world.lookup = 'There'
    world.wait(minute)
    expect(world.status.phase).toBe('Healthy')
  })

  test('a needed ConfigMap that is deleted while nothing is released changes nothing', () => {
    const world = adopted()
    const { stable } = world.status
    world.lookup = 'Absent'
    world.wait(5 * minute)
    expect(world.status).toMatchObject({ phase: 'Healthy', stable })
    expect(world.status.canary).toBeUndefined()
  })
})

describe('trackConfig that is', () => {
  const track = (world: ConfiguredWorld, trackConfig: boolean) => {
    const { deployment } = world.spec.workload
    if (deployment) world.spec = { ...world.spec, workload: { deployment: { ...deployment, trackConfig } } }
    world.generation++
  }

  test('turned on or off starts nothing', () => {
    const world = adopted()
    const before = born(world)
    for (const on of [false, true, false]) {
      track(world, on)
      world.wait(2 * minute)
      expect(world.status).toMatchObject({ phase: 'Healthy', stable: { name: 'v1' } })
      expect(world.status.stable?.tested).toBeUndefined()
      expect(world.status.stable?.config === undefined).toBe(!on)
    }
    expect(world.status.attempt).toBeUndefined()
    expect(born(world)).toEqual(before)
  })

  test('turned off mid-flight lets the rollout end as it began', () => {
    const world = at(10)
    track(world, false)
    promoted(world)
    world.wait(5 * minute)
    expect(world.status).toMatchObject({
      phase: 'Healthy',
      stable: { name: 'v1' },
      lastOutcome: { result: 'Promoted' },
    })
    expect(world.status.stable?.tested).toBeUndefined()
    expect(world.status.stable?.config).toBeUndefined()
  })
})

describe('any history of configuration and images', () => {
  const event = fc.oneof(
    { weight: 4, arbitrary: fc.record({ kind: fc.constant('config'), to: fc.constantFrom('a', 'b', 'c') }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('image'), to: fc.constantFrom('v1', 'v2') }) },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constantFrom('breach', 'heal', 'replace', 'crash'),
        to: fc.constantFrom('v1', 'v2'),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant('lookup'), to: fc.constantFrom('Unread', 'Absent', 'There') }),
    },
  )
  const step = fc.tuple(event, fc.integer({ min: 0, max: 400_000 }))

  function happen(world: ConfiguredWorld, { kind, to }: { kind: string; to: string }): void {
    if (kind === 'config') world.config = to
    else if (kind === 'image') world.release(version(to))
    else if (kind === 'breach') world.breaching.add(to)
    else if (kind === 'heal') world.breaching.clear()
    else if (kind === 'replace') world.replaceTemplate()
    else if (kind === 'crash') world.reconcile({ crashRecorded: true })
    else if (kind === 'lookup') world.lookup = to === 'Unread' || to === 'Absent' ? to : 'There'
  }

  test('comes to rest: traffic at home, no canary left, and what serves is stable or known to be waited for', {
    timeout: 0,
  }, () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 8 }), (history) => {
        const world = adopted()
        world.onWrite = (effect) => {
          if (effect.direction === 'forward') expect(world.unfit(effect)).toBeUndefined()
        }
        for (const [what, ms] of history) {
          happen(world, what)
          world.wait(ms)
        }
        world.breaching.clear()
        world.lookup = 'There'
        world.wait(90 * minute, () => world.status.canary === undefined && world.status.phase === 'Healthy')
        world.wait(20 * minute)
        expect(['Healthy', 'RolledBack']).toContain(world.status.phase)
        expectQuiet(world)
        const { paused, template } = deploymentOf(world)
        const isServed =
          world.bare(template) === world.status.stable?.template && world.carried(template) === pods(world)[0]
        // What is known to be bad stays latched; what serves already does not.
        if (paused) expect([world.status.phase, isServed]).toEqual(['RolledBack', false])
        const [only, ...others] = pods(world)
        expect(others).toEqual([])
        const { config } = world.status.stable ?? {}
        expect([undefined, config?.hash]).toContain(only)
      }),
      { numRuns: 40 },
    )
  })
})

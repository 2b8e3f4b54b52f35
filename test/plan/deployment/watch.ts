import { expect } from 'vitest'
import type { RolloutStatus } from '../../../src/api/status.ts'
import type { Effect } from '../../../src/plan/effects.ts'
import type { Observation } from '../../../src/plan/observation.ts'
import { guard, over } from '../promises.ts'
import { isReady } from './cluster.ts'
import { hashOf, isComplete, readyPods, type Template } from './native.ts'
import { runningIn } from './see.ts'
import type { DeploymentWorld } from './world.ts'

/** Looks at a Deployment's world from outside and throws as soon as a promise is broken. */
export function watch(world: DeploymentWorld): { after(): void; end(): void } {
  guard(world)
  /** Contents that have passed every step, or served when Sluice came. */
  const passed = new Set<string>()
  let before: RolloutStatus = {}
  let beforeDeletion = false
  const templates = new Map<string, Template>()

  const contentHash = (content: string): string => {
    const [tag = '', env = ''] = content.split('/')
    const template = templates.get(content) ?? { tag, env, restart: 0 }
    templates.set(content, template)
    return hashOf(template)
  }

  world.onStatus = (status) => {
    if (!before.stable && status.stable && status.stable.tested !== false) passed.add(status.stable.hash)
    const promoted = status.deployment?.promotion
    if (promoted && !before.deployment?.promotion) {
      const { canary } = before
      expect(canary, 'a canary was tried before it is promoted').toBeDefined()
      expect(world.weight, 'what is promoted had all the traffic').toBe(100)
      passed.add(canary?.hash ?? '')
    }
    const { lastOutcome: last } = status
    if (last && last.at !== before.lastOutcome?.at && /^(RolledBack|Aborted)$/.test(last.result)) taken(last, status)
    before = status
  }
  const write = world.onWrite
  world.onWrite = (effect, decided) => {
    write?.(effect, decided)
    if (effect.reason === 'Promoted') givenBack()
  }

  /** Git hears of it that a version was taken back, and of which one is to come in its place. */
  function taken(
    { revision, reason }: NonNullable<RolloutStatus['lastOutcome']>,
    { git, stable }: RolloutStatus,
  ): void {
    if (world.gitMode === 'Off' || reason === 'Deleted') return
    const owed = [...(git?.pending ?? []), ...world.log].map((e) => e.template)
    const said = owed.find((t) => t?.from.revision === revision && t.to.hash === stable?.hash)
    expect(said, `Git is told to take ${revision} back`).toBeDefined()
  }

  /** Traffic returns to a Deployment that can take it, of versions that were tried. */
  function givenBack(): void {
    const { cluster } = world
    const d = cluster.deployment
    if (world.seen || !d) return
    expect(readyPods(d, isReady(cluster)), 'traffic returns to enough pods').toBeGreaterThanOrEqual(
      Math.max(1, d.replicas),
    )
    const excused = Object.keys(cluster.excused).map(contentHash)
    for (const { hash } of runningIn(cluster, d))
      expect([...passed, ...excused], 'of versions that were tried').toContain(hash)
  }

  /** Nobody is told of anything else than what runs. */
  function honest(): void {
    const { cluster, status } = world
    const d = cluster.deployment
    const { stable, canary, deployment } = status
    if (!d || !stable || canary || deployment?.restoring || world.deleting || !isComplete(d, isReady(cluster))) return
    const running = runningIn(cluster, d).map((r) => r.hash)
    if (running.length > 0) expect(running, 'what is called stable is what runs').toEqual([stable.hash])
  }

  /** Stable keeps the room that it had. */
  function roomy(): void {
    const { cluster, status } = world
    const floor = status.canary && status.deployment?.floor
    if (!floor || !cluster.autoscaler || world.refused || !cluster.deployment) return
    const { min, max } = cluster.autoscaler
    expect(min, 'stable keeps the pods it had').toBeGreaterThanOrEqual(Math.min(floor, max))
  }

  world.onBirth = (content, excuse) => {
    if (excuse !== undefined || !before.stable) return
    const hash = contentHash(content)
    const { stable, deployment } = before
    const homes = [stable, deployment?.promotion?.previous, deployment?.restoring].map((r) => r?.hash)
    expect(homes, `pods of ${content} appear in the Deployment, which nobody has let go`).toContain(hash)
    expect(passed.has(hash) || stable.tested === false, `${content} was not tried`).toBe(true)
  }

  world.onHands = (effect, seen) => hands(world, effect, seen, before)

  return {
    after() {
      if (world.gone) return
      const { stable } = world.status
      if (!stable || world.spec.suspend) return
      if (!passed.has(stable.hash))
        expect(stable.tested, `${stable.revision} was never tried, and status says so`).toBe(false)
      honest()
      roomy()
      beforeDeletion = world.deleting
    },
    end() {
      quiet(world)
      const { cluster, status } = world
      const d = cluster.deployment
      if (world.gone) {
        if (world.namespaceTerminating || !d) return
        const leftBehind = world.events.some((e) => e.reason === 'TrafficLeftBehind')
        if (!world.problem && !leftBehind) expect(world.points.canary, 'traffic is on the Deployment').toBe(0)
        if (!leftBehind && cluster.canary) expect(cluster.canary.until, 'no canary is left').toBeDefined()
        expect(cluster.labelled, 'nothing latches it any more').toBe(false)
        expect(cluster.autoscaler?.own, 'the autoscaler has its own minimum').toBeUndefined()
        if (passed.has(hashOf(d.template)) && hashOf(d.template) === status.stable?.hash)
          expect(d.paused, 'what was tried is not paused').toBe(false)
        else if (!cluster.excused[`${d.template.tag}/${d.template.env}`])
          expect(d.paused, 'what was not tried stays paused').toBe(true)
        return
      }
      expect(beforeDeletion && world.deleting, 'a deleted Rollout goes').toBe(false)
      over(world)
      expect(world.points, 'stable has all traffic').toEqual({ stable: 100, canary: 0 })
      expect(cluster.canary, 'no canary Deployment is left').toBeUndefined()
      expect(cluster.autoscaler?.own, 'the autoscaler has its own minimum').toBeUndefined()
      expect(cluster.labelled, 'the Deployment is latched').toBe(true)
      expect(Object.keys(status.deployment ?? {}), 'nothing is under way').toEqual(
        status.deployment?.latch ? ['latch'] : [],
      )
      if (!d || !status.stable) throw new Error('nothing is stable')
      const running = runningIn(cluster, d).map((r) => r.hash)
      const same = hashOf(d.template) === status.stable.hash
      // A template that is latched in the middle of a roll, and turns out to be bad, leaves the mix until Git has another.
      if (!same) expect(running, 'the Deployment runs stable').toContain(status.stable.hash)
      else expect(running, 'the Deployment runs stable, and nothing else').toEqual([status.stable.hash])
      if (same && world.spec.workload.deployment?.latch === 'Admission')
        expect(d.paused, 'what is stable is not held back').toBe(false)
      if (same) expect(status.phase).toBe('Healthy')
      else expect(d.paused, 'what is known to be bad is').toBe(true)
      if (world.spec.workload.deployment?.latch === 'Pause') expect(d.paused, 'is paused all the time').toBe(true)
      if (!passed.has(status.stable.hash)) expect(status.stable.tested, 'is said not to be tested').toBe(false)
      const { effects, requeueAfterMs } = world.reconcile()
      expect([effects, requeueAfterMs], 'idling costs nothing').toEqual([[], undefined])
    },
  }
}

/** What must be true of everything that Sluice does to Deployments. */
function hands(world: DeploymentWorld, effect: Effect, seen: Observation, before: RolloutStatus): void {
  const { cluster } = world
  expect(world.spec.suspend && !world.specProblem && !world.deleting, 'hands off while suspended').toBe(false)
  const stale = world.cached !== undefined || world.problem !== undefined
  const { stable, canary, deployment } = before
  const d = seen.workload.deployment
  const desired = seen.workload.ok ? seen.workload.desired : undefined
  switch (effect.kind) {
    case 'removeCanary':
      if (!stale && cluster.canary) expect(world.points.canary, 'never takes pods from under traffic').toBe(0)
      return
    case 'scaleCanary':
      if (stale || !cluster.canary || world.weight === 0 || world.seen) return
      expect(effect.replicas, 'never scales down what carries traffic').toBeGreaterThanOrEqual(cluster.canary.asked)
      expect(effect.revision.revision, 'never changes what carries traffic').toBe(cluster.canary.revision)
      return
    case 'resume': {
      expect(effect.resourceVersion, 'lets go what it has seen').toBe(d?.resourceVersion)
      const homes = [stable, world.latest?.status.stable, deployment?.promotion ? canary : undefined].map(
        (r) => r?.hash,
      )
      expect(homes, 'lets go only what was tried').toContain(desired?.hash)
      if (deployment?.promotion && world.latest?.status.deployment?.promotion)
        expect(deployment.promotion.resumedAt, 'it is written down before old pods go').toBeDefined()
      return
    }
    case 'restoreTemplate':
      expect([stable?.hash, deployment?.promotion?.previous.hash, deployment?.restoring?.hash]).toContain(
        effect.to.hash,
      )
      return
    default:
      return
  }
}

/** Everything that stood in the way is gone, and people answer: the rollout has to come to an end. */
function quiet(world: DeploymentWorld): void {
  if (world.gone) return
  Object.assign(world, {
    silence: undefined,
    gap: false,
    stepEvents: undefined,
    gitDown: false,
    gitRefuses: false,
    problem: undefined,
    specProblem: undefined,
    cached: undefined,
    seen: undefined,
    refused: false,
  })
  world.mend()
  world.spec = { ...world.spec, suspend: false, windows: [] }
  /** No native roll is under way, a restart for example. */
  const rolled = () => {
    const { deployment: d } = world.cluster
    return d === undefined || d.paused || isComplete(d, isReady(world.cluster))
  }
  const left = () =>
    world.gone ||
    (rolled() &&
      !world.status.canary &&
      !world.status.git?.pending?.length &&
      !world.cluster.canary &&
      ['Healthy', 'RolledBack'].includes(world.status.phase ?? ''))
  for (let i = 0; i < 40; i++) {
    if (world.person) world.personWrites(world.person.canary, world.ours[world.person.canary] ?? 0)
    world.approve()
    if (world.status.paused) world.ask('resume', {})
    const others = world.writer !== undefined && !world.writer.manager.startsWith('sluice')
    if (!world.status.canary && others && world.points.canary) world.write('canary', 0, 'people')
    world.wait(60_000, () => world.gone || Object.values(world.approvals).some((a) => a.state === 'Pending'))
    if (left() && i > 0) return
  }
  throw new Error(`does not come to an end: ${world.status.phase}: ${world.status.message}`)
}

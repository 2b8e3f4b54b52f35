import { expect } from 'vitest'
import { parseDuration } from '../../src/api/duration.ts'
import { type RolloutStatus, rolloutStatus } from '../../src/api/status.ts'
import type { Plan, SetWeight } from '../../src/plan/effects.ts'
import type { Observation } from '../../src/plan/observation.ts'
import { plan } from '../../src/plan/plan.ts'
import { sameRevision } from '../../src/plan/revision.ts'
import { windowState } from '../../src/plan/windows.ts'
import type { World } from './world.ts'

/** How many plans go by between two that are made twice and read back with the schema. */
const SAMPLE = 41

/**
 * Stands beside a world and throws as soon as a promise of DESIGN section 2 is broken by a plan or by a write of a weight, whichever
 * way the workload is declared. What comes back settles the account of how long the present weight has been held.
 */
export function guard(world: World): () => void {
  const spent = new Set<object>()
  let held = 0
  let heldWeight = 0
  let plans = 0

  world.onPlan = (decided, seen, before) => {
    shape(decided, before)
    if (plans++ % SAMPLE === 0) pure(decided, seen, before, world.now)
    retreatFirst(decided, seen, before)
  }
  world.onWrite = (effect, decided) => {
    if (effect.direction === 'forward') forward(effect, decided)
  }
  /** Weight by weight, how long it has been held with data, by a count of our own. */
  function account(): void {
    const weight = world.status.canary ? (world.status.step?.weight ?? 0) : 0
    if (weight !== heldWeight) held = 0
    heldWeight = weight
  }
  world.onTime = (ms) => {
    account()
    const { paused, canary } = world.status
    const ok = !world.silence && !paused && !world.spec.suspend && !world.specProblem && !world.problem && canary
    if (ok && world.looked && world.desiredIsThere) held += ms
  }

  /** I3, I4, I8, I11, I12 and the order of steps, at the very moment at which traffic is about to move forward. */
  function forward(effect: SetWeight, decided: Plan): void {
    const { status, spec } = world
    account()
    const { canary, step } = status
    const entering = step?.entering
    const say = (what: string) => `${what}: ${world.weight} → ${effect.weight} (${decided.status.message})`
    if (!canary || !step || !entering) throw new Error(say('a forward move needs a recorded intent'))
    expect(entering.weight, say('moves to the weight of its intent')).toBe(effect.weight)
    const next = spec.steps.find((s) => s.weight > world.weight + 0.5)
    expect(next?.weight, say('moves to the next step only')).toBe(effect.weight)
    if (world.gitMode === 'Push' && world.commits === 'EveryStep') {
      const commit = world.log.find((c) => c.op === entering.op)
      expect(commit?.weights?.weight, say('is in Git before traffic moves (I3)')).toBe(effect.weight)
    }
    expect(world.silence, say('never moves on missing answers (I4)')).toBeUndefined()
    expect(world.breaching.has(canary.name) && world.weight > 0, say('never moves on a breach')).toBe(false)
    expect(status.paused, say('never moves while paused')).toBeUndefined()
    expect(spec.suspend || world.specProblem || world.deleting, say('may move')).toBeFalsy()
    expect(windowState(spec.windows, world.now).open, say('moves inside its windows')).toBe(true)
    const bad = status.knownBad?.some((k) => k.name === canary.name && k.hash === canary.hash)
    expect(bad ?? false, say('never moves to a revision known to be bad (I8)')).toBe(false)
    expect(sameRevision(canary, world.desiredNow()), say('moves to what is desired')).toBe(true)
    expect(world.unfit(effect), say('moves to where somebody is')).toBeUndefined()
    const current = spec.steps[step.index - 1]
    if (current && !step.waived && !status.waiveHolds)
      expect(held, say('has held for its time, with data')).toBeGreaterThanOrEqual(parseDuration(current.hold))
    if (next?.approval) approved(entering.digest, say)
  }

  function approved(digest: string, say: (what: string) => string): void {
    const given = Object.values(world.approvals).filter((a) => a.digest === digest && a.by.length > 0)
    const answers = given.filter((a) => a.state === 'Approved' && !spent.has(a))
    expect(answers, say('exactly one unspent approval for this digest (I11)')).toHaveLength(1)
    for (const a of answers) spent.add(a)
  }

  return account
}

/** What is true of every world that was left alone for long enough. */
export function over(world: World): void {
  const { status } = world
  expect(rolloutStatus.safeParse(status).error).toBeUndefined()
  expect(['Healthy', 'RolledBack'], status.message).toContain(status.phase)
  expect(status.canary, 'nothing is in flight').toBeUndefined()
  expect(status.git?.pending ?? [], 'nothing is owed').toEqual([])
  const ops = world.log.map((c) => c.op)
  expect(new Set(ops).size, 'every operation is in Git once').toBe(ops.length)
  if (world.second) expect(world.second, 'routes agree').toEqual(world.points)
  if (world.gitMode === 'Push' && !world.person && world.unsaid === 0)
    expect(world.gitPoints, 'Git says what is live').toEqual(world.points)
}

/** What is true of every plan. */
function shape(decided: Plan, before: RolloutStatus): void {
  const { status, effects, requeueAfterMs } = decided
  const message = status.message ?? ''
  if (message === '' || /[\r\n]/.test(message)) throw new Error(`a message is one line: ${JSON.stringify(message)}`)
  const weights = effects.filter((e) => e.kind === 'setWeight')
  if (weights.length > 1) throw new Error('one write of weights in one plan')
  if (weights[0]?.direction === 'retreat' && effects[0] !== weights[0])
    throw new Error(`something comes before a retreat: ${effects.map((e) => e.kind).join(', ')}`)
  if (requeueAfterMs === 0 && effects.length === 0 && JSON.stringify(status) === JSON.stringify(before))
    throw new Error(`spins: ${message}`)
  if ((status.git?.pending?.length ?? 0) > 50 || (status.knownBad?.length ?? 0) > 20) throw new Error('grows')
}

/** The same input gives the same plan, and is left as it was. */
function pure(decided: Plan, seen: Observation, before: RolloutStatus, now: number): void {
  const again = plan(frozen(structuredClone(before)), frozen(structuredClone(seen)), now)
  expect(again).toEqual(decided)
  expect(rolloutStatus.safeParse(JSON.parse(JSON.stringify(decided.status))).error).toBeUndefined()
  expect(rolloutStatus.safeParse(JSON.parse(JSON.stringify(decided.fallback))).error).toBeUndefined()
}

function frozen<T>(value: T): T {
  if (typeof value === 'object' && value !== null)
    for (const inner of Object.values(Object.freeze(value))) frozen(inner)
  return value
}

/** I2: with a breach of a canary that carries traffic in sight, and somewhere to go, weight 0 is the first thing done. */
function retreatFirst(decided: Plan, seen: Observation, before: RolloutStatus): void {
  const pair = seen.traffic.recorded
  if (!before.canary || !pair?.ok || pair.weight === 0) return
  if (!seen.analysis.slis.some((s) => s.verdict === 'Breach')) return
  const stable = seen.workload.ok ? seen.workload.stable : seen.workload.seen?.stable
  const spec = seen.spec.ok ? seen.spec.value : JSON.parse(before.lastValid ?? '{}')
  if (!stable?.ready || (spec.suspend && !seen.rollout.deleting)) return
  expect(decided.effects[0], 'retreat first (I2)').toMatchObject({
    kind: 'setWeight',
    canary: pair.canary,
    weight: 0,
    direction: 'retreat',
  })
}

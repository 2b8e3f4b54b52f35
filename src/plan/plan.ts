import { parseDuration } from '../api/duration.ts'
import { type RolloutSpec, rolloutSpec } from '../api/rollout.ts'
import type { RolloutStatus } from '../api/status.ts'
import { errors } from '../errors.ts'
import { absorb } from './absorb.ts'
import { adoption, takeOver } from './adoption.ts'
import { breach } from './breach.ts'
import { submitOwed } from './commits.ts'
import { conditionsOf } from './conditions.ts'
import { deadline, untilDeadline } from './deployment/capacity.ts'
import { untilConfigRead } from './deployment/configuration.ts'
import { bypass, latch } from './deployment/latch.ts'
import { promotion, restoring } from './deployment/promotion.ts'
import { tend } from './deployment/tend.ts'
import { drift } from './drift.ts'
import type { Plan } from './effects.ts'
import { forward, insufficientData, pause } from './forward.ts'
import { gitConflict, peopleDecide } from './git-conflict.ts'
import { idle } from './idle.ts'
import type { Observation } from './observation.ts'
import { abort, deletion, invalid, newRevision, revert, suspension } from './outside.ts'
import { withOwnWrite } from './own-write.ts'
import { unfinishedRetreat } from './retreat.ts'
import { start } from './start.ts'
import { type Decision, oneLine, type Rule, type Turn } from './turn.ts'

/** Longest spec that is kept in status. */
const LAST_VALID_LIMIT = 32_768

/** The first rule that speaks names the outcome; the order is the order of DESIGN "Which rule speaks". */
const rules: readonly Rule[] = [
  deletion,
  suspension,
  unfinishedRetreat,
  revert,
  peopleDecide,
  breach,
  abort,
  newRevision,
  bypass,
  promotion,
  restoring,
  gitConflict,
  drift,
  adoption,
  latch,
  idle,
  invalid,
  pause,
  start,
  deadline,
  insufficientData,
  forward,
]

/**
 * Decides what to do about one Rollout: pure, so the same input gives the same plan on any machine at any time.
 * The controller, `sluice plan`, `sluice simulate` and the tests all call this one function.
 *
 * @param recorded the status as it was written last; not changed
 * @param observation everything that is known now
 * @param now epoch milliseconds
 */
export function plan(recorded: RolloutStatus, observation: Observation, now: number): Plan {
  const o = withOwnWrite(recorded, observation, now)
  const spec = o.spec.ok ? o.spec.value : lastValid(recorded)
  const turn: Turn = {
    o,
    spec: spec ?? rolloutSpecOfNothing,
    now,
    status: structuredClone(recorded),
    effects: [],
  }
  const decision = spec || o.rollout.deleting ? decide(turn) : neverValid(o)
  return conclude(turn, recorded, { ...decision, message: oneLine(decision.message) })
}

function decide(turn: Turn): Decision {
  absorb(turn)
  for (const rule of rules) {
    const decision = rule(turn)
    if (decision) return decision
  }
  return {
    phase: 'Pending',
    reason: 'Waiting',
    message: 'waits for the route and the workloads to be read',
    requeueAfterMs: 1_000,
  }
}

function conclude(turn: Turn, recorded: RolloutStatus, decision: Decision): Plan {
  const { status, o } = turn
  const tending = tend(turn, recorded)
  takeOver(turn)
  if (!o.rollout.deleting || status.git?.pending?.length) submitOwed(turn)
  const fallback = { ...(decision.fallback ?? recorded), message: decision.message }
  // Also a first look that fails is one that people and engines can read.
  fallback.phase ??= 'Pending'
  fallback.conditions ??= conditionsOf(turn, { phase: fallback.phase, message: decision.message })
  status.conditions = conditionsOf(turn, decision)
  status.phase = decision.phase
  status.message = decision.message
  status.observedGeneration = o.rollout.generation
  const total = turn.spec.steps.length
  if (status.canary && status.step) status.stepSummary = `${status.step.index}/${total}`
  else delete status.stepSummary
  tellWhenStuck(turn, recorded, decision)
  keepLastValid(turn)
  const measuring = status.canary !== undefined && !turn.spec.suspend && !o.rollout.deleting
  const timers = [
    decision.requeueAfterMs,
    tending,
    untilDeadline(turn),
    untilConfigRead(turn),
    measuring ? parseDuration(turn.spec.analysis.interval) : undefined,
    status.unreadySince ? 1_000 : undefined,
  ]
  const soonest = Math.min(...timers.filter((ms) => ms !== undefined))
  return {
    status,
    effects: turn.effects,
    fallback,
    measuring,
    ...(Number.isFinite(soonest) ? { requeueAfterMs: soonest } : {}),
  }
}

/** Somebody has to do something: told when it becomes so, and when it becomes so for another reason. */
function tellWhenStuck({ status, effects }: Turn, recorded: RolloutStatus, decision: Decision): void {
  const helpless = (phase: string | undefined, reason: string | undefined) =>
    phase === 'Invalid' || reason === 'NowhereToGo' || reason === 'UntestedServing'
  if (!helpless(decision.phase, decision.reason)) return
  const before = recorded.conditions?.find((c) => c.type === 'Ready')?.reason
  const now = status.conditions?.find((c) => c.type === 'Ready')?.reason
  if (recorded.phase === decision.phase && before === now) return
  effects.push({ kind: 'notify', topic: 'stuck', message: decision.message })
}

/** While there is something to guard, something owed to Git, or a Deployment to give back, the spec to go on with is kept. */
function keepLastValid({ status, spec, o }: Turn): void {
  const adopted = spec.workload.deployment !== undefined && status.stable !== undefined
  if (!status.canary && !status.git?.pending?.length && !adopted) {
    delete status.lastValid
    return
  }
  if (!o.spec.ok) return
  const text = JSON.stringify(o.spec.value)
  if (text.length <= LAST_VALID_LIMIT) status.lastValid = text
  else delete status.lastValid
}

function neverValid(observation: Observation): Decision {
  if (observation.spec.ok) throw new Error('a valid spec is never Invalid')
  const { problem } = observation.spec
  return { phase: 'Invalid', reason: problem.reason, message: `${problem.message}. ${errors[problem.reason].fix}` }
}

/** The spec that guard and retreat go on with while the declared one cannot work. */
function lastValid(status: RolloutStatus): RolloutSpec | undefined {
  if (!status.lastValid) return undefined
  try {
    const parsed = rolloutSpec.safeParse(JSON.parse(status.lastValid))
    return parsed.success ? parsed.data : undefined
  } catch {
    return undefined
  }
}

/** Stands in where there is no spec at all and only deletion may act. */
const rolloutSpecOfNothing: RolloutSpec = rolloutSpec.parse({
  workload: { subsets: { desired: 'none' } },
  traffic: { istio: { virtualService: { name: 'none' } } },
})

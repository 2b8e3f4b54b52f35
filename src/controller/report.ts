import type { RolloutSpec, Sli } from '../api/rollout.ts'
import type { RolloutStatus } from '../api/status.ts'
import type { Problem } from '../errors.ts'
import type { Effect, Plan } from '../plan/effects.ts'
import type { Context, RolloutRef } from './context.ts'

/** Metrics and log lines about one finished reconcile. */
export function report(
  c: Context,
  ref: RolloutRef,
  before: RolloutStatus,
  after: RolloutStatus,
  decided: Plan,
  failed: { effect: Effect; problem: Problem } | undefined,
  spec: RolloutSpec | undefined,
): void {
  c.metrics.rollout(ref.key, {
    phase: after.phase ?? 'Pending',
    weight: after.step?.weight ?? 0,
    step: after.step?.index ?? 0,
    pending: after.git?.pending?.filter((entry) => !entry.void).length ?? 0,
  })
  if (failed) c.metrics.reconcileError('transient')
  if (after.lastOutcome && after.lastOutcome.at !== before.lastOutcome?.at) {
    const { result, reason, revision, message } = after.lastOutcome
    c.metrics.outcome(result)
    if (result === 'RolledBack') c.metrics.rollback(reason)
    c.log.info({ rollout: ref.key, result, reason, revision, detail: message }, 'rollout ended')
  }
  for (const sli of after.analysis ?? []) {
    const was = before.analysis?.find((s) => s.name === sli.name)
    if (was?.verdict === sli.verdict) continue
    const declared = spec?.analysis.slis.find((s) => s.name === sli.name)
    if (declared) c.metrics.verdict(sli.verdict, kindOf(declared))
    c.log.info(
      { rollout: ref.key, sli: sli.name, verdict: sli.verdict, observed: sli.observed, was: was?.verdict },
      'verdict changed',
    )
  }
  if (before.phase !== after.phase) {
    c.log.info({ rollout: ref.key, phase: after.phase, was: before.phase, detail: after.message }, 'phase changed')
  }
  c.log.debug(
    { rollout: ref.key, effects: decided.effects.map((e) => e.kind), requeueAfterMs: decided.requeueAfterMs },
    'reconciled',
  )
}

function kindOf(sli: Sli): 'successRate' | 'latency' | 'query' {
  return sli.successRate ? 'successRate' : sli.latency ? 'latency' : 'query'
}

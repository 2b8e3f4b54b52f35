import type { AnalysisRequest } from '../analysis/analyst.ts'
import { parseDuration } from '../api/duration.ts'
import type { RolloutStatus } from '../api/status.ts'
import { type Problem, sentence } from '../errors.ts'
import { type KubeObject, keyOf } from '../kube/object.ts'
import { resources } from '../kube/resources.ts'
import { plan } from '../plan/plan.ts'
import type { Context, RolloutRef } from './context.ts'
import { analysisRequest, effectiveSpec, observe } from './observe.ts'
import { perform, problemOf } from './perform.ts'
import { report } from './report.ts'
import { settle } from './settle.ts'

/** When to look again; nothing: only when something changes. */
export type Again = { afterMs: number; urgent?: boolean } | undefined

/** The spine: observe, plan, perform, record. Gets a key, never an event; every exit records what is true. */
export async function reconcile(c: Context, key: string): Promise<Again> {
  const [namespace, name] = key.split('/') as [string, string]
  const rollout = c.reader.get(resources.rollouts, { namespace, name })
  if (!rollout) return forget(c, key)

  const ref: RolloutRef = { key, namespace, name, uid: rollout.metadata.uid ?? '' }
  const recorded = c.recorder.statusOf(rollout)
  const observation = observe(c, rollout, recorded)
  if (observation.workload.ok) {
    c.interest(
      key,
      observation.workload.all.flatMap((revision) => revision.workloads.map((w) => `${namespace}/${w.name}`)),
    )
  }
  c.configs.interest(key, namespace, observation.workload.deployment?.configuration?.objects ?? [])
  const decided = plan(recorded, observation, c.runtime.now())
  const spec = effectiveSpec(rollout, observation.spec, recorded)

  const { failed, undone } = await perform(c, { rollout, ref, spec, decided })
  // What follows a retreat may wait; the retreats of other Rollouts at the same moment may not (I2).
  if (decided.effects.some((effect) => effect.kind === 'setWeight' && effect.direction === 'retreat')) await c.turn()
  const status = failed ? withProblem(decided.fallback, failed.problem) : undone.reduce(withProblem, decided.status)
  const retreating = failed?.effect.kind === 'setWeight' && failed.effect.direction === 'retreat'
  const outcome = await c.recorder.record(rollout, status).catch((error: unknown) => {
    tellNotWritten(c, rollout, error)
    if (!retreating) throw error
    c.log.warn({ rollout: key, err: error }, 'status not written')
    return 'NotWritten' as const
  })
  // The queue's growing pauses are not for a retreat (I2).
  if (outcome === 'NotWritten') return { afterMs: failed?.retryMs ?? 0, urgent: true }
  if (outcome === 'Gone') return forget(c, key)
  if (outcome === 'Lost') return { afterMs: 0 }
  report(c, ref, recorded, status, decided, failed, spec)
  c.chronicle.note(key, { before: recorded, after: status, slis: observation.analysis.slis, now: c.runtime.now() })

  const unsettledMs = failed ? undefined : await settle(c, { rollout, ref, spec, decided })
  const request = spec && decided.measuring ? analysisRequest(rollout, spec, status) : undefined
  if (request) c.feed.follow(keyOf(rollout), request)
  else {
    c.feed.forget(key)
    c.breaches.delete(key)
  }

  if (failed) return { afterMs: failed.retryMs, urgent: retreating }
  return sooner(unsettledMs, nextTurn(decided.requeueAfterMs, request))
}

/**
 * Every look at the evidence brings a turn, so a rollout that is looked at needs no timer of its own for the interval; one of
 * twice the interval is there for looks that do not come. A sooner timer stays: it has another reason.
 */
function nextTurn(afterMs: number | undefined, looked: AnalysisRequest | undefined): Again {
  if (afterMs === undefined) return undefined
  const interval = looked ? parseDuration(looked.analysis.interval) : Number.POSITIVE_INFINITY
  return { afterMs: afterMs < interval ? afterMs : 2 * interval }
}

function sooner(afterMs: number | undefined, again: Again): Again {
  return afterMs === undefined || (again && again.afterMs <= afterMs) ? again : { afterMs }
}

/** The status says what is true; the problem says why it is not better. */
function withProblem(status: RolloutStatus, problem: Problem): RolloutStatus {
  return { ...status, message: `${status.message ?? ''}; ${sentence(problem)}` }
}

/** A status that is refused cannot tell people so itself. */
function tellNotWritten(c: Context, rollout: KubeObject, error: unknown): void {
  const { reason, message } = problemOf(error)
  if (reason !== 'Forbidden' && reason !== 'ManifestRefused') return
  c.events.record({
    regarding: rollout,
    type: 'Warning',
    reason: 'StatusNotWritten',
    message: `nothing moves forward while the status cannot be written: ${message}`,
  })
}

function forget(c: Context, key: string): undefined {
  c.feed.forget(key)
  c.recorder.forget(key)
  c.chronicle.forget(key)
  c.git.forget(key)
  c.handwork.forget(key)
  c.breaches.delete(key)
  c.interest(key, [])
  c.configs.interest(key, '', [])
  c.metrics.forgetRollout(key)
  return undefined
}

import type { RolloutSpec } from '../api/rollout.ts'
import { type Problem, sentence } from '../errors.ts'
import { asKubeError } from '../kube/kube-error.ts'
import type { KubeObject } from '../kube/object.ts'
import { resources } from '../kube/resources.ts'
import { type Effect, isDeploymentEffect, isRequired, type Plan, type SetWeight } from '../plan/effects.ts'
import type { Context, RolloutRef } from './context.ts'
import { FINALIZER } from './observe.ts'

/**
 * What became of the effects. `failed`: a required one was not done, and nothing after it either. `undone`: why others have not been done,
 * people not asked or a Deployment left as it was; they are tried again.
 */
export interface Performed {
  failed?: { effect: Effect; problem: Problem; retryMs: number }
  undone: Problem[]
}

/** One Rollout and what was decided about it. */
export interface Work {
  rollout: KubeObject
  ref: RolloutRef
  spec: RolloutSpec | undefined
  decided: Plan
}

/** Pauses between attempts of a retreat within one reconcile: milliseconds to seconds, not intervals (I2). */
const RETREAT_PAUSES_MS = [20, 50, 100, 200, 400, 800]

/**
 * Does the effects in order; what is to become of a Deployment comes after everything else, and nobody waits for it. Left to `settle`,
 * once the status is recorded that makes them true: commits, and closing questions (a crash in between would ask people again what they
 * have answered).
 */
export async function perform(c: Context, work: Work): Promise<Performed> {
  const { ref, spec, decided } = work
  // What the look before asked for and has not been begun may be wrong by now.
  c.handwork.drop(ref.key)
  const undone: Problem[] = []
  for (const effect of decided.effects) {
    try {
      const failed = await one(c, work, effect)
      if (failed) return { failed: { effect, ...failed }, undone }
    } catch (error) {
      const problem = problemOf(error)
      if (isRequired(effect)) return { failed: { effect, problem, retryMs: 1_000 }, undone }
      if (effect.kind === 'askApproval')
        undone.push({ ...problem, message: `the question could not be asked: ${problem.message}` })
      c.log.warn({ rollout: ref.key, effect: effect.kind, err: error }, 'effect failed')
      c.metrics.reconcileError(asKubeError(error) ? 'transient' : 'bug')
    }
  }
  if (spec) {
    const target = { key: ref.key, namespace: ref.namespace, rollout: ref.name, spec, stable: decided.status.stable }
    undone.push(...c.handwork.ask(target, decided.effects.filter(isDeploymentEffect)))
  }
  return { undone }
}

/** What a request that failed means for the person who can do something about it. */
export function problemOf(error: unknown): Problem {
  const known = asKubeError(error)
  const reason = !known
    ? 'Internal'
    : known.isForbidden
      ? 'Forbidden'
      : known.isTransient || known.isConflict
        ? 'ApiUnreachable'
        : 'ManifestRefused'
  return { reason, message: error instanceof Error ? error.message : String(error) }
}

async function one(c: Context, work: Work, effect: Effect): Promise<{ problem: Problem; retryMs: number } | undefined> {
  const { rollout, ref, spec, decided } = work
  switch (effect.kind) {
    case 'setWeight':
      // A weight that cannot be written is never reported as written.
      if (!spec)
        return {
          problem: { reason: 'Internal', message: 'a weight was to be set without a spec that says where' },
          retryMs: 1_000,
        }
      return setWeight(c, ref, spec, effect)
    case 'commit':
    case 'closeApproval':
    // Handed over when everything else is done.
    case 'adopt':
    case 'proveLatch':
    case 'scaleCanary':
    case 'removeCanary':
    case 'resume':
    case 'restoreTemplate':
    case 'floor':
    case 'release':
      return undefined
    case 'askApproval':
      await c.errands.run(ref.key, `ask ${effect.approval.name}`, async () => {
        await c.approvals.ask({ namespace: ref.namespace, name: ref.name, uid: ref.uid }, effect.approval)
      })
      return undefined
    case 'event':
      c.events.record({ regarding: rollout, type: effect.type, reason: effect.reason, message: effect.message })
      return undefined
    case 'notify':
      c.people.tell(rollout, effect, decided)
      return undefined
    case 'addFinalizer':
    case 'removeFinalizer':
      await setFinalizer(c, ref, effect.kind === 'addFinalizer')
      return undefined
  }
}

async function setWeight(
  c: Context,
  ref: RolloutRef,
  spec: RolloutSpec,
  effect: SetWeight,
): Promise<{ problem: Problem; retryMs: number } | undefined> {
  const forward = effect.direction === 'forward'
  for (let attempt = 0; ; attempt++) {
    if (forward && !c.isLeader()) {
      return { problem: { reason: 'Internal', message: 'this process is not the leader any more' }, retryMs: 1_000 }
    }
    const result = await c.router.setWeight(spec.traffic, ref.namespace, effect)
    if (result.ok) {
      const since = c.breaches.get(ref.key)
      if (!forward && effect.weight === 0 && since !== undefined) {
        c.metrics.breachToWeight(c.runtime.monotonic() - since)
        c.breaches.delete(ref.key)
      }
      if (result.changed)
        c.log.info(
          {
            rollout: ref.key,
            weight: effect.weight,
            canary: effect.canary,
            direction: effect.direction,
            reason: effect.reason,
          },
          'weight set',
        )
      return undefined
    }
    // A process that is asked to end leaves the rest to its successor, which finds the decision in status or in the evidence.
    const pause = c.isStopping() ? undefined : RETREAT_PAUSES_MS[attempt]
    if (forward || !result.transient || pause === undefined) {
      c.log.warn(
        { rollout: ref.key, weight: effect.weight, direction: effect.direction, problem: sentence(result.problem) },
        'weight not set',
      )
      return { problem: result.problem, retryMs: forward ? (result.conflict ? 0 : 1_000) : 500 }
    }
    await c.runtime.sleep(pause * (0.5 + c.runtime.random()))
  }
}

/** Adds or removes our finalizer on the newest version of the object; other finalizers stay. */
async function setFinalizer(c: Context, ref: RolloutRef, present: boolean): Promise<void> {
  const key = { namespace: ref.namespace, name: ref.name }
  for (let attempt = 1; ; attempt++) {
    const live = await c.client.get(resources.rollouts, key)
    if (!live || live.metadata.uid !== ref.uid) return
    const finalizers = live.metadata.finalizers ?? []
    if (finalizers.includes(FINALIZER) === present) return
    const body = {
      metadata: {
        resourceVersion: live.metadata.resourceVersion,
        finalizers: present ? [...finalizers, FINALIZER] : finalizers.filter((f) => f !== FINALIZER),
      },
    }
    try {
      await c.client.patch(resources.rollouts, key, { type: 'merge', body }, { fieldManager: 'sluice' })
      return
    } catch (error) {
      if (!asKubeError(error)?.isConflict || attempt >= 5) throw error
    }
  }
}

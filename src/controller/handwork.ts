import type { Logger } from 'pino'
import { type Problem, sentence } from '../errors.ts'
import { type BackoffOptions, delayOf } from '../kube/backoff.ts'
import type { DeploymentEffect } from '../plan/effects.ts'
import { canonicalJson } from '../plan/revision.ts'
import type { Runtime } from '../runtime.ts'
import type { DeploymentHands, HandsTarget } from '../workload/hands.ts'

/**
 * What Deployment mode does to the cluster, beside the looks: a look never waits for it, so that a slow admission webhook on Deployments
 * cannot delay a retreat (I2). Effects are declarative and repeated at every look until they are seen to be done, so only what the newest
 * look asked for counts.
 */
export interface Handwork {
  /** What was asked for and has not been begun is not wanted any more. */
  drop(key: string): void
  /** Asks for these, in order. Answers why those of them that were tried before have not been done. */
  ask(target: HandsTarget, effects: readonly DeploymentEffect[]): Problem[]
  /** The Rollout is gone. */
  forget(key: string): void
  /** Begins nothing more; resolves when nothing is under way. */
  stop(): Promise<void>
}

interface Errands {
  wanted: { target: HandsTarget; effect: DeploymentEffect }[]
  /** The effect under way, as text. */
  doing?: string | undefined
  failures: Map<DeploymentEffect['kind'], Failure>
}

interface Failure {
  /** The effect that failed, as text: another one of its kind is tried at once. */
  effect: string
  problem: Problem
  attempts: number
  /** Monotonic ms before which it is not tried again. */
  until: number
}

/** Between tries of an effect that fails. */
const BACKOFF: BackoffOptions = { initialMs: 500, maxMs: 60_000 }
/** Until a new look after somebody else wrote first, should the caches have nothing new to tell. */
const AGAIN_MS = 500
/** Rollouts for which something is done at the same time. */
const PLACES = 16

export function createHandwork(options: {
  hands: DeploymentHands
  runtime: Runtime
  log: Pick<Logger, 'warn' | 'error'>
  /** Has a Rollout looked at again, after so many milliseconds. */
  wake(key: string, ms: number): void
  onFailure?(kind: 'transient' | 'bug'): void
}): Handwork {
  const { hands, runtime, log, wake, onFailure = () => undefined } = options
  const all = new Map<string, Errands>()
  const waiting = new Set<string>()
  const running = new Map<string, Promise<void>>()
  let stopped = false

  function dispatch(): void {
    for (const key of waiting) {
      if (stopped || running.size >= PLACES) return
      if (running.has(key)) continue
      const errands = all.get(key)
      waiting.delete(key)
      if (!errands) continue
      running.set(
        key,
        work(key, errands).finally(() => {
          running.delete(key)
          dispatch()
        }),
      )
    }
  }

  async function work(key: string, errands: Errands): Promise<void> {
    for (let next = errands.wanted.shift(); next && !stopped; next = errands.wanted.shift()) {
      const { target, effect } = next
      const text = canonicalJson(effect)
      const before = errands.failures.get(effect.kind)
      const pause = before?.effect === text ? before.until - runtime.monotonic() : 0
      if (pause > 0) {
        wake(key, pause)
        continue
      }
      errands.doing = text
      const problem = await tried(target, effect)
      errands.doing = undefined
      if (problem === 'Done') errands.failures.delete(effect.kind)
      else if (problem === undefined) wake(key, AGAIN_MS)
      else failed(key, errands, effect, problem)
    }
  }

  /** Undefined: only a new look can tell. */
  async function tried(target: HandsTarget, effect: DeploymentEffect): Promise<Problem | 'Done' | undefined> {
    try {
      const result = await hands.act(target, effect)
      return result.done ? 'Done' : result.problem
    } catch (error) {
      log.error({ rollout: target.key, effect: effect.kind, err: error }, 'effect failed')
      onFailure('bug')
      return { reason: 'Internal', message: error instanceof Error ? error.message : String(error) }
    }
  }

  function failed(key: string, { failures }: Errands, effect: DeploymentEffect, problem: Problem): void {
    const before = failures.get(effect.kind)
    const attempts = before?.attempts ?? 0
    const pause = delayOf(BACKOFF, attempts, runtime.random)
    const text = canonicalJson(effect)
    failures.set(effect.kind, { effect: text, problem, attempts: attempts + 1, until: runtime.monotonic() + pause })
    onFailure('transient')
    const isNews = before?.problem.message !== problem.message
    if (isNews) log.warn({ rollout: key, effect: effect.kind, problem: sentence(problem) }, 'effect failed')
    wake(key, isNews ? 0 : pause)
  }

  function drop(key: string): void {
    const errands = all.get(key)
    if (errands) errands.wanted = []
  }

  return {
    drop,
    ask(target, effects) {
      const { key } = target
      const errands: Errands = all.get(key) ?? { wanted: [], failures: new Map() }
      const kinds = new Set(effects.map((effect) => effect.kind))
      for (const kind of errands.failures.keys()) if (!kinds.has(kind)) errands.failures.delete(kind)
      errands.wanted = effects
        .filter((effect) => canonicalJson(effect) !== errands.doing)
        .map((effect) => ({ target, effect }))
      if (effects.length > 0) {
        all.set(key, errands)
        waiting.add(key)
        dispatch()
      } else if (!running.has(key)) all.delete(key)
      return [...errands.failures.values()].map(({ problem }) => problem)
    },
    forget(key) {
      drop(key)
      all.delete(key)
      waiting.delete(key)
    },
    async stop() {
      stopped = true
      waiting.clear()
      await Promise.all(running.values())
    },
  }
}

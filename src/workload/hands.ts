import type { RolloutSpec } from '../api/rollout.ts'
import type { RevisionRecord } from '../api/status.ts'
import type { Problem } from '../errors.ts'
import type { DeploymentEffect } from '../plan/effects.ts'

/** The Rollout on whose behalf something is done to a Deployment. */
export interface HandsTarget {
  /** `namespace/name` of the Rollout. */
  key: string
  namespace: string
  /** Name of the Rollout. */
  rollout: string
  spec: RolloutSpec
  /** What is recorded as stable. */
  stable?: RevisionRecord | undefined
}

/**
 * `done`: the world is as the effect says. Otherwise `problem` says why not; without one, somebody else wrote first or the world has moved
 * on, and only a new look can tell what is to be done now.
 */
export type HandsResult = { done: true } | { done: false; problem?: Problem | undefined }

/** Does what Deployment mode decides to the cluster. Adapters: deployment. */
export interface DeploymentHands {
  /** Does one effect; doing it twice is doing it once. Rejects only for bugs: whatever an API server may answer is a result. */
  act(target: HandsTarget, effect: DeploymentEffect): Promise<HandsResult>
}

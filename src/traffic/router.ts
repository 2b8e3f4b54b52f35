import type { RolloutSpec } from '../api/rollout.ts'
import type { Problem } from '../errors.ts'
import type { SetWeight } from '../plan/effects.ts'
import type { PairObservation } from '../plan/observation.ts'

export type Traffic = RolloutSpec['traffic']

/** The two owned destinations, by the names the route gives them: subsets, or hosts where destinations carry no subset. */
export interface Pair {
  stable: string
  canary: string
}

/** What the routes say now. `pairs` answers the pairs that were asked for, in their order. */
export type RouteObservation =
  | { shares: Record<string, number>; pairs: PairObservation[]; problem?: undefined }
  | { problem: Problem }

export type WeightWrite =
  /** The route is as wanted. `changed` is false when nothing had to be written. */
  | { ok: true; changed: boolean; resourceVersion: string }
  /**
   * Not written, or not known to be. `transient`: the same call may succeed in a moment. `conflict`: somebody else wrote first;
   * observe again, then decide anew. Neither: it cannot work before a person changes something.
   */
  | { ok: false; transient: boolean; conflict: boolean; problem: Problem }

/** Where traffic is split. One adapter for each kind of mesh; test/conformance/router.conformance.ts says how all of them behave. */
export interface Router {
  /** What caches know about the owned routes in `namespace`. Synchronous; talks to nobody. */
  observe(spec: Traffic, namespace: string, pairs: readonly Pair[]): RouteObservation
  /**
   * Sets the canary's share of the pair, in every owned route at once, and changes nothing but the two weights (I1). A `forward` write
   * fails with `conflict` when the object is not at `write.resourceVersion` any more; a `retreat` tests only who the destinations are
   * (I2). Idempotent. Never throws for what a cluster does.
   */
  setWeight(spec: Traffic, namespace: string, write: SetWeight): Promise<WeightWrite>
  /** Identities of the owned routes, for example `istio/shop/checkout#primary`: two Rollouts that share one own the same route. */
  routesOf(spec: Traffic, namespace: string): string[]
}

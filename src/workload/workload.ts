import type { RolloutSpec } from '../api/rollout.ts'
import type { RevisionRecord } from '../api/status.ts'
import type { WorkloadObservation } from '../plan/observation.ts'

/** What is asked about the workload of one Rollout. */
export interface WorkloadQuery {
  /** Of the Rollout; its Services, Deployments and pods are looked for where the host says. */
  namespace: string
  /** Name of the Rollout. */
  rollout: string
  workload: RolloutSpec['workload']
  traffic: RolloutSpec['traffic']
  /** What status says is stable and canary, where it says so. */
  recordedStable?: RevisionRecord | undefined
  recordedCanary?: RevisionRecord | undefined
  /** What was stable before the promotion under way, where there is one. */
  recordedPrevious?: RevisionRecord | undefined
}

/** What runs behind the versions of a Rollout. Adapters: subsets, deployment. */
export interface Workload {
  /** From caches; synchronous, talks to nobody, changes nothing. */
  observe(query: WorkloadQuery): WorkloadObservation
}

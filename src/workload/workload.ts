import type { RolloutSpec } from '../api/rollout.ts'
import type { WorkloadObservation } from '../plan/observation.ts'

/** What is asked about the workload of one Rollout. */
export interface WorkloadQuery {
  /** Of the Rollout; its Services, Deployments and pods are looked for where the host says. */
  namespace: string
  workload: RolloutSpec['workload']
  traffic: RolloutSpec['traffic']
  /** Subset names recorded in status, where there are any. */
  recordedStable?: string | undefined
  recordedCanary?: string | undefined
}

/** What runs behind the versions of a Rollout. Adapters: subsets. */
export interface Workload {
  /** From caches; synchronous, talks to nobody, changes nothing. */
  observe(query: WorkloadQuery): WorkloadObservation
}

import type { DeploymentObservation } from '../../plan/observation.ts'

/** What this process has found out about the admission policy that latches, by the uid of the Deployment it was tried on. */
export interface LatchMemory {
  of(uid: string): DeploymentObservation['latch']
}

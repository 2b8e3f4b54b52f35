import type { ConfigObjects } from './deployment/config.ts'
import type { FamilyReader } from './deployment/family.ts'
import { createDeploymentWorkload, type LatchMemory } from './deployment/observe.ts'
import { createSubsetWorkload } from './subsets.ts'
import type { Workload } from './workload.ts'

/** Both ways to release a workload, by what the Rollout names. */
export function createWorkload(reader: FamilyReader, latch: LatchMemory, configs?: ConfigObjects): Workload {
  const subsets = createSubsetWorkload(reader)
  const deployment = createDeploymentWorkload(reader, latch, configs)
  return { observe: (query) => (query.workload.deployment ? deployment : subsets).observe(query) }
}

import { isDeepStrictEqual } from 'node:util'
import type { Runtime } from '../../../runtime.ts'
import type { Storage } from '../../apiserver/storage.ts'
import { type Condition, DEPLOYMENTS, type Deployment, type DeploymentStatus, view } from '../objects.ts'
import { REVISION, revisionOf } from './revisions.ts'
import { withCondition } from './status.ts'

/** What the Deployment controller writes to a Deployment; each answers it as stored, and writes nothing that is so already. */
export interface DeploymentWriter {
  setCondition(deployment: Deployment, condition: Condition): Deployment
  setRevision(deployment: Deployment, revision: number): Deployment
  writeStatus(deployment: Deployment, status: DeploymentStatus): Deployment
}

export function createDeploymentWriter(storage: Storage, runtime: Runtime): DeploymentWriter {
  function writeStatus(deployment: Deployment, status: DeploymentStatus): Deployment {
    if (isDeepStrictEqual(status, deployment.status)) return deployment
    return view(storage.updateStatus(DEPLOYMENTS, { ...deployment, status }))
  }

  return {
    writeStatus,
    setCondition(deployment, condition) {
      const conditions = withCondition(deployment.status.conditions ?? [], condition, runtime.now())
      return writeStatus(deployment, { ...deployment.status, conditions })
    },
    setRevision(deployment, revision) {
      if (revisionOf(deployment) === revision) return deployment
      const annotations = { ...deployment.metadata.annotations, [REVISION]: String(revision) }
      return view(storage.update(DEPLOYMENTS, { ...deployment, metadata: { ...deployment.metadata, annotations } }))
    },
  }
}

import { isDeepStrictEqual } from 'node:util'
import { type KubeObject, keyOf } from '../../../kube/object.ts'
import type { Runtime } from '../../../runtime.ts'
import type { Storage } from '../../apiserver/storage.ts'
import { createLoop, type Loop } from '../loop.ts'
import {
  type Condition,
  controllerOf,
  DEPLOYMENTS,
  type Deployment,
  type DeploymentStatus,
  PODS,
  REPLICA_SETS,
  type ReplicaSet,
  selects,
  view,
} from '../objects.ts'
import { indexByOwner, splitKey } from '../ownership.ts'
import {
  byAge,
  DESIRED_REPLICAS,
  isRolling,
  newReplicas,
  type Resize,
  replicasOf,
  scaleProportionally,
  shrinkOld,
} from './arithmetic.ts'
import { newReplicaSet, ownerReferenceTo } from './new-replica-set.ts'
import { annotationsFor, expired, findNewest, nextRevision, revisionOf, sizeAnnotations } from './revisions.ts'
import { conditionOf, countStatus, deadlineMs, hasDeadline, isComplete, progressing, rolloutStatus } from './status.ts'
import { templateHash } from './template.ts'
import { createDeploymentWriter } from './writer.ts'

interface Family {
  deployment: Deployment
  newest: ReplicaSet | undefined
  old: ReplicaSet[]
  all: ReplicaSet[]
}

/**
 * Kubernetes' Deployment controller over the sandbox's storage: ReplicaSets by template, rolling update and recreate, proportional
 * scaling, pause (which scales but never starts a new template), revisions, history limit and the status that `kubectl rollout status`
 * and kstatus read. Follows pkg/controller/deployment of Kubernetes in what it decides.
 */
export function startDeploymentController(storage: Storage, runtime: Runtime): Loop {
  const loop = createLoop(runtime, sync)
  const { setCondition, setRevision, writeStatus } = createDeploymentWriter(storage, runtime)
  const deploymentOf = (object: KubeObject) => {
    const owner = controllerOf(object)
    return owner?.kind === 'Deployment' ? `${object.metadata.namespace}/${owner.name}` : undefined
  }
  const sets = indexByOwner(storage, REPLICA_SETS, (object) => {
    const key = deploymentOf(object)
    if (key !== undefined) loop.add(key)
    else if (!controllerOf(object)) addSelecting(object)
  })
  const pods = indexByOwner(storage, PODS, (object, deleted) => {
    // Only Recreate waits for pods to be gone; everything else is told by the ReplicaSets.
    if (!deleted) return
    const name = controllerOf(object)?.name
    const set = name ? storage.get(REPLICA_SETS, { namespace: object.metadata.namespace, name }) : undefined
    const key = set && deploymentOf(set)
    if (key) loop.add(key)
  })
  const unsubscribe = storage.subscribe(DEPLOYMENTS, (_, object) => loop.add(keyOf(object)))

  function addSelecting(orphan: KubeObject): void {
    for (const candidate of storage.list(DEPLOYMENTS, { namespace: orphan.metadata.namespace })) {
      if (selects(view<Deployment>(candidate).spec.selector, orphan.metadata.labels)) loop.add(keyOf(candidate))
    }
  }

  function sync(key: string): number | undefined {
    const stored = storage.get(DEPLOYMENTS, splitKey(key))
    if (!stored) return undefined
    let deployment = view<Deployment>(stored)
    let family = familyOf(deployment)
    if (deployment.metadata.deletionTimestamp) return saveStatus(family, countOnly(family))
    deployment = recordPause(deployment)
    family = familyOf(deployment)
    if (deployment.spec.paused || wasResized(family)) return scaleOnly(syncRevision(family))
    return isRolling(deployment) ? roll(family) : recreate(family)
  }

  function familyOf(deployment: Deployment): Family {
    const all = [...sets.ownedBy(deployment.metadata.uid), ...sets.orphans(deployment.metadata.namespace)]
      .map((object) => view<ReplicaSet>(object))
      .flatMap((set) => adopt(deployment, set))
    const newest = findNewest(deployment, all)
    return { deployment, newest, all, old: all.filter((set) => set !== newest) }
  }

  function adopt(deployment: Deployment, set: ReplicaSet): ReplicaSet[] {
    const owner = controllerOf(set)
    if (owner) return owner.uid === deployment.metadata.uid ? [set] : []
    if (set.metadata.deletionTimestamp || deployment.metadata.deletionTimestamp) return []
    if (!selects(deployment.spec.selector, set.metadata.labels)) return []
    const ownerReferences = [...(set.metadata.ownerReferences ?? []), ownerReferenceTo(deployment)]
    return [view(storage.update(REPLICA_SETS, { ...set, metadata: { ...set.metadata, ownerReferences } }))]
  }

  /** Says when a pause began or ended, so that no deadline runs across it. */
  function recordPause(deployment: Deployment): Deployment {
    if (!hasDeadline(deployment)) return deployment
    const current = conditionOf(deployment.status.conditions, 'Progressing')
    if (current?.reason === 'ProgressDeadlineExceeded') return deployment
    const wasPaused = current?.reason === 'DeploymentPaused'
    let next: Condition | undefined
    if (deployment.spec.paused && !wasPaused) next = progressing('Unknown', 'DeploymentPaused', 'Deployment is paused')
    if (!deployment.spec.paused && wasPaused)
      next = progressing('Unknown', 'DeploymentResumed', 'Deployment is resumed')
    if (!next) return deployment
    return setCondition(deployment, next)
  }

  function wasResized({ deployment, all }: Family): boolean {
    return all.some((set) => {
      const remembered = set.metadata.annotations?.[DESIRED_REPLICAS]
      return replicasOf(set) > 0 && remembered !== undefined && Number(remembered) !== replicasOf(deployment)
    })
  }

  /** Keeps revision numbers in step with the template, even while paused; creates nothing. */
  function syncRevision(family: Family): Family {
    const { deployment, newest, old } = family
    if (!newest) return family
    const annotations = annotationsFor(deployment, newest, nextRevision(old))
    const minReadySeconds = deployment.spec.minReadySeconds ?? 0
    if (
      !isDeepStrictEqual(annotations, newest.metadata.annotations ?? {}) ||
      (newest.spec.minReadySeconds ?? 0) !== minReadySeconds
    ) {
      storage.update(REPLICA_SETS, {
        ...newest,
        metadata: { ...newest.metadata, annotations },
        spec: { ...newest.spec, minReadySeconds },
      })
      return syncRevision(familyOf(deployment))
    }
    let current = setRevision(deployment, revisionOf(newest))
    if (hasDeadline(current) && !conditionOf(current.status.conditions, 'Progressing')) {
      const message = `Found new replica set "${newest.metadata.name}"`
      current = setCondition(current, progressing('True', 'FoundNewReplicaSet', message))
    }
    return { ...family, deployment: current }
  }

  function ensureNewest(family: Family): Family {
    if (family.newest) return syncRevision(family)
    const { deployment, old } = family
    const hash = templateHash(deployment.spec.template, deployment.status.collisionCount ?? 0)
    const revision = nextRevision(old)
    const name = `${deployment.metadata.name}-${hash}`
    const namespace = deployment.metadata.namespace
    if (storage.get(REPLICA_SETS, { namespace, name })) {
      const collisionCount = (deployment.status.collisionCount ?? 0) + 1
      return ensureNewest(familyOf(writeStatus(deployment, { ...deployment.status, collisionCount })))
    }
    storage.create(REPLICA_SETS, newReplicaSet(deployment, old, { name, hash, revision }))
    let current = setRevision(deployment, revision)
    if (hasDeadline(current)) {
      const message = `Created new replica set "${name}"`
      current = setCondition(current, progressing('True', 'NewReplicaSetCreated', message))
    }
    return familyOf(current)
  }

  function roll(before: Family): number | undefined {
    const family = ensureNewest(before)
    const { deployment, newest, old, all } = family
    if (!newest) return undefined
    const goal = replicasOf(deployment)
    const current = replicasOf(newest)
    const grown = current > goal ? goal : newReplicas(deployment, all, current)
    const resizes = grown === current ? shrinkOld(deployment, old, newest) : [{ set: newest, replicas: grown }]
    if (resize(deployment, resizes)) return finish(familyOf(deployment))
    if (isComplete(deployment, deployment.status)) clean(family)
    return finish(family)
  }

  function recreate(before: Family): number | undefined {
    const { deployment, old } = before
    if (
      resize(
        deployment,
        old.map((set) => ({ set, replicas: 0 })),
      )
    )
      return finish(familyOf(deployment))
    if (old.some(hasPods)) return finish(before)
    const family = ensureNewest(before)
    if (family.newest) resize(deployment, [{ set: family.newest, replicas: replicasOf(deployment) }])
    if (isComplete(family.deployment, family.deployment.status)) clean(family)
    return finish(familyOf(family.deployment))
  }

  function hasPods(set: ReplicaSet): boolean {
    return pods.ownedBy(set.metadata.uid).length > 0
  }

  /** What happens while paused and when only the size changed: scaling, but no new template. */
  function scaleOnly(family: Family): number | undefined {
    const { deployment, newest, old, all } = family
    const active = all.filter((set) => replicasOf(set) > 0)
    if (active.length <= 1) {
      // Nothing active: the set of the current template if there is one, else the one created last.
      const only = active[0] ?? newest ?? [...old].sort(byAge).at(-1)
      if (only) resize(deployment, [{ set: only, replicas: replicasOf(deployment) }])
    } else if (newest && isSaturated(deployment, newest)) {
      resize(
        deployment,
        old.map((set) => ({ set, replicas: 0 })),
      )
    } else if (isRolling(deployment)) {
      resize(deployment, scaleProportionally(deployment, all))
    }
    const after = familyOf(deployment)
    if (deployment.spec.paused) clean(after)
    saveStatus(after, countOnly(after))
    return undefined
  }

  function isSaturated(deployment: Deployment, newest: ReplicaSet): boolean {
    const goal = replicasOf(deployment)
    return (
      replicasOf(newest) === goal &&
      Number(newest.metadata.annotations?.[DESIRED_REPLICAS]) === goal &&
      (newest.status.availableReplicas ?? 0) === goal
    )
  }

  function resize(deployment: Deployment, resizes: readonly Resize[]): boolean {
    let resized = false
    for (const { set, replicas } of resizes) {
      const annotations = { ...set.metadata.annotations, ...sizeAnnotations(deployment) }
      const changed = replicas !== replicasOf(set)
      // An empty set that stays empty is left alone.
      const remember = replicas > 0 && !isDeepStrictEqual(annotations, set.metadata.annotations)
      if (!changed && !remember) continue
      const metadata = { ...set.metadata, annotations }
      storage.update(REPLICA_SETS, { ...set, metadata, spec: { ...set.spec, replicas } })
      resized ||= changed
    }
    return resized
  }

  function clean({ deployment, old }: Family): void {
    for (const set of expired(deployment, old)) storage.remove(REPLICA_SETS, set.metadata)
  }

  function finish(family: Family): number | undefined {
    const nowMs = runtime.now()
    const status = rolloutStatus(family.deployment, family.all, family.newest, nowMs)
    const deployment = writeStatus(family.deployment, status)
    const due = deadlineMs(deployment, conditionOf(deployment.status.conditions, 'Progressing'))
    return Number.isFinite(due) && due > nowMs && hasDeadline(deployment) ? due - nowMs + 1 : undefined
  }

  function countOnly({ deployment, all, newest }: Family): DeploymentStatus {
    return countStatus(deployment, all, newest, runtime.now())
  }

  function saveStatus(family: Family, status: DeploymentStatus): undefined {
    writeStatus(family.deployment, status)
  }

  return {
    ...loop,
    stop() {
      unsubscribe()
      sets.stop()
      pods.stop()
      loop.stop()
    },
  }
}

import { fieldAt, textAt } from '../kube/field.ts'
import type { KubeObject } from '../kube/object.ts'
import { canonicalJson } from '../plan/revision.ts'
import type { Kind } from './caches.ts'

/** Which Rollouts have to be looked at again because something changed. */
export interface Triggers {
  /** Keys of the Rollouts concerned by a change. */
  concerned(kind: Kind, key: string, object: KubeObject | undefined, previous: KubeObject | undefined): string[]
  /** Remembers which Deployments a Rollout looks at. */
  interest(rollout: string, deployments: readonly string[]): void
  forget(rollout: string): void
}

/**
 * @param rolloutsIn keys and objects of the Rollouts of a namespace
 */
export function createTriggers(rolloutsIn: (namespace: string) => KubeObject[]): Triggers {
  const byDeployment = new Map<string, Set<string>>()
  const byRollout = new Map<string, Set<string>>()

  function forget(rollout: string): void {
    for (const deployment of byRollout.get(rollout) ?? []) {
      const keys = byDeployment.get(deployment)
      keys?.delete(rollout)
      if (keys?.size === 0) byDeployment.delete(deployment)
    }
    byRollout.delete(rollout)
  }

  function all(namespace: string, test: (rollout: KubeObject) => boolean = () => true): string[] {
    return rolloutsIn(namespace)
      .filter(test)
      .map((rollout) => `${namespace}/${rollout.metadata.name}`)
  }

  return {
    forget,
    interest(rollout, deployments) {
      const wanted = new Set(deployments)
      const known = byRollout.get(rollout)
      if (known && known.size === wanted.size && [...wanted].every((d) => known.has(d))) return
      forget(rollout)
      byRollout.set(rollout, wanted)
      for (const deployment of wanted) {
        const keys = byDeployment.get(deployment) ?? new Set()
        keys.add(rollout)
        byDeployment.set(deployment, keys)
      }
    },
    concerned(kind, key, object, previous) {
      const namespace = key.includes('/') ? key.slice(0, key.indexOf('/')) : key
      const either = object ?? previous
      switch (kind) {
        case 'rollouts': {
          if (object && previous && !meantForUs(object, previous)) return []
          // Whose route it is may have changed hands.
          const routes = new Set([routeName(object), routeName(previous)])
          const settled = object && previous && object.metadata.generation === previous.metadata.generation
          const neighbours = settled ? [] : all(namespace, (rollout) => routes.has(routeName(rollout)))
          return [key, ...neighbours.filter((neighbour) => neighbour !== key)]
        }
        case 'virtualServices':
          return all(namespace, (rollout) => routeName(rollout) === either?.metadata.name)
        case 'approvals': {
          const rollout = textAt(either, 'spec', 'rollout')
          return rollout === undefined ? [] : [`${namespace}/${rollout}`]
        }
        case 'rolloutSources':
          return []
        case 'pods': {
          const deployment = deploymentOf(either)
          return deployment ? [...(byDeployment.get(`${namespace}/${deployment}`) ?? [])] : []
        }
        case 'deployments': {
          if (object && previous && !rolls(object, previous)) return []
          const known = byDeployment.get(key)
          return known && object ? [...known] : all(namespace)
        }
        case 'destinationRules':
        case 'services':
        case 'namespaces':
          return all(namespace)
      }
    },
  }
}

function routeName(rollout: KubeObject | undefined): string | undefined {
  return textAt(rollout, 'spec', 'traffic', 'istio', 'virtualService', 'name')
}

/** Our own writes of status come back through the watch; only what somebody else may have changed counts. */
function meantForUs(now: KubeObject, before: KubeObject): boolean {
  const view = ({ metadata }: KubeObject) =>
    canonicalJson([
      metadata.uid,
      metadata.generation,
      metadata.deletionTimestamp,
      metadata.annotations,
      metadata.finalizers,
    ])
  return view(now) !== view(before)
}

/** A new generation, or progress of a roll: pods of the old content may still answer under the version's name. */
function rolls(now: KubeObject, before: KubeObject): boolean {
  const view = (d: KubeObject) =>
    canonicalJson([
      d.metadata.generation,
      ...['observedGeneration', 'replicas', 'updatedReplicas'].map((f) => fieldAt(d, 'status', f)),
    ])
  return view(now) !== view(before)
}

/** The Deployment behind a pod: its ReplicaSet is called `<deployment>-<hash>`. */
function deploymentOf(pod: KubeObject | undefined): string | undefined {
  const owner = pod?.metadata.ownerReferences?.find((o) => o.kind === 'ReplicaSet')
  const hash = fieldAt(pod, 'metadata', 'labels', 'pod-template-hash')
  if (!owner) return undefined
  return typeof hash === 'string' && owner.name.endsWith(`-${hash}`)
    ? owner.name.slice(0, -hash.length - 1)
    : owner.name.replace(/-[a-z0-9]+$/, '')
}

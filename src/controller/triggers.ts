import { fieldAt, textAt } from '../kube/field.ts'
import type { KubeObject } from '../kube/object.ts'
import { canonicalJson } from '../plan/revision.ts'
import { canaryName } from '../workload/deployment/names.ts'
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
  /** What a Rollout has been seen to look at, and what it names: a Deployment and its canary, whether they are there or not. */
  const seen = createLinks()
  const named = createLinks()

  function forget(rollout: string): void {
    seen.set(rollout, [])
    named.set(rollout, [])
  }

  /** Rollouts concerned by something of the Deployment with this key. */
  function behind(deployment: string | undefined): string[] {
    if (deployment === undefined) return []
    return [...new Set([...seen.of(deployment), ...named.of(deployment)])]
  }

  function all(namespace: string, test: (rollout: KubeObject) => boolean = () => true): string[] {
    return rolloutsIn(namespace)
      .filter(test)
      .map((rollout) => `${namespace}/${rollout.metadata.name}`)
  }

  return {
    forget,
    interest: seen.set,
    concerned(kind, key, object, previous) {
      const namespace = key.includes('/') ? key.slice(0, key.indexOf('/')) : key
      const either = object ?? previous
      switch (kind) {
        case 'rollouts': {
          named.set(key, deploymentsNamed(object, namespace))
          if (object && previous && !meantForUs(object, previous)) return []
          // Whose route or Deployment it is may have changed hands.
          const routes = new Set([routeName(object), routeName(previous)])
          const deployments = new Set([deploymentName(object), deploymentName(previous)])
          const settled = object && previous && object.metadata.generation === previous.metadata.generation
          const rivals = (rollout: KubeObject) =>
            routes.has(routeName(rollout)) ||
            (deploymentName(rollout) !== undefined && deployments.has(deploymentName(rollout)))
          const neighbours = settled ? [] : all(namespace, rivals)
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
          const rollouts = behind(inNamespace(namespace, deploymentOf(either)))
          return rollouts.length === 0 || (object && previous && same(podView, object, previous)) ? [] : rollouts
        }
        case 'replicaSets': {
          if (object && previous && same(replicaSetView, object, previous)) return []
          return behind(inNamespace(namespace, deploymentOf(either)))
        }
        case 'horizontalPodAutoscalers': {
          if (object && previous && same(autoscalerView, object, previous)) return []
          return [object, previous].flatMap((scaler) =>
            behind(inNamespace(namespace, textAt(scaler, 'spec', 'scaleTargetRef', 'name'))),
          )
        }
        case 'deployments': {
          if (object && previous && same(deploymentView, object, previous)) return []
          const known = behind(key)
          // A new one may be behind any subset of the namespace.
          if (seen.of(key).size > 0 && object) return known
          return [...known, ...all(namespace, (rollout) => deploymentName(rollout) === undefined)]
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

function same(view: (object: KubeObject) => unknown, now: KubeObject, before: KubeObject): boolean {
  return canonicalJson(view(now)) === canonicalJson(view(before))
}

/** A new generation, a note, or progress of a roll: pods of the old content may still answer under the version's name. */
function deploymentView({ metadata, status }: KubeObject): unknown {
  const { uid, generation, labels, annotations, deletionTimestamp } = metadata
  return [uid, generation, labels, annotations, deletionTimestamp, status]
}

function podView({ metadata, status }: KubeObject): unknown {
  return [metadata.uid, metadata.labels, metadata.ownerReferences, metadata.deletionTimestamp, status]
}

/** Its pods tell of themselves. */
function replicaSetView({ metadata, spec }: KubeObject): unknown {
  return [metadata.uid, metadata.ownerReferences, metadata.deletionTimestamp, fieldAt(spec, 'replicas')]
}

function autoscalerView({ metadata, spec }: KubeObject): unknown {
  return [metadata.uid, metadata.annotations, metadata.deletionTimestamp, spec]
}

function deploymentName(rollout: KubeObject | undefined): string | undefined {
  return textAt(rollout, 'spec', 'workload', 'deployment', 'name')
}

/** Keys of the Deployment that a Rollout names and of its canary. */
function deploymentsNamed(rollout: KubeObject | undefined, namespace: string): string[] {
  const name = deploymentName(rollout)
  return name === undefined ? [] : [`${namespace}/${name}`, `${namespace}/${canaryName(name)}`]
}

function inNamespace(namespace: string, name: string | undefined): string | undefined {
  return name === undefined ? undefined : `${namespace}/${name}`
}

/** The Deployment behind a ReplicaSet, or behind a pod, whose ReplicaSet is called `<deployment>-<hash>`. */
function deploymentOf(object: KubeObject | undefined): string | undefined {
  const owner = object?.metadata.ownerReferences?.find((o) => o.controller === true || o.kind === 'ReplicaSet')
  if (owner?.kind === 'Deployment') return owner.name
  if (owner?.kind !== 'ReplicaSet') return undefined
  const hash = fieldAt(object, 'metadata', 'labels', 'pod-template-hash')
  return typeof hash === 'string' && owner.name.endsWith(`-${hash}`)
    ? owner.name.slice(0, -hash.length - 1)
    : owner.name.replace(/-[a-z0-9]+$/, '')
}

/** Which Rollouts belong to a Deployment, set by Rollout and read by Deployment. */
function createLinks() {
  const byDeployment = new Map<string, Set<string>>()
  const byRollout = new Map<string, ReadonlySet<string>>()
  return {
    of: (deployment: string): ReadonlySet<string> => byDeployment.get(deployment) ?? none,
    set(rollout: string, deployments: readonly string[]): void {
      const wanted = new Set(deployments)
      const known = byRollout.get(rollout) ?? none
      if (known.size === wanted.size && [...wanted].every((d) => known.has(d))) return
      for (const deployment of known) {
        const keys = byDeployment.get(deployment)
        keys?.delete(rollout)
        if (keys?.size === 0) byDeployment.delete(deployment)
      }
      if (wanted.size > 0) byRollout.set(rollout, wanted)
      else byRollout.delete(rollout)
      for (const deployment of wanted) {
        const keys = byDeployment.get(deployment) ?? new Set()
        keys.add(rollout)
        byDeployment.set(deployment, keys)
      }
    },
  }
}

const none: ReadonlySet<string> = new Set()

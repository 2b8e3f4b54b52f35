import { fieldAt } from '../../kube/field.ts'
import type { KubeObject, OwnerReference, Resource } from '../../kube/object.ts'
import type { ObjectReader } from '../../kube/reader.ts'
import { resources } from '../../kube/resources.ts'
import type { TemplateContent } from '../../plan/revision.ts'
import { isReady, replicasOf } from '../readiness.ts'
import { selects } from './selector.ts'

/** Caches that may know more than objects. */
export interface FamilyReader extends ObjectReader {
  /** The objects that an owner controls, without looking at all of its namespace; with an empty uid, those that nobody does. */
  controlledBy?(resource: Resource, namespace: string, uid: string): KubeObject[]
  /** While the server forbids to read a resource: what it says. */
  refusal?(resource: Resource): string | undefined
}

/** A ReplicaSet of a Deployment, with those of its pods that are to stay. */
export interface Member {
  replicaSet: KubeObject
  content: TemplateContent
  pods: KubeObject[]
  ready: number
}

/**
 * The ReplicaSets of a Deployment that have pods or want some, and their pods: those it controls, and orphans its selector matches, which
 * its controller is about to adopt (a Deployment that was deleted without its pods and created again). Pods on their way out, and those
 * that have ended, are nobody's any more.
 */
export function familyOf(
  reader: FamilyReader,
  deployment: KubeObject,
  contentOf: (object: KubeObject) => TemplateContent,
): Member[] {
  const namespace = deployment.metadata.namespace ?? ''
  return replicaSetsOf(reader, deployment).flatMap((replicaSet) => {
    const pods = controlled(reader, resources.pods, namespace, replicaSet.metadata.uid).filter(isStaying)
    if (pods.length === 0 && (replicasOf(replicaSet) === 0 || replicaSet.metadata.deletionTimestamp)) return []
    return [{ replicaSet, content: contentOf(replicaSet), pods, ready: pods.filter(isReady).length }]
  })
}

/** Every pod there is of a Deployment, terminating ones included. */
export function podsOf(reader: FamilyReader, deployment: KubeObject): KubeObject[] {
  const namespace = deployment.metadata.namespace ?? ''
  return replicaSetsOf(reader, deployment).flatMap((set) =>
    controlled(reader, resources.pods, namespace, set.metadata.uid),
  )
}

function replicaSetsOf(reader: FamilyReader, deployment: KubeObject): KubeObject[] {
  const { namespace = '', uid } = deployment.metadata
  const selector = fieldAt(deployment, 'spec', 'selector')
  const orphans = controlled(reader, resources.replicaSets, namespace, undefined).filter(
    (set) => !set.metadata.deletionTimestamp && selects(selector, set.metadata.labels ?? {}),
  )
  return [...controlled(reader, resources.replicaSets, namespace, uid), ...orphans]
}

/** What an owner controls; without `uid`, what nobody does. */
function controlled(
  reader: FamilyReader,
  resource: Resource,
  namespace: string,
  uid: string | undefined,
): KubeObject[] {
  if (reader.controlledBy) return reader.controlledBy(resource, namespace, uid ?? '')
  return reader.list(resource, namespace).filter((object) => controllerOf(object)?.uid === uid)
}

/** The owner that controls an object; undefined for an orphan. */
export function controllerOf(object: KubeObject): OwnerReference | undefined {
  return object.metadata.ownerReferences?.find((owner) => owner.controller === true)
}

function isStaying(pod: KubeObject): boolean {
  const phase = fieldAt(pod, 'status', 'phase')
  return pod.metadata.deletionTimestamp === undefined && phase !== 'Failed' && phase !== 'Succeeded'
}

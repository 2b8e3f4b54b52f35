import { fieldAt, labelsAt } from '../kube/field.ts'
import type { KubeObject } from '../kube/object.ts'
import { CONTENT, contentOf } from '../workload/deployment/content.ts'
import { controllerOf } from '../workload/deployment/family.ts'
import { names } from '../workload/deployment/names.ts'
import { isReady } from '../workload/readiness.ts'

const lastApplied = 'kubectl.kubernetes.io/last-applied-configuration'

/** A route without kubectl's copy of it. managedFields stay: they tell who wrote the weights. */
export function slimRoute(object: KubeObject): KubeObject {
  if (!object.metadata.annotations?.[lastApplied]) return object
  const { [lastApplied]: _copy, ...annotations } = object.metadata.annotations
  return { ...object, metadata: { ...object.metadata, annotations } }
}

/**
 * Of a pod, what tells whose it is and whether it takes requests; of one that does not, also its status, which says why.
 * The pods of the whole cluster are kept: this is what most of the memory goes to.
 */
export function slimPod(object: KubeObject): KubeObject {
  const { labels, ownerReferences } = object.metadata
  return {
    ...bare(object),
    metadata: {
      ...bare(object).metadata,
      labels,
      ...(ownerReferences ? { ownerReferences } : {}),
    },
    status: isReady(object) ? ready : object.status,
  }
}

const ready = { conditions: [{ type: 'Ready', status: 'True' }] }

/** Of a Service, which pods it selects. */
export function slimService(object: KubeObject): KubeObject {
  return { ...bare(object), ...{ spec: { selector: labelsAt(object, 'spec', 'selector') } } }
}

/** Of a namespace, that it exists and whether it is going. */
export function slimNamespace(object: KubeObject): KubeObject {
  return bare(object)
}

/** Of a Deployment, the content of its pods, how far its roll has come, and what Sluice or a person has noted on it. */
export function slimDeployment(object: KubeObject): KubeObject {
  const { generation, labels } = object.metadata
  return {
    ...bare(object),
    metadata: { ...bare(object).metadata, generation, labels, ...annotations(object, deploymentNotes) },
    ...{ spec: pick(object, 'spec', ['replicas', 'paused', 'selector', 'template', 'progressDeadlineSeconds']) },
    status: pick(object, 'status', [
      'observedGeneration',
      'replicas',
      'updatedReplicas',
      'availableReplicas',
      'conditions',
    ]),
  }
}

const deploymentNotes = [names.breakGlass, names.revision, names.replicas, names.templateHash]

/**
 * Of a ReplicaSet, whose it is, how many pods it wants, and instead of its template what identifies that. One without pods is not kept:
 * most are history. Those of canaries are, because their last pods may still be going.
 */
export function slimReplicaSet(object: KubeObject): KubeObject | undefined {
  const { labels = {} } = object.metadata
  const controller = controllerOf(object)
  const isCanary = labels[names.canary] !== undefined
  if (controller && controller.kind !== 'Deployment') return undefined
  if (!isCanary && !fieldAt(object, 'spec', 'replicas') && !fieldAt(object, 'status', 'replicas')) return undefined
  return {
    ...bare(object),
    metadata: { ...bare(object).metadata, ...(controller ? { ownerReferences: [controller] } : { labels }) },
    ...{ spec: pick(object, 'spec', ['replicas']), [CONTENT]: contentOf(object) },
  }
}

/** Of an autoscaler, what it scales and between which bounds; its status changes all the time. */
export function slimAutoscaler(object: KubeObject): KubeObject {
  return {
    ...bare(object),
    metadata: { ...bare(object).metadata, ...annotations(object, [names.floorOf]) },
    ...{ spec: pick(object, 'spec', ['scaleTargetRef', 'minReplicas']) },
  }
}

function pick(object: KubeObject, part: 'spec' | 'status', fields: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(
    fields.flatMap((field) => {
      const value = fieldAt(object, part, field)
      return value === undefined ? [] : [[field, value]]
    }),
  )
}

/** The annotations with these names; nothing when there are none. */
function annotations(object: KubeObject, wanted: readonly string[]): { annotations?: Record<string, string> } {
  const kept = Object.entries(object.metadata.annotations ?? {}).filter(([name]) => wanted.includes(name))
  return kept.length === 0 ? {} : { annotations: Object.fromEntries(kept) }
}

function bare({ apiVersion, kind, metadata }: KubeObject): KubeObject {
  const { name, namespace, uid, resourceVersion, creationTimestamp, deletionTimestamp } = metadata
  return {
    apiVersion,
    kind,
    metadata: {
      name,
      ...(namespace === undefined ? {} : { namespace }),
      uid,
      resourceVersion,
      creationTimestamp,
      ...(deletionTimestamp ? { deletionTimestamp } : {}),
    },
  }
}

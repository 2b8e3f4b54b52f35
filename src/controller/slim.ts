import { fieldAt, labelsAt } from '../kube/field.ts'
import type { KubeObject } from '../kube/object.ts'
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

/** Of a Deployment, the content of its pods and how far its roll has come. */
export function slimDeployment(object: KubeObject): KubeObject {
  const { generation, labels } = object.metadata
  const of = (part: 'spec' | 'status', names: readonly string[]) =>
    Object.fromEntries(
      names.flatMap((name) => {
        const value = fieldAt(object, part, name)
        return value === undefined ? [] : [[name, value]]
      }),
    )
  return {
    ...bare(object),
    metadata: { ...bare(object).metadata, generation, labels },
    ...{ spec: of('spec', ['replicas', 'paused', 'template']) },
    status: of('status', ['observedGeneration', 'replicas', 'updatedReplicas', 'conditions']),
  }
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

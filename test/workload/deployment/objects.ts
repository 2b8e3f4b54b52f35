import { rolloutSpec } from '../../../src/api/rollout.ts'
import type { RevisionRecord } from '../../../src/api/status.ts'
import {
  slimAutoscaler,
  slimDeployment,
  slimPod,
  slimReplicaSet,
  slimRoute,
  slimService,
} from '../../../src/controller/slim.ts'
import type { KubeObject } from '../../../src/kube/object.ts'
import { deploymentRevision, templateContent } from '../../../src/plan/revision.ts'
import { names, ownLabels } from '../../../src/workload/deployment/names.ts'
import { createDeploymentWorkload } from '../../../src/workload/deployment/observe.ts'
import { canaryPods } from '../../../src/workload/deployment/overlay.ts'
import type { WorkloadQuery } from '../../../src/workload/workload.ts'

export const namespace = 'shop'
export const uid = 'uid-checkout'

type Labels = Record<string, string>
type Change = { metadata?: object; spec?: object; status?: object }

/** A pod template of checkout at a version, with the labels of the stable subset. */
export function template(version: string, over: { labels?: Labels; annotations?: Labels } = {}) {
  return {
    metadata: {
      labels: over.labels ?? { app: 'checkout', track: 'stable' },
      ...(over.annotations ? { annotations: over.annotations } : {}),
    },
    spec: {
      containers: [
        { name: 'app', image: `registry.example/checkout:${version}`, readinessProbe: { grpc: { port: 80 } } },
      ],
    },
  }
}

/** The content of a version, as it is recorded once ReplicaSet `uid-<set>` has been seen. */
export function record(version: string, set = version): RevisionRecord {
  const workload = { name: 'checkout', uid: `uid-${set}`, generation: 0 }
  return deploymentRevision('checkout', templateContent(template(version)), workload)
}

/** The Deployment checkout: all of 3 pods run `version`, and are available. */
export function deployment(version: string, change: Change = {}): KubeObject {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: {
      name: 'checkout',
      namespace,
      uid,
      generation: 4,
      resourceVersion: '77',
      labels: { [names.rollout]: 'checkout', team: 'shop' },
      ...change.metadata,
    },
    spec: {
      replicas: 3,
      selector: { matchLabels: { app: 'checkout' } },
      progressDeadlineSeconds: 600,
      template: template(version),
      ...change.spec,
    },
    status: { observedGeneration: 4, replicas: 3, updatedReplicas: 3, availableReplicas: 3, ...change.status },
  }
}

/** A ReplicaSet of checkout, `uid-<name>`, that wants `replicas` pods. */
export function replicaSet(name: string, version: string, replicas: number, change: Change = {}): KubeObject {
  const { metadata, spec } = template(version)
  const labels = { ...metadata.labels, 'pod-template-hash': name }
  return {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: {
      name: `checkout-${name}`,
      namespace,
      uid: `uid-${name}`,
      labels,
      ownerReferences: [owner('Deployment', 'checkout', uid)],
      ...change.metadata,
    },
    spec: { replicas, template: { metadata: { labels }, spec }, ...change.spec },
    status: { replicas, ...change.status },
  }
}

/** Pods of the ReplicaSet `uid-<set>`, called `<set>-0` and so on; ready unless told. */
export function pods(set: string, count: number, change: Change = {}): KubeObject[] {
  return Array.from({ length: count }, (_, i) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: `${set}-${i}`,
      namespace,
      uid: `uid-${set}-${i}`,
      labels: { app: 'checkout', 'pod-template-hash': set },
      ownerReferences: [owner('ReplicaSet', `checkout-${set}`, `uid-${set}`)],
      ...change.metadata,
    },
    status: change.status ?? { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] },
  }))
}

export const going = { deletionTimestamp: '2026-11-22T18:00:00Z' }

/** A pod whose container waits for this reason. */
export function waiting(reason: string, message: string): object {
  return {
    phase: 'Pending',
    conditions: [{ type: 'Ready', status: 'False' }],
    containerStatuses: [{ name: 'app', ready: false, state: { waiting: { reason, message } } }],
  }
}

/** The canary Deployment of checkout as Sluice makes it of a version, asking for 2 pods. */
export function canary(version: string, change: Change & { annotations?: Labels } = {}): KubeObject {
  const made = canaryPods(deployment(version), { track: 'canary' })
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: {
      name: 'checkout-canary',
      namespace,
      uid: 'uid-checkout-canary',
      generation: 1,
      labels: ownLabels('checkout', 'checkout'),
      annotations: {
        [names.revision]: record(version).revision,
        [names.replicas]: '2',
        [names.templateHash]: templateContent(made.template).hash,
        ...change.annotations,
      },
      ...change.metadata,
    },
    spec: { replicas: 2, selector: made.selector, template: made.template, ...change.spec },
    status: { observedGeneration: 1, replicas: 2, updatedReplicas: 2, availableReplicas: 2, ...change.status },
  }
}

/** A ReplicaSet of the canary Deployment. */
export function canarySet(name: string, version: string, replicas: number): KubeObject {
  const made = canaryPods(deployment(version), { track: 'canary' })
  return replicaSet(name, version, replicas, {
    metadata: {
      name: `checkout-canary-${name}`,
      labels: { ...made.labels, 'pod-template-hash': name },
      ownerReferences: [owner('Deployment', 'checkout-canary', 'uid-checkout-canary')],
    },
    spec: { template: made.template },
  })
}

export function autoscaler(change: Change = {}, target: object = {}): KubeObject {
  return {
    apiVersion: 'autoscaling/v2',
    kind: 'HorizontalPodAutoscaler',
    metadata: { name: 'checkout', namespace, uid: 'uid-hpa', ...change.metadata },
    spec: {
      scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'checkout', ...target },
      minReplicas: 3,
      maxReplicas: 9,
      ...change.spec,
    },
    status: { currentReplicas: 3 },
  }
}

export function service(name: string, selector: Labels): KubeObject {
  return { apiVersion: 'v1', kind: 'Service', metadata: { name, namespace }, spec: { selector } }
}

/** Subsets of the host checkout by name. */
export function rule(subsets: Record<string, Labels>, host = 'checkout'): KubeObject {
  return {
    apiVersion: 'networking.istio.io/v1',
    kind: 'DestinationRule',
    metadata: { name: 'checkout', namespace },
    spec: { host, subsets: Object.entries(subsets).map(([name, labels]) => ({ name, labels })) },
  }
}

export const virtualService: KubeObject = {
  apiVersion: 'networking.istio.io/v1',
  kind: 'VirtualService',
  metadata: { name: 'checkout', namespace },
  spec: {
    hosts: ['checkout'],
    http: [
      {
        name: 'primary',
        route: [
          { destination: { host: 'checkout', subset: 'stable' }, weight: 100 },
          { destination: { host: 'checkout', subset: 'canary' }, weight: 0 },
        ],
      },
    ],
  },
}

/** What routes to checkout by two subsets. */
export const routed: readonly KubeObject[] = [
  virtualService,
  service('checkout', { app: 'checkout' }),
  rule({ stable: { track: 'stable' }, canary: { track: 'canary' } }),
]

const slimming: Record<string, (object: KubeObject) => KubeObject | undefined> = {
  VirtualService: slimRoute,
  Service: slimService,
  Deployment: slimDeployment,
  ReplicaSet: slimReplicaSet,
  Pod: slimPod,
  HorizontalPodAutoscaler: slimAutoscaler,
}

export interface Asked {
  stable?: RevisionRecord
  canary?: RevisionRecord
  istio?: object
  latch?: 'Proven'
  refused?: string
}

/** What a Rollout sees of these objects; the same whether caches keep them whole or slim, or this throws. */
export function observe(objects: readonly KubeObject[], asked: Asked = {}) {
  const spec = rolloutSpec.parse({
    workload: { deployment: { name: 'checkout' } },
    traffic: { istio: asked.istio ?? { virtualService: { name: 'checkout' } } },
  })
  const query: WorkloadQuery = {
    namespace,
    rollout: 'checkout',
    workload: spec.workload,
    traffic: spec.traffic,
    recordedStable: asked.stable,
    recordedCanary: asked.canary,
  }
  const see = (kept: readonly KubeObject[]) =>
    createDeploymentWorkload(
      {
        get: ({ kind }, key) => kept.find((o) => o.kind === kind && o.metadata.name === key.name),
        list: ({ kind }, ns) => kept.filter((o) => o.kind === kind && o.metadata.namespace === ns),
        refusal: ({ plural }) => (plural === asked.refused ? `may not list ${plural}` : undefined),
      },
      { of: (of) => (asked.latch && of === uid ? { state: 'Proven', at: 1 } : { state: 'Unknown' }) },
    ).observe(query)
  const whole = see(objects)
  const slim = see(objects.flatMap((object) => (slimming[object.kind] ?? ((o: KubeObject) => o))(object) ?? []))
  if (JSON.stringify(slim) !== JSON.stringify(whole)) {
    throw new Error(`slim caches show\n${JSON.stringify(slim)}\nand whole ones\n${JSON.stringify(whole)}`)
  }
  return whole
}

function owner(kind: string, name: string, of: string) {
  return { apiVersion: 'apps/v1', kind, name, uid: of, controller: true }
}

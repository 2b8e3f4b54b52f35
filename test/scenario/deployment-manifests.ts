import type { KubeObject } from '../../src/kube/object.ts'
import { DEFAULT_STEPS, type StepGiven } from './manifests.ts'

/** What a pod template runs; the settings are those of the sandbox's pods, without `SANDBOX_`. */
export interface Release {
  tag: string
  image?: string
  behaviour?: Record<string, string>
}

export interface AppGiven {
  replicas?: number
  /** Labels of the Deployment's selector; by default only `app`, so that the canary's pods match it too. */
  selector?: Record<string, string>
  /** Labels of the pod template. */
  labels?: Record<string, string>
  /** More of the Deployment's spec. */
  spec?: Record<string, unknown>
}

export const STABLE_LABELS = { app: 'checkout', track: 'stable' }

export function templateOf({ tag, image, behaviour = {} }: Release, labels: Record<string, string> = STABLE_LABELS) {
  // Pods that end go on serving until every proxy knows, also on a machine that is busy with other tests.
  const env = Object.entries({ SHUTDOWN_MS: '1500', ...behaviour }).map(([name, value]) => ({
    name: `SANDBOX_${name}`,
    value,
  }))
  return { metadata: { labels }, spec: { containers: [{ name: 'app', image: image ?? `checkout:${tag}`, env }] } }
}

export function deploymentOf(namespace: string, release: Release, app: AppGiven = {}): KubeObject {
  const { replicas = 2, selector = { app: 'checkout' }, labels, spec } = app
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'checkout', namespace },
    spec: { replicas, selector: { matchLabels: selector }, template: templateOf(release, labels), ...spec },
  }
}

export function serviceOf(namespace: string, name = 'checkout', app = 'checkout'): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace },
    spec: { selector: { app }, ports: [{ port: 80, targetPort: 3000 }] },
  }
}

export function destinationRuleOf(namespace: string, subsets = ['stable', 'canary']): KubeObject {
  return {
    apiVersion: 'networking.istio.io/v1',
    kind: 'DestinationRule',
    metadata: { name: 'checkout', namespace },
    spec: { host: 'checkout', subsets: subsets.map((name) => ({ name, labels: { track: name } })) },
  }
}

type Destination = { host: string; subset?: string }

export const SUBSETS: readonly Destination[] = [
  { host: 'checkout', subset: 'stable' },
  { host: 'checkout', subset: 'canary' },
]
export const SERVICES: readonly Destination[] = [{ host: 'checkout' }, { host: 'checkout-canary' }]

export function virtualServiceOf(namespace: string, [stable, canary] = SUBSETS): KubeObject {
  const route = [
    { destination: stable, weight: 100 },
    { destination: canary, weight: 0 },
  ]
  return {
    apiVersion: 'networking.istio.io/v1',
    kind: 'VirtualService',
    metadata: { name: 'checkout', namespace },
    spec: { hosts: ['checkout'], http: [{ name: 'primary', route: canary ? route : route.slice(0, 1) }] },
  }
}

export interface RolloutGiven {
  steps?: StepGiven[]
  deployment?: Record<string, unknown>
  istio?: Record<string, unknown>
  source?: string
}

export function rolloutOf(namespace: string, { steps, deployment, istio, source }: RolloutGiven = {}): KubeObject {
  return {
    apiVersion: 'sluice.dev/v1alpha1',
    kind: 'Rollout',
    metadata: { name: 'checkout', namespace },
    spec: {
      workload: { deployment: { name: 'checkout', scaleDownDelay: '1s', ...deployment } },
      traffic: {
        istio: {
          virtualService: { name: 'checkout', routes: ['primary'] },
          ...(istio ?? { destinationRule: { name: 'checkout' } }),
        },
      },
      steps: steps ?? DEFAULT_STEPS,
      analysis: {
        interval: '1s',
        minRequests: 3,
        slis: [{ name: 'success-rate', successRate: { objective: 99 } }],
      },
      ...(source ? { source: { name: source } } : {}),
    },
  }
}

export function autoscalerOf(namespace: string, minReplicas: number, maxReplicas: number): KubeObject {
  return {
    apiVersion: 'autoscaling/v2',
    kind: 'HorizontalPodAutoscaler',
    metadata: { name: 'checkout', namespace },
    spec: {
      minReplicas,
      maxReplicas,
      scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'checkout' },
      metrics: [
        { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 50 } } },
      ],
    },
  }
}

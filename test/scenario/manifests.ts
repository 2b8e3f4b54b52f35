import { stringify } from 'yaml'
import type { KubeObject } from '../../src/kube/object.ts'

/** One version of the app, and how it behaves; the settings are those of the sandbox's pods. */
export interface Version {
  name: string
  /** Settings like `ERROR_RATE: '1'`; `SANDBOX_` is put before them. */
  behaviour?: Record<string, string>
  replicas?: number
  image?: string
}

export interface StepGiven {
  weight: number
  hold?: string
  approval?: Record<string, unknown>
}

export interface RolloutGiven {
  desired?: string
  initialStable?: string
  steps?: StepGiven[]
  analysis?: Record<string, unknown>
  source?: string
  [field: string]: unknown
}

export const DEFAULT_STEPS: StepGiven[] = [
  { weight: 10, hold: '2s' },
  { weight: 50, hold: '2s' },
  { weight: 100, hold: '2s' },
]

export function deploymentOf(namespace: string, version: Version): KubeObject {
  const labels = { app: 'my-app', version: version.name }
  const env = Object.entries(version.behaviour ?? {}).map(([name, value]) => ({ name: `SANDBOX_${name}`, value }))
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: `my-app-${version.name}`, namespace },
    spec: {
      replicas: version.replicas ?? 1,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: { containers: [{ name: 'app', image: version.image ?? `my-app:${version.name}`, env }] },
      },
    },
  }
}

export function serviceOf(namespace: string): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'my-app', namespace },
    spec: { selector: { app: 'my-app' }, ports: [{ port: 80, targetPort: 3000 }] },
  }
}

export function destinationRuleOf(namespace: string, versions: readonly string[]): KubeObject {
  return {
    apiVersion: 'networking.istio.io/v1',
    kind: 'DestinationRule',
    metadata: { name: 'my-app', namespace },
    spec: { host: 'my-app', subsets: versions.map((name) => ({ name, labels: { version: name } })) },
  }
}

export function virtualServiceOf(
  namespace: string,
  weights: Record<string, number>,
  route: Record<string, unknown> = {},
): KubeObject {
  return {
    apiVersion: 'networking.istio.io/v1',
    kind: 'VirtualService',
    metadata: { name: 'my-app', namespace },
    spec: {
      hosts: ['my-app'],
      http: [
        {
          name: 'primary',
          route: Object.entries(weights).map(([subset, weight]) => ({
            destination: { host: 'my-app', subset },
            weight,
          })),
          ...route,
        },
      ],
    },
  }
}

export function rolloutOf(namespace: string, given: RolloutGiven = {}, name = 'my-app'): KubeObject {
  const { desired = 'v1', initialStable, steps = DEFAULT_STEPS, analysis = {}, source, ...rest } = given
  return {
    apiVersion: 'sluice.dev/v1alpha1',
    kind: 'Rollout',
    metadata: { name, namespace },
    spec: {
      workload: { subsets: { desired, ...(initialStable ? { initialStable } : {}) } },
      traffic: {
        istio: { virtualService: { name: 'my-app', routes: ['primary'] }, destinationRule: { name: 'my-app' } },
      },
      steps,
      analysis: {
        interval: '1s',
        minRequests: 3,
        slis: [{ name: 'success-rate', successRate: { objective: 99 } }],
        ...analysis,
      },
      ...(source ? { source: { name: source } } : {}),
      ...rest,
    },
  }
}

export function sourceOf(namespace: string, url: string, spec: Record<string, unknown> = {}): KubeObject {
  return {
    apiVersion: 'sluice.dev/v1alpha1',
    kind: 'RolloutSource',
    metadata: { name: 'config', namespace },
    spec: {
      url,
      branch: 'main',
      path: 'clusters/test',
      interval: '1s',
      apply: 'All',
      write: { mode: 'Push', commits: 'EveryStep' },
      ...spec,
    },
  }
}

export function yamlOf(...objects: object[]): string {
  return objects.map((object) => stringify(object)).join('---\n')
}

/** The classic canary with Istio: one Service, a subset for each version, and a VirtualService that splits traffic between them. */

import { NAMESPACE } from '../story.ts'

/** How one version of the demo's app behaves; see the sandbox's table of SANDBOX_* variables. */
export interface Version {
  name: string
  image: string
  replicas: number
  env: Record<string, string>
}

export const versions = {
  v1: {
    name: 'v1',
    image: 'my-app:1.0.0',
    replicas: 3,
    env: { SANDBOX_LATENCY_MS: '20', SANDBOX_LATENCY_P99_MS: '90' },
  },
  v2: {
    name: 'v2',
    image: 'my-app:2.0.0',
    replicas: 2,
    env: { SANDBOX_LATENCY_MS: '18', SANDBOX_LATENCY_P99_MS: '80' },
  },
  v3: { name: 'v3', image: 'my-app:3.0.0', replicas: 2, env: { SANDBOX_LATENCY_MS: '18', SANDBOX_ERROR_RATE: '0.2' } },
  v4: {
    name: 'v4',
    image: 'my-app:4.0.0',
    replicas: 2,
    env: { SANDBOX_LATENCY_MS: '20', SANDBOX_SLOW_RATE: '0.3', SANDBOX_SLOW_MS: '900' },
  },
} as const satisfies Record<string, Version>

export function deployment({ name, image, replicas, env }: Version): string {
  const variables = Object.entries(env).map(([key, value]) => `            - { name: ${key}, value: "${value}" }`)
  return `apiVersion: apps/v1
kind: Deployment
metadata:
  name: my-app-${name}
  namespace: ${NAMESPACE}
spec:
  replicas: ${replicas}
  selector:
    matchLabels:
      app: my-app
      version: ${name}
  template:
    metadata:
      labels:
        app: my-app
        version: ${name}
    spec:
      containers:
        - name: app
          image: ${image}
          env:
${variables.join('\n')}
`
}

export const service = `apiVersion: v1
kind: Service
metadata:
  name: my-app
  namespace: ${NAMESPACE}
spec:
  selector:
    app: my-app
  ports:
    - port: 80
      targetPort: 3000
`

export const destinationRule = `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata:
  name: my-app
  namespace: ${NAMESPACE}
spec:
  host: my-app
  subsets:
    - name: v1
      labels:
        version: v1
    - name: v2
      labels:
        version: v2
`

export const virtualService = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: my-app
  namespace: ${NAMESPACE}
spec:
  hosts:
    - my-app
  http:
    - name: primary
      route:
        # Sluice changes these two weights, and nothing else in this file.
        - destination:
            host: my-app
            subset: v1
          weight: 100
        - destination:
            host: my-app
            subset: v2
          weight: 0
`

/** @param approvers who may let traffic move from 10 to 50 percent */
export function rollout(approvers: readonly string[]): string {
  return `apiVersion: sluice.dev/v1alpha1
kind: Rollout
metadata:
  name: my-app
  namespace: ${NAMESPACE}
spec:
  workload:
    subsets:
      desired: v1
  traffic:
    istio:
      virtualService:
        name: my-app
        routes: [primary]
      destinationRule:
        name: my-app
  steps:
    - weight: 10
      hold: 5s
    - weight: 50
      hold: 5s
      approval:
        from: [${approvers.join(', ')}]
    - weight: 100
      hold: 5s
  analysis:
    interval: 1s
    minRequests: 25
    slis:
      - name: success-rate
        successRate:
          objective: 99.5
      - name: latency
        latency:
          objective: 99
          threshold: 500ms
  source:
    name: config
`
}

/** What a developer adds to the DestinationRule and the VirtualService for a new version. */
export function withVersion(files: Map<string, string>, version: Version): Map<string, string> {
  const next = new Map(files)
  next.set(`my-app-${version.name}.yaml`, deployment(version))
  next.set(
    'destination-rule.yaml',
    `${files.get('destination-rule.yaml')}    - name: ${version.name}\n      labels:\n        version: ${version.name}\n`,
  )
  next.set(
    'virtual-service.yaml',
    `${files.get('virtual-service.yaml')}        - destination:\n            host: my-app\n            subset: ${version.name}\n          weight: 0\n`,
  )
  return next
}

/** What a developer changes to release a version. */
export function desiring(files: Map<string, string>, name: string): Map<string, string> {
  const before = files.get('rollout.yaml') ?? ''
  return new Map(files).set('rollout.yaml', before.replace(/^( *desired: ).*$/m, `$1${name}`))
}

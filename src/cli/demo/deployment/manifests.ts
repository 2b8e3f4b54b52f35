import { NAMESPACE } from '../story.ts'

/** One Deployment behind one Service: the canary's pods get a subset of their own while there are any. */

/** What one release puts into the pod template; see the sandbox's table of SANDBOX_* variables. */
export interface Release {
  version: string
  image: string
  env: Record<string, string>
}

const wellDone = { SANDBOX_LATENCY_MS: '18', SANDBOX_LATENCY_P99_MS: '80' }

export const releases = {
  first: { version: '1.0.0', image: 'checkout:1.0.0', env: { SANDBOX_LATENCY_MS: '20', SANDBOX_LATENCY_P99_MS: '90' } },
  good: { version: '2.0.0', image: 'checkout:2.0.0', env: wellDone },
  errors: { version: '2.1.0', image: 'checkout:2.1.0', env: { ...wellDone, SANDBOX_ERROR_RATE: '0.2' } },
  missing: { version: '2.2.0', image: 'unpullable.example/checkout:2.2.0', env: wellDone },
} as const satisfies Record<string, Release>

/** Where the Deployment is in the repository. */
export const DEPLOYMENT_FILE = 'deployment.yaml'

export const deployment = `apiVersion: apps/v1
kind: Deployment
metadata:
  name: checkout
  namespace: ${NAMESPACE}
spec:
  replicas: 4
  selector:
    matchLabels:
      app: checkout
  template:
    metadata:
      labels:
        app: checkout
        track: stable # the DestinationRule's subset "stable"
    spec:
      containers:
        - name: app
${container(releases.first)}
`

function container({ image, env }: Release): string {
  const variables = Object.entries(env).map(([key, value]) => `            - { name: ${key}, value: "${value}" }`)
  return [`          image: ${image}`, '          env:', ...variables].join('\n')
}

export const service = `apiVersion: v1
kind: Service
metadata:
  name: checkout
  namespace: ${NAMESPACE}
spec:
  selector:
    app: checkout
  ports:
    - port: 80
      targetPort: 3000
`

export const destinationRule = `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata:
  name: checkout
  namespace: ${NAMESPACE}
spec:
  host: checkout
  subsets:
    - name: stable
      labels:
        track: stable
    - name: canary
      labels:
        track: canary
`

export const virtualService = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: checkout
  namespace: ${NAMESPACE}
spec:
  hosts:
    - checkout
  http:
    - name: primary
      route:
        # Sluice changes these two weights, and nothing else in this file.
        - destination:
            host: checkout
            subset: stable
          weight: 100
        - destination:
            host: checkout
            subset: canary
          weight: 0
`

/** @param approvers who may let traffic move from 10 to 50 percent */
export function rollout(approvers: readonly string[]): string {
  return `apiVersion: sluice.dev/v1alpha1
kind: Rollout
metadata:
  name: checkout
  namespace: ${NAMESPACE}
spec:
  workload:
    deployment:
      name: checkout
      progressDeadline: 6s
      scaleDownDelay: 2s
  traffic:
    istio:
      virtualService:
        name: checkout
        routes: [primary]
      destinationRule:
        name: checkout
  steps:
    - weight: 10
      hold: 4s
    - weight: 50
      hold: 4s
      approval:
        from: [${approvers.join(', ')}]
    - weight: 100
      hold: 4s
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

/** What a developer changes to release a version: the container, and nothing else. */
export function releasing(files: Map<string, string>, release: Release): Map<string, string> {
  const before = files.get(DEPLOYMENT_FILE) ?? ''
  const at = before.indexOf('          image: ')
  if (at < 0) throw new Error(`there is no image in ${DEPLOYMENT_FILE}`)
  return new Map(files).set(DEPLOYMENT_FILE, `${before.slice(0, at)}${container(release)}\n`)
}

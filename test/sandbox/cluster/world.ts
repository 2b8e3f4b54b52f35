import type { KubeObject } from '../../../src/kube/object.ts'
import { type Runtime, systemRuntime } from '../../../src/runtime.ts'
import { createAdmission } from '../../../src/sandbox/apiserver/admission.ts'
import { builtinTypes } from '../../../src/sandbox/apiserver/builtin/types.ts'
import { createObjectStore } from '../../../src/sandbox/apiserver/object-store.ts'
import { createPipeline } from '../../../src/sandbox/apiserver/pipeline.ts'
import { createRegistry } from '../../../src/sandbox/apiserver/registry.ts'
import type { ResourceType } from '../../../src/sandbox/apiserver/resource-type.ts'
import { createStorage, type Storage } from '../../../src/sandbox/apiserver/storage.ts'
import type { Labels } from '../../../src/sandbox/cluster/objects.ts'

const ISTIO = 'networking.istio.io'
export const VIRTUAL_SERVICES = { group: ISTIO, plural: 'virtualservices' }
export const DESTINATION_RULES = { group: ISTIO, plural: 'destinationrules' }

/** The sandbox's storage with the built-in kinds and Istio's, without HTTP. */
export function testStorage(runtime: Runtime = systemRuntime): Storage {
  const store = createObjectStore()
  const registry = createRegistry()
  for (const type of builtinTypes()) registry.set(type)
  for (const kind of ['VirtualService', 'DestinationRule', 'Gateway']) registry.set(istioType(kind))
  const pipeline = createPipeline({ store, registry, admission: createAdmission(), runtime })
  return createStorage({ store, registry, pipeline })
}

function istioType(kind: string): ResourceType {
  return {
    group: ISTIO,
    plural: `${kind.toLowerCase()}s`,
    kind,
    listKind: `${kind}List`,
    singular: kind.toLowerCase(),
    shortNames: [],
    categories: [],
    namespaced: true,
    versions: [
      {
        name: 'v1',
        served: true,
        statusSubresource: true,
        schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
      },
    ],
    storageVersion: 'v1',
    builtin: false,
    generation: 'all',
    unconditionalUpdate: false,
    rules: {},
  }
}

/** Waits until `check` stops throwing or answers true; fails with its last word after `timeoutMs`. */
export async function eventually<T>(check: () => T | false | undefined, timeoutMs = 10_000): Promise<T> {
  const deadline = Date.now() + timeoutMs
  for (;;) {
    let problem: unknown
    try {
      const result = check()
      if (result !== false && result !== undefined) return result
      problem = new Error(`still ${String(result)} after ${timeoutMs} ms: ${check.toString()}`)
    } catch (error) {
      problem = error
    }
    if (Date.now() > deadline) throw problem
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

export interface DeploymentShape {
  name: string
  namespace?: string
  image?: string
  replicas?: number
  labels?: Labels
  env?: Record<string, string>
  spec?: Record<string, unknown>
  annotations?: Record<string, string>
  container?: Record<string, unknown>
}

/** A Deployment as a person would write it. */
export function deployment(shape: DeploymentShape): KubeObject {
  const { name, namespace = 'shop', image = 'registry.example/app:1.0.0', replicas = 2, env = {} } = shape
  const labels = shape.labels ?? { app: name }
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace },
    spec: {
      replicas,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels, ...(shape.annotations ? { annotations: shape.annotations } : {}) },
        spec: {
          containers: [
            {
              name: 'app',
              image,
              ports: [{ name: 'http', containerPort: 8080 }],
              env: Object.entries(env).map(([variable, value]) => ({ name: variable, value })),
              ...shape.container,
            },
          ],
        },
      },
      ...shape.spec,
    },
  }
}

/** A Service on port 80 to the pods' port named http. */
export function service(name: string, selector: Labels, namespace = 'shop'): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace },
    spec: { selector, ports: [{ name: 'http', port: 80, targetPort: 'http' }] },
  }
}

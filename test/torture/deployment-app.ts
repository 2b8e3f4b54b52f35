import { parseDocument } from 'yaml'
import { fieldAt, listAt, textAt } from '../../src/kube/field.ts'
import type { KubeObject } from '../../src/kube/object.ts'
import { rolloutOf, serviceOf, type Version, yamlOf } from '../scenario/manifests.ts'
import { refs } from '../scenario/stage.ts'
import { type App, change, editRoute, ROLLOUT, ROUTE, repairPods, weightsIn } from './app.ts'
import type { Plot } from './plot.ts'

const DEPLOYMENT = 'deployment-my-app.yaml'
const CANARY = 'my-app-canary'
const TEMPLATE = ['spec', 'template', 'spec', 'containers', 0]

/** One Deployment whose image is changed; the canary is made by Sluice, and traffic comes back when it has taken over. */
export function deploymentApp({ versions }: Pick<Plot, 'versions'>): App {
  const all: Version[] = [{ name: 'v1' }, ...versions]
  const app: App = {
    first: 'v1',
    stable: 'stable',
    canary: () => 'canary',
    rest: () => ({ stable: 100, canary: 0 }),
    versionOf: ({ name }) => name,
    scene: (namespace, rollout) => ({
      versions: [{ name: 'stable' }, { name: 'canary' }],
      rollout,
      files: {
        [DEPLOYMENT]: yamlOf(deploymentOf(namespace)),
        'service-my-app.yaml': yamlOf(serviceOf(namespace)),
        'destinationrule-my-app.yaml': yamlOf(destinationRuleOf(namespace)),
        [ROUTE]: yamlOf(virtualServiceOf(namespace)),
        [ROLLOUT]: yamlOf(declared(namespace, rollout)),
      },
    }),
    edit: (files) => ({
      desire: (version) => change(files, DEPLOYMENT, TEMPLATE, containerOf(all.find(({ name }) => name === version))),
      ...editRoute(files, app),
    }),
    files: [DEPLOYMENT, ROLLOUT, ROUTE],
    read: (files) => ({
      weights: weightsIn(files),
      desired: tagOf(String(parseDocument(files.get(DEPLOYMENT) ?? '').getIn([...TEMPLATE, 'image']))),
    }),
    repair: (storage, namespace, version) => repairPods(storage, namespace, ({ image }) => tagOf(image) === version),
    leftovers(storage, namespace, version) {
      const found: string[] = []
      const own = storage.get(refs.deployments, { namespace, name: 'my-app' })
      if (fieldAt(own, 'spec', 'paused') === true) found.push('the Deployment is paused')
      if (storage.get(refs.deployments, { namespace, name: CANARY })) found.push('the canary Deployment is there')
      const pods = storage.list(refs.pods, { namespace }).filter((pod) => !pod.metadata.deletionTimestamp)
      const images = pods.map((pod) => tagOf(textAt(listAt(pod, 'spec', 'containers')[0], 'image') ?? ''))
      if (images.length === 0 || images.some((tag) => tag !== version)) found.push(`pods run ${images.join(', ')}`)
      return found
    },
  }
  return app
}

const tagOf = (image: string) => image.slice(image.lastIndexOf(':') + 1)

function containerOf({ name, behaviour = {} }: Version = { name: 'v1' }) {
  const env = Object.entries(behaviour).map(([setting, value]) => ({ name: `SANDBOX_${setting}`, value }))
  return { name: 'app', image: `my-app:${name}`, env }
}

function deploymentOf(namespace: string): KubeObject {
  const labels = { app: 'my-app', track: 'stable' }
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'my-app', namespace },
    spec: {
      replicas: 2,
      selector: { matchLabels: { app: 'my-app' } },
      template: { metadata: { labels }, spec: { containers: [containerOf()] } },
    },
  }
}

function destinationRuleOf(namespace: string): KubeObject {
  return {
    apiVersion: 'networking.istio.io/v1',
    kind: 'DestinationRule',
    metadata: { name: 'my-app', namespace },
    spec: { host: 'my-app', subsets: ['stable', 'canary'].map((name) => ({ name, labels: { track: name } })) },
  }
}

function virtualServiceOf(namespace: string): KubeObject {
  const route = [
    { destination: { host: 'my-app', subset: 'stable' }, weight: 100 },
    { destination: { host: 'my-app', subset: 'canary' }, weight: 0 },
  ]
  return {
    apiVersion: 'networking.istio.io/v1',
    kind: 'VirtualService',
    metadata: { name: 'my-app', namespace },
    spec: { hosts: ['my-app'], http: [{ name: 'primary', route }] },
  }
}

function declared(namespace: string, rollout: Record<string, unknown>): KubeObject {
  const usual = rolloutOf(namespace, { ...rollout, source: 'config' })
  const workload = { deployment: { name: 'my-app', scaleDownDelay: '1s' } }
  return { ...usual, spec: { ...(usual.spec as object), workload } }
}

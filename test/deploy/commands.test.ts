import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { KubeObject } from '../../src/kube/object.ts'
import type { ResourceRef } from '../../src/sandbox/apiserver/index.ts'
import { openStage, refs, type Scene, type Stage } from '../scenario/stage.ts'
import { top } from './kustomize.ts'
import { isThere, output } from './program.ts'

/** Why a command of the pages is not run here. Every other one is, in this order: pages, and commands within them. */
const elsewhere: Record<string, string> = {
  'docker build -f deploy/Dockerfile -t registry.example.com/sluice:0.1.0 .':
    'needs a container engine; see image.test.ts',
  'docker push registry.example.com/sluice:0.1.0': 'needs a registry',
  'kubectl create namespace shop': 'the namespace of the app is there already',
  'helm install sluice deploy/helm --namespace sluice-system --create-namespace --set image.repository=registry.example.com/sluice':
    'installed with kustomize here; see helm.test.ts',
  'helm uninstall sluice --namespace sluice-system': 'the same',
  'kubectl delete crd rollouts.sluice.dev rolloutsources.sluice.dev approvals.sluice.dev analysistemplates.sluice.dev':
    'the CRDs are deleted with kustomize here',
  'kubectl logs -n sluice-system deployment/sluice --tail=100': 'the sandbox keeps no logs of pods',
  'kubectl wait --for=condition=Stalled rollout/my-app -n shop --timeout=60m':
    'this Rollout is well; see health.test.ts',
  'sluice resume shop/my-app --reason "Flux ignores the weights now"': 'nothing is paused here; see test/cli',
}

interface Command {
  page: string
  line: string
  /** What the comment behind it says it prints. */
  prints?: string
}

/** The lines of the shell blocks of a page, or of the part of it after a heading. */
function commandsOf(page: string, text: string): Command[] {
  return [...text.matchAll(/^```sh\n([\s\S]*?)^```/gm)].flatMap(([, block = '']) =>
    block
      .split('\n')
      .filter((line) => line.trim() !== '')
      .map((line) => {
        const [, bare = line, prints] = /^(.*?)\s+# (.*)$/.exec(line) ?? []
        return { page, line: bare, ...(prints ? { prints } : {}) }
      }),
  )
}

const read = (page: string) => readFileSync(`${top}docs/${page}.md`, 'utf8')
const [uninstall = '', alreadyGone = ''] = read('uninstall').split('## If the controller is already gone')
const all = [
  ...['install', 'slack', 'operate', 'health', 'gitops'].flatMap((page) => commandsOf(page, read(page))),
  ...commandsOf('uninstall', alreadyGone),
  ...commandsOf('uninstall', uninstall),
]

test('every exception is a command of a page', () => {
  expect(Object.keys(elsewhere).filter((line) => !all.some((each) => each.line === line))).toEqual([])
})

const hasKubectl = await isThere('kubectl', 'version', '--client')
describe.skipIf(!hasKubectl)('with the real kubectl', () => {
  let stage: Stage
  let s: Scene

  beforeAll(async () => {
    stage = await openStage({ rbac: true })
    s = await stage.scene('shop', { asleep: true })
    for (const [ref, object] of surroundings) stage.sandbox.api.storage.create(ref, object)
  }, 60_000)
  afterAll(() => stage?.stop(), 60_000)

  /** What has to happen in the world before a command makes sense. */
  const before: Record<string, () => Promise<unknown>> = {
    'kubectl apply -k deploy/overlays/namespace': async () => {
      const controller = await stage.controller({ leaderElection: true, leaseNamespace: 'sluice-system' })
      await controller.synced
    },
    'sluice abort shop/my-app --reason "Sluice is being uninstalled" --no-wait': async () => {
      await s.desire('v2')
      await s.until('in flight', (status) => (status.step?.weight ?? 0) > 0)
    },
    'kubectl rollout resume -n shop deployment/checkout': async () => {
      expect(s.rollout()).toBeUndefined()
      expect(s.weight('v2')).toBe(0)
    },
  }

  test.each(all.filter(({ line }) => !(line in elsewhere)))(
    '$page: $line',
    async ({ line, prints }) => {
      await before[line]?.()
      const env = {
        ...process.env,
        KUBECONFIG: stage.sandbox.kubeconfig,
        GIT_TOKEN: 'x',
        SLACK_TOKEN: 'x',
        SLACK_APP_TOKEN: 'x',
        SLACK_SIGNING_SECRET: 'x',
      }
      const script = `sluice() { "${process.execPath}" src/main.ts "$@"; }\n${line}${prints ? ' || true' : ''}`
      const printed = await output('bash', ['-c', script], { cwd: top, env })
      if (prints) expect(printed.trim()).toBe(prints)
    },
    120_000,
  )

  test('afterwards traffic is where it was, and nothing of Sluice is left', () => {
    expect(s.weight('v1')).toBe(100)
    const { storage } = stage.sandbox.api
    const left = storage
      .list({ group: 'apiextensions.k8s.io', plural: 'customresourcedefinitions' })
      .map(({ metadata }) => metadata.name)
    expect(left.filter((name) => name.endsWith('sluice.dev'))).toEqual([])
    expect(storage.get(refs.namespaces, { name: 'sluice-system' })?.metadata.deletionTimestamp ?? 'gone').toBeTruthy()
    expect(storage.list(refs.deployments, { namespace: 'shop' }).map(({ metadata }) => metadata.labels ?? {})).toEqual(
      expect.arrayContaining([expect.not.objectContaining({ 'sluice.dev/rollout': expect.anything() })]),
    )
  })
})

const rbac = 'rbac.authorization.k8s.io'
const text = { type: 'string' }
/** What the pages take for granted: an administrator, Argo CD, Flux, and a Deployment that was left latched. */
const surroundings: [ResourceRef, KubeObject][] = [
  ...['argocd', 'flux-system'].map((name): [ResourceRef, KubeObject] => [
    refs.namespaces,
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name } },
  ]),
  // kubectl sends no token over plain HTTP.
  [
    { group: rbac, plural: 'clusterroles' },
    {
      apiVersion: `${rbac}/v1`,
      kind: 'ClusterRole',
      metadata: { name: 'everything' },
      rules: [{ apiGroups: ['*'], resources: ['*'], verbs: ['*'] }],
    } as KubeObject,
  ],
  [
    { group: rbac, plural: 'clusterrolebindings' },
    {
      apiVersion: `${rbac}/v1`,
      kind: 'ClusterRoleBinding',
      metadata: { name: 'everything' },
      roleRef: { apiGroup: rbac, kind: 'ClusterRole', name: 'everything' },
      subjects: [{ apiGroup: rbac, kind: 'User', name: 'system:anonymous' }],
    } as KubeObject,
  ],
  [
    { group: '', plural: 'configmaps' },
    { apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace: 'argocd', name: 'argocd-cm' } },
  ],
  [
    { group: 'apiextensions.k8s.io', plural: 'customresourcedefinitions' },
    {
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: { name: 'kustomizations.kustomize.toolkit.fluxcd.io' },
      spec: {
        group: 'kustomize.toolkit.fluxcd.io',
        scope: 'Namespaced',
        names: { kind: 'Kustomization', plural: 'kustomizations' },
        versions: [
          {
            name: 'v1',
            served: true,
            storage: true,
            schema: {
              openAPIV3Schema: {
                type: 'object',
                properties: {
                  spec: {
                    type: 'object',
                    properties: {
                      healthCheckExprs: {
                        type: 'array',
                        items: {
                          type: 'object',
                          required: ['apiVersion', 'kind', 'current'],
                          properties: { apiVersion: text, kind: text, inProgress: text, failed: text, current: text },
                        },
                      },
                    },
                  },
                },
              },
            },
          },
        ],
      },
    } as KubeObject,
  ],
  [
    { group: 'kustomize.toolkit.fluxcd.io', plural: 'kustomizations' },
    {
      apiVersion: 'kustomize.toolkit.fluxcd.io/v1',
      kind: 'Kustomization',
      metadata: { namespace: 'flux-system', name: 'shop' },
      spec: {},
    },
  ],
  [
    refs.deployments,
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { namespace: 'shop', name: 'checkout', labels: { 'sluice.dev/rollout': 'checkout' } },
      spec: {
        paused: true,
        replicas: 1,
        selector: { matchLabels: { app: 'checkout' } },
        template: {
          metadata: { labels: { app: 'checkout' } },
          spec: { containers: [{ name: 'app', image: 'app:1' }] },
        },
      },
    },
  ],
]

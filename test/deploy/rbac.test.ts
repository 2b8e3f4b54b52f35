import { afterAll, beforeAll, expect, test } from 'vitest'
import { clickApprove } from '../../src/cli/demo/approver.ts'
import { APPROVER } from '../../src/cli/demo/stage.ts'
import type { Controller } from '../../src/controller/manager.ts'
import { fieldAt } from '../../src/kube/field.ts'
import type { KubeObject } from '../../src/kube/object.ts'
import { systemRuntime as runtime } from '../../src/runtime.ts'
import type { RequestRecord } from '../../src/sandbox/apiserver/index.ts'
import { startLoad } from '../../src/sandbox/mesh/index.ts'
import { CONTROLLER_USER } from '../../src/sandbox/sandbox.ts'
import { realApiServer } from '../conformance/apiserver.real.ts'
import {
  deploymentOf,
  destinationRuleOf,
  rolloutOf,
  serviceOf,
  virtualServiceOf,
  yamlOf,
} from '../scenario/manifests.ts'
import { controllersRequests, openStage, PATIENCE_MS, refs, type Scene, type Stage } from '../scenario/stage.ts'
import { documentsOf, type Manifest, render } from './kustomize.ts'
import { granted, needed, type Permission } from './permissions.ts'

/**
 * Granted, and not met with in what is played here. Each has its reason; what has none is granted without need.
 * Whoever builds something that asks for more adds a rule in deploy/base/rbac.yaml and a path to `paths` below.
 */
const rare: Record<Permission, string> = {
  'get rollouts.sluice.dev': 'read again after a conflict, and before it is applied from Git',
  'delete approvals.sluice.dev': 'questions that were left behind by a controller that died',
  'list approvals.sluice.dev': 'the same',
  'patch events': 'an event that repeats itself',
  'get leases.coordination.k8s.io': 'the lease exists already',
  'patch poddisruptionbudgets.policy': 'the budget was changed while a version is tried',
}

const roles = ['sluice', 'sluice-deployments', 'sluice-namespaces', 'sluice-lease']
const cluster = render('deploy/overlays/cluster')
const one = render('deploy/overlays/namespace')

const slackSecret = 'signed-by-slack'
let stage: Stage
let controller: Controller
const requests: RequestRecord[] = []

function isRbac({ kind }: Manifest): boolean {
  return /^(Namespace|ServiceAccount|(Cluster)?Role(Binding)?)$/.test(kind)
}

function create(at: Stage, objects: Manifest[]): void {
  for (const object of objects) at.sandbox.api.storage.create(refOf(object), object)
}

const elected = { leaderElection: true, leaseNamespace: 'sluice-system', identity: 'sluice-0' }

beforeAll(async () => {
  stage = await openStage({ rbac: true })
  create(stage, cluster.filter(isRbac))
  const stopListening = stage.sandbox.api.onRequest((request) => {
    if (request.user === CONTROLLER_USER) requests.push(request)
  })
  controller = await stage.controller({ ...elected, slack: { signingSecrets: [slackSecret] } })
  await controller.synced
  for (const path of paths) await path()
  // The lease is renewed, and found by the next one.
  await controller.stop()
  const next = await stage.controller({ ...elected, identity: 'sluice-1' })
  await next.synced
  await until('the lease is taken over', () => requests.some((r) => r.resource === 'leases' && r.verb === 'get'))
  stopListening()
}, 300_000)
afterAll(() => stage?.stop(), 60_000)

const paths: (() => Promise<void>)[] = [
  async function fromGit() {
    await using s = await scene('delivery', { apply: 'Rollouts', prune: true, secretRef: { name: 'config-git' } })
    await s.desire('v2')
    await s.until('asks', (status) => status.approval?.state === 'Pending')
    expect(await clickApprove(question(s), controller.url, slackSecret, runtime.now())).toBe(200)
    await s.until('promoted', (status) => status.lastOutcome?.result === 'Promoted')
    await s.desire('v1')
    await s.until('asks again', (status) => status.approval?.state === 'Pending')
    approve(question(s))
    await s.until('at 50 %', (status) => status.step?.weight === 50)
    const racing = controllersRequests(s.namespace, 'patch', 'virtualservices')
    stage.sandbox.api.faults.add({ ...racing, error: 409, count: 1 })
    s.request('abort')
    await s.until('aborted', (status) => status.lastOutcome?.result === 'Aborted')
    // Taken out of the repository: pruned, and deleted with everything that belongs to it.
    const nothing = '# gone\n'
    await s.developer.commit('no Rollout', (all) =>
      new Map(all).set('rollout-my-app.yaml', nothing).set('template.yaml', nothing),
    )
    await s.until('gone', () => s.rollout() === undefined)
  },
  async function deployment() {
    const { storage } = stage.sandbox.api
    const key = { namespace: 'checkout', name: 'checkout' }
    storage.create(refs.namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: key.namespace } })
    const [deployed] = documentsOf('examples/deployment/autoscaled.yaml')
    const [, ...besides] = documentsOf('examples/deployment/app.yaml')
    const [, ...scaled] = documentsOf('examples/deployment/autoscaled.yaml')
    for (const object of [{ ...deployed, spec: { ...deployed.spec, replicas: 4 } }, ...besides, ...scaled])
      storage.create(refOf(object), { ...object, metadata: { ...object.metadata, namespace: key.namespace } })
    const declared: Manifest = rolloutOf(key.namespace, {
      steps: [
        { weight: 50, hold: '1s' },
        { weight: 100, hold: '1s' },
      ],
    })
    storage.create(refs.rollouts, {
      ...declared,
      metadata: key,
      spec: {
        ...declared.spec,
        workload: { deployment: { name: 'checkout', scaleDownDelay: '0s' } },
        traffic: documentsOf('examples/deployment/rollout.yaml')[0].spec.traffic,
      },
    })
    const source = { workload: 'frontend', namespace: 'frontend', app: 'frontend', version: 'v1' }
    const load = startLoad({
      url: stage.sandbox.mesh.url,
      host: 'checkout.checkout',
      ratePerSecond: 40,
      runtime,
      source,
    })
    const seen = (...path: string[]) => fieldAt(storage.get(refs.rollouts, key), 'status', ...path)
    const release = (tag: string) => {
      const live: Manifest = structuredClone(storage.get(refs.deployments, key))
      live.spec.template.spec.containers[0].image = `registry.example.com/checkout:${tag}`
      storage.update(refs.deployments, live, { fieldManager: 'kubectl-set' })
    }
    try {
      await until('the Deployment is adopted', () => seen('phase') === 'Healthy')
      release('2.0.0')
      await until('promoted', () => seen('lastOutcome', 'result') === 'Promoted' && seen('phase') === 'Healthy')
      release('3.0.0')
      await until('at 50 %', () => seen('step', 'weight') === 50)
      release('2.0.0')
      await until('put back', () => seen('lastOutcome', 'result') === 'Reverted' && seen('phase') === 'Healthy')
      const canary = { ...key, name: 'checkout-canary' }
      await until('the canary is gone', () => storage.get(refs.deployments, canary) === undefined)
    } catch (error) {
      throw new Error(JSON.stringify(storage.get(refs.rollouts, key)?.status, null, 1), { cause: error })
    } finally {
      await load.stop()
    }
  },
]

/** An app whose Rollout, and a template, come from Git; the Secret may be read by name. */
async function scene(namespace: string, source: Record<string, unknown>): Promise<Scene> {
  const { storage } = stage.sandbox.api
  const rollout = rolloutOf(namespace, {
    source: 'config',
    steps: [
      { weight: 50, hold: '1s', approval: { from: ['user:dana', `slack-user:${APPROVER}`] } },
      { weight: 100, hold: '1s' },
    ],
  })
  const template = {
    apiVersion: 'sluice.dev/v1alpha1',
    kind: 'AnalysisTemplate',
    metadata: { name: 'web', namespace },
    spec: { slis: [{ name: 'success-rate', successRate: { objective: 99 } }] },
  }
  const weights = { v1: 100, v2: 0 }
  const files = {
    'virtualservice-my-app.yaml': yamlOf(virtualServiceOf(namespace, weights)),
  }
  const s = await stage.scene(namespace, { git: source, files, asleep: true })
  create(stage, byName(namespace, 'config-git'))
  storage.create(
    { group: '', plural: 'secrets' },
    {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { namespace, name: 'config-git' },
      stringData: { username: 'sluice', password: 'x' },
    },
  )
  for (const version of ['v1', 'v2']) storage.create(refs.deployments, deploymentOf(namespace, { name: version }))
  storage.create(refs.services, serviceOf(namespace))
  storage.create(refs.destinationRules, destinationRuleOf(namespace, ['v1', 'v2']))
  storage.create(refs.virtualServices, virtualServiceOf(namespace, weights))
  await s.developer.commit('a Rollout', (all) =>
    new Map(all).set('rollout-my-app.yaml', yamlOf(rollout)).set('template.yaml', yamlOf(template)),
  )
  await s.until('Healthy', (status) => status.phase === 'Healthy')
  return s
}

test('nothing that a rollout needs is refused', () => {
  const refused = requests.filter((request) => request.status === 403)
  expect([...new Set(refused.flatMap(needed))]).toEqual([])
  const allowed = new Set(allOf(cluster, [...roles, 'sluice-secrets']))
  expect([...new Set(requests.flatMap(needed))].filter((each) => !allowed.has(each))).toEqual([])
})

test('nothing is granted that no rollout needs', () => {
  const used = new Set(requests.flatMap(needed))
  expect(allOf(cluster, roles).filter((each) => !used.has(each) && !(each in rare))).toEqual([])
})

test('every exception is still granted, and no Secret is, nor any wildcard', () => {
  const all = allOf(cluster, roles)
  expect(Object.keys(rare).filter((each) => !all.includes(each))).toEqual([])
  expect(all.filter((each) => /secrets|\*|escalate|bind |impersonate/.test(each))).toEqual([])
})

test('a Secret is read where somebody allowed it by name, and nowhere else', async () => {
  const read = requests.filter((request) => request.resource === 'secrets')
  expect([...new Set(read.map(({ namespace, name, status }) => `${status} ${namespace}/${name}`))]).toEqual([
    '200 delivery/config-git',
  ])
  for (const path of ['delivery/secrets/other', 'default/secrets/config-git', 'delivery/secrets'])
    expect(await statusFor(stage, `/api/v1/namespaces/${path}`)).toBe(403)
})

test('with the installation for one namespace a rollout is carried through there, and nothing is read elsewhere', async () => {
  const small = await openStage({ rbac: true })
  try {
    const { storage } = small.sandbox.api
    await using s = await small.scene('shop', { rollout: { steps: [{ weight: 100, hold: '1s' }] }, asleep: true })
    create(small, one.filter(isRbac))
    const seen: RequestRecord[] = []
    small.sandbox.api.onRequest((request) => {
      if (request.user === CONTROLLER_USER) seen.push(request)
    })
    await (await small.controller({ ...elected, namespaces: ['shop'] })).synced
    await s.until('Healthy', (status) => status.phase === 'Healthy')
    await s.desire('v2')
    await s.until('promoted', (status) => status.lastOutcome?.result === 'Promoted')
    expect(seen.filter((request) => request.status === 403).flatMap(needed)).toEqual([])
    const elsewhere = seen.filter(({ namespace, resource }) => resource !== '' && namespace !== 'shop')
    expect([...new Set(elsewhere.map((r) => `${r.resource} ${r.namespace ?? ''}`))].sort()).toEqual([
      'leases sluice-system',
      'namespaces ',
    ])
    storage.create(refs.namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'other' } })
    expect(await statusFor(small, '/apis/sluice.dev/v1alpha1/namespaces/other/rollouts')).toBe(403)
    expect(await statusFor(small, '/apis/apps/v1/deployments')).toBe(403)
  } finally {
    await small.stop()
  }
}, 120_000)

const real = realApiServer()
test.skipIf(!real)(
  'a real API server allows each of these requests under the same roles',
  async () => {
    const server = await real!()
    try {
      const api = '/apis/rbac.authorization.k8s.io/v1'
      const post = (path: string, body: unknown) => server.client.request('POST', path, { body })
      for (const name of ['sluice-system', 'delivery'])
        await post('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name } })
      for (const object of [...cluster.filter(isRbac), ...byName('delivery', 'config-git')]) {
        if (!/Role/.test(object.kind)) continue
        const where = object.metadata.namespace ? `/namespaces/${object.metadata.namespace}` : ''
        await post(`${api}${where}/${object.kind.toLowerCase()}s`, object)
      }
      const asked = new Map(requests.filter((r) => r.resource !== '').map((r) => [JSON.stringify(attributesOf(r)), r]))
      const answers = async () => {
        const refused: string[] = []
        for (const request of asked.values()) {
          const spec = { user: CONTROLLER_USER, resourceAttributes: attributesOf(request) }
          const review = { apiVersion: 'authorization.k8s.io/v1', kind: 'SubjectAccessReview', spec }
          const { body } = await post('/apis/authorization.k8s.io/v1/subjectaccessreviews', review)
          if (body.status?.allowed !== true) refused.push(...needed(request))
        }
        return [...new Set(refused)]
      }
      // Roles take effect a moment after they are stored.
      for (let i = 0; i < 50 && (await answers()).length > 0; i++) await runtime.sleep(100)
      expect(await answers()).toEqual([])
    } finally {
      await server.stop()
    }
  },
  120_000,
)

function attributesOf({ verb, group, resource, subresource, namespace, name }: RequestRecord) {
  return { verb, group, resource, subresource, namespace, name }
}

function allOf(objects: Manifest[], names: readonly string[]): Permission[] {
  const found = [...objects, ...byName('delivery', 'config-git')].filter(
    ({ kind, metadata }) => (kind === 'ClusterRole' || kind === 'Role') && names.includes(metadata.name),
  )
  return found.flatMap(granted)
}

/** What docs/install.md lets people create with kubectl: one Secret, by name. */
function byName(namespace: string, secret: string): Manifest[] {
  const rules = [{ apiGroups: [''], resources: ['secrets'], resourceNames: [secret], verbs: ['get'] }]
  const metadata = { namespace, name: 'sluice-secrets' }
  const apiVersion = 'rbac.authorization.k8s.io/v1'
  const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'sluice-secrets' }
  const subjects = [{ kind: 'ServiceAccount', name: 'sluice', namespace: 'sluice-system' }]
  return [
    { apiVersion, kind: 'Role', metadata, rules },
    { apiVersion, kind: 'RoleBinding', metadata, roleRef, subjects },
  ]
}

function question(s: Scene): KubeObject {
  const name = s.status().approval?.name
  const asked =
    name === undefined ? undefined : stage.sandbox.api.storage.get(refs.approvals, { namespace: s.namespace, name })
  if (!asked) throw new Error('nothing is asked')
  return asked
}

function approve(question: KubeObject): void {
  const decision = {
    verdict: 'Approve',
    by: 'user:dana',
    via: 'kubernetes',
    digest: fieldAt(question, 'spec', 'digest'),
    at: new Date(runtime.now()).toISOString(),
  }
  const { namespace, name } = question.metadata
  stage.sandbox.api.storage.patchMerge(refs.approvals, { namespace, name }, { spec: { decisions: [decision] } })
}

async function statusFor(at: Stage, path: string): Promise<number> {
  const { api } = at.sandbox
  const authorization = `Bearer ${api.token(CONTROLLER_USER)}`
  return (await fetch(`${api.url}${path}`, { headers: { authorization } })).status
}

async function until(what: string, test: () => boolean): Promise<void> {
  for (let waited = 0; !test(); waited += 50) {
    if (waited > PATIENCE_MS) throw new Error(`never: ${what}`)
    await runtime.sleep(50)
  }
}

function refOf(object: KubeObject): { group: string; plural: string } {
  const group = object.apiVersion.includes('/') ? (object.apiVersion.split('/')[0] ?? '') : ''
  return { group, plural: `${object.kind.toLowerCase()}s` }
}

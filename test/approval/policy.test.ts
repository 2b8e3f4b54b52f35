import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest'
import { parse, parseAllDocuments } from 'yaml'
import type { ApprovalSpec, Decision } from '../../src/api/approval.ts'
import { type Approvals, createApprovals } from '../../src/approval/approvals.ts'
import { kubernetesDecision } from '../../src/approval/kubernetes.ts'
import type { Approval } from '../../src/approval/object.ts'
import { connect, type KubeClient } from '../../src/kube/client.ts'
import { connectionTo } from '../../src/kube/connection.ts'
import type { KubeObject } from '../../src/kube/object.ts'
import { resources } from '../../src/kube/resources.ts'
import { systemRuntime } from '../../src/runtime.ts'
import { type ApiServer, startApiServer } from '../../src/sandbox/apiserver/index.ts'
import { owner, question, readableLog } from './questions.ts'

/** The admission policy that is shipped, on the sandbox's API server: it makes the names in decisions true (I11). */
const sluice = 'system:serviceaccount:sluice-system:sluice'
let server: ApiServer
let eve: KubeClient
let controller: KubeClient
let approvals: Approvals
let asked: Approval

const clientOf = (token: string) => connect({ connection: connectionTo(server.url, { token }), runtime: systemRuntime })
const file = (path: string) => readFile(new URL(`../../${path}`, import.meta.url), 'utf8')

beforeAll(async () => {
  const users = {
    'eve-token': { username: 'eve', groups: ['shop-dev'] },
    'sluice-token': { username: sluice, groups: [] },
  }
  server = await startApiServer({ meshCrds: false, tokens: users })
  controller = clientOf('sluice-token')
  eve = clientOf('eve-token')
  const crd: KubeObject = parse(await file('crds/sluice.dev_approvals.yaml'))
  await controller.create(resources.customResourceDefinitions, crd)
  await controller.create(resources.namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } })
  await vi.waitFor(() => controller.list(resources.approvals, { namespace: 'shop' }))
  for (const document of parseAllDocuments(await file('deploy/policies/approval-decisions.yaml'))) {
    const object: KubeObject = document.toJS()
    const plural =
      object.kind === 'ValidatingAdmissionPolicy' ? 'validatingadmissionpolicies' : 'validatingadmissionpolicybindings'
    await controller.request('POST', `/apis/admissionregistration.k8s.io/v1/${plural}`, { body: object })
  }
  approvals = createApprovals({ client: controller, runtime: systemRuntime, log: readableLog().log })
  // A policy takes effect a moment after it is stored.
  await vi.waitFor(async () => {
    const object = {
      apiVersion: 'sluice.dev/v1alpha1',
      kind: 'Approval',
      metadata: { name: 'probe', namespace: 'shop' },
    }
    const spec = { ...(await approvals.ask(owner, fresh('probe-source'))).spec }
    await expect(eve.create(resources.approvals, { ...object, spec }, { dryRun: true })).rejects.toThrow(
      /only Sluice asks/,
    )
  })
})
afterAll(async () => {
  controller.close()
  eve.close()
  await server.stop()
})

function fresh(name: string) {
  return question({
    name,
    digest: name,
    expiresAt: Date.now() + 600_000,
    allowed: ['user:dana@example.com', 'group:release', 'user:eve'],
  })
}

let count = 0
beforeEach(async () => {
  asked = await approvals.ask(owner, fresh(`checkout-${++count}`))
  await approvals.add(asked, {
    ...decision(),
    by: 'slack-user:U1',
    via: 'slack',
    email: 'dana@example.com',
    verdict: 'Approve',
  })
})

function decision(over: Partial<Decision> = {}): Decision {
  const answer = { verdict: 'Approve', id: `cli-${count}`, at: Date.now() } as const
  return { ...kubernetesDecision(asked, { name: 'eve', groups: ['shop-dev'] }, answer), ...over }
}

/** Writes as eve, around all of Sluice’s own checks. */
async function write(change: (spec: ApprovalSpec) => object): Promise<KubeObject> {
  const key = { namespace: 'shop', name: asked.name }
  const now = await approvals.get(key)
  if (now === undefined) throw new Error('gone')
  return eve.patch(
    resources.approvals,
    key,
    { type: 'merge', body: { spec: change(now.spec) } },
    { fieldManager: 'test' },
  )
}
const append = (over: Partial<Decision>) => write((spec) => ({ decisions: [...spec.decisions, decision(over)] }))

test('one’s own decision is taken, as often as it is made', async () => {
  await append({})
  await append({ verdict: 'Reject', groups: ['shop-dev'], reason: 'changed my mind', id: 'again' })
  expect((await approvals.get(asked))?.spec.decisions.map(({ by }) => by)).toEqual([
    'slack-user:U1',
    'user:eve',
    'user:eve',
  ])
})

test('nobody leaves the others without room: neither by deciding all the time, nor by copies of what was decided', async () => {
  const copies = (spec: ApprovalSpec) => ({ decisions: [...spec.decisions, ...Array(99).fill(spec.decisions[0])] })
  await expect(write(copies)).rejects.toThrow('cannot be added again')
  const many = Array.from({ length: 11 }, (_, i) => decision({ id: `${i}` }))
  await expect(write((spec) => ({ decisions: [...spec.decisions, ...many] }))).rejects.toThrow('ten times already')
  await write((spec) => ({ decisions: [...spec.decisions, ...many.slice(1)] }))
  await expect(append({ verdict: 'Reject', id: 'one more' })).rejects.toThrow('ten times already')
})

test.each<[string, Partial<Decision>, string]>([
  ['somebody else’s name', { by: 'user:dana@example.com' }, 'must carry your own name'],
  ['an address of somebody else', { email: 'dana@example.com' }, 'must carry your own name'],
  ['a Slack identity', { by: 'slack-user:U1', via: 'slack' }, 'must carry your own name'],
  ['the channel of merges', { via: 'git', email: 'dana@example.com' }, 'must carry your own name'],
  ['a group one is not in', { groups: ['release'] }, 'only name groups that you are in'],
])('a decision with %s is denied', async (_, over, why) => {
  await expect(append(over)).rejects.toThrow(why)
  expect((await approvals.get(asked))?.spec.decisions).toHaveLength(1)
})

const frozen = 'the question cannot be changed'
const kept = 'decisions cannot be changed or taken back'

test.each<[string, (spec: ApprovalSpec) => object, string]>([
  ['the list of who may decide', () => ({ allowed: ['user:eve'] }), frozen],
  ['the quorum', () => ({ required: 2 }), frozen],
  ['whether the author may decide alone', () => ({ separationOfDuties: true }), frozen],
  ['the evidence', () => ({ evidence: [] }), frozen],
  ['the digest', () => ({ digest: 'another' }), frozen],
  ['the expiry', () => ({ expiresAt: '2099-01-01T00:00:00Z' }), frozen],
  ['the authors', () => ({ authors: ['nobody@example.com'] }), frozen],
  [
    'what was decided before',
    (spec) => ({ decisions: spec.decisions.map((d) => ({ ...d, verdict: 'Reject' })) }),
    kept,
  ],
  ['that anything was decided', () => ({ decisions: [] }), kept],
])('nobody but Sluice can change %s', async (_, change, why) => {
  const before = await approvals.get(asked)
  await expect(write(change)).rejects.toThrow(why)
  expect(await approvals.get(asked)).toEqual(before)
})

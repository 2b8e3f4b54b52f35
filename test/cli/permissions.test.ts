import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { parse, parseAllDocuments, stringify } from 'yaml'
import type { ApprovalSpec, Decision } from '../../src/api/approval.ts'
import type { KubeObject } from '../../src/kube/object.ts'
import { ApiError } from '../../src/sandbox/apiserver/index.ts'
import { approval, rollout, statuses } from './fixtures.ts'
import { approvalsRef, createWorld, type World } from './world.ts'

/** People with the shipped roles, on an API server with RBAC and the shipped policies: what the command line tells them. */
let world: World
const file = (path: string) => readFile(new URL(`../../deploy/${path}`, import.meta.url), 'utf8')
const rbac = 'rbac.authorization.k8s.io'

beforeAll(async () => {
  world = await createWorld({ rbac: true })
  const { storage } = world.server
  const texts = await Promise.all(
    ['policies/approval-decisions.yaml', 'policies/requester.yaml', 'base/people.yaml'].map(file),
  )
  // What this file stores is written as the sandbox itself: it stands for Sluice here.
  const own = (text: string) =>
    text.replace('system:serviceaccount:sluice-system:sluice', 'system:kube-controller-manager')
  for (const document of texts.flatMap((text) => parseAllDocuments(own(text)))) {
    const object: KubeObject = document.toJS()
    const group = object.apiVersion?.split('/')[0] ?? ''
    const plural = `${(object.kind ?? '').toLowerCase().replace(/y$/, 'ie')}s`
    storage.create({ group, plural }, object)
  }
  const bind = (user: string, role: string) =>
    storage.create(
      { group: rbac, plural: 'rolebindings' },
      {
        apiVersion: `${rbac}/v1`,
        kind: 'RoleBinding',
        metadata: { namespace: 'shop', name: `${user.split('@')[0]}-${role}` },
        roleRef: { apiGroup: rbac, kind: 'ClusterRole', name: role },
        subjects: [{ apiGroup: rbac, kind: 'User', name: user }],
      },
    )
  bind('kim', 'sluice-approver')
  bind('dana@example.com', 'sluice-approver')
  bind('dana@example.com', 'sluice-override')
  bind('lee', 'sluice-operator')
})
afterAll(() => world.stop())
beforeEach(() => {
  world.put(rollout('checkout', statuses.AwaitingApproval))
  ask()
})

/** The question, as if nobody had answered it yet. */
function ask(): void {
  const { storage } = world.server
  storage.remove(approvalsRef, { namespace: 'shop', name: 'checkout-d1' })
  const expiresAt = new Date(Date.now() + 3_600_000).toISOString()
  storage.create(approvalsRef, approval({ expiresAt, allowed: ['group:release', 'user:lee'] }, 'checkout-d1'))
}

function decisions(): Decision[] {
  const object = world.server.storage.get(approvalsRef, { namespace: 'shop', name: 'checkout-d1' })
  return (object?.spec as ApprovalSpec | undefined)?.decisions ?? []
}

describe('an approver', () => {
  test('decides, as a member of the group that is asked', async () => {
    expect(await world.sluice(['approve', 'shop/checkout'], { user: 'kim' })).toMatchObject({ code: 0, err: '' })
    expect(decisions()).toMatchObject([{ by: 'user:kim', groups: ['release'] }])
  })

  test('may not override, and is told what that takes', async () => {
    const words = ['approve', 'shop/checkout', '--emergency', '--reason', 'x']
    const said = await world.sluice(words, { user: 'kim' })
    expect(said.code).toBe(1)
    expect(said.err).toBe(
      'sluice: user:kim may not override; it takes the verb override on approvals in shop (the role sluice-override). Ask somebody who may, or have the role sluice-override bound: docs/approvals.md.\n',
    )
    expect(decisions()).toEqual([])
  })

  test('may not pause', async () => {
    const said = await world.sluice(['pause', 'shop/checkout', '--no-wait'], { user: 'kim' })
    expect(said).toMatchObject({ code: 1, err: expect.stringContaining('cannot patch resource "rollouts"') })
  })

  test('who was asked but has no role is refused in the words of the API server', async () => {
    const said = await world.sluice(['approve', 'shop/checkout'], { user: 'lee' })
    expect(said).toMatchObject({ code: 1, err: expect.stringContaining('cannot patch resource "approvals"') })
  })
})

test('whoever has the role overrides, though nobody asked them', async () => {
  const words = ['approve', 'shop/checkout', '--emergency', '--reason', 'the site is down']
  const said = await world.sluice(words, { user: 'dana@example.com' })
  expect(said).toMatchObject({ code: 0, err: '', out: expect.stringContaining('Override recorded for user:dana@') })
})

test('an operator pauses in their own name, and cannot do it in another’s', async () => {
  const said = await world.sluice(['pause', 'shop/checkout', '--no-wait'], { user: 'lee' })
  expect(said).toMatchObject({ code: 0, err: '' })
  expect(world.get('checkout').metadata.annotations).toMatchObject({ 'sluice.dev/requested-by': 'user:lee' })
})

test('the lines of docs/approvals.md do what they say', async () => {
  const page = await readFile(new URL('../../docs/approvals.md', import.meta.url), 'utf8')
  const lines = [...page.matchAll(/^sluice .*$/gm)].map(([line]) => line.replace('2030-', '2099-'))
  expect(lines.length).toBeGreaterThan(5)
  for (const line of lines) {
    ask()
    const words = [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare ?? '')
    const user = line.includes('--emergency') ? 'dana@example.com' : 'kim'
    expect([line, await world.sluice(words.slice(1), { user })]).toEqual([
      line,
      expect.objectContaining({ code: 0, err: '' }),
    ])
    expect([line, decisions().length]).toEqual([line, line.startsWith('sluice describe') ? 0 : 1])
  }
})

test('a decision that only the API server refuses is refused with its sentence alone', async () => {
  // Sluice records the end of the question between the look and the word.
  const { storage } = world.server
  let closed = false
  const stop = world.server.onRequest((request) => {
    if (closed || request.resource !== 'approvals' || request.verb !== 'get') return
    closed = true
    const object = storage.get(approvalsRef, { namespace: 'shop', name: 'checkout-d1' })
    if (object)
      storage.updateStatus(approvalsRef, {
        ...structuredClone(object),
        status: { state: 'Void', message: 'the move changed' },
      })
  })
  const said = await world.sluice(['approve', 'shop/checkout'], { user: 'kim' }).finally(stop)
  expect(said).toMatchObject({ code: 1, err: expect.stringContaining('This question is closed. the move changed') })
  expect(decisions()).toEqual([])
})

test('a sentence of the API server is shown without what stands around it', async () => {
  const remove = world.server.admission.addValidating(({ type, operation }) => {
    if (type.plural !== 'approvals' || operation !== 'UPDATE') return
    throw new ApiError(
      422,
      'Invalid',
      `approvals.sluice.dev "checkout-d1" is forbidden: ValidatingAdmissionPolicy 'x' with binding 'x' denied request: not on a Friday`,
    )
  })
  const said = await world.sluice(['approve', 'shop/checkout'], { user: 'kim' }).finally(remove)
  expect(said.code).toBe(1)
  expect(said.err).toBe(
    'sluice: not on a Friday. Correct what the API server names; docs/approvals.md says what a decision looks like.\n',
  )
})

test('who acts as somebody else by their kubeconfig decides as that one', async () => {
  const config = parse(await readFile(world.kubeconfig(), 'utf8'))
  config.users[0].user.as = 'kim'
  config.users[0].user['as-groups'] = ['release', 'system:authenticated']
  const path = join(world.dir, 'as-kim.kubeconfig')
  await writeFile(path, stringify(config))
  const said = await world.sluice(['approve', 'shop/checkout', '--kubeconfig', path])
  expect(said).toMatchObject({ code: 0, err: '' })
  expect(decisions()).toMatchObject([{ by: 'user:kim', groups: ['release'] }])
})

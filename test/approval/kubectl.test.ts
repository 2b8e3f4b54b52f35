import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { textAt } from '../../src/kube/field.ts'
import { type ApiServer, startApiServer } from '../../src/sandbox/apiserver/index.ts'
import { type RawClient, rawClient } from '../conformance/apiserver.client.ts'
import { installShipped } from '../conformance/shipped.conformance.ts'
import { isThere } from '../deploy/program.ts'

/** The kubectl lines of docs/approvals.md, by people who have the shipped roles, under the shipped policies. */
const page = readFileSync(new URL('../../docs/approvals.md', import.meta.url), 'utf8')
const lines = /<!-- kubectl -->\n```sh\n([\s\S]*?)```/.exec(page)?.[1] ?? ''
const base = '/apis/sluice.dev/v1alpha1/namespaces/shop/approvals'
const sluice = {
  'Impersonate-User': 'system:serviceaccount:sluice-system:sluice',
  'Impersonate-Group': ['system:masters'],
}

const hasKubectl = await isThere('kubectl', 'version', '--client')
describe.skipIf(!hasKubectl)('with the real kubectl', () => {
  let server: ApiServer
  let client: RawClient
  let dir: string

  beforeAll(async () => {
    // Over plain HTTP kubectl sends no token: whoever has none is Dana.
    const dana = { username: 'dana@example.com', groups: ['release-managers', 'system:authenticated'] }
    server = await startApiServer({ rbac: true, anonymous: dana })
    client = rawClient(server.url, server.token())
    await installShipped(client)
    const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'sluice-approver' }
    const subjects = [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'Group', name: 'release-managers' }]
    const body = {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'RoleBinding',
      metadata: { name: 'a' },
      roleRef,
      subjects,
    }
    const path = '/apis/rbac.authorization.k8s.io/v1/namespaces/shop/rolebindings'
    expect((await client.request('POST', path, { body })).status).toBe(201)
    dir = await mkdtemp(join(tmpdir(), 'sluice-kubectl-'))
    await writeFile(join(dir, 'kubeconfig'), server.kubeconfig())
  }, 60_000)
  afterAll(async () => {
    await server?.stop()
    await rm(dir, { recursive: true, force: true })
  })

  async function ask(name: string, allowed: string[]): Promise<void> {
    const spec = {
      rollout: 'checkout',
      revision: 'v2-abc',
      step: 1,
      steps: 3,
      from: 10,
      to: 50,
      digest: 'd1',
      required: 1,
      allowed,
      expiresAt: '2099-01-01T00:00:00Z',
      onExpiry: 'Reject',
      decisions: [],
    }
    const body = { apiVersion: 'sluice.dev/v1alpha1', kind: 'Approval', metadata: { name }, spec }
    expect((await client.request('POST', base, { body, headers: sluice })).status).toBe(201)
  }

  async function run(approval: string, digest: string, script = lines): Promise<{ code: unknown; out: string }> {
    const env = { PATH: process.env.PATH ?? '', HOME: dir, KUBECONFIG: join(dir, 'kubeconfig'), approval, digest }
    const child = spawn('bash', ['-eu', '-o', 'pipefail', '-c', script], { env })
    let out = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (out += chunk))
    return { code: await new Promise((resolve) => child.once('close', resolve)), out }
  }

  const decisions = async (name: string) => (await client.request('GET', `${base}/${name}`)).body.spec.decisions

  test('the lines of the page add a decision of whoever runs them', async () => {
    await ask('by-name', ['user:dana@example.com'])
    expect(await run('by-name', 'd1')).toEqual({ code: 0, out: expect.stringContaining('by-name patched') })
    expect(await decisions('by-name')).toMatchObject([
      { verdict: 'Approve', by: 'user:dana@example.com', via: 'kubernetes', digest: 'd1' },
    ])
  })

  test('with a group they add one of somebody who is asked as its member', async () => {
    await ask('by-group', ['group:release-managers'])
    const alone = await run('by-group', 'd1')
    expect(alone.out).toContain('user:dana@example.com is not named in approval.from (group:release-managers)')
    const grouped = lines.replace('"via": "kubernetes"', '"groups": ["release-managers"], "via": "kubernetes"')
    expect(grouped).not.toBe(lines)
    expect((await run('by-group', 'd1', grouped)).code).toBe(0)
    expect(await decisions('by-group')).toHaveLength(1)
  })

  test('of another move, in another’s name or as an override they are refused with the reason', async () => {
    await ask('refused', ['user:dana@example.com'])
    expect((await run('refused', 'd0')).out).toContain('this question has the digest d1')
    const forged = lines.replace('user:\'"$me"\'', 'user:eve')
    expect((await run('refused', 'd1', forged)).out).toContain('a decision must carry your own name')
    const override = lines.replace('"via"', '"override": true, "reason": "x", "via"')
    expect((await run('refused', 'd1', override)).out).toContain('user:dana@example.com may not override')
    expect(await decisions('refused')).toEqual([])
  })
})

describe.skipIf(!hasKubectl)('an administrator, with the real kubectl', () => {
  test('the lines of the page that bind roles and make a key are taken', async () => {
    const server = await startApiServer()
    const dir = await mkdtemp(join(tmpdir(), 'sluice-kubectl-'))
    try {
      await installShipped(rawClient(server.url, server.token()))
      await writeFile(join(dir, 'kubeconfig'), server.kubeconfig())
      const blocks = [...page.matchAll(/^```sh\n(kubectl create [\s\S]*?)```/gm)].map(([, block = '']) => block)
      expect(blocks).toHaveLength(2)
      const env = { PATH: process.env.PATH ?? '', HOME: dir, KUBECONFIG: join(dir, 'kubeconfig') }
      const child = spawn('bash', ['-eu', '-o', 'pipefail', '-c', blocks.join('\n')], { env })
      let out = ''
      for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (out += chunk))
      expect([await new Promise((resolve) => child.once('close', resolve)), out]).toEqual([0, expect.any(String)])
      const { storage } = server
      const roles = storage
        .list({ group: 'rbac.authorization.k8s.io', plural: 'clusterroles' })
        .map((r) => r.metadata.name)
      const bound = storage.list({ group: 'rbac.authorization.k8s.io', plural: 'rolebindings' }, { namespace: 'shop' })
      const names = bound.flatMap((b) =>
        textAt(b, 'roleRef', 'kind') === 'ClusterRole' ? [textAt(b, 'roleRef', 'name')] : [],
      )
      expect(names.filter((name) => /approver|override/.test(name ?? '')).sort()).toEqual([
        'sluice-approver',
        'sluice-override',
      ])
      expect(names.filter((name) => !roles.includes(name ?? ''))).toEqual([])
      const secret = storage.get({ group: '', plural: 'secrets' }, { namespace: 'shop', name: 'change-board' })
      expect(secret?.metadata.labels).toEqual({ 'sluice.dev/webhook': 'approver' })
    } finally {
      await server.stop()
      await rm(dir, { recursive: true, force: true })
    }
  }, 60_000)
})

import { readdirSync, readFileSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { parse } from 'yaml'
import { type RolloutSourceStatus, rolloutSourceStatus } from '../../src/api/rolloutsource.ts'
import { createBranches } from '../../src/git/branch.ts'
import { createSources } from '../../src/git/sources.ts'
import { connect, type KubeClient } from '../../src/kube/client.ts'
import { connectionTo } from '../../src/kube/connection.ts'
import type { KubeObject, Resource } from '../../src/kube/object.ts'
import { resources } from '../../src/kube/resources.ts'
import { systemRuntime } from '../../src/runtime.ts'
import { type ApiServer, startApiServer } from '../../src/sandbox/apiserver/index.ts'
import { remoteWith, temporaryFolder } from './workbench.ts'

const roleGroup = { group: 'rbac.authorization.k8s.io', version: 'v1', namespaced: true }
const roles: Resource = { ...roleGroup, plural: 'roles', kind: 'Role' }
const roleBindings: Resource = { ...roleGroup, plural: 'rolebindings', kind: 'RoleBinding' }

let server: ApiServer
let client: KubeClient
beforeAll(async () => {
  server = await startApiServer({ rbac: true })
  client = connect({ connection: connectionTo(server.url, { token: server.token() }), runtime: systemRuntime })
  for (const file of readdirSync('crds').filter((name) => name.endsWith('.yaml'))) {
    await client.create(resources.customResourceDefinitions, parse(readFileSync(`crds/${file}`, 'utf8')))
  }
})
afterAll(async () => {
  client.close()
  await server.stop()
})

let namespace = ''
let count = 0
beforeEach(async () => {
  count += 1
  namespace = `bad-${count}`
  const metadata = { name: namespace }
  await client.create(resources.namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata })
})

const configMap = (name: string, more = '') =>
  `apiVersion: v1\nkind: ConfigMap\nmetadata: { name: ${name} }\ndata: { a: "1" }\n${more}`
const exists = async (name: string) => (await client.get(resources.configMaps, { namespace, name })) !== undefined

type Repository = Awaited<ReturnType<typeof remoteWith>>

/** Follows the repository; the status at a commit, once that was looked at. */
async function follow({ remote, person }: Repository, spec: Record<string, unknown> = {}) {
  const created = await client.create(resources.rolloutSources, {
    apiVersion: 'sluice.dev/v1alpha1',
    kind: 'RolloutSource',
    metadata: { name: 'config', namespace },
    spec: { url: remote.url, path: 'prod', interval: '1h', apply: 'All', prune: true, ...spec },
  })
  const branches = createBranches({ workDir: temporaryFolder(), runtime: systemRuntime })
  const sources = createSources({ client, branches, runtime: systemRuntime, owners: () => undefined })
  onTestFinished(() => sources.stop())
  sources.set(created)
  return {
    async status(): Promise<RolloutSourceStatus> {
      const tip = person.git('rev-parse', 'HEAD').trim()
      for (const end = performance.now() + 20_000; performance.now() < end; await systemRuntime.sleep(20)) {
        const live = await client.get(resources.rolloutSources, { namespace, name: 'config' })
        const status = rolloutSourceStatus.parse(live?.status ?? {})
        if (status.lastSync?.commit === tip) return status
      }
      throw new Error('the commit was never looked at')
    },
    poke: () => sources.poke(`${namespace}/config`),
    /** What a watch tells. */
    changed: (object: KubeObject) => sources.set(object),
  }
}

const errorsOf = (status: RolloutSourceStatus) =>
  (status.errors ?? []).map(({ file, line, object, message }) => `${file}:${line ?? ''} ${object ?? ''} ${message}`)

describe('one bad thing is said with its place, and everything else goes on', () => {
  test('objects that the source’s account may not write', async () => {
    await client.create(roles, {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'Role',
      metadata: { name: 'deployer', namespace },
      rules: [{ apiGroups: [''], resources: ['configmaps'], verbs: ['get', 'create', 'patch', 'delete'] }],
    })
    await client.create(roleBindings, {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'RoleBinding',
      metadata: { name: 'deployer', namespace },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'deployer' },
      subjects: [{ kind: 'ServiceAccount', name: 'deployer', namespace }],
    })
    const repository = await remoteWith({
      'prod/a.yaml': configMap('one'),
      'prod/b.yaml': `${configMap('two')}---\napiVersion: v1\nkind: Service\nmetadata: { name: web }\nspec: { ports: [{ port: 80 }] }\n`,
      'prod/c.yaml': 'apiVersion: v1\nkind: Namespace\nmetadata: { name: kube-public }\n',
      'prod/d.yaml':
        'apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: { name: up }\nroleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin }\n',
    })
    const source = await follow(repository, { serviceAccountName: 'deployer' })
    const errors = errorsOf(await source.status())
    expect(errors).toHaveLength(3)
    const refused = `cannot \\w+ resource "\\w+"`
    expect(errors.find((e) => e.startsWith('prod/b.yaml:6 '))).toMatch(
      new RegExp(`Service ${namespace}/web|Service web.*${refused}`),
    )
    expect(errors.find((e) => e.startsWith('prod/c.yaml:1 '))).toContain('namespaces')
    expect(errors.find((e) => e.startsWith('prod/d.yaml:1 '))).toContain('rolebindings')
    expect(errors.join()).toContain(`system:serviceaccount:${namespace}:deployer`)
    expect([await exists('one'), await exists('two')]).toEqual([true, true])
  })

  test('the same object in two files, of which the first counts', async () => {
    const repository = await remoteWith({
      'prod/a.yaml': configMap('one'),
      'prod/z.yaml': `# again\n${configMap('one')}`,
    })
    const source = await follow(repository)
    expect(errorsOf(await source.status())).toEqual([
      `prod/z.yaml:2 ConfigMap one is declared in prod/a.yaml:1 already`,
    ])
  })

  test.each([
    ['../../../..', 'names ../../../.., which is not in this repository'],
    ['/etc', 'names /etc, which is not in this repository'],
    ['https://example.com/x.yaml', 'names https://example.com/x.yaml, which is not in this repository'],
    ['github.com/other/repo?ref=main', 'which is not in this repository'],
    ['nothing.yaml', 'lists prod/deep/nothing.yaml, which does not exist'],
  ])('a kustomization that leads to %s', async (resource, message) => {
    const repository = await remoteWith({
      'prod/a.yaml': configMap('one'),
      'prod/deep/kustomization.yaml': `resources: [${resource}]\n`,
    })
    const source = await follow(repository)
    const errors = errorsOf(await source.status())
    expect(errors).toHaveLength(1)
    expect(errors[0]).toMatch(/^prod\/deep\/kustomization\.yaml:/)
    expect(errors[0]).toContain(message)
    expect(await exists('one')).toBe(true)
  })

  test('a bomb of aliases, nesting without end, a tag of another language, and a link out of the repository', async () => {
    const bomb = ['a: &a [x, x, x, x, x, x, x, x, x]']
    for (let i = 1; i < 12; i++) {
      const [name, before] = [String.fromCharCode(97 + i), String.fromCharCode(96 + i)]
      bomb.push(`${name}: &${name} [${Array(9).fill(`*${before}`).join(', ')}]`)
    }
    const repository = await remoteWith({
      'prod/a.yaml': configMap('one'),
      'prod/bomb.yaml': `${configMap('bomb')}${bomb.join('\n')}\n`,
      'prod/deep.yaml': `apiVersion: v1\nkind: ConfigMap\nmetadata: { name: deep }\nx: ${'['.repeat(100_000)}\n`,
      'prod/tag.yaml': `apiVersion: v1\nkind: ConfigMap\nmetadata: { name: tag }\ndata: !!js/function 'x'\n`,
    })
    symlinkSync('/etc/passwd', join(repository.dir, 'person', 'prod', 'passwd.yaml'))
    repository.person.commit('A link', {})
    const source = await follow(repository)
    const status = await source.status()
    const files = (status.errors ?? []).map(({ file }) => file)
    expect(files).toEqual(expect.arrayContaining(['prod/bomb.yaml', 'prod/deep.yaml']))
    expect(errorsOf(status).join()).not.toContain('root:')
    expect([await exists('one'), await exists('bomb'), await exists('deep')]).toEqual([true, false, false])
  })

  test('a file of 50 MB', async () => {
    const repository = await remoteWith({
      'prod/a.yaml': configMap('one'),
      'prod/large.yaml': Buffer.from(configMap('large', `b: ${'x'.repeat(50 * 1024 * 1024)}\n`)),
    })
    const source = await follow(repository)
    const errors = errorsOf(await source.status())
    expect(errors).toHaveLength(1)
    expect(errors[0]).toMatch(/^prod\/large\.yaml: .*too large|^prod\/large\.yaml: .*(MiB|MB)/)
    expect([await exists('one'), await exists('large')]).toEqual([true, false])
  })
})

test.each<[string, Record<string, string | Buffer>]>([
  ['a file that cannot be read', { 'prod/b.yaml': 'metadata: [\n' }],
  ['an object without a name', { 'prod/b.yaml': 'apiVersion: v1\nkind: ConfigMap\nmetadata: {}\n' }],
  ['a kustomization that is wrong', { 'prod/kustomization.yaml': 'resources: [../../..]\n' }],
  ['bytes that are no text', { 'prod/b.yaml': Buffer.from([0xff, 0xfe, 0x00, 0x80]) }],
])('nothing is deleted after a read that %s made partial', async (_, files) => {
  const repository = await remoteWith({ 'prod/a.yaml': configMap('one'), 'prod/b.yaml': configMap('two') })
  const source = await follow(repository)
  await source.status()
  expect(await exists('two')).toBe(true)
  repository.person.commit('Broken', files)
  source.poke()
  const status = await source.status()
  expect(status.errors?.length).toBeGreaterThan(0)
  expect(status.lastSync?.pruned).toBe(0)
  expect([await exists('one'), await exists('two')]).toEqual([true, true])
  expect(status.inventory).toHaveLength(2)
})

describe('a suspended source', () => {
  test('stays as well as it was, and says that it is suspended', async () => {
    const repository = await remoteWith({ 'prod/a.yaml': configMap('one') })
    const source = await follow(repository)
    await source.status()
    const key = { namespace, name: 'config' }
    const patch = { type: 'merge', body: { spec: { suspend: true } } } as const
    await client.patch(resources.rolloutSources, key, patch, { fieldManager: 'somebody' })
    source.changed((await client.get(resources.rolloutSources, key))!)
    await expect
      .poll(async () => rolloutSourceStatus.parse((await client.get(resources.rolloutSources, key))?.status))
      .toMatchObject({
        message: 'Suspended: neither read nor written',
        conditions: expect.arrayContaining([
          expect.objectContaining({ type: 'Ready', status: 'True', reason: 'Suspended' }),
          expect.objectContaining({ type: 'Reconciling', status: 'False' }),
        ]),
      })
  })
})

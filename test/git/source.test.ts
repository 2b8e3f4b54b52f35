import { readdirSync, readFileSync } from 'node:fs'
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { parse } from 'yaml'
import { type RolloutSourceStatus, rolloutSourceSpec, rolloutSourceStatus } from '../../src/api/rolloutsource.ts'
import { applyDeclared } from '../../src/git/apply.ts'
import { type Branches, createBranches } from '../../src/git/branch.ts'
import { createGitRecorder } from '../../src/git/record.ts'
import { sourceRef } from '../../src/git/source-ref.ts'
import { createSources, type Sources } from '../../src/git/sources.ts'
import { connect, type KubeClient } from '../../src/kube/client.ts'
import { connectionTo } from '../../src/kube/connection.ts'
import type { KubeObject, Resource } from '../../src/kube/object.ts'
import { resources } from '../../src/kube/resources.ts'
import { systemRuntime } from '../../src/runtime.ts'
import { type ApiServer, startApiServer } from '../../src/sandbox/apiserver/index.ts'
import { installLatch } from '../../src/sandbox/latch.ts'
import {
  eventually,
  moveTo,
  resultOf,
  rolloutManifest,
  rolloutRef,
  shopFiles,
  stateAt,
  virtualService,
} from './shop.ts'
import { remoteWith, temporaryFolder } from './workbench.ts'

let server: ApiServer
let client: KubeClient
const writes: string[] = []

beforeAll(async () => {
  server = await startApiServer({ rbac: false })
  client = connect({ connection: connectionTo(server.url, { token: server.token() }), runtime: systemRuntime })
  for (const file of readdirSync('crds').filter((name) => name.endsWith('.yaml'))) {
    await client.create(resources.customResourceDefinitions, parse(readFileSync(`crds/${file}`, 'utf8')))
  }
  server.onRequest((record) => {
    if (!['get', 'list', 'watch'].includes(record.verb))
      writes.push(`${record.verb} ${record.resource} ${record.name} ${record.user}`)
  })
})
afterAll(async () => {
  client.close()
  await server.stop()
})

let namespace = ''
let count = 0
beforeEach(async () => {
  count += 1
  namespace = `team-${count}`
  await makeNamespace(namespace)
})

async function makeNamespace(name: string): Promise<void> {
  await client.create(resources.namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } })
}

interface Running {
  sources: Sources
  branches: Branches
  /** Looks once more and answers the status when the commit was looked at. */
  status(accept: (status: RolloutSourceStatus) => boolean): Promise<RolloutSourceStatus>
  poke(): void
}

async function run(url: string, spec: Record<string, unknown>, through: KubeClient = client): Promise<Running> {
  const object: KubeObject = {
    apiVersion: 'sluice.dev/v1alpha1',
    kind: 'RolloutSource',
    metadata: { name: 'config', namespace },
    spec: { url, path: 'prod', interval: '1h', ...spec },
  }
  rolloutSourceSpec.parse(object.spec)
  const created = await client.create(resources.rolloutSources, object)
  const branches = createBranches({ workDir: temporaryFolder(), runtime: systemRuntime })
  const sources = createSources({ client: through, branches, runtime: systemRuntime, owners: () => undefined })
  onTestFinished(() => sources.stop())
  sources.set(created)
  const poke = () => sources.poke(`${created.metadata.namespace}/config`)
  return {
    sources,
    branches,
    poke,
    async status(accept) {
      const end = performance.now() + 10_000
      for (;;) {
        const live = await client.get(resources.rolloutSources, { namespace, name: 'config' })
        const status = rolloutSourceStatus.parse(live?.status ?? {})
        if (status.conditions && accept(status)) return status
        if (performance.now() > end) throw new Error(`the status stays ${JSON.stringify(status)}`)
        await systemRuntime.sleep(20)
      }
    },
  }
}

const ready = (status: RolloutSourceStatus) => status.conditions?.find((c) => c.type === 'Ready')
const at = (commit: string) => (status: RolloutSourceStatus) => status.lastSync?.commit === commit
const get = (resource: Resource, name: string, ns = namespace) => client.get(resource, { namespace: ns, name })
const configMap = (name: string, extra = '') =>
  `apiVersion: v1\nkind: ConfigMap\nmetadata: { name: ${name} }\ndata: { a: "1" }\n${extra}`

describe('apply: All', () => {
  test('brings everything, with the source’s namespace where none is named, and says so', async () => {
    const { remote, person } = await remoteWith({
      'prod/a.yaml': configMap('one', `---\n${configMap('two')}`),
      'prod/deep/b.json':
        '{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"three"}}]}',
      'prod/README.md': '# {{ nothing }}',
      'other/c.yaml': configMap('outside'),
    })
    const running = await run(remote.url, { apply: 'All' })
    const status = await running.status(at(person.git('rev-parse', 'HEAD').trim()))
    expect(status).toMatchObject({
      message: expect.stringMatching(/^In step with main@[0-9a-f]{8}$/),
      lastSync: { applied: 3, failed: 0 },
    })
    expect(ready(status)).toMatchObject({ status: 'True', observedGeneration: 1 })
    for (const name of ['one', 'two', 'three']) expect(await get(resources.configMaps, name)).toBeDefined()
    expect(await get(resources.configMaps, 'outside')).toBeUndefined()
    expect(status.inventory).toEqual(['one', 'three', 'two'].map((name) => `/v1/configmaps/${namespace}/${name}`))
  })

  test('one bad file stops no other and is named with its line', async () => {
    const { remote } = await remoteWith({
      'prod/a.yaml': configMap('one'),
      'prod/bad.yaml': 'apiVersion: v1\nkind: ConfigMap\nmetadata: [\n',
      'prod/odd.yaml': 'apiVersion: v1\nkind: Service\nmetadata: { name: odd }\nspec: { ports: 7 }\n',
      'prod/unknown.yaml': 'apiVersion: example.com/v1\nkind: Gadget\nmetadata: { name: g }\n',
      'prod/z.yaml': configMap('two'),
    })
    const running = await run(remote.url, { apply: 'All' })
    const status = await running.status((s) => (s.errors?.length ?? 0) >= 3)
    expect(await get(resources.configMaps, 'two')).toBeDefined()
    expect(status.errors?.map((e) => e.file).sort()).toEqual(['prod/bad.yaml', 'prod/odd.yaml', 'prod/unknown.yaml'])
    expect(status.errors?.find((e) => e.file === 'prod/bad.yaml')?.line).toBeGreaterThanOrEqual(3)
    expect(ready(status)).toMatchObject({ status: 'False', message: expect.stringContaining('prod/bad.yaml') })
  })

  test('prunes what is gone from Git, but nothing after a partial read', async () => {
    const { remote, person } = await remoteWith({ 'prod/a.yaml': configMap('one'), 'prod/b.yaml': configMap('two') })
    const running = await run(remote.url, { apply: 'All', prune: true })
    await running.status(at(person.git('rev-parse', 'HEAD').trim()))
    const broken = person.commit('Break', { 'prod/a.yaml': configMap('one'), 'prod/b.yaml': 'kind: [' })
    running.poke()
    const partial = await running.status(at(broken))
    expect(await get(resources.configMaps, 'two')).toBeDefined()
    expect(partial.inventory).toHaveLength(2)
    const fixed = person.commit('Remove', { 'prod/b.yaml': '# nothing\n' })
    running.poke()
    expect(await running.status(at(fixed))).toMatchObject({
      lastSync: { pruned: 1 },
      inventory: [`/v1/configmaps/${namespace}/one`],
    })
    expect(await get(resources.configMaps, 'two')).toBeUndefined()
    expect(await get(resources.configMaps, 'one')).toBeDefined()
  })

  test('a folder that vanishes prunes nothing', async () => {
    const { remote, person } = await remoteWith({ 'prod/a.yaml': configMap('one'), 'x.txt': '' })
    const running = await run(remote.url, { apply: 'All', prune: true })
    await running.status(at(person.git('rev-parse', 'HEAD').trim()))
    person.git('mv', 'prod', 'production')
    person.git('commit', '--quiet', '-m', 'Move')
    person.git('push', '--quiet', 'origin', 'HEAD:main')
    running.poke()
    const status = await running.status((s) => ready(s)?.reason === 'GitPathMissing')
    expect(status.inventory).toHaveLength(1)
    expect(await get(resources.configMaps, 'one')).toBeDefined()
  })

  test('stays in its namespaces, and acts as the ServiceAccount it is told to be', async () => {
    const { remote, person } = await remoteWith({
      'prod/a.yaml': configMap('mine'),
      'prod/b.yaml': 'apiVersion: v1\nkind: ConfigMap\nmetadata: { name: theirs, namespace: kube-system }\n',
      'prod/c.yaml': 'apiVersion: v1\nkind: Namespace\nmetadata: { name: brand-new }\n',
    })
    const running = await run(remote.url, { apply: 'All' })
    const refused = await running.status(at(person.git('rev-parse', 'HEAD').trim()))
    expect(refused.errors?.map((e) => e.object)).toEqual(['Namespace brand-new', 'ConfigMap kube-system/theirs'])
    expect(await get(resources.configMaps, 'theirs', 'kube-system')).toBeUndefined()
    expect(await get(resources.configMaps, 'mine')).toBeDefined()

    writes.length = 0
    const patch = { type: 'merge', body: { spec: { serviceAccountName: 'deployer' } } } as const
    running.sources.set(
      await client.patch(resources.rolloutSources, { namespace, name: 'config' }, patch, { fieldManager: 'test' }),
    )
    await running.status((s) => s.observedGeneration === 2)
    expect(writes).toContain(`patch configmaps mine system:serviceaccount:${namespace}:deployer`)
  })

  test('a kustomization stands for its folder, and one that others use is a part of them', async () => {
    const { remote, person } = await remoteWith({
      'prod/eu/kustomization.yaml': `namespace: ${namespace}\nresources: [../../base, ../parts, extra.yaml]\n`,
      'prod/eu/extra.yaml': configMap('extra'),
      'prod/eu/ignored.yaml': configMap('ignored'),
      'prod/parts/kustomization.yaml': 'resources: [part.yaml]\n',
      'prod/parts/part.yaml': configMap('part'),
      'prod/alone.yaml': configMap('alone'),
      'base/kustomization.yaml': 'resources: [a.yaml]\n',
      'base/a.yaml': 'apiVersion: v1\nkind: ConfigMap\nmetadata: { name: base, namespace: elsewhere }\n',
    })
    const running = await run(remote.url, { apply: 'All' })
    const status = await running.status(at(person.git('rev-parse', 'HEAD').trim()))
    expect(status.errors).toEqual([])
    const names = ['alone', 'base', 'extra', 'part']
    expect(status.inventory).toEqual(names.map((name) => `/v1/configmaps/${namespace}/${name}`))
  })
})

describe('an overlay', () => {
  const eu = 'prod/eu/kustomization.yaml'
  const overlay = () => ({
    'prod/eu/kustomization.yaml': `namespace: ${namespace}
namePrefix: eu-
resources: [../../base]
components: [../../base/extras]
images: [{ name: app, newTag: "2" }]
patches:
  - target: { kind: Rollout }
    patch: '[{ op: replace, path: /spec/workload/deployment/name, value: eu-checkout }]'
  - patch: |
      apiVersion: v1
      kind: Service
      metadata: { name: checkout }
      spec: { ports: [{ port: 80, targetPort: 8080 }] }
`,
    'base/kustomization.yaml': 'resources: [all.yaml]\n',
    'base/extras/kustomization.yaml': 'kind: Component\ncommonAnnotations: { team: shop }\n',
    'base/all.yaml': `apiVersion: apps/v1
kind: Deployment
metadata: { name: checkout }
spec:
  selector: { matchLabels: { app: checkout } }
  template:
    metadata: { labels: { app: checkout } }
    spec: { containers: [{ name: app, image: "app:1", envFrom: [{ configMapRef: { name: settings } }] }] }
---
${configMap('settings')}---
apiVersion: v1
kind: Service
metadata: { name: checkout }
spec: { selector: { app: checkout }, ports: [{ port: 80 }] }
---
apiVersion: sluice.dev/v1alpha1
kind: Rollout
metadata: { name: checkout }
spec:
  workload: { deployment: { name: checkout } }
  traffic: { istio: { virtualService: { name: checkout } } }
`,
  })

  test('is applied as kustomize renders it, and followed when its base changes', async () => {
    const { remote, person } = await remoteWith(overlay())
    const running = await run(remote.url, { apply: 'All', prune: true })
    const status = await running.status(at(person.git('rev-parse', 'HEAD').trim()))
    expect(status.errors).toEqual([])
    expect(await get(resources.deployments, 'eu-checkout')).toMatchObject({
      metadata: { annotations: { team: 'shop' } },
      spec: {
        template: { spec: { containers: [{ image: 'app:2', envFrom: [{ configMapRef: { name: 'eu-settings' } }] }] } },
      },
    })
    expect((await get(resources.services, 'eu-checkout'))?.spec).toMatchObject({
      ports: [{ port: 80, targetPort: 8080 }],
    })
    const base = overlay()['base/all.yaml'].replace(`---\n${configMap('settings')}`, '')

    const next = person.commit('No settings', { 'base/all.yaml': base })
    running.poke()
    expect(await running.status(at(next))).toMatchObject({ errors: [], lastSync: { pruned: 1 } })
    expect(await get(resources.configMaps, 'eu-settings')).toBeUndefined()
    expect((await get(resources.deployments, 'eu-checkout'))?.spec).toMatchObject({
      template: { spec: { containers: [{ envFrom: [{ configMapRef: { name: 'settings' } }] }] } },
    })
  })

  test.each([
    ['a generator', 'configMapGenerator:\n  - name: made\n', 'makes objects with configMapGenerator', eu, 3],
    ['a chart', 'helmCharts:\n  - name: made\n', 'makes objects with helmCharts', eu, 3],
    ['a remote base', '  - https://example.com/base?ref=1\n', 'which is not in this repository', eu, 3],
    ['a path out of the repository', '  - ../../../base\n', 'which is not in this repository', eu, 3],
    ['a file that is not there', '  - gone.yaml\n', 'lists prod/eu/gone.yaml, which does not exist', eu, 3],
    ['a transformer', 'transformers:\n  - t.yaml\n', 'uses transformers, which Sluice does not render', eu, 3],
    ['a patch for nothing', 'patches:\n  - patch: "{kind: A, metadata: {name: x}}"\n', 'does not have', eu, 4],
    ['a misspelt field', 'patchs: [{}]\n', 'uses patchs, which Sluice does not render', eu, 3],
    ['a field in another form', 'namePrefix: 5\n', 'has namePrefix in a form that kustomize does not read', eu, 3],
    ['broken YAML', 'images: [\n', '', eu, 4],
  ])('with %s is refused as a whole, and nothing else is', async (_name, text, message, file, line) => {
    const good = {
      [eu]: 'resources:\n  - a.yaml\n',
      'prod/eu/a.yaml': configMap('a'),
      'prod/us/b.yaml': configMap('b'),
    }
    const { remote, person } = await remoteWith({ ...good, 'prod/us/kustomization.yaml': 'resources: [b.yaml]\n' })
    const running = await run(remote.url, { apply: 'All', prune: true })
    const before = await running.status(at(person.git('rev-parse', 'HEAD').trim()))
    const next = person.commit('Refused', {
      [eu]: `resources:\n  - a.yaml\n${text}`,
      'prod/eu/a.yaml': configMap('other'),
      'prod/us/b.yaml': configMap('b', 'immutable: true\n'),
    })
    running.poke()
    const status = await running.status(at(next))
    expect(status.errors).toHaveLength(1)
    expect(status.errors?.[0]).toMatchObject({ file, line: expect.any(Number) })
    expect(status.errors?.[0]?.line).toBeLessThanOrEqual(line)
    expect(status.errors?.[0]?.message).toContain(message)
    expect(status.errors?.[0]?.message).toContain(`nothing of the kustomization ${eu} is applied`)
    expect(status.inventory).toEqual(before.inventory)
    expect(await get(resources.configMaps, 'other')).toBeUndefined()
    expect(await get(resources.configMaps, 'a')).toBeDefined()
    expect(await get(resources.configMaps, 'b')).toMatchObject({ immutable: true })
  })

  test('that cannot be read does not make its base a thing of its own', async () => {
    const { remote, person } = await remoteWith({
      [eu]: 'resources:\n  - ../base\nnamePrefix: eu-\n',
      'prod/base/kustomization.yaml': 'resources: [a.yaml]\n',
      'prod/base/a.yaml': configMap('a'),
    })
    const running = await run(remote.url, { apply: 'All', prune: true })
    await running.status(at(person.git('rev-parse', 'HEAD').trim()))
    for (const text of [
      'resource: [../base]\n',
      'resources: ../base\n',
      'resources:\n  - ../base\nnamePrefix: [\n',
      'namespace: 5\nresources: ["../base"]\n',
    ]) {
      const next = person.commit('Break', { [eu]: text })
      running.poke()
      const status = await running.status(at(next))
      expect(status.errors?.map(({ file }) => file)).toContain(eu)
      expect(status.inventory).toEqual([`/v1/configmaps/${namespace}/eu-a`])
      expect(await get(resources.configMaps, 'a')).toBeUndefined()
    }
  })

  test('with generators of settings is applied under apply: Rollouts, which needs none of them', async () => {
    const files = overlay()
    const { remote, person } = await remoteWith({
      ...files,
      [eu]: `${files[eu]}configMapGenerator: [{ name: made, literals: [a=b] }]\n`,
    })
    const running = await run(remote.url, { apply: 'Rollouts' })
    const status = await running.status(at(person.git('rev-parse', 'HEAD').trim()))
    expect(status.errors).toEqual([])
    expect(status.inventory).toEqual([`sluice.dev/v1alpha1/rollouts/${namespace}/eu-checkout`])
    expect((await get(resources.rollouts, 'eu-checkout'))?.spec).toMatchObject({
      workload: { deployment: { name: 'eu-checkout' } },
    })
  })

  test('two that use each other are an error, and no reason to prune', async () => {
    const { remote, person } = await remoteWith({ 'prod/a.yaml': configMap('a') })
    const running = await run(remote.url, { apply: 'All', prune: true })
    await running.status(at(person.git('rev-parse', 'HEAD').trim()))
    const next = person.commit('Circle', {
      'prod/a.yaml': '# nothing\n',
      'prod/x/kustomization.yaml': 'resources: [../y]\n',
      'prod/y/kustomization.yaml': 'resources: [../x]\n',
    })
    running.poke()
    const status = await running.status(at(next))
    expect(status.errors?.map(({ file }) => file).sort()).toEqual([
      'prod/x/kustomization.yaml',
      'prod/y/kustomization.yaml',
    ])
    expect(await get(resources.configMaps, 'a')).toBeDefined()
  })
})

describe('owned weights', () => {
  const inNamespace = (files: Record<string, string>) =>
    Object.fromEntries(
      Object.entries(files).map(([path, text]) => [
        path,
        text.replaceAll('namespace: shop', `namespace: ${namespace}`),
      ]),
    )
  const weights = async () => {
    const live = await get(resources.virtualServices, 'checkout')
    return JSON.stringify(live?.spec).match(/"weight":\d+/g)
  }

  test('are never written from Git: the live ones stay, everything else changes', async () => {
    const { remote, person } = await remoteWith(inNamespace(shopFiles()))
    const running = await run(remote.url, { apply: 'All' })
    await running.status(at(person.git('rev-parse', 'HEAD').trim()))
    const ops = [
      { op: 'replace', path: '/spec/http/0/route/0/weight', value: 60 },
      { op: 'replace', path: '/spec/http/0/route/1/weight', value: 40 },
    ] as const
    await client.patch(
      resources.virtualServices,
      { namespace, name: 'checkout' },
      { type: 'json', ops: [...ops] },
      { fieldManager: 'sluice' },
    )
    const changed = inNamespace({
      'prod/checkout-vs.yaml': virtualService(90, 10).replace('hosts: [checkout]', 'hosts: [checkout, shop]'),
    })
    const next = person.commit('Hosts', changed)
    running.poke()
    await running.status(at(next))
    expect(await weights()).toEqual(['"weight":60', '"weight":40'])
    expect((await get(resources.virtualServices, 'checkout'))?.spec).toMatchObject({ hosts: ['checkout', 'shop'] })
  })

  test('survive somebody who moves traffic between our read and our write', async () => {
    const { remote, person } = await remoteWith(inNamespace(shopFiles()))
    let canary = 0
    const meddled: KubeClient = {
      ...client,
      async get(resource, key, options) {
        const live = await client.get(resource, key, options)
        if (live?.kind === 'VirtualService' && canary < 30) {
          canary += 10
          const ops = [
            { op: 'replace', path: '/spec/http/0/route/0/weight', value: 100 - canary },
            { op: 'replace', path: '/spec/http/0/route/1/weight', value: canary },
          ] as const
          await client.patch(resource, key, { type: 'json', ops: [...ops] }, { fieldManager: 'somebody' })
        }
        return live
      },
    }
    const running = await run(remote.url, { apply: 'All' }, meddled)
    await running.status(at(person.git('rev-parse', 'HEAD').trim()))
    const text = virtualService(100, 0).replace('hosts: [checkout]', 'hosts: [checkout, shop]')
    const next = person.commit('Hosts', inNamespace({ 'prod/checkout-vs.yaml': text }))
    running.poke()
    await running.status(at(next))
    expect(canary).toBe(30)
    expect(await weights()).toEqual(['"weight":70', '"weight":30'])
    expect((await get(resources.virtualServices, 'checkout'))?.spec).toMatchObject({ hosts: ['checkout', 'shop'] })
  })

  test('our own commit causes nothing but an apply without effect, and an unchanged tip no writes at all', async () => {
    const { remote, person } = await remoteWith(inNamespace(shopFiles()))
    const running = await run(remote.url, { apply: 'All' })
    await running.status(at(person.git('rev-parse', 'HEAD').trim()))
    const { sources, branches } = running
    const git = createGitRecorder({ branches, runtime: systemRuntime, identity: { cluster: 'c', takeOver: false } })
    onTestFinished(() => git.stop())
    git.onPush((source, commit, when) => sources.pushed(source, commit, when))
    const lookup = sources.lookup(`${namespace}/config`)
    if (lookup.state !== 'ready') throw new Error(lookup.state)
    const versions = async () => {
      const objects = [await get(resources.virtualServices, 'checkout'), await get(resources.rollouts, 'checkout')]
      return objects.map((object) => object?.metadata.resourceVersion)
    }
    const before = await versions()
    const rollout = { ...rolloutRef(), namespace }
    const entry = moveTo(50)
    git.submit(lookup.source, rollout, entry, stateAt(50))
    const done = await resultOf(git, lookup.source, rollout, entry.op)
    if (done.state !== 'Done' || !done.sha) throw new Error(JSON.stringify(done))
    const status = await running.status(at(done.sha))
    expect(status).toMatchObject({ lastSync: { applied: 0, unchanged: 2 }, lastPush: { commit: done.sha } })
    expect(await versions()).toEqual(before)
    expect(await weights()).toEqual(['"weight":100', '"weight":0'])

    await running.status((s) => s.lastPush !== undefined)
    await systemRuntime.sleep(300)
    writes.length = 0
    running.poke()
    await systemRuntime.sleep(500)
    expect(writes).toEqual([])
  })
})

describe('a Deployment that a Rollout latches', () => {
  const manifest = (image: string, spec = '') => `apiVersion: apps/v1
kind: Deployment
metadata: { name: checkout }
spec:
  replicas: 1
${spec}  selector: { matchLabels: { app: checkout } }
  template:
    metadata: { labels: { app: checkout } }
    spec: { containers: [{ name: app, image: "${image}" }] }
`
  const user = 'system:serviceaccount:sluice-system:sluice'

  test.each([undefined, 'deployer'])(
    'stays latched when Git brings another template (serviceAccountName: %s)',
    async (account) => {
      const cluster = await startApiServer({ tokens: { sluice: { username: user, groups: [] } } })
      onTestFinished(() => cluster.stop())
      await installLatch(cluster.storage)
      const sluice = connect({
        connection: connectionTo(cluster.url, { token: cluster.token(user) }),
        runtime: systemRuntime,
      })
      onTestFinished(() => sluice.close())
      const deployments = { group: 'apps', plural: 'deployments' }
      const spec = rolloutSourceSpec.parse({ url: 'https://git.example.com/shop.git', allowedNamespaces: ['*'] })
      const apply = async (text: string) =>
        applyDeclared(
          {
            client: sluice,
            source: sourceRef({ namespace: 'default', name: 'config' }, spec),
            owners: () => undefined,
            ...(account ? { serviceAccountName: account } : {}),
          },
          { object: parse(text), file: 'a.yaml', line: 1 },
        )
      const live = () => cluster.storage.get(deployments, { namespace: 'default', name: 'checkout' })
      const change = (patch: Record<string, unknown>, as: string) =>
        cluster.storage.patchMerge(deployments, { namespace: 'default', name: 'checkout' }, patch, {
          user: { username: as, groups: [] },
        })
      expect(await apply(manifest('app:1'))).toMatchObject({ state: 'changed' })
      change({ metadata: { labels: { 'sluice.dev/rollout': 'checkout' } } }, user)
      expect(live()?.spec).not.toHaveProperty('paused')
      expect(await apply(manifest('app:1'))).toMatchObject({ state: 'unchanged' })
      expect(await apply(manifest('app:2'))).toMatchObject({ state: 'changed' })
      expect(live()?.spec).toMatchObject({ paused: true })
      for (const spec of ['', '  paused: false\n']) {
        await apply(manifest('app:2', spec))
        expect(live()?.spec).toMatchObject({ paused: true })
      }
      change({ spec: { paused: null } }, user)
      expect(live()?.spec).not.toHaveProperty('paused')
      await apply(manifest('app:2'))
      expect(live()?.spec).not.toHaveProperty('paused')
      // In an emergency what is in Git rolls at once.
      change({ metadata: { annotations: { 'sluice.dev/break-glass': 'incident 7' } } }, 'dana')
      await apply(manifest('app:3'))
      expect(live()?.spec).not.toHaveProperty('paused')
    },
  )
})

test('a Deployment that waits for its Rollout is applied once, is no error, and costs no write until Git changes', async () => {
  const deployment = (image: string) => `apiVersion: apps/v1
kind: Deployment
metadata: { name: checkout }
spec:
  selector: { matchLabels: { app: checkout } }
  template: { metadata: { labels: { app: checkout } }, spec: { containers: [{ name: app, image: "${image}" }] } }
`
  const { remote, person } = await remoteWith({ 'prod/d.yaml': deployment('app:1') })
  const running = await run(remote.url, { apply: 'All' })
  await running.status(at(person.git('rev-parse', 'HEAD').trim()))
  const held = { metadata: { labels: { 'sluice.dev/rollout': 'checkout' } } }
  const key = { namespace, name: 'checkout' }
  await client.patch(resources.deployments, key, { type: 'merge', body: held }, { fieldManager: 'sluice' })
  const tip = person.commit('Release', { 'prod/d.yaml': deployment('app:2') })
  running.poke()
  const status = await running.status(at(tip))
  expect(ready(status)).toMatchObject({ status: 'True' })
  const latched = await get(resources.deployments, 'checkout')
  expect(latched?.spec).toMatchObject({ paused: true })
  // More looks than there are between two drift applies.
  for (let look = 0; look < 25; look++) {
    running.poke()
    await systemRuntime.sleep(15)
  }
  const after = await get(resources.deployments, 'checkout')
  expect(after?.metadata.resourceVersion).toBe(latched?.metadata.resourceVersion)
  expect(await running.status(at(tip))).toEqual(status)
})

test('apply: Rollouts leaves everything else alone; None applies nothing and still reads', async () => {
  const files = { ...shopFiles(), 'prod/chart.yaml': 'a: {{ .x }}\n', 'prod/cm.yaml': configMap('one') }
  const rollout = rolloutManifest('v2').replace(', namespace: shop', '')
  const { remote, person } = await remoteWith({ ...files, 'prod/checkout.yaml': rollout })
  const running = await run(remote.url, { apply: 'Rollouts' })
  const status = await running.status(at(person.git('rev-parse', 'HEAD').trim()))
  expect(status.inventory).toEqual([`sluice.dev/v1alpha1/rollouts/${namespace}/checkout`])
  expect(status.errors ?? []).toEqual([])
  expect(await get(resources.configMaps, 'one')).toBeUndefined()
  const patch = { type: 'merge', body: { spec: { apply: 'None', prune: true } } } as const
  running.sources.set(
    await client.patch(resources.rolloutSources, { namespace, name: 'config' }, patch, { fieldManager: 'test' }),
  )
  await running.status((s) => s.observedGeneration === 2)
  expect(await get(resources.rollouts, 'checkout')).toBeDefined()
})

test('a typo in a Rollout is refused with the file and the field', async () => {
  const { remote } = await remoteWith({
    'prod/r.yaml': rolloutManifest('v2').replace(', namespace: shop', '').replace('desired:', 'desird:'),
  })
  const running = await run(remote.url, {})
  const status = await running.status((s) => (s.errors?.length ?? 0) > 0)
  expect(status.errors).toMatchObject([{ file: 'prod/r.yaml', line: 1, message: expect.stringContaining('desird') }])
})

test('reads the Secret, recovers when it is corrected, and shows no password', async () => {
  const credentials = { username: 'bot', password: 'hunter2-s3cret' }
  const { remote } = await remoteWith({ 'prod/cm.yaml': configMap('one') }, { credentials })
  const secret = (password: string): KubeObject => ({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'git', namespace },
    data: { username: btoa('bot'), password: btoa(password) },
  })
  const running = await run(remote.url, { apply: 'All', secretRef: { name: 'git' } })
  await running.status((s) => ready(s)?.reason === 'GitAuth' && ready(s)!.message.includes('does not exist'))
  await client.create(resources.secrets, secret('wrong-s3cret'))
  running.poke()
  const wrong = await running.status((s) => ready(s)?.reason === 'GitAuth' && ready(s)!.message.includes('refused'))
  await client.replace(resources.secrets, secret(credentials.password))
  running.poke()
  const right = await running.status((s) => ready(s)?.status === 'True')
  expect(JSON.stringify([wrong, right])).not.toContain('s3cret')
})

test('a Secret that may not be read is said in status, with the role that allows it', async () => {
  const { remote } = await remoteWith({ 'prod/cm.yaml': configMap('one') })
  const unfault = server.faults.add({ match: (request) => request.resource === 'secrets', error: 403 })
  try {
    const running = await run(remote.url, { apply: 'All', secretRef: { name: 'git' } })
    const status = await running.status((s) => ready(s)?.reason === 'Forbidden')
    expect(ready(status)?.message).toContain('sluice-secret-reader')
  } finally {
    unfault()
  }
})

test('a forge that is not known is said, and the branch is applied all the same', async () => {
  const { remote } = await remoteWith({ 'prod/cm.yaml': configMap('one') })
  const running = await run(remote.url, { apply: 'All', write: { mode: 'PullRequest', commits: 'Outcomes' } })
  const status = await running.status((s) => ready(s)?.reason === 'InvalidSpec')
  expect(ready(status)?.message).toContain('spec.write.pullRequest.provider')
  expect(status.conditions?.find((c) => c.type === 'Stalled')?.status).toBe('True')
  expect(await get(resources.configMaps, 'one')).toBeDefined()
})

test('a source nobody made, and one that was not looked at yet', async () => {
  const { remote } = await remoteWith({ 'prod/cm.yaml': configMap('one') })
  remote.faults.delayMs = 200
  const running = await run(remote.url, {})
  expect(running.sources.lookup('nobody/none')).toMatchObject({
    state: 'problem',
    problem: { reason: 'SourceMissing' },
  })
  await eventually(() => (running.sources.lookup(`${namespace}/config`).state === 'ready' ? true : undefined))
})

test('a source that changes while the controller ends is not followed any more', async () => {
  const { remote } = await remoteWith({ 'prod/cm.yaml': configMap('one') })
  const running = await run(remote.url, { apply: 'All' })
  await running.status((s) => ready(s)?.status === 'True')
  await running.sources.stop()
  // Its own status, or what people do, arrives as long as objects are watched.
  const changed = await client.get(resources.rolloutSources, { namespace, name: 'config' })
  if (!changed) throw new Error('the source is gone')
  running.sources.set(changed)
  expect(running.sources.lookup(`${namespace}/config`)).toMatchObject({ state: 'problem' })
})

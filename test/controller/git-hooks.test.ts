import { createHmac } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { gitHooks } from '../../src/controller/git-hooks.ts'
import { createNamedSecrets } from '../../src/controller/secrets.ts'
import { createBranches } from '../../src/git/branch.ts'
import { createSources, type Sources } from '../../src/git/sources.ts'
import { connect, type KubeClient } from '../../src/kube/client.ts'
import { connectionTo } from '../../src/kube/connection.ts'
import { textAt } from '../../src/kube/field.ts'
import type { KubeObject } from '../../src/kube/object.ts'
import { resources } from '../../src/kube/resources.ts'
import { systemRuntime } from '../../src/runtime.ts'
import { type ApiServer, startApiServer } from '../../src/sandbox/apiserver/index.ts'
import type { StreamingEndpoint } from '../../src/server/endpoint.ts'
import { createMetrics, type Metrics } from '../../src/server/metrics.ts'
import { readableLog } from '../approval/questions.ts'
import { remoteWith, temporaryFolder } from '../git/workbench.ts'

const key = { namespace: 'delivery', name: 'config' }

let server: ApiServer
let client: KubeClient
beforeAll(async () => {
  server = await startApiServer({ rbac: false })
  client = connect({ connection: connectionTo(server.url, { token: server.token() }), runtime: systemRuntime })
  for (const file of readdirSync('crds').filter((name) => name.endsWith('.yaml'))) {
    await client.create(resources.customResourceDefinitions, parse(readFileSync(`crds/${file}`, 'utf8')))
  }
  const metadata = { name: key.namespace }
  await client.create(resources.namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata })
})
beforeAll(() => server.onRequest((record) => requests.push(`${record.verb} ${record.resource}`)))
afterAll(async () => {
  client.close()
  await server.stop()
})

let requests: string[] = []
/** How far the clock by which Secrets are remembered is ahead, ms. */
let skew = 0
let polls: Awaited<ReturnType<typeof remoteWith>>
let sources: Sources
let metrics: Metrics
let leads: boolean
let hooks: StreamingEndpoint
let log: ReturnType<typeof readableLog>
const live = () => client.get(resources.rolloutSources, key)

beforeEach(async () => {
  log = readableLog()
  metrics = createMetrics()
  leads = true
  polls = await remoteWith({ 'prod/a.yaml': configMap('before') })
  const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { ...key, name: 'hook' }, type: 'Opaque' }
  await client.create(resources.secrets, { ...secret, data: { token: Buffer.from('hunter2\n').toString('base64') } })
  const spec = {
    url: polls.remote.url,
    path: 'prod',
    interval: '1h',
    apply: 'All',
    webhook: { secretRef: { name: 'hook' } },
  }
  await client.create(resources.rolloutSources, {
    apiVersion: 'sluice.dev/v1alpha1',
    kind: 'RolloutSource',
    metadata: key,
    spec,
  })
  const branches = createBranches({ workDir: temporaryFolder(), runtime: systemRuntime })
  sources = createSources({ client, branches, runtime: systemRuntime, owners: () => undefined })
  sources.set((await live())!)
  await poll(async () => textAt(await live(), 'status', 'lastSync', 'commit')).toBeDefined()
  requests = []
  skew = 0
  hooks = gitHooks({
    client,
    source: () => known,
    secrets: createNamedSecrets(client, { monotonic: () => systemRuntime.monotonic() + skew }),
    isLeader: () => leads,
    poke: (name, hook) => sources.poke(name, hook),
    metrics,
    runtime: systemRuntime,
    log: log.log,
  })
  known = await live()
})
let known: KubeObject | undefined
afterEach(async () => {
  await sources.stop()
  await client.delete(resources.rolloutSources, key)
  await client.delete(resources.secrets, { ...key, name: 'hook' })
})

const configMap = (name: string) => `apiVersion: v1\nkind: ConfigMap\nmetadata: { name: ${name} }\n`
const applied = (name: string) =>
  poll(async () => await client.get(resources.configMaps, { ...key, name })).toBeDefined()

async function deliver(token = 'hunter2') {
  const body = Buffer.from('{"ref":"refs/heads/main"}')
  const signature = createHmac('sha256', token).update(body).digest('hex')
  async function* chunks() {
    yield body
  }
  return await hooks.receive({
    params: key,
    header: (name) => (name === 'x-gitea-signature' ? signature : undefined),
    signal: new AbortController().signal,
    chunks: chunks(),
  })
}

const poll = <T>(look: () => Promise<T>) => expect.poll(look, { timeout: 15_000, interval: 20 })

describe('a webhook', () => {
  test('has the leader look at once, long before the interval is over, and status says when it came', async () => {
    polls.person.commit('News', { 'prod/b.yaml': configMap('after-leader') })
    expect((await deliver()).status).toBe(202)
    await applied('after-leader')
    await poll(async () => textAt(await live(), 'status', 'lastWebhook', 'from')).toBe('Gitea')
  })

  test('that reaches a replica which does not lead reaches the leader through the status', async () => {
    leads = false
    polls.person.commit('News', { 'prod/b.yaml': configMap('after-standby') })
    expect((await deliver()).status).toBe(202)
    await poll(async () => textAt(await live(), 'status', 'lastWebhook', 'at')).toBeDefined()
    // What the leader's watch brings.
    sources.set((await live())!)
    await applied('after-standby')
    expect(textAt(await live(), 'status', 'lastWebhook', 'from')).toBe('Gitea')
  })

  test('in a burst costs a replica one write, and one more for the rest', async () => {
    leads = false
    const began = performance.now()
    for (let i = 0; i < 50; i++) await deliver()
    const seconds = Math.floor((performance.now() - began) / 1_000)
    await systemRuntime.sleep(1_300)
    const writes = requests.filter((request) => request === 'patch rolloutsources').length
    expect(writes).toBeGreaterThanOrEqual(2)
    expect(writes).toBeLessThanOrEqual(2 + seconds)
    expect(requests.filter((request) => request === 'get secrets')).toHaveLength(1)
  })

  test('is let in with the new token soon after it was changed, and strangers do not make us ask for it again and again', async () => {
    await deliver()
    const data = { token: Buffer.from('hunter3').toString('base64') }
    await client.patch(
      resources.secrets,
      { ...key, name: 'hook' },
      { type: 'merge', body: { data } },
      { fieldManager: 'test' },
    )
    for (let i = 0; i < 50; i++) expect((await deliver('guess')).status).toBe(401)
    expect(requests.filter((request) => request === 'get secrets')).toHaveLength(1)
    skew = 6_000
    expect((await deliver('hunter3')).status).toBe(401)
    expect((await deliver('hunter3')).status).toBe(202)
    expect((await deliver('hunter2')).status).toBe(401)
    const { body: told } = await metrics.render()
    expect(told).toContain('sluice_webhooks_total{result="taken"} 2')
    expect(told).toContain('sluice_webhooks_total{result="refused"} 52')
  })
})

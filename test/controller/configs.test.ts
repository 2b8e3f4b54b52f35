import { afterEach, describe, expect, test, vi } from 'vitest'
import { type Configs, createConfigs } from '../../src/controller/configs.ts'
import { connect } from '../../src/kube/client.ts'
import { connectionTo } from '../../src/kube/connection.ts'
import type { KubeObject } from '../../src/kube/object.ts'
import { systemRuntime } from '../../src/runtime.ts'
import { type ApiServer, type RequestRecord, startApiServer } from '../../src/sandbox/apiserver/index.ts'

const MAPS = { group: '', plural: 'configmaps' }
const SECRETS = { group: '', plural: 'secrets' }
const RBAC = 'rbac.authorization.k8s.io'
/** All that following two objects needs: nothing of the rest of the namespace. */
const byName = [
  { apiGroups: [''], resources: ['configmaps'], resourceNames: ['env'], verbs: ['list', 'watch'] },
  { apiGroups: [''], resources: ['secrets'], resourceNames: ['token'], verbs: ['list', 'watch'] },
]
const env = { kind: 'ConfigMap', name: 'env' } as const
const token = { kind: 'Secret', name: 'token' } as const

const ends: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

interface World {
  api: ApiServer
  configs: Configs
  woken: string[]
  logs: string[]
  requests: RequestRecord[]
  role(rules: object[]): void
}

async function start(rules: object[] = byName): Promise<World> {
  const api = await startApiServer({ rbac: true, tokens: { sluice: { username: 'sluice', groups: [] } } })
  ends.push(() => api.stop())
  const { storage } = api
  storage.create({ group: '', plural: 'namespaces' }, object('v1', 'Namespace', 'shop'))
  const role = { ...object(`${RBAC}/v1`, 'Role', 'sluice', 'shop'), rules }
  storage.create({ group: RBAC, plural: 'roles' }, role)
  storage.create(
    { group: RBAC, plural: 'rolebindings' },
    {
      ...object(`${RBAC}/v1`, 'RoleBinding', 'sluice', 'shop'),
      roleRef: { apiGroup: RBAC, kind: 'Role', name: 'sluice' },
      subjects: [{ kind: 'User', name: 'sluice', apiGroup: RBAC }],
    },
  )
  const client = connect({ connection: connectionTo(api.url, { token: api.token('sluice') }), runtime: systemRuntime })
  ends.push(() => client.close())
  const woken: string[] = []
  const logs: string[] = []
  const write = (fields: object, message: string) => void logs.push(JSON.stringify({ ...fields, message }))
  const log = { info: write, warn: write, error: write }
  const configs = createConfigs({ client, runtime: systemRuntime, log, onChange: (rollout) => woken.push(rollout) })
  ends.push(() => configs.stop())
  const requests: RequestRecord[] = []
  api.onRequest((request) => requests.push(request))
  const change = (now: object[]) =>
    void storage.patchMerge({ group: RBAC, plural: 'roles' }, { namespace: 'shop', name: 'sluice' }, { rules: now })
  return { api, configs, woken, logs, requests, role: change }
}

function object(apiVersion: string, kind: string, name: string, namespace?: string): KubeObject {
  return { apiVersion, kind, metadata: { name, ...(namespace ? { namespace } : {}) } }
}

function map(name: string, data: Record<string, string>): KubeObject {
  return { ...object('v1', 'ConfigMap', name, 'shop'), data }
}

const eventually = (test: () => void) => vi.waitFor(test, { timeout: 10_000, interval: 20 })

describe('what Rollouts refer to', () => {
  test('is followed by name, and nothing else of the namespace is read', async () => {
    const { api, configs, woken, requests } = await start()
    api.storage.create(MAPS, map('env', { a: '1' }))
    api.storage.create(MAPS, map('other', { a: '1' }))
    expect(configs.look('shop', env)).toEqual({ state: 'Unread' })
    configs.interest('shop/web', 'shop', ['ConfigMap/env', 'Secret/token'])
    await eventually(() => expect(configs.look('shop', env).state).toBe('There'))
    await eventually(() => expect(configs.look('shop', token).state).toBe('Absent'))
    await eventually(() => expect(woken.length).toBeGreaterThanOrEqual(2))
    expect(new Set(woken)).toEqual(new Set(['shop/web']))
    expect(configs.look('shop', { kind: 'ConfigMap', name: 'other' })).toEqual({ state: 'Unread' })
    expect(requests.every(({ verb }) => verb === 'list' || verb === 'watch')).toBe(true)
  })

  test('wakes everybody who refers to it when it changes, appears or goes', async () => {
    const { api, configs, woken } = await start()
    configs.interest('shop/a', 'shop', ['Secret/token'])
    configs.interest('shop/b', 'shop', ['Secret/token', 'ConfigMap/env'])
    await eventually(() => expect(configs.look('shop', token).state).toBe('Absent'))
    woken.length = 0
    const secret = { ...object('v1', 'Secret', 'token', 'shop'), data: { t: Buffer.from('one').toString('base64') } }
    api.storage.create(SECRETS, secret)
    await eventually(() => expect([...new Set(woken)].sort()).toEqual(['shop/a', 'shop/b']))
    const first = configs.look('shop', token)
    woken.length = 0
    const data = { t: Buffer.from('two').toString('base64') }
    api.storage.patchMerge(SECRETS, { namespace: 'shop', name: 'token' }, { data })
    await eventually(() => expect(new Set(woken)).toEqual(new Set(['shop/a', 'shop/b'])))
    expect(configs.look('shop', token)).not.toEqual(first)
    api.storage.remove(SECRETS, { namespace: 'shop', name: 'token' })
    await eventually(() => expect(configs.look('shop', token).state).toBe('Absent'))
  })

  test('is shared, and followed no longer than somebody refers to it', async () => {
    const { api, configs, requests } = await start()
    api.storage.create(MAPS, map('env', { a: '1' }))
    const lists = () => requests.filter(({ verb, resource }) => verb === 'list' && resource === 'configmaps').length
    configs.interest('shop/a', 'shop', ['ConfigMap/env'])
    configs.interest('shop/b', 'shop', ['ConfigMap/env'])
    await eventually(() => expect(configs.look('shop', env).state).toBe('There'))
    expect(lists()).toBe(1)
    configs.interest('shop/a', 'shop', [])
    expect(configs.look('shop', env).state).toBe('There')
    configs.interest('shop/b', 'shop', ['Secret/token'])
    expect(configs.look('shop', env)).toEqual({ state: 'Unread' })
  })

  test('and may not be read is told with verb and resource, and is read as soon as it may', async () => {
    const { api, configs, role } = await start([])
    api.storage.create(MAPS, map('env', { a: '1' }))
    configs.interest('shop/web', 'shop', ['ConfigMap/env'])
    await eventually(() =>
      expect(configs.look('shop', env)).toMatchObject({
        state: 'Refused',
        message: expect.stringContaining('sluice may not list configmaps in namespace shop'),
      }),
    )
    role(byName)
    await eventually(() => expect(configs.look('shop', env).state).toBe('There'))
  })

  test('never shows a value, in what is kept or logged', async () => {
    const { api, configs, logs } = await start()
    const value = Buffer.from('hunter2').toString('base64')
    api.storage.create(SECRETS, { ...object('v1', 'Secret', 'token', 'shop'), data: { password: value } })
    configs.interest('shop/web', 'shop', ['Secret/token'])
    await eventually(() => expect(configs.look('shop', token).state).toBe('There'))
    const seen = JSON.stringify([configs.look('shop', token), logs])
    expect(seen).not.toContain('hunter2')
    expect(seen).not.toContain(value)
  })
})

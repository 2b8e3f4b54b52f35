import { readdirSync, readFileSync } from 'node:fs'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { parse } from 'yaml'
import { rolloutSourceStatus } from '../../src/api/rolloutsource.ts'
import { createSourceRecord } from '../../src/git/source-record.ts'
import { connect, type KubeClient } from '../../src/kube/client.ts'
import { connectionTo } from '../../src/kube/connection.ts'
import { fieldAt } from '../../src/kube/field.ts'
import type { KubeObject } from '../../src/kube/object.ts'
import { resources } from '../../src/kube/resources.ts'
import { systemRuntime } from '../../src/runtime.ts'
import { type ApiServer, startApiServer } from '../../src/sandbox/apiserver/index.ts'

let server: ApiServer
let client: KubeClient
let count = 0
let first: KubeObject
const key = () => ({ namespace: 'delivery', name: first.metadata.name })
const live = async () => (await client.get(resources.rolloutSources, key()))!
/** The status without the API server's own default. */
async function said() {
  const { observedGeneration: _, ...rest } = rolloutSourceStatus.parse((await live()).status)
  return rest
}
const write = async (body: object, subresource?: 'status') =>
  client.patch(resources.rolloutSources, key(), { type: 'merge', body }, { fieldManager: 'other', subresource })

beforeAll(async () => {
  server = await startApiServer({ rbac: false })
  client = connect({ connection: connectionTo(server.url, { token: server.token() }), runtime: systemRuntime })
  for (const file of readdirSync('crds').filter((name) => name.endsWith('.yaml'))) {
    await client.create(resources.customResourceDefinitions, parse(readFileSync(`crds/${file}`, 'utf8')))
  }
  const metadata = { name: 'delivery' }
  await client.create(resources.namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata })
})
afterAll(async () => {
  client.close()
  await server.stop()
})
beforeEach(async () => {
  first = await client.create(resources.rolloutSources, {
    apiVersion: 'sluice.dev/v1alpha1',
    kind: 'RolloutSource',
    metadata: { namespace: 'delivery', name: `config-${++count}` },
    spec: { url: 'https://example.com/x.git' },
  })
})

test('a status is written upon what was read, and fields that are gone go', async () => {
  const record = createSourceRecord(client, first)
  expect(await record.write({ message: 'one', inventory: ['a'] })).toBe(true)
  expect(await record.write({ message: 'two' })).toBe(true)
  expect(await said()).toEqual({ message: 'two' })
  expect(record.status).toEqual({ message: 'two' })
})

test('somebody who changed the spec meanwhile does not matter', async () => {
  const record = createSourceRecord(client, first)
  await write({ spec: { interval: '5m' } })
  expect(await record.write({ message: 'one' })).toBe(true)
  expect(fieldAt(await live(), 'status', 'message')).toBe('one')
})

test('a webhook that another replica took meanwhile is kept', async () => {
  const record = createSourceRecord(client, first)
  const lastWebhook = { at: '2026-03-02T12:00:00.000Z', from: 'GitHub' }
  await write({ status: { lastWebhook } }, 'status')
  expect(await record.write({ message: 'one', lastWebhook: { at: '2026-03-02T11:00:00.000Z', from: 'Gitea' } })).toBe(
    true,
  )
  expect(await said()).toEqual({ message: 'one', lastWebhook })
})

test('what another controller has applied is not forgotten: nothing is written over it', async () => {
  const record = createSourceRecord(client, first)
  await record.write({ message: 'mine', inventory: ['a'] })
  await write({ status: { message: 'theirs', inventory: ['a', 'b'] } }, 'status')
  expect(await record.write({ message: 'mine again', inventory: ['a', 'c'] })).toBe(false)
  expect(await said()).toEqual({ message: 'theirs', inventory: ['a', 'b'] })
  expect(record.status.inventory).toEqual(['a', 'b'])
  expect(await record.write({ message: 'both', inventory: ['a', 'b', 'c'] })).toBe(true)
})

test('a watch that shows our own write, or an older one, changes nothing', async () => {
  const record = createSourceRecord(client, first)
  await record.write({ message: 'one' })
  record.seen(await live())
  record.seen(first)
  expect(record.status).toEqual({ message: 'one' })
  expect(await record.write({ message: 'two' })).toBe(true)
})

test('a source that is gone, or another of its name, is not written', async () => {
  const record = createSourceRecord(client, first)
  await client.delete(resources.rolloutSources, key())
  await expect(record.write({ message: 'one' })).rejects.toThrow('not found')
  const { resourceVersion: _, uid: __, ...metadata } = first.metadata
  await client.create(resources.rolloutSources, { ...first, metadata })
  expect(await record.write({ message: 'one' })).toBe(false)
  expect(await said()).toEqual({})
})

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type ApiServer, type RequestRecord, startApiServer } from '../../../src/sandbox/apiserver/index.ts'
import { type RawClient, rawClient } from '../../conformance/apiserver.client.ts'
import { configMap, configMaps } from '../../conformance/apiserver.fixtures.ts'

let server: ApiServer
let client: RawClient

beforeEach(async () => {
  let seed = 1
  const random = () => {
    seed = (seed * 48271) % 2147483647
    return seed / 2147483647
  }
  const { systemRuntime } = await import('../../../src/runtime.ts')
  server = await startApiServer({ runtime: { ...systemRuntime, random }, bookmarkIntervalMs: 50 })
  client = rawClient(server.url, server.token())
})
afterEach(() => server.stop())

const list = (userAgent = 'test/1') => client.request('GET', configMaps, { userAgent })

describe('faults', () => {
  test('answer with the status asked for, so often, with Retry-After', async () => {
    server.faults.set({ error: 429, retryAfter: 3, count: 2 })
    const first = await list()
    expect(first.status).toBe(429)
    expect(first.body).toMatchObject({ kind: 'Status', reason: 'TooManyRequests', details: { retryAfterSeconds: 3 } })
    expect(first.headers['retry-after']).toBe('3')
    expect([(await list()).status, (await list()).status]).toEqual([429, 200])
  })

  test('meet only the client they are aimed at', async () => {
    server.faults.set({ error: 500, userAgent: 'sluice' })
    expect((await list('sluice/1.0')).status).toBe(500)
    expect((await list('kubectl/1.32')).status).toBe(200)
  })

  test('meet requests with the probability given, the same ones for the same seed', async () => {
    server.faults.set({ error: 500, probability: 0.5 })
    const statuses: number[] = []
    for (let i = 0; i < 40; i++) statuses.push((await list()).status)
    const hit = statuses.filter((status) => status === 500).length
    expect(hit).toBeGreaterThan(8)
    expect(hit).toBeLessThan(32)
  })

  test('cut the connection, before the work or after it', async () => {
    server.faults.set({ reset: true, count: 1, match: ({ verb }) => verb === 'create' })
    await expect(client.request('POST', configMaps, { body: configMap('a') })).rejects.toThrow()
    expect((await client.request('GET', `${configMaps}/a`)).status).toBe(404)
    server.faults.set({ resetAfter: true, count: 1, match: ({ verb }) => verb === 'create' })
    await expect(client.request('POST', configMaps, { body: configMap('b') })).rejects.toThrow()
    expect((await client.request('GET', `${configMaps}/b`)).status).toBe(200)
  })

  test('drop the watches that are open', async () => {
    const watch = client.watch(`${configMaps}?watch=true&resourceVersion=0&allowWatchBookmarks=true`, () => false)
    await client.request('POST', configMaps, { body: configMap('a') })
    await new Promise((resolve) => setTimeout(resolve, 50))
    server.faults.dropWatches()
    expect((await watch).map((event) => event.type)).toContain('ADDED')
  })

  test('silence watches without ending them', async () => {
    server.faults.silenceWatches(true)
    const events = client.watch(
      `${configMaps}?watch=true&resourceVersion=0&allowWatchBookmarks=true&timeoutSeconds=1`,
      () => false,
    )
    await client.request('POST', configMaps, { body: configMap('a') })
    await new Promise((resolve) => setTimeout(resolve, 1200))
    server.faults.dropWatches()
    await expect(events).resolves.toEqual([])
  })
})

test('bookmarks carry the newest resourceVersion of a watch that hears nothing else', async () => {
  let newest = Number.POSITIVE_INFINITY
  const watch = client.watch(
    `${configMaps}?watch=true&resourceVersion=0&allowWatchBookmarks=true&fieldSelector=metadata.name%3Dnone`,
    (seen) => seen.some((event) => Number(event.object.metadata.resourceVersion) >= newest),
  )
  await client.request('POST', configMaps, { body: configMap('a') })
  newest = Number(server.storage.resourceVersion())
  expect((await watch).every((event) => event.type === 'BOOKMARK')).toBe(true)
})

test('restart cuts everything and comes back on the same port with the same data', async () => {
  await client.request('POST', configMaps, { body: configMap('a', { x: '1' }) })
  const watch = client.watch(`${configMaps}?watch=true&resourceVersion=0`, () => false)
  await new Promise((resolve) => setTimeout(resolve, 50))
  const restarted = server.restart({ downMs: 100 })
  await watch
  await expect(list()).rejects.toThrow()
  await restarted
  expect((await client.request('GET', `${configMaps}/a`)).body.data).toEqual({ x: '1' })
})

test('every request is told to listeners, with who asked and what came of it', async () => {
  const seen: RequestRecord[] = []
  server.onRequest((record) => seen.push(record))
  await client.request('POST', `${configMaps}?fieldManager=me`, { body: configMap('a') })
  await client.request('GET', '/apis/apps/v1/namespaces/shop/deployments/web/scale')
  expect(seen).toMatchObject([
    {
      verb: 'create',
      resource: 'configmaps',
      namespace: 'default',
      user: 'kubernetes-admin',
      fieldManager: 'me',
      status: 201,
    },
    {
      verb: 'get',
      group: 'apps',
      resource: 'deployments',
      subresource: 'scale',
      namespace: 'shop',
      name: 'web',
      status: 404,
    },
  ])
})

test('a request whose path cannot be decoded is answered, and harms nobody', async () => {
  expect((await client.request('GET', '/api/v1/namespaces/%E0%A4%A/pods')).status).toBe(400)
  expect((await list()).status).toBe(200)
})

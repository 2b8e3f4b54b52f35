import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type ApiServer, startApiServer } from '../../../src/sandbox/apiserver/index.ts'
import { rawClient } from '../../conformance/apiserver.client.ts'
import { deployment } from '../../conformance/apiserver.fixtures.ts'

let server: ApiServer

beforeEach(async () => {
  server = await startApiServer()
})
afterEach(() => server.stop())

const configMaps = { group: '', plural: 'configmaps' }
const pods = { group: '', plural: 'pods' }

function configMap(name: string, data: Record<string, string> = {}) {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: 'default' }, data }
}

function pod(name: string, more: Record<string, unknown> = {}) {
  const spec = { containers: [{ name: 'web', image: 'registry.example/web:1' }], ...more }
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: 'default' }, spec }
}

describe('the in-process storage', () => {
  test('hands out objects nobody can change in place', () => {
    const created = server.storage.create(configMaps, configMap('a', { x: '1' }))
    expect(() => Object.assign(created.metadata, { name: 'b' })).toThrow(TypeError)
    expect(server.storage.get(configMaps, { namespace: 'default', name: 'a' })).toBe(created)
  })

  test('replays what exists to a subscriber, then tells changes until it leaves', () => {
    server.storage.create(configMaps, configMap('a'))
    const seen: string[] = []
    const leave = server.storage.subscribe(configMaps, (type, object) => seen.push(`${type} ${object.metadata.name}`))
    server.storage.create(configMaps, configMap('b'))
    server.storage.patchMerge(configMaps, { namespace: 'default', name: 'b' }, { data: { y: '1' } })
    server.storage.remove(configMaps, { namespace: 'default', name: 'a' })
    leave()
    server.storage.create(configMaps, configMap('c'))
    expect(seen).toEqual(['ADDED a', 'ADDED b', 'MODIFIED b', 'DELETED a'])
  })

  test('tells everyone every change in the same order, though handlers write', () => {
    const versions: number[] = []
    server.storage.subscribe(configMaps, (type, object) => {
      if (type === 'ADDED' && object.data && !('answered' in (object.data as object))) {
        server.storage.patchMerge(configMaps, object.metadata, { data: { answered: 'yes' } })
      }
    })
    server.storage.subscribe(configMaps, (_, object) => versions.push(Number(object.metadata.resourceVersion)))
    server.storage.create(configMaps, configMap('a', { asked: 'yes' }))
    server.storage.create(configMaps, configMap('b', { asked: 'yes' }))
    expect(versions).toHaveLength(4)
    expect(versions).toEqual(versions.toSorted((a, b) => a - b))
  })

  test('refuses a write from an old copy, takes one without resourceVersion', () => {
    const first = server.storage.create(configMaps, configMap('a', { x: '1' }))
    server.storage.update(configMaps, { ...first, data: { x: '2' } })
    expect(() => server.storage.update(configMaps, { ...first, data: { x: '3' } })).toThrow(
      'the object has been modified',
    )
    expect(server.storage.update(configMaps, configMap('a', { x: '4' })).data).toEqual({ x: '4' })
  })

  test('records under which field manager a controller wrote', () => {
    server.storage.create(configMaps, configMap('a', { x: '1' }), { fieldManager: 'kubelet' })
    server.storage.patchMerge(configMaps, { namespace: 'default', name: 'a' }, { data: { y: '1' } })
    const { managedFields } = server.storage.get(configMaps, { namespace: 'default', name: 'a' })?.metadata ?? {}
    expect(managedFields).toMatchObject([
      { manager: 'kubelet', operation: 'Update', fieldsV1: { 'f:data': { '.': {}, 'f:x': {} } } },
      { manager: 'sandbox', operation: 'Update', fieldsV1: { 'f:data': { 'f:y': {} } } },
    ])
  })

  test('a pod on a node ends gracefully: it stays until its kubelet deletes it for good', () => {
    server.storage.create(pods, pod('unscheduled'))
    server.storage.create(pods, pod('running', { nodeName: 'node-1' }))
    server.storage.remove(pods, { namespace: 'default', name: 'unscheduled' })
    server.storage.remove(pods, { namespace: 'default', name: 'running' })
    const [left] = server.storage.list(pods)
    expect(left?.metadata).toMatchObject({ name: 'running', deletionGracePeriodSeconds: 30 })
    expect(left?.metadata.deletionTimestamp).toBeTruthy()
    server.storage.remove(pods, { namespace: 'default', name: 'running' }, { gracePeriodSeconds: 0 })
    expect(server.storage.list(pods)).toEqual([])
  })

  test('foreground deletion removes the dependents before their owner', async () => {
    const deployments = { group: 'apps', plural: 'deployments' }
    const body = deployment('web')
    const owner = server.storage.create(deployments, { ...body, metadata: { ...body.metadata, namespace: 'default' } })
    const reference = {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      name: 'web',
      uid: owner.metadata.uid ?? '',
      blockOwnerDeletion: true,
    }
    const child = configMap('child')
    server.storage.create(configMaps, {
      ...child,
      metadata: { ...child.metadata, ownerReferences: [reference], finalizers: ['example.com/hold'] },
    })
    server.storage.remove(deployments, owner.metadata, { propagationPolicy: 'Foreground' })
    await expect.poll(() => server.storage.get(configMaps, child.metadata)?.metadata.deletionTimestamp).toBeTruthy()
    expect(server.storage.get(deployments, owner.metadata)?.metadata.finalizers).toEqual(['foregroundDeletion'])
    server.storage.patchMerge(configMaps, child.metadata, { metadata: { finalizers: [] } })
    await expect.poll(() => server.storage.get(deployments, owner.metadata)).toBeUndefined()
  })
})

test('an event is one object under both of its names', async () => {
  const client = rawClient(server.url, server.token())
  const body = {
    apiVersion: 'events.k8s.io/v1',
    kind: 'Event',
    metadata: { name: 'e', namespace: 'default' },
    eventTime: '2026-01-01T00:00:00.000000Z',
    regarding: { kind: 'Pod', name: 'web', namespace: 'default' },
    note: 'Looks well',
    reason: 'Looked',
    action: 'Look',
    type: 'Normal',
    reportingController: 'example.com/looker',
    reportingInstance: 'looker-1',
  }
  const posted = await client.request(
    'POST',
    '/apis/events.k8s.io/v1/namespaces/default/events?fieldValidation=Strict',
    { body },
  )
  expect(posted.body).toMatchObject({ note: 'Looks well', regarding: { name: 'web' }, apiVersion: 'events.k8s.io/v1' })
  const core = await client.request('GET', '/api/v1/namespaces/default/events/e')
  expect(core.body).toMatchObject({
    apiVersion: 'v1',
    message: 'Looks well',
    involvedObject: { name: 'web' },
    reportingComponent: 'example.com/looker',
  })
  const selected = await client.request(
    'GET',
    '/apis/events.k8s.io/v1/namespaces/default/events?fieldSelector=regarding.name%3Dweb',
  )
  expect(selected.body.items).toHaveLength(1)
})

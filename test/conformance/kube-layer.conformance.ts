import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { applyObject, describeConflicts } from '../../src/kube/apply.ts'
import { connect, type KubeClient, type WatchEvent } from '../../src/kube/client.ts'
import type { KubeConnection } from '../../src/kube/connection.ts'
import { createEventRecorder } from '../../src/kube/events.ts'
import { asKubeError, KubeError } from '../../src/kube/kube-error.ts'
import { createElector } from '../../src/kube/lease.ts'
import { lastWriterOf } from '../../src/kube/managed-fields.ts'
import type { KubeObject, Resource } from '../../src/kube/object.ts'
import { createReflector } from '../../src/kube/reflector.ts'
import { resources } from '../../src/kube/resources.ts'
import { systemRuntime } from '../../src/runtime.ts'

const silent = { info() {}, warn() {}, error() {} }

/** What the kube layer needs from an API server, and must make of it; the same for the sandbox and for a real one. */
export function kubeLayerConformance(server: string, open: () => Promise<KubeConnection>): void {
  describe(`the kube layer against ${server}`, () => {
    const id = randomUUID().slice(0, 8)
    const namespace = `sluice-test-${id}`
    const widgets: Resource = {
      group: `${id}.conformance.sluice.dev`.replace(/^\d/, 'x'),
      version: 'v1',
      plural: 'widgets',
      kind: 'Widget',
      namespaced: true,
    }
    let client: KubeClient

    beforeAll(async () => {
      client = connect({ connection: await open(), runtime: systemRuntime, timeouts: { writeMs: 10_000 } })
      const metadata = { name: namespace }
      await client.create(resources.namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata })
    })
    afterAll(async () => {
      await client.delete(resources.namespaces, { name: namespace })
      await client.delete(resources.customResourceDefinitions, { name: `widgets.${widgets.group}` })
      client.close()
    })

    const configMap = (name: string, data: Record<string, string> = {}, labels = {}): KubeObject => ({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name, namespace, labels },
      data,
    })
    const named = (name: string) => ({ namespace, name })
    const refused = async (promise: Promise<unknown>): Promise<KubeError> => {
      const error = await promise.then(
        () => undefined,
        (reason: unknown) => asKubeError(reason),
      )
      if (!error) throw new Error('it was not refused by the API server')
      return error
    }
    const mergePatch = (name: string, body: object, fieldManager = 'sluice') =>
      client.patch(resources.configMaps, named(name), { type: 'merge', body }, { fieldManager })

    test('creates, reads, replaces and deletes; what does not exist is undefined', async () => {
      expect(await client.get(resources.configMaps, named('one'))).toBeUndefined()
      const created = await client.create(resources.configMaps, configMap('one', { a: '1' }))
      expect(await client.get(resources.configMaps, named('one'))).toEqual(created)
      expect((await refused(client.create(resources.configMaps, configMap('one')))).isAlreadyExists).toBe(true)
      const replaced = await client.replace(resources.configMaps, { ...created, data: { a: '2' } })
      expect(replaced.data).toEqual({ a: '2' })
      const uid = { uid: randomUUID() }
      const wrong = await refused(client.delete(resources.configMaps, named('one'), { preconditions: uid }))
      expect(wrong.isConflict).toBe(true)
      await client.delete(resources.configMaps, named('one'))
      await client.delete(resources.configMaps, named('one'))
      expect(await client.get(resources.configMaps, named('one'))).toBeUndefined()
    })

    test('an object larger than the server takes is refused for good', async () => {
      const event = (name: string, bytes: number): KubeObject => ({
        apiVersion: 'v1',
        kind: 'Event',
        metadata: { name, namespace },
        involvedObject: { kind: 'ConfigMap', namespace, name },
        reason: 'TooLarge',
        message: 'x'.repeat(bytes),
        type: 'Normal',
        source: { component: 'sluice' },
      })
      const error = await refused(client.create(resources.events, event('larger-than-a-body', 3_200_000)))
      expect([error.status, error.reason, error.isTransient]).toEqual([413, 'RequestEntityTooLarge', false])
      // Between 1.5 and 3 MB it is etcd that refuses; the sandbox has none.
      const stored = await client.create(resources.events, event('larger-than-a-value', 1_700_000)).catch(asKubeError)
      if (stored instanceof KubeError) expect([stored.status, stored.isTransient]).toEqual([413, false])
    })

    test('a write from an old read is a conflict, for replace and for merge patch', async () => {
      const old = await client.create(resources.configMaps, configMap('contested', { a: '1' }))
      await mergePatch('contested', { data: { a: '2' } })
      expect((await refused(client.replace(resources.configMaps, old))).isConflict).toBe(true)
      const { resourceVersion } = old.metadata
      const late = await refused(mergePatch('contested', { metadata: { resourceVersion }, data: { a: '3' } }))
      expect(late.isConflict).toBe(true)
      expect((await client.get(resources.configMaps, named('contested')))?.data).toEqual({ a: '2' })
    })

    test('a JSON patch whose test fails changes nothing and is told apart from a conflict', async () => {
      await client.create(resources.configMaps, configMap('guarded', { a: '1' }))
      const ops = [
        { op: 'test', path: '/data/a', value: 'other' } as const,
        { op: 'replace', path: '/data/a', value: '2' } as const,
      ]
      const options = { fieldManager: 'sluice' }
      const error = await refused(client.patch(resources.configMaps, named('guarded'), { type: 'json', ops }, options))
      expect([error.isInvalid, error.isConflict]).toEqual([true, false])
      expect((await client.get(resources.configMaps, named('guarded')))?.data).toEqual({ a: '1' })
    })

    test('a dry run answers as the write would, and writes nothing', async () => {
      const dry = await client.create(resources.configMaps, configMap('dry', { a: '1' }), { dryRun: true })
      expect(dry.data).toEqual({ a: '1' })
      expect(await client.get(resources.configMaps, named('dry'))).toBeUndefined()
    })

    test('applies, names the manager it conflicts with, and takes over when told to', async () => {
      await client.create(resources.configMaps, configMap('applied', { color: 'red' }), { fieldManager: 'painter' })
      const wanted = configMap('applied', { color: 'blue' })
      const conflict = await applyObject(client, resources.configMaps, wanted)
      expect(conflict).toMatchObject({
        outcome: 'conflict',
        conflicts: [{ manager: 'painter', fields: ['.data.color'] }],
      })
      if (conflict.outcome === 'conflict') {
        expect(describeConflicts(wanted, conflict.conflicts)).toContain('.data.color belongs to "painter"')
      }
      const forced = await applyObject(client, resources.configMaps, wanted, { force: true })
      expect(forced).toMatchObject({ outcome: 'applied', object: { data: { color: 'blue' } } })
      const outdated = { ...wanted, metadata: { ...wanted.metadata, resourceVersion: '1' } }
      expect((await applyObject(client, resources.configMaps, outdated)).outcome).toBe('outdated')
      const less = await applyObject(client, resources.configMaps, configMap('applied', {}))
      if (less.outcome !== 'applied') throw less.error
      expect(less.object.data ?? {}).toEqual({})
    })

    test('names who last wrote a field', async () => {
      await client.create(resources.configMaps, configMap('signed', { weight: '10' }), { fieldManager: 'author' })
      const path = 'f:data/f:weight'
      const writer = async () => lastWriterOf((await client.get(resources.configMaps, named('signed')))!, path)?.manager
      expect(await writer()).toBe('author')
      await mergePatch('signed', { data: { weight: '0' } }, 'sluice-retreat.Breach')
      expect(await writer()).toBe('sluice-retreat.Breach')
      await mergePatch('signed', { data: { other: '1' } }, 'someone-else')
      expect(await writer()).toBe('sluice-retreat.Breach')
    })

    test('lists in pages, by label and by field, with apiVersion and kind on every item', async () => {
      for (let i = 0; i < 5; i++) await client.create(resources.configMaps, configMap(`page-${i}`, {}, { page: 'yes' }))
      const seen: string[] = []
      let token: string | undefined
      do {
        const options = { namespace, labelSelector: 'page=yes', limit: 2, continue: token }
        const page = await client.list(resources.configMaps, options)
        expect(page.items.length).toBeLessThanOrEqual(2)
        for (const item of page.items) seen.push(`${item.apiVersion} ${item.kind} ${item.metadata.name}`)
        token = page.continue
      } while (token)
      expect(seen.sort()).toEqual([0, 1, 2, 3, 4].map((i) => `v1 ConfigMap page-${i}`))
      const one = await client.list(resources.configMaps, { namespace, fieldSelector: 'metadata.name=page-3' })
      expect(one.items.map((item) => item.metadata.name)).toEqual(['page-3'])
    })

    test('a watch from a list continues it without a gap', async () => {
      await client.create(resources.configMaps, configMap('watched-before', {}, { watched: 'yes' }))
      const options = { namespace, labelSelector: 'watched=yes' }
      const { resourceVersion } = await client.list(resources.configMaps, options)
      await client.create(resources.configMaps, configMap('watched', {}, { watched: 'yes' }))
      await mergePatch('watched', { data: { a: '1' } })
      await client.delete(resources.configMaps, named('watched'))
      const events: WatchEvent[] = []
      const abort = new AbortController()
      const watch = { ...options, resourceVersion, timeoutSeconds: 30, signal: abort.signal }
      for await (const event of client.watch(resources.configMaps, watch)) {
        if (event.type !== 'BOOKMARK') events.push(event)
        if (events.length === 3) break
      }
      expect(events.map((event) => [event.type, event.object.metadata.name])).toEqual([
        ['ADDED', 'watched'],
        ['MODIFIED', 'watched'],
        ['DELETED', 'watched'],
      ])
    })

    test('a watch ends when its time is over', async () => {
      const { resourceVersion } = await client.list(resources.configMaps, { namespace })
      const { signal } = new AbortController()
      const watch = client.watch(resources.configMaps, { namespace, resourceVersion, timeoutSeconds: 1, signal })
      for await (const event of watch) expect(event.type).toBe('BOOKMARK')
    })

    test('a reflector waits for its CRD, follows, and ends up with what there is', async () => {
      const heard = new Map<string, string>()
      const reflector = createReflector({
        client,
        resource: async () => await client.resourceFor(`${widgets.group}/v1`, 'Widget'),
        name: 'widgets',
        runtime: systemRuntime,
        log: silent,
        timings: { backoff: { initialMs: 50, maxMs: 200 } },
        onChange: (key, object) => {
          if (object) heard.set(key, object.metadata.resourceVersion ?? '')
          else heard.delete(key)
        },
      })
      reflector.start()
      await vi.waitFor(() => expect(reflector.isMissing()).toBe(true), { timeout: 5000 })
      await client.create(resources.customResourceDefinitions, widgetCrd(widgets))
      await reflector.synced
      const object = (name: string, size: number): KubeObject => {
        return { apiVersion: `${widgets.group}/v1`, kind: 'Widget', metadata: named(name), spec: { size } }
      }
      for (const name of ['a', 'b', 'c']) await client.create(widgets, object(name, 1))
      const patch = { type: 'merge', body: { spec: { size: 2 } } } as const
      const last = await client.patch(widgets, named('b'), patch, { fieldManager: 'sluice' })
      await client.delete(widgets, named('a'))
      await vi.waitFor(() => expect([...heard.keys()].sort()).toEqual([`${namespace}/b`, `${namespace}/c`]), 5000)
      await vi.waitFor(() => expect(heard.get(`${namespace}/b`)).toBe(last.metadata.resourceVersion), 5000)
      expect(reflector.get(`${namespace}/b`)?.spec).toEqual({ size: 2 })
      expect(reflector.get(`${namespace}/b`)?.metadata.managedFields).toBeUndefined()
      await reflector.stop()
    })

    test('finds resources by kind', async () => {
      expect(await client.resourceFor('apps/v1', 'Deployment')).toEqual(resources.deployments)
      expect(await client.resourceFor('v1', 'Namespace')).toEqual(resources.namespaces)
      expect(await client.resourceFor('v1', 'Unicorn')).toBeUndefined()
      expect(await client.resourceFor('unicorns.example.com/v1', 'Unicorn')).toBeUndefined()
    })

    test('one candidate leads, and hands over when it stops', async () => {
      const elector = (identity: string) =>
        createElector({
          client,
          runtime: systemRuntime,
          log: silent,
          lease: named('leader'),
          identity,
          leaseDurationMs: 3000,
          renewDeadlineMs: 2000,
          retryPeriodMs: 200,
        })
      const [first, second] = [elector('first'), elector('second')]
      first.start()
      await vi.waitFor(() => expect(first.isLeaderNow()).toBe(true), 5000)
      second.start()
      await vi.waitFor(() => expect(second.holder()).toBe('first'), 5000)
      expect(second.isLeaderNow()).toBe(false)
      await first.stop()
      await vi.waitFor(() => expect(second.isLeaderNow()).toBe(true), 2500)
      expect(first.isLeaderNow()).toBe(false)
      await second.stop()
      const spec = (await client.get(resources.leases, named('leader')))?.spec
      expect(spec).toMatchObject({ holderIdentity: '' })
    })

    test('events about an object are found where kubectl describe looks, and repeats are counted', async () => {
      const regarding = await client.create(resources.configMaps, configMap('eventful'))
      const recorder = createEventRecorder({ client, runtime: systemRuntime, log: silent, instance: 'test' })
      const event = { regarding, type: 'Warning', reason: 'RolledBack', message: 'success-rate 93.1% < 99.5%' } as const
      for (let i = 0; i < 3; i++) recorder.record(event)
      await recorder.flush()
      const { items } = await client.list(resources.events, {
        namespace,
        fieldSelector: `involvedObject.name=eventful,involvedObject.uid=${regarding.metadata.uid}`,
      })
      expect(items).toHaveLength(1)
      expect(items[0]).toMatchObject({
        reason: 'RolledBack',
        count: 3,
        type: 'Warning',
        source: { component: 'sluice' },
      })
      expect(recorder.dropped).toBe(0)
      await recorder.stop()
    })
  })
}

function widgetCrd({ group, version, plural, kind }: Resource): KubeObject {
  const spec = { type: 'object', properties: { size: { type: 'integer' } } }
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      scope: 'Namespaced',
      names: { plural, kind, singular: 'widget', listKind: 'WidgetList' },
      versions: [
        {
          name: version,
          served: true,
          storage: true,
          schema: { openAPIV3Schema: { type: 'object', properties: { spec } } },
        },
      ],
    },
  }
}

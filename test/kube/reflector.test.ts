import fc from 'fast-check'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { connect } from '../../src/kube/client.ts'
import { connectionTo } from '../../src/kube/connection.ts'
import type { KubeObject } from '../../src/kube/object.ts'
import { createReflector, type Reflector, type ReflectorOptions } from '../../src/kube/reflector.ts'
import { resources } from '../../src/kube/resources.ts'
import { systemRuntime } from '../../src/runtime.ts'
import { type CollectionServer, noFaults, startCollectionServer, versionsOf } from './collection-server.ts'
import { seeded } from './world.ts'

interface Setup {
  server: CollectionServer
  reflector: Reflector
  /** What a consumer that only hears changes knows. */
  heard: Map<string, KubeObject>
  logged: string[]
  stop(): Promise<void>
}

const running: Setup[] = []
afterEach(async () => {
  for (const each of running.splice(0)) await each.stop()
})

async function setUp(
  options: Partial<ReflectorOptions> = {},
  random = seeded(1),
  prepare?: (server: CollectionServer) => void,
) {
  const server = await startCollectionServer(random)
  prepare?.(server)
  const client = connect({ connection: connectionTo(server.url), runtime: systemRuntime })
  const heard = new Map<string, KubeObject>()
  const logged: string[] = []
  const write = (_fields: object, message: string) => logged.push(message)
  const reflector = createReflector({
    client,
    resource: resources.pods,
    runtime: { ...systemRuntime, random },
    log: { info: write, warn: write, error: write },
    timings: { backoff: { initialMs: 1, maxMs: 10 }, silenceMs: 150, pageSize: 3 },
    onChange: (key, object) => (object ? heard.set(key, object) : heard.delete(key)),
    ...options,
  })
  const stop = async () => {
    await reflector.stop()
    client.close()
    await server.close()
  }
  const setup: Setup = { server, reflector, heard, logged, stop }
  running.push(setup)
  reflector.start()
  return setup
}

/** Cache, and what handlers were told, are what the server has. */
async function settles({ server, reflector, heard }: Setup): Promise<void> {
  await vi.waitFor(
    () => {
      expect(versionsOf(reflector.list())).toEqual(server.contents())
      expect(versionsOf([...heard.values()])).toEqual(server.contents())
    },
    { timeout: 5000, interval: 5 },
  )
}

/** In sync, and the watch is established. */
async function watching({ server, reflector }: Setup): Promise<void> {
  await reflector.synced
  await vi.waitFor(() => expect(server.watching()).toBeGreaterThan(0), { interval: 1 })
}

describe('following', () => {
  test('lists page by page, says when it is in sync, then follows', async () => {
    const setup = await setUp({}, seeded(1), (server) => {
      for (let i = 0; i < 8; i++) server.put('shop', `pod-${i}`)
    })
    const { server, reflector } = setup
    expect([reflector.hasSynced(), reflector.lastActivity()]).toEqual([false, undefined])
    await reflector.synced
    expect(reflector.hasSynced()).toBe(true)
    expect(reflector.list()).toHaveLength(8)
    expect(server.requests.filter((request) => !request.query.has('watch'))).toHaveLength(3)
    server.put('shop', 'late')
    server.put('shop', 'pod-1')
    server.remove('shop', 'pod-0')
    await settles(setup)
    expect(reflector.get('shop/late')?.metadata.namespace).toBe('shop')
    expect(reflector.lastActivity()).toBeGreaterThan(0)
  })

  test('resumes a watch that the server ended from where it was, without listing again', async () => {
    const setup = await setUp()
    await setup.reflector.synced
    for (let round = 0; round < 5; round++) {
      setup.server.put('shop', `pod-${round}`)
      await settles(setup)
      setup.server.cut()
      setup.server.put('shop', `while-away-${round}`)
      await settles(setup)
    }
    const watches = setup.server.requests.filter((request) => request.query.has('watch'))
    expect(setup.server.requests.length - watches.length).toBe(1)
    // Ten changes, to versions 101 to 110; at least the one before the last cut was seen on the connection that was cut.
    expect(Number(watches.at(-1)?.query.get('resourceVersion'))).toBeGreaterThanOrEqual(109)
  })

  test('lists again when its version is too old, and finds out about deletions it slept through', async () => {
    const setup = await setUp({}, seeded(1), (server) => {
      server.put('shop', 'stays')
      server.put('shop', 'goes')
    })
    await watching(setup)
    setup.server.served = false
    setup.server.cut()
    setup.server.history = 2
    setup.server.remove('shop', 'goes')
    for (let i = 0; i < 5; i++) setup.server.put('shop', 'new')
    setup.server.served = true
    await settles(setup)
    expect(setup.heard.has('shop/goes')).toBe(false)
  })

  test('resumes from the last bookmark, so that quiet collections do not expire', async () => {
    const setup = await setUp({ namespaces: ['quiet'] })
    await watching(setup)
    setup.server.history = 3
    for (let i = 0; i < 10; i++) setup.server.put('busy', 'pod')
    const version = setup.server.bookmark()
    const heard = setup.reflector.lastActivity() ?? 0
    await vi.waitFor(() => expect(setup.reflector.lastActivity()).toBeGreaterThan(heard), { interval: 1 })
    setup.server.cut()
    await vi.waitFor(() => expect(setup.server.requests.at(-1)?.query.get('resourceVersion')).toBe(version))
    setup.server.put('quiet', 'pod')
    await vi.waitFor(() => expect(setup.reflector.list()).toHaveLength(1))
    expect(setup.server.requests.filter((request) => !request.query.has('watch'))).toHaveLength(1)
  })

  test('gets in sync even if continue tokens expire before they are used', async () => {
    const setup = await setUp({}, seeded(1), (server) => {
      for (let i = 0; i < 8; i++) server.put('shop', `pod-${i}`)
      server.faults = { ...noFaults, expire: 1 }
    })
    await setup.reflector.synced
    expect(setup.reflector.list()).toHaveLength(8)
  })

  test('a half-open connection is noticed and replaced', async () => {
    const setup = await setUp()
    await watching(setup)
    setup.server.faults = { ...noFaults, silence: 1 }
    setup.server.put('shop', 'unheard')
    setup.server.faults = noFaults
    await settles(setup)
  })

  test('waits for a CRD that is not installed, says so once, and is not in sync until it is', async () => {
    const setup = await setUp({}, seeded(1), (server) => {
      server.served = false
    })
    await vi.waitFor(() => expect(setup.server.requests.length).toBeGreaterThan(4))
    expect([setup.reflector.isMissing(), setup.reflector.hasSynced()]).toEqual([true, false])
    expect(setup.logged.filter((message) => message.includes('waiting for its CRD'))).toHaveLength(1)
    setup.server.served = true
    setup.server.put('shop', 'first')
    await setup.reflector.synced
    await settles(setup)
    expect(setup.reflector.isMissing()).toBe(false)
  })

  test('a version that must be discovered is asked for until there is one', async () => {
    let asked = 0
    const setup = await setUp({ resource: async () => (++asked < 3 ? undefined : resources.pods) })
    await setup.reflector.synced
    expect(asked).toBe(3)
  })

  test('follows some namespaces, and nothing outside them', async () => {
    const setup = await setUp({ namespaces: ['a', 'b'] }, seeded(1), (server) => {
      for (const namespace of ['a', 'b', 'c']) server.put(namespace, 'pod')
    })
    await setup.reflector.synced
    expect(
      setup.reflector
        .list()
        .map((pod) => pod.metadata.namespace)
        .sort(),
    ).toEqual(['a', 'b'])
    setup.server.cut()
    setup.server.history = 1
    setup.server.remove('b', 'pod')
    setup.server.put('c', 'more')
    setup.server.put('a', 'more')
    await vi.waitFor(() => expect([...setup.heard.keys()].sort()).toEqual(['a/more', 'a/pod']))
  })

  test('stops for good, also before it was in sync', async () => {
    const setup = await setUp({}, seeded(1), (server) => {
      server.served = false
    })
    await setup.reflector.stop()
    await expect(setup.reflector.synced).rejects.toThrow('stopped')
    const requests = setup.server.requests.length
    await new Promise((resolve) => setTimeout(resolve, 40))
    expect(setup.server.requests).toHaveLength(requests)
  })

  test('a server that ends every watch at once is not asked in a tight loop', async () => {
    const timings = { backoff: { initialMs: 20, maxMs: 1000, jitter: 0 } }
    const setup = await setUp({ timings }, seeded(1), (server) => {
      server.endsWatches = true
    })
    await setup.reflector.synced
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect(setup.server.requests.length).toBeLessThan(15)
    setup.server.endsWatches = false
    setup.server.put('shop', 'a')
    await settles(setup)
  })
})

describe('handlers', () => {
  test('that throw, synchronously or not, stop nothing', async () => {
    const told: string[] = []
    const setup = await setUp({
      onChange: (key) => {
        told.push(key)
        if (told.length % 2) throw new Error('handler bug')
        return Promise.reject(new Error('async handler bug'))
      },
    })
    await setup.reflector.synced
    for (const name of ['a', 'b', 'c', 'd']) setup.server.put('shop', name)
    await vi.waitFor(() => expect(told).toEqual(['shop/a', 'shop/b', 'shop/c', 'shop/d']))
    await vi.waitFor(() =>
      expect(setup.logged.filter((message) => message === 'change handler failed')).toHaveLength(4),
    )
  })

  test('see the change in the cache already, and what was there before', async () => {
    const seen: unknown[] = []
    const setup: Setup = await setUp({
      onChange: (key, object, previous) =>
        seen.push([setup.reflector.get(key) === object, object !== undefined, previous !== undefined]),
    })
    await setup.reflector.synced
    setup.server.put('shop', 'a')
    setup.server.put('shop', 'a')
    setup.server.remove('shop', 'a')
    await vi.waitFor(() =>
      expect(seen).toEqual([
        [true, true, false],
        [true, true, true],
        [true, false, true],
      ]),
    )
  })

  test('hear nothing about objects that a second list shows unchanged', async () => {
    let changes = 0
    const setup = await setUp({ onChange: () => changes++ }, seeded(1), (server) => {
      for (let i = 0; i < 5; i++) server.put('shop', `pod-${i}`)
    })
    await setup.reflector.synced
    setup.server.faults = { ...noFaults, expire: 1 }
    setup.server.cut()
    await vi.waitFor(() => expect(setup.logged.some((message) => message.includes('too old'))).toBe(true))
    setup.server.faults = noFaults
    setup.server.put('shop', 'after')
    await vi.waitFor(() => expect(changes).toBe(6))
  })
})

describe('the cache', () => {
  test('keeps slim objects, found by index', async () => {
    const setup = await setUp({ transform: (object) => ({ ...object, value: 0 }) })
    setup.reflector.index('last letter', (object) => [object.metadata.name.slice(-1)])
    await setup.reflector.synced
    for (const name of ['xa', 'ya', 'xb']) setup.server.put('shop', name)
    await vi.waitFor(() => expect(setup.reflector.list()).toHaveLength(3))
    const names = (value: string) =>
      setup.reflector
        .byIndex('last letter', value)
        .map((pod) => pod.metadata.name)
        .sort()
    expect(names('a')).toEqual(['xa', 'ya'])
    expect(setup.reflector.get('shop/xb')?.value).toBe(0)
    setup.server.remove('shop', 'ya')
    await vi.waitFor(() => expect(names('a')).toEqual(['xa']))
  })

  test('survives a transform and an index that throw', async () => {
    const setup = await setUp({
      transform: () => {
        throw new Error('transform bug')
      },
    })
    setup.reflector.index('bad', () => {
      throw new Error('index bug')
    })
    await setup.reflector.synced
    setup.server.put('shop', 'a')
    await settles(setup)
    expect(setup.reflector.byIndex('bad', 'x')).toEqual([])
  })
})

describe('whatever happens', () => {
  test('in the end the cache and every handler agree with the server', { timeout: 60_000 }, async () => {
    const change = fc.record({
      kind: fc.constantFrom('put', 'put', 'remove', 'cut', 'pause', 'pause', 'pause'),
      namespace: fc.constantFrom('a', 'b'),
      name: fc.constantFrom('one', 'two', 'three', 'four', 'five'),
    })
    const chance = fc.constantFrom(0, 0, 0.05, 0.3)
    const faults = fc.record({
      reset: chance,
      refuse: chance,
      silence: fc.constantFrom(0, 0.05),
      garbage: chance,
      expire: chance,
    })
    await fc.assert(
      fc.asyncProperty(
        fc.array(change, { maxLength: 60 }),
        faults,
        fc.integer({ min: 1, max: 20 }),
        fc.nat(),
        async (changes, chosen, history, seed) => {
          const setup = await setUp({}, seeded(seed), (server) => {
            server.put('a', 'one')
            server.put('b', 'gone')
            server.history = history
            server.faults = chosen
          })
          try {
            setup.server.remove('b', 'gone')
            for (const { kind, namespace, name } of changes) {
              if (kind === 'put') setup.server.put(namespace, name)
              else if (kind === 'remove') setup.server.remove(namespace, name)
              else if (kind === 'cut') setup.server.cut()
              else await new Promise((resolve) => setTimeout(resolve, 2))
            }
            setup.server.faults = noFaults
            await setup.reflector.synced
            await settles(setup)
          } finally {
            running.splice(running.indexOf(setup), 1)
            await setup.stop()
          }
        },
      ),
      { numRuns: 60 },
    )
  })
})

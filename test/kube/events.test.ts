import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { clip } from '../../src/kube/event-message.ts'
import { createEventRecorder, type EventRecorder, type EventRecorderOptions } from '../../src/kube/events.ts'
import { KubeError } from '../../src/kube/kube-error.ts'
import type { KubeObject } from '../../src/kube/object.ts'
import { createWorld, type World } from './world.ts'

interface Setup {
  world: World
  recorder: EventRecorder
  /** The events in the cluster, by name. */
  events: Map<string, KubeObject>
  /** Thrown by the next writes, in order. */
  errors: KubeError[]
}

function setUp(options: Partial<EventRecorderOptions> = {}): Setup {
  const world = createWorld()
  const events = new Map<string, KubeObject>()
  const errors: KubeError[] = []
  const attempt = async () => {
    await world.runtime().sleep(1)
    const error = errors.shift()
    if (error) throw error
  }
  const recorder = createEventRecorder({
    runtime: world.runtime(),
    log: { info() {}, warn() {}, error() {} },
    instance: 'sluice-0',
    client: {
      async create(_resource, object) {
        await attempt()
        events.set(object.metadata.name, object)
        return object
      },
      async patch(_resource, key, patch) {
        await attempt()
        const known = events.get(key.name)
        if (!known) throw new KubeError('gone', { status: 404, reason: 'NotFound' })
        const changed = { ...known, ...('body' in patch ? patch.body : {}) }
        events.set(key.name, changed)
        return changed
      },
    },
    ...options,
  })
  return { world, recorder, events, errors }
}

const regarding: KubeObject = {
  apiVersion: 'sluice.dev/v1alpha1',
  kind: 'Rollout',
  metadata: { namespace: 'shop', name: 'checkout', uid: 'u1', resourceVersion: '5' },
}
const event = (message: string, reason = 'Stepped') => ({ regarding, type: 'Normal', reason, message }) as const
const messages = ({ events }: Setup) => [...events.values()].map((each) => [each.message, each.count])

describe('events', () => {
  test('name their object, beside it, and count repeats in place', async () => {
    const setup = setUp()
    setup.recorder.record(event('10 % → 50 %'))
    await setup.world.runUntil(5_000)
    setup.recorder.record(event('10 % → 50 %'))
    setup.recorder.record(event('50 % → 100 %'))
    await setup.world.runUntil(10_000)
    expect(messages(setup)).toEqual([
      ['10 % → 50 %', 2],
      ['50 % → 100 %', 1],
    ])
    const [first] = setup.events.values()
    expect(first?.metadata.name).toMatch(/^checkout\.[0-9a-f]{16}$/)
    expect(first).toMatchObject({
      metadata: { namespace: 'shop' },
      involvedObject: { kind: 'Rollout', name: 'checkout', namespace: 'shop', uid: 'u1' },
      firstTimestamp: '2023-11-14T22:13:20Z',
      lastTimestamp: '2023-11-14T22:13:25Z',
    })
  })

  test('about cluster-scoped objects live in default', async () => {
    const setup = setUp()
    const regarding = { apiVersion: 'v1', kind: 'Node', name: 'n' }
    setup.recorder.record({ regarding, type: 'Normal', reason: 'A', message: 'b' })
    await setup.world.runUntil(10)
    expect([...setup.events.values()][0]?.metadata.namespace).toBe('default')
  })

  test('that expired meanwhile begin anew', async () => {
    const setup = setUp()
    setup.recorder.record(event('a'))
    await setup.world.runUntil(10)
    setup.events.clear()
    setup.recorder.record(event('a'))
    await setup.world.runUntil(20)
    expect(messages(setup)).toEqual([['a', 1]])
  })

  test('with ever new messages are combined after the tenth', async () => {
    const setup = setUp({ correlation: { burst: 1000 } })
    for (let i = 0; i < 30; i++) setup.recorder.record(event(`weight is ${i}`))
    await setup.world.runUntil(1_000)
    expect(messages(setup)).toHaveLength(11)
    expect(messages(setup).at(-1)).toEqual(['(combined from similar events): weight is 29', 20])
  })

  test('of one object beyond the burst are dropped, and slowly allowed again; others are not affected', async () => {
    const setup = setUp()
    for (let i = 0; i < 100; i++) setup.recorder.record(event('again'))
    setup.recorder.record({
      ...event('other'),
      regarding: { ...regarding, metadata: { ...regarding.metadata, name: 'other', uid: 'u2' } },
    })
    await setup.world.runUntil(1_000)
    expect(messages(setup)).toEqual([
      ['again', 25],
      ['other', 1],
    ])
    expect(setup.recorder.dropped).toBe(75)
    await setup.world.runUntil(301_000)
    setup.recorder.record(event('again'))
    setup.recorder.record(event('again'))
    await setup.world.runUntil(302_000)
    expect(messages(setup)[0]).toEqual(['again', 26])
  })

  test('survive a server that is away for a while, in order', async () => {
    const setup = setUp()
    for (let i = 0; i < 3; i++) setup.errors.push(new KubeError('down', { status: 503, reason: 'ServiceUnavailable' }))
    setup.recorder.record(event('a'))
    setup.recorder.record(event('b'))
    await setup.world.runUntil(60_000)
    expect(messages(setup)).toEqual([
      ['a', 1],
      ['b', 1],
    ])
  })

  test('that the server refuses are dropped, and the next ones are written', async () => {
    const setup = setUp()
    setup.errors.push(new KubeError('no', { status: 403, reason: 'Forbidden' }))
    setup.recorder.record(event('a'))
    setup.recorder.record(event('b'))
    await setup.world.runUntil(1_000)
    expect([messages(setup), setup.recorder.dropped]).toEqual([[['b', 1]], 1])
  })

  test('never pile up beyond the bound, whatever the server does', async () => {
    const setup = setUp({ maxQueue: 5, correlation: { burst: 1000, maxSimilar: 1000 } })
    for (let i = 0; i < 50; i++) setup.recorder.record(event(`m${i}`))
    await setup.world.runUntil(1_000)
    expect(setup.events.size + setup.recorder.dropped).toBe(50)
    expect(setup.events.size).toBeLessThanOrEqual(6)
  })

  test('are written as they come, also right after the queue ran empty', async () => {
    const setup = setUp({ correlation: { burst: 1000, maxSimilar: 1000 } })
    for (let i = 0; i < 40; i++) {
      setup.recorder.record(event(`m${i}`))
      await setup.world.runUntil(setup.world.now() + (i % 3))
    }
    await setup.world.runUntil(1_000)
    expect(setup.events.size).toBe(40)
  })

  test.each([...Array(12).keys()])(
    'are not forgotten when they come %i turns after the last one was written',
    async (turns) => {
      const world = createWorld()
      const written: unknown[] = []
      const recorder = createEventRecorder({
        runtime: world.runtime(),
        log: { info() {}, warn() {}, error() {} },
        instance: 'sluice-0',
        client: {
          async create(_resource, object) {
            written.push(object.message)
            if (object.message === 'first') {
              void (async () => {
                for (let turn = 0; turn < turns; turn++) await undefined
                recorder.record(event('second'))
              })()
            }
            return object
          },
          patch: () => Promise.reject(new Error('no event repeats')),
        },
      })
      recorder.record(event('first'))
      await world.runUntil(1)
      expect(written).toEqual(['first', 'second'])
    },
  )

  test('nothing is thrown and nothing is written after the stop', async () => {
    const setup = setUp()
    await setup.recorder.stop()
    setup.recorder.record(event('late'))
    await setup.world.runUntil(100)
    expect(setup.events.size).toBe(0)
  })
})

test('a clipped message fits, is valid text, and a short one is untouched', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 1500 }), (message) => {
      const clipped = clip(message)
      expect(Buffer.byteLength(clipped)).toBeLessThanOrEqual(1024)
      expect(clipped).toBe(Buffer.byteLength(message) <= 1024 ? message : `${clipped.slice(0, -1)}…`)
      if (clipped !== message) expect(message.startsWith(clipped.slice(0, -1))).toBe(true)
    }),
  )
})

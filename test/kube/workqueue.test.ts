import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { KubeError } from '../../src/kube/kube-error.ts'
import { createWorkQueue, type Handler, type WorkQueue, type WorkQueueOptions } from '../../src/kube/workqueue.ts'
import { createWorld, seeded, type World } from './world.ts'

interface Setup {
  world: World
  queue: WorkQueue
  /** Keys in the order in which handlers started. */
  started: string[]
  errors: { key: string; retryMs: number }[]
}

function setUp(
  handler: (setup: Setup) => Handler,
  {
    workers = 1,
    urgentWorkers = 0,
    ...options
  }: Partial<WorkQueueOptions> & { workers?: number; urgentWorkers?: number } = {},
): Setup {
  const world = createWorld()
  const queue = createWorkQueue({
    runtime: world.runtime(),
    backoff: { initialMs: 10, maxMs: 1000, jitter: 0 },
    ...options,
  })
  const setup: Setup = { world, queue, started: [], errors: [] }
  const handle = handler(setup)
  queue.run({
    workers,
    urgentWorkers,
    handler: (key, urgent) => {
      setup.started.push(key)
      return handle(key, urgent)
    },
    onError: (key, _error, retryMs) => setup.errors.push({ key, retryMs }),
  })
  return setup
}

const takes = (ms: number) => (setup: Setup) => () => setup.world.runtime().sleep(ms)

describe('a key', () => {
  test('that is added many times while it waits is worked on once', async () => {
    const setup = setUp(takes(1))
    for (let i = 0; i < 5; i++) setup.queue.add('a')
    expect(setup.queue.depth).toBe(1)
    await setup.world.runUntil(100)
    expect(setup.started).toEqual(['a'])
  })

  test('that is added while it is worked on comes back once, afterwards', async () => {
    const setup = setUp(takes(10), { workers: 4 })
    setup.queue.add('a')
    await setup.world.runUntil(5)
    setup.queue.add('a')
    setup.queue.add('a')
    expect([setup.queue.depth, setup.queue.active]).toEqual([0, 1])
    await setup.world.runUntil(100)
    expect(setup.started).toEqual(['a', 'a'])
  })

  test('with several delays comes at the earliest', async () => {
    const setup = setUp(takes(1))
    setup.queue.addAfter('a', 500)
    setup.queue.addAfter('a', 50)
    setup.queue.addAfter('a', 900)
    await setup.world.runUntil(49)
    expect(setup.started).toEqual([])
    await setup.world.runUntil(51)
    expect(setup.started).toEqual(['a'])
    await setup.world.runUntil(2000)
    expect(setup.started).toEqual(['a'])
  })

  test('can wait for months without its timer overflowing', async () => {
    const setup = setUp(takes(1))
    const days = 60 * 24 * 3600 * 1000
    setup.queue.addAfter('a', days)
    await setup.world.runUntil(days - 1)
    expect(setup.started).toEqual([])
    await setup.world.runUntil(days + 1)
    expect(setup.started).toEqual(['a'])
  })

  test('that fails is retried with growing delays of its own, until it succeeds', async () => {
    let left = 4
    const setup = setUp((s) => async (key) => {
      await s.world.runtime().sleep(1)
      if (key === 'bad' && left-- > 0) throw new Error('not yet')
    })
    setup.queue.add('bad')
    setup.queue.add('good')
    await setup.world.runUntil(5000)
    expect(setup.errors.map((error) => error.retryMs)).toEqual([10, 20, 40, 80])
    expect(setup.started.filter((key) => key === 'good')).toHaveLength(1)
    expect(setup.queue.retries('bad')).toBe(0)
    left = 1
    setup.queue.add('bad')
    await setup.world.runUntil(10_000)
    expect(setup.errors.at(-1)?.retryMs).toBe(10)
  })

  test('is not retried before the time the server asked for', async () => {
    const setup = setUp(() => async () => {
      throw new KubeError('busy', { status: 429, reason: 'TooManyRequests', retryAfterMs: 700 })
    })
    setup.queue.add('a')
    await setup.world.runUntil(699)
    expect(setup.started).toHaveLength(1)
    await setup.world.runUntil(710)
    expect(setup.started).toHaveLength(2)
  })

  test('comes back when its handler asked for it', async () => {
    const setup = setUp((s) => async () => (s.started.length < 3 ? { afterMs: 100 } : undefined))
    setup.queue.add('a')
    await setup.world.runUntil(5000)
    expect(setup.started).toHaveLength(3)
  })

  test('that is woken before its handler wanted it back is not worked on a second time for that', async () => {
    const setup = setUp(() => async () => ({ afterMs: 100 }))
    setup.queue.add('a')
    for (let at = 60; at <= 300; at += 60) {
      await setup.world.runUntil(at)
      setup.queue.add('a')
    }
    await setup.world.runUntil(350)
    expect(setup.started).toHaveLength(6)
    await setup.world.runUntil(401)
    expect(setup.started).toHaveLength(7)
  })

  test('that somebody else put off comes then too, however often it runs before', async () => {
    const setup = setUp(() => async () => undefined)
    setup.queue.addAfter('a', 100)
    setup.queue.add('a')
    await setup.world.runUntil(99)
    expect(setup.started).toHaveLength(1)
    await setup.world.runUntil(101)
    expect(setup.started).toHaveLength(2)
  })

  test('in backoff is worked on at once when it is added anew', async () => {
    const setup = setUp(
      () => async () => {
        throw new Error('no')
      },
      { backoff: { initialMs: 100_000, maxMs: 100_000, jitter: 0 } },
    )
    setup.queue.add('a')
    await setup.world.runUntil(10)
    setup.queue.add('a')
    await setup.world.runUntil(20)
    expect(setup.started).toHaveLength(2)
  })
})

describe('fairness', () => {
  test('a key that keeps coming back lets the others pass first', async () => {
    const setup = setUp((s) => async (key) => {
      if (key === 'hot') s.queue.add('hot')
      await s.world.runtime().sleep(1)
    })
    setup.queue.add('hot')
    await setup.world.runUntil(0.5)
    for (let i = 0; i < 20; i++) setup.queue.add(`cold-${i}`)
    await setup.world.runUntil(30)
    const second = setup.started.indexOf('hot', 1)
    expect(second).toBe(21)
  })

  test('a key that is added again while it waits keeps its place', async () => {
    const setup = setUp(takes(1))
    for (const key of ['a', 'b', 'c', 'b', 'b']) setup.queue.add(key)
    for (const key of ['x', 'y', 'x']) setup.queue.add(key, { urgent: true })
    await setup.world.runUntil(10)
    expect(setup.started).toEqual(['x', 'y', 'a', 'b', 'c'])
  })

  test('an urgent key overtakes a thousand routine ones', async () => {
    const setup = setUp(takes(1))
    for (let i = 0; i < 1000; i++) setup.queue.add(`routine-${i}`)
    await setup.world.runUntil(0.5)
    setup.queue.add('routine-999', { urgent: true })
    await setup.world.runUntil(3)
    expect(setup.started.slice(0, 2)).toEqual(['routine-0', 'routine-999'])
    expect(setup.queue.depth + setup.started.length).toBe(1000)
  })

  test('an urgent key finds a place while every worker is stuck', async () => {
    const setup = setUp((s) => (key) => s.world.runtime().sleep(key === 'retreat' ? 1 : 1e6), {
      workers: 2,
      urgentWorkers: 1,
    })
    for (const key of ['a', 'b', 'c']) setup.queue.add(key)
    await setup.world.runUntil(1)
    setup.queue.add('retreat', { urgent: true })
    await setup.world.runUntil(10)
    expect(setup.started).toEqual(['a', 'b', 'retreat'])
  })

  test('routine keys go on while urgent ones are stuck', async () => {
    const setup = setUp((s) => (key) => s.world.runtime().sleep(key === 'well' ? 1 : 1e6), {
      workers: 2,
      urgentWorkers: 2,
    })
    for (const key of ['a', 'b', 'c']) setup.queue.add(key, { urgent: true })
    await setup.world.runUntil(1)
    setup.queue.add('well')
    await setup.world.runUntil(10)
    expect(setup.started).toEqual(['a', 'b', 'c', 'well'])
  })

  test('an urgent add during the work makes the next turn urgent', async () => {
    const setup = setUp(takes(10))
    for (const key of ['a', 'b', 'c']) setup.queue.add(key)
    await setup.world.runUntil(5)
    setup.queue.add('a', { urgent: true })
    await setup.world.runUntil(100)
    expect(setup.started).toEqual(['a', 'a', 'b', 'c'])
  })

  test('endless urgent keys do not starve the routine ones', async () => {
    const setup = setUp(
      (s) => async (key) => {
        if (key.startsWith('urgent')) s.queue.add(key, { urgent: true })
        await s.world.runtime().sleep(1)
      },
      { urgentShare: 4 },
    )
    setup.queue.add('urgent-1', { urgent: true })
    setup.queue.add('urgent-2', { urgent: true })
    setup.queue.add('routine')
    await setup.world.runUntil(10)
    expect(setup.started.indexOf('routine')).toBe(4)
  })
})

describe('the end', () => {
  test('draining works off what waits, drops delays, and takes nothing new', async () => {
    const setup = setUp(takes(10))
    for (const key of ['a', 'b']) setup.queue.add(key)
    setup.queue.addAfter('later', 5)
    await setup.world.runUntil(1)
    let drained = false
    void setup.queue.drain().then(() => {
      drained = true
    })
    setup.queue.add('new')
    await setup.world.runUntil(15)
    expect(drained).toBe(false)
    await setup.world.runUntil(100)
    expect([drained, setup.started]).toEqual([true, ['a', 'b']])
  })

  test('shutting down waits only for the work under way', async () => {
    const setup = setUp(takes(10))
    for (const key of ['a', 'b']) setup.queue.add(key)
    await setup.world.runUntil(1)
    let ended = false
    void setup.queue.shutDown().then(() => {
      ended = true
    })
    await setup.world.runUntil(5)
    expect(ended).toBe(false)
    await setup.world.runUntil(100)
    expect([ended, setup.started]).toEqual([true, ['a']])
  })

  test('of a queue that was never run comes at once', async () => {
    const queue = createWorkQueue({ runtime: createWorld().runtime() })
    queue.add('a')
    await queue.drain()
    expect(queue.depth).toBe(0)
  })
})

const keys = fc.constantFrom('a', 'b', 'c', 'd', 'e')

describe('against a model', () => {
  test('keys start in the order in which they became due, urgent lane first', async () => {
    const step = fc.record({ key: keys, urgent: fc.boolean(), pause: fc.nat({ max: 3 }) })
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 60 }),
        fc.integer({ min: 1, max: 3 }),
        fc.nat(),
        async (steps, workers, seed) => {
          const random = seeded(seed)
          const lanes = { urgent: [] as string[], routine: [] as string[] }
          const working = new Map<string, 'clean' | 'dirty' | 'urgent'>()
          const enqueue = (key: string, urgent: boolean) => {
            if (lanes.urgent.includes(key) || (!urgent && lanes.routine.includes(key))) return
            if (urgent) lanes.routine = lanes.routine.filter((each) => each !== key)
            lanes[urgent ? 'urgent' : 'routine'].push(key)
          }
          const add = (key: string, urgent: boolean) => {
            const state = working.get(key)
            if (state === undefined) enqueue(key, urgent)
            else if (state !== 'urgent') working.set(key, urgent ? 'urgent' : 'dirty')
          }
          const setup = setUp(
            (s) => async (key) => {
              expect(working.has(key)).toBe(false)
              expect(working.size).toBeLessThan(workers)
              expect(key).toBe((lanes.urgent.length > 0 ? lanes.urgent : lanes.routine).shift())
              working.set(key, 'clean')
              await s.world.runtime().sleep(random() * 5)
              const state = working.get(key)
              working.delete(key)
              if (state !== 'clean') enqueue(key, state === 'urgent')
            },
            { workers, urgentShare: Number.POSITIVE_INFINITY },
          )
          for (const { key, urgent, pause } of steps) {
            add(key, urgent)
            setup.queue.add(key, { urgent })
            await setup.world.runUntil(setup.world.now() + pause)
          }
          await setup.world.runUntil(setup.world.now() + 1000)
          expect([setup.errors, lanes, working.size, setup.queue.depth]).toEqual([
            [],
            { urgent: [], routine: [] },
            0,
            0,
          ])
        },
      ),
      { numRuns: 150 },
    )
  })

  test('no key is lost and none is worked on twice at once, whatever fails and however it is added', async () => {
    const step = fc.record({
      key: keys,
      how: fc.constantFrom('add', 'urgent', 'after', 'rateLimited', 'forget'),
      pause: fc.nat({ max: 4 }),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 50 }), fc.nat(), async (steps, seed) => {
        const random = seeded(seed)
        const working = new Set<string>()
        /** For each key the latest time by which a handler must start, and what has been seen of it. */
        const owed = new Map<string, number>()
        let failing = true
        const setup = setUp(
          (s) => async (key) => {
            expect(working.has(key)).toBe(false)
            working.add(key)
            // Only a start at or after the time it is due settles a debt.
            if ((owed.get(key) ?? 0) <= s.world.now()) owed.delete(key)
            await s.world.runtime().sleep(random() * 4)
            working.delete(key)
            if (failing && random() < 0.4) {
              owed.set(key, s.world.now())
              throw new Error('on purpose')
            }
            return random() < 0.2 ? { afterMs: random() * 50 } : undefined
          },
          { workers: 2, urgentWorkers: 1, urgentShare: 2 },
        )
        for (const { key, how, pause } of steps) {
          const now = setup.world.now()
          if (how === 'forget') setup.queue.forget(key)
          else {
            owed.set(key, now)
            if (how === 'add') setup.queue.add(key)
            else if (how === 'urgent') setup.queue.add(key, { urgent: true })
            else if (how === 'after') setup.queue.addAfter(key, pause * 10)
            else setup.queue.addRateLimited(key)
          }
          await setup.world.runUntil(now + pause)
        }
        failing = false
        await setup.world.runUntil(setup.world.now() + 5000)
        expect([...owed.keys()]).toEqual([])
        expect([setup.queue.depth, setup.queue.active]).toEqual([0, 0])
      }),
      { numRuns: 150 },
    )
  })
})

describe('hooks', () => {
  test('tell depth, waiting and working time', async () => {
    const depths: number[] = []
    const waits: number[] = []
    const works: number[] = []
    const setup = setUp(takes(10), {
      hooks: { depth: (n) => depths.push(n), waited: (ms) => waits.push(ms), worked: (ms) => works.push(ms) },
    })
    setup.queue.add('a')
    setup.queue.add('b')
    await setup.world.runUntil(100)
    expect(depths).toEqual([1, 2, 1, 0])
    expect(waits).toEqual([0, 10])
    expect(works).toEqual([10, 10])
  })
})

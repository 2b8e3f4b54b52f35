import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { KubeError } from '../../src/kube/kube-error.ts'
import { createElector, type Elector, type ElectorOptions } from '../../src/kube/lease.ts'
import { microTime, readLease } from '../../src/kube/lease-record.ts'
import type { KubeObject } from '../../src/kube/object.ts'
import { createWorld, type Machine, seeded, type World } from './world.ts'

const lease = { namespace: 'sluice-system', name: 'sluice' }
const silent = { info() {}, warn() {}, error() {} }

interface Network {
  /** One way, in milliseconds. */
  latency(): number
  /** What becomes of a request: it arrives and is answered, never arrives, or takes effect unanswered. */
  fate(): 'fine' | 'lost' | 'unanswered'
}

const perfect: Network = { latency: () => 1, fate: () => 'fine' }

/** One Lease behind a network. Requests take effect when they arrive, even if nobody waits for the answer any more. */
function createLeaseServer(world: World) {
  let stored: KubeObject | undefined
  let version = 0

  function put(object: KubeObject): KubeObject {
    version += 1
    stored = structuredClone({ ...object, metadata: { ...object.metadata, resourceVersion: String(version) } })
    return structuredClone(stored)
  }

  const conflict = (reason: string) => new KubeError(reason, { status: 409, reason })

  function client(network: Network, frozenUntil: (time: number) => number = (time) => time): ElectorOptions['client'] {
    function send<T>(effect: () => T): Promise<T> {
      return new Promise((resolve, reject) => {
        const fate = network.fate()
        if (fate === 'lost') return
        world.at(world.now() + network.latency(), () => {
          let answer: () => void
          try {
            const result = effect()
            answer = () => resolve(result)
          } catch (error) {
            answer = () => reject(error)
          }
          if (fate === 'fine') world.at(frozenUntil(world.now() + network.latency()), answer)
        })
      })
    }
    return {
      get: () => send(() => structuredClone(stored)),
      create: (_resource, object) =>
        send(() => {
          if (stored) throw conflict('AlreadyExists')
          return put(object)
        }),
      replace: (_resource, object) =>
        send(() => {
          if (!stored) throw new KubeError('NotFound', { status: 404, reason: 'NotFound' })
          if (object.metadata.resourceVersion !== stored.metadata.resourceVersion) throw conflict('Conflict')
          return put(object)
        }),
    }
  }

  return {
    client,
    record: () => stored && readLease(stored),
    touch: () =>
      stored && put({ ...stored, metadata: { ...stored.metadata, annotations: { touched: String(version) } } }),
    remove: () => {
      stored = undefined
    },
  }
}

function candidate(
  world: World,
  server: ReturnType<typeof createLeaseServer>,
  identity: string,
  {
    machine = {},
    network = perfect,
    ...options
  }: { machine?: Machine; network?: Network } & Partial<ElectorOptions> = {},
): Elector {
  return createElector({
    client: server.client(network, machine.frozenUntil),
    runtime: world.runtime(machine),
    log: silent,
    lease,
    identity,
    ...options,
  })
}

describe('election', () => {
  test('the first candidate leads, the second waits', async () => {
    const world = createWorld()
    const server = createLeaseServer(world)
    const [a, b] = [candidate(world, server, 'a'), candidate(world, server, 'b')]
    a.start()
    await world.runUntil(100)
    b.start()
    await world.runUntil(120_000)
    expect([a.isLeaderNow(), b.isLeaderNow(), b.holder()]).toEqual([true, false, 'a'])
    expect(server.record()).toMatchObject({ holder: 'a', durationMs: 15_000, transitions: 0 })
  })

  test('when the leader dies, the other leads within the lease time of the last renewal it saw', async () => {
    const world = createWorld()
    const server = createLeaseServer(world)
    let alive = true
    const network: Network = { latency: () => 1, fate: () => (alive ? 'fine' : 'lost') }
    const lost: string[] = []
    const [a, b] = [
      candidate(world, server, 'a', { network, onLost: (reason) => void lost.push(`${reason} at ${world.now()}`) }),
      candidate(world, server, 'b'),
    ]
    a.start()
    await world.runUntil(100)
    b.start()
    await world.runUntil(60_000)
    alive = false
    await world.runUntil(60_000 + 10_000)
    expect([a.isLeaderNow(), b.isLeaderNow()]).toEqual([false, false])
    expect(lost).toHaveLength(1)
    await world.runUntil(60_000 + 15_000 + 2_400)
    expect([a.isLeaderNow(), b.isLeaderNow()]).toEqual([false, true])
    expect(server.record()).toMatchObject({ holder: 'b', transitions: 1 })
  })

  test('a leader that stops lets its work end while it still leads, and the successor follows at its next look', async () => {
    const world = createWorld()
    const server = createLeaseServer(world)
    const [a, b] = [candidate(world, server, 'a'), candidate(world, server, 'b')]
    a.start()
    await world.runUntil(100)
    b.start()
    await world.runUntil(10_000)
    const during: boolean[] = []
    const stopped = a.stop(async () => {
      await world.runtime().sleep(30_000)
      during.push(a.isLeaderNow(), b.isLeaderNow())
    })
    await world.runUntil(40_000 + 3_000)
    await stopped
    expect(during).toEqual([true, false])
    expect([a.isLeaderNow(), b.isLeaderNow()]).toEqual([false, true])
  })

  test('a leader that was frozen knows that it leads no more, before it hears from anyone', async () => {
    const world = createWorld()
    const server = createLeaseServer(world)
    const machine = { frozenUntil: (time: number) => (time > 20_000 && time < 50_000 ? 50_000 : time) }
    const [a, b] = [candidate(world, server, 'a', { machine }), candidate(world, server, 'b')]
    a.start()
    await world.runUntil(100)
    b.start()
    await world.runUntil(45_000)
    expect([a.isLeaderNow(), b.isLeaderNow()]).toEqual([false, true])
    await world.runUntil(70_000)
    expect([a.isLeaderNow(), b.isLeaderNow(), a.holder()]).toEqual([false, true, 'b'])
  })

  test('someone who annotates the Lease does not depose the leader', async () => {
    const world = createWorld()
    const server = createLeaseServer(world)
    const lost: string[] = []
    const a = candidate(world, server, 'a', { onLost: (reason) => void lost.push(reason) })
    a.start()
    for (let time = 1_000; time < 60_000; time += 700) {
      await world.runUntil(time)
      server.touch()
    }
    expect([a.isLeaderNow(), lost]).toEqual([true, []])
  })

  test('after losing, the work ends first, then it is a candidate again', async () => {
    const world = createWorld()
    const server = createLeaseServer(world)
    let up = true
    const network: Network = { latency: () => 1, fate: () => (up ? 'fine' : 'lost') }
    const elected: number[] = []
    const a = candidate(world, server, 'a', {
      network,
      onElected: () => elected.push(world.now()),
      onLost: () => world.runtime().sleep(60_000),
    })
    a.start()
    await world.runUntil(10_000)
    up = false
    await world.runUntil(30_000)
    up = true
    await world.runUntil(77_000)
    expect([a.isLeaderNow(), elected.length]).toEqual([false, 1])
    await world.runUntil(90_000)
    expect([a.isLeaderNow(), elected.length]).toEqual([true, 2])
  })

  test('callbacks that throw do not end the election', async () => {
    const world = createWorld()
    const server = createLeaseServer(world)
    const bug = () => {
      throw new Error('bug')
    }
    const a = candidate(world, server, 'a', { onElected: bug, onLost: bug })
    a.start()
    await world.runUntil(10_000)
    server.remove()
    await world.runUntil(60_000)
    expect(a.isLeaderNow()).toBe(true)
  })

  test('renewals look different even while the wall clock stands still', () => {
    expect(microTime(0, 1)).toBe('1970-01-01T00:00:00.000001Z')
    expect(microTime(0, 1)).not.toBe(microTime(0, 2))
  })

  test.each([
    [{ leaseDurationMs: 15_500 }, 'whole seconds'],
    [{ leaseDurationMs: 10_000 }, 'shorter than the lease'],
    [{ retryPeriodMs: 9_000 }, '1.2 retry periods'],
  ])('timings that cannot be safe are refused: %j', (options, message) => {
    const world = createWorld()
    expect(() => candidate(world, createLeaseServer(world), 'a', options)).toThrow(message)
  })
})

test('a leader counts from when it asked, not from when it was answered', async () => {
  const world = createWorld()
  const server = createLeaseServer(world)
  let alive = true
  let trip = 0
  // There in a millisecond, back in nearly five seconds.
  const slowAnswers: Network = { latency: () => (trip++ % 2 === 0 ? 1 : 4_900), fate: () => (alive ? 'fine' : 'lost') }
  const old = candidate(world, server, 'old', { machine: { rate: 0.85 }, network: slowAnswers })
  const heir = candidate(world, server, 'heir', { machine: { rate: 1.2 }, retryPeriodMs: 100 })
  old.start()
  await world.runUntil(12_000)
  heir.start()
  await world.runUntil(60_000)
  expect(old.isLeaderNow()).toBe(true)
  alive = false
  await world.runUntil(120_000, () => expect(old.isLeaderNow() && heir.isLeaderNow()).toBe(false))
  expect(heir.isLeaderNow()).toBe(true)
})

describe('at no moment do two candidates lead', () => {
  const stall = fc.record({ from: fc.nat({ max: 120_000 }), ms: fc.nat({ max: 40_000 }) })
  const computer = fc.record({
    // Fastest over slowest clock stays below lease duration over renew deadline, 1.5.
    rate: fc.double({ min: 0.85, max: 1.2, noNaN: true }),
    offset: fc.nat({ max: 1_000_000 }),
    stalls: fc.array(stall, { maxLength: 3 }),
    trouble: fc.constantFrom(0, 0.1, 0.5, 0.9),
    slowest: fc.constantFrom(10, 1_000, 8_000, 20_000),
  })

  test('whatever clocks, stalls and network do; and when all is well again, exactly one leads', async () => {
    await fc.assert(
      fc.asyncProperty(computer, computer, fc.nat(), async (first, second, seed) => {
        const world = createWorld()
        const server = createLeaseServer(world)
        const random = seeded(seed)
        const electors = [first, second].map((each, number) => {
          const frozenUntil = (time: number): number => {
            const inside = each.stalls.find(({ from, ms }) => time >= from && time < from + ms)
            return inside ? frozenUntil(inside.from + inside.ms) : time
          }
          const troubled = () => world.now() < 120_000 && random() < each.trouble
          const network: Network = {
            latency: () => random() * (world.now() < 120_000 ? each.slowest : 10),
            fate: () => (troubled() ? (random() < 0.5 ? 'lost' : 'unanswered') : 'fine'),
          }
          const machine = { rate: each.rate, offset: each.offset, random, frozenUntil }
          return candidate(world, server, `candidate-${number}`, { machine, network })
        })
        for (const elector of electors) elector.start()
        const leaders = () => electors.filter((elector) => elector.isLeaderNow()).length
        await world.runUntil(120_000, () => expect(leaders()).toBeLessThan(2))
        await world.runUntil(240_000, () => expect(leaders()).toBeLessThan(2))
        expect(leaders()).toBe(1)
      }),
      { numRuns: 150 },
    )
  })
})

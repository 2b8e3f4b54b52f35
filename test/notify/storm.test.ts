import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Notification } from '../../src/notify/notifier.ts'
import { createCalm } from '../../src/notify/storm.ts'

/** Time that a test moves; what was to be woken by then is woken. */
function fakeTime() {
  let now = 0
  let sleepers: { at: number; wake: () => void }[] = []
  return {
    now: () => now,
    monotonic: () => now,
    sleep: (ms: number, signal?: AbortSignal) =>
      new Promise<void>((resolve, reject) => {
        signal?.addEventListener('abort', () => reject(signal.reason), { once: true })
        sleepers.push({ at: now + ms, wake: resolve })
      }),
    async advance(ms: number): Promise<void> {
      now += ms
      const due = sleepers.filter(({ at }) => at <= now)
      sleepers = sleepers.filter(({ at }) => at > now)
      for (const { wake } of due) wake()
      await new Promise(setImmediate)
    },
  }
}

const note = (i: number, over: Partial<Notification> = {}): Notification => ({
  id: `n${i}`,
  rollout: `shop/app-${i}`,
  topic: 'rolledBack',
  message: `v2 rolled back (${i})`,
  details: { attempt: 1 },
  ...over,
})

function open(perMinute = 20) {
  const time = fakeTime()
  const heard: Notification[] = []
  const ending = new AbortController()
  const pass = (notification: Notification) => void heard.push(notification)
  return { time, heard, ending, calm: createCalm({ perMinute, pass, runtime: time, signal: ending.signal }) }
}

describe('a fleet of 1,000 Rollouts that is rolled back at once', () => {
  test('is told of in as many messages as a minute may have, and one for all the others', async () => {
    const { time, heard, calm } = open()
    for (let i = 0; i < 1_000; i++) calm.tell(note(i))
    expect(heard).toHaveLength(20)
    await time.advance(60_000)
    expect(heard).toHaveLength(21)
    expect(heard[20]).toMatchObject({
      rollout: 'sluice',
      topic: 'rolledBack',
      message:
        'and 980 more: 980 rolledBack (shop/app-20, shop/app-21, shop/app-22, shop/app-23, shop/app-24 and others)',
      digest: { count: 980, topics: { rolledBack: 980 } },
    })
    expect(heard[20]?.digest?.told).toHaveLength(100)
    await time.advance(600_000)
    expect(heard).toHaveLength(21)
  })

  test('says what is worst first, and counts each', async () => {
    const { time, heard, calm } = open(1)
    calm.tell(note(0))
    for (const topic of ['step', 'step', 'paused', 'rolledBack'] as const) calm.tell(note(1, { topic }))
    await time.advance(60_000)
    expect(heard[1]).toMatchObject({
      topic: 'rolledBack',
      message: 'and 4 more: 1 rolledBack, 1 paused, 2 step (shop/app-1)',
    })
  })
})

test('a single message that had to wait is told as it is', async () => {
  const { time, heard, calm } = open(1)
  calm.tell(note(0))
  calm.tell(note(1))
  await time.advance(60_000)
  expect(heard).toEqual([note(0), note(1)])
})

test('what is kept back is told at the end', async () => {
  const { heard, calm, ending } = open(1)
  for (let i = 0; i < 3; i++) calm.tell(note(i))
  ending.abort()
  calm.flush()
  calm.flush()
  expect(heard.map((n) => n.digest?.count ?? 1)).toEqual([1, 2])
})

test('however they come: nothing is lost, nothing overtakes, and no minute has more than its share and a digest', async () => {
  const pauses = fc.array(fc.integer({ min: 0, max: 30_000 }), { maxLength: 120 })
  await fc.assert(
    fc.asyncProperty(pauses, fc.integer({ min: 1, max: 6 }), async (waits, perMinute) => {
      const { time, heard, calm } = open(perMinute)
      const at: number[] = []
      let known = 0
      const look = () => {
        while (known < heard.length) {
          known += 1
          at.push(time.now())
        }
      }
      for (const [i, ms] of waits.entries()) {
        // In steps, so that what is due in between happens when it is due.
        for (let left = ms; left > 0; left -= 1_000) {
          await time.advance(Math.min(1_000, left))
          look()
        }
        calm.tell(note(i))
        look()
      }
      for (let i = 0; i < 61; i++) {
        await time.advance(1_000)
        look()
      }
      expect(heard.reduce((sum, n) => sum + (n.digest?.count ?? 1), 0)).toBe(waits.length)
      const first = heard
        .map((n) => n.digest?.told[0]?.message ?? n.message)
        .map((m) => Number(/\d+(?=\)$)/.exec(m)?.[0]))
      expect(first).toEqual([...first].sort((a, b) => a - b))
      for (const start of at) {
        expect(at.filter((t) => t >= start && t < start + 60_000).length).toBeLessThanOrEqual(perMinute + 1)
      }
    }),
    { numRuns: 30 },
  )
})

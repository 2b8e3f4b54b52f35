import { beforeEach, describe, expect, test } from 'vitest'
import { createDelivery, type DeliveryConfig } from '../../src/notify/delivery.ts'
import { DeliveryFailed, parseRetryAfter } from '../../src/notify/delivery-failed.ts'
import type { Runtime } from '../../src/runtime.ts'
import { readableLog } from '../approval/questions.ts'

/** Time that jumps to the end of every sleep, in order; what was slept is on record. */
function jumping(): Runtime & { slept: number[] } {
  let now = 0
  const slept: number[] = []
  return {
    slept,
    now: () => now,
    monotonic: () => now,
    random: () => 0,
    // A watchdog of one attempt must not fire while the attempt runs: it waits for its signal.
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason)
        if (ms >= 9_999) return signal?.addEventListener('abort', () => reject(signal.reason), { once: true })
        slept.push(ms)
        now += ms
        setImmediate(resolve)
      }),
  }
}

let time: ReturnType<typeof jumping>
let log: ReturnType<typeof readableLog>
let lost: number

function open(over: Partial<DeliveryConfig> = {}) {
  const backoff = { firstMs: 100, maxMs: 1_000 }
  return createDelivery({ runtime: time, log: log.log, name: 'test', backoff, onLost: () => lost++, ...over })
}

beforeEach(() => {
  time = jumping()
  log = readableLog()
  lost = 0
})

const temporary = (retryAfterMs?: number) => new DeliveryFailed('not now', { permanent: false, retryAfterMs })

test('delivers in order, one at a time, without holding up whoever submits', async () => {
  const delivery = open()
  const seen: string[] = []
  let running = 0
  for (const key of ['a', 'b', 'c']) {
    delivery.submit({
      key,
      deliver: async () => {
        expect(++running).toBe(1)
        await new Promise(setImmediate)
        running--
        seen.push(key)
      },
    })
  }
  expect(seen).toEqual([])
  await delivery.idle()
  expect(seen).toEqual(['a', 'b', 'c'])
})

describe('what fails', () => {
  test('is tried again after waits that double up to the longest', async () => {
    const delivery = open()
    let left = 6
    delivery.submit({ key: 'a', deliver: async () => (left-- > 0 ? Promise.reject(temporary()) : undefined) })
    await delivery.idle()
    expect(time.slept).toEqual([100, 200, 400, 800, 1000, 1000])
    expect(lost).toBe(0)
  })

  test('does not hold up the others', async () => {
    const delivery = open()
    const seen: string[] = []
    let left = 2
    delivery.submit({
      key: 'slow',
      deliver: async () => (left-- > 0 ? Promise.reject(temporary()) : void seen.push('slow')),
    })
    delivery.submit({ key: 'quick', deliver: async () => void seen.push('quick') })
    await delivery.idle()
    expect(seen).toEqual(['quick', 'slow'])
  })

  test('holds up those behind it in its lane, so that they arrive in order', async () => {
    const delivery = open()
    const seen: string[] = []
    let left = 2
    const submit = (key: string, lane: string, deliver = async () => void seen.push(key)) =>
      delivery.submit({ key, lane, deliver })
    submit('a1', 'a', async () => (left-- > 0 ? Promise.reject(temporary()) : void seen.push('a1')))
    submit('a2', 'a')
    submit('b1', 'b')
    submit('a3', 'a')
    await delivery.idle()
    expect(seen).toEqual(['b1', 'a1', 'a2', 'a3'])
  })

  test('and is given up lets the next of its lane go', async () => {
    const delivery = open()
    const seen: string[] = []
    const permanent = new DeliveryFailed('no such channel', { permanent: true })
    delivery.submit({ key: '1', lane: 'a', deliver: () => Promise.reject(permanent) })
    delivery.submit({ key: '2', lane: 'a', deliver: async () => void seen.push('2') })
    await delivery.idle()
    expect([seen, lost]).toEqual([['2'], 1])
  })

  test('with a Retry-After makes everybody wait that long', async () => {
    const delivery = open()
    const seen: number[] = []
    let first = true
    delivery.submit({
      key: 'a',
      deliver: async () => {
        if (!first) return void seen.push(time.monotonic())
        first = false
        throw temporary(5_000)
      },
    })
    delivery.submit({ key: 'b', deliver: async () => void seen.push(time.monotonic()) })
    await delivery.idle()
    expect(Math.min(...seen)).toBeGreaterThanOrEqual(5_000)
  })

  test('for good is given up at once, and so is what failed for too long', async () => {
    const delivery = open({ giveUpAfterMs: 3_000 })
    let attempts = 0
    delivery.submit({
      key: 'a',
      deliver: () => Promise.reject(new DeliveryFailed('no such channel', { permanent: true })),
    })
    delivery.submit({
      key: 'b',
      deliver: async () => {
        attempts++
        throw temporary()
      },
    })
    await delivery.idle()
    expect(lost).toBe(2)
    expect(attempts).toBeGreaterThan(3)
    expect(attempts).toBeLessThan(10)
    expect(log.text()).toContain('no such channel')
  })

  test('by a bug is not lost either', async () => {
    const delivery = open()
    let first = true
    delivery.submit({
      key: 'a',
      deliver: async () => {
        if (first) {
          first = false
          throw new TypeError('undefined is not a function')
        }
      },
    })
    await delivery.idle()
    expect(lost).toBe(0)
  })
})

describe('the queue is bounded', () => {
  test('the oldest makes way when it is full, and that is said', async () => {
    const delivery = open({ capacity: 3 })
    const seen: string[] = []
    for (const key of ['a', 'b', 'c', 'd', 'e']) delivery.submit({ key, deliver: async () => void seen.push(key) })
    await delivery.idle()
    expect(seen).toEqual(['c', 'd', 'e'])
    expect(lost).toBe(2)
    expect(log.text()).toContain('more than 3 messages wait')
  })

  test('of one key only the newest is delivered', async () => {
    const delivery = open({ capacity: 1 })
    const seen: number[] = []
    for (let i = 0; i < 100; i++) delivery.submit({ key: 'same', deliver: async () => void seen.push(i) })
    await delivery.idle()
    expect(seen).toEqual([99])
    expect(lost).toBe(0)
  })

  test('a newer job takes the place of one that failed', async () => {
    const delivery = open()
    const seen: string[] = []
    delivery.submit({
      key: 'a',
      deliver: async () => {
        delivery.submit({ key: 'a', deliver: async () => void seen.push('new') })
        seen.push('old')
        throw temporary()
      },
    })
    await delivery.idle()
    expect(seen).toEqual(['old', 'new'])
  })
})

describe('stopping', () => {
  test('lets what is queued go out', async () => {
    const delivery = open()
    const seen: string[] = []
    delivery.submit({ key: 'a', deliver: async () => void seen.push('a') })
    await delivery.stop(20_000)
    expect(seen).toEqual(['a'])
    delivery.submit({ key: 'b', deliver: async () => void seen.push('b') })
    await delivery.idle()
    expect(seen).toEqual(['a'])
  })

  test('does not wait for ever for an attempt that does not end', async () => {
    const delivery = open()
    let aborted = false
    delivery.submit({
      key: 'a',
      deliver: (signal) =>
        new Promise(() => {
          signal.addEventListener('abort', () => {
            aborted = true
          })
        }),
    })
    delivery.submit({ key: 'b', deliver: async () => undefined })
    await delivery.stop(50)
    expect(aborted).toBe(true)
    expect(lost).toBe(2)
  })
})

test('Retry-After is read as seconds and as a date, and never for more than an hour', () => {
  const now = Date.parse('2026-03-02T12:00:00Z')
  expect(parseRetryAfter('3', now)).toBe(3_000)
  expect(parseRetryAfter('Mon, 02 Mar 2026 12:00:10 GMT', now)).toBe(10_000)
  expect(parseRetryAfter('Mon, 02 Mar 2026 11:00:00 GMT', now)).toBe(0)
  expect(parseRetryAfter('99999999', now)).toBe(3_600_000)
  for (const value of [undefined, null, '', 'soon']) expect(parseRetryAfter(value, now)).toBeUndefined()
})

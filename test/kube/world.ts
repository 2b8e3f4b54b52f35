import type { Runtime } from '../../src/runtime.ts'

/** Virtual time: everything that waits, waits here, so that minutes pass in milliseconds and in a known order. */
export interface World {
  now(): number
  at(time: number, run: () => void): () => void
  /** Lets time pass until `time`; `check` runs after each event, when everything it set off has settled. */
  runUntil(time: number, check?: () => void): Promise<void>
  /** A machine's view of this world: its clock may run fast or slow, and it may be frozen for a while. */
  runtime(machine?: Machine): Runtime
}

export interface Machine {
  rate?: number
  offset?: number
  random?: () => number
  /** Until when the machine is frozen at `time`; `time` itself when it runs. */
  frozenUntil?: (time: number) => number
}

interface Event {
  at: number
  order: number
  run: () => void
}

export function createWorld(): World {
  let now = 0
  let order = 0
  const events: Event[] = []

  function at(time: number, run: () => void): () => void {
    const event = { at: Math.max(now, time), order: order++, run }
    events.push(event)
    return () => {
      const index = events.indexOf(event)
      if (index >= 0) events.splice(index, 1)
    }
  }

  return {
    now: () => now,
    at,
    async runUntil(time, check) {
      await settle()
      for (;;) {
        let next: Event | undefined
        for (const event of events) {
          if (!next || event.at < next.at || (event.at === next.at && event.order < next.order)) next = event
        }
        if (!next || next.at > time) break
        events.splice(events.indexOf(next), 1)
        now = next.at
        next.run()
        await settle()
        check?.()
      }
      now = time
    },
    runtime({ rate = 1, offset = 0, random = () => 0.5, frozenUntil = (time: number) => time } = {}) {
      return {
        now: () => 1_700_000_000_000 + now,
        monotonic: () => offset + now * rate,
        random,
        sleep: (ms, signal) =>
          new Promise((resolve, reject) => {
            if (signal?.aborted) return reject(signal.reason)
            const wake = frozenUntil(now + ms / rate)
            const cancel = at(wake, () => {
              signal?.removeEventListener('abort', onAbort)
              resolve()
            })
            const onAbort = () => {
              cancel()
              reject(signal?.reason)
            }
            signal?.addEventListener('abort', onAbort, { once: true })
          }),
      }
    },
  }
}

function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** A repeatable stream of numbers in [0, 1) (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}

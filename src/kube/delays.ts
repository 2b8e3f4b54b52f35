import type { Runtime } from '../runtime.ts'

/** Timers overflow above 2^31 ms and would fire at once; a longer wait is taken in parts. */
const longestSleepMs = 3_600_000

export interface Delays {
  /** Hands `key` out after `ms`, unless it is due earlier already. `urgent` is kept from any of the calls. */
  add(key: string, ms: number, urgent: boolean): void
  /** The key is not waited for any more. */
  remove(key: string): void
  readonly size: number
  stop(): void
}

interface Waiting {
  key: string
  at: number
  urgent: boolean
}

/** Keys that wait for their time, each at most once; one timer for all of them. */
export function createDelays(runtime: Runtime, onDue: (key: string, urgent: boolean) => void): Delays {
  // A binary heap by `at`. An entry that was moved or removed leaves a stale copy, skipped when it surfaces.
  const heap: Waiting[] = []
  const current = new Map<string, Waiting>()
  let timer: { at: number; abort: AbortController } | undefined
  let stopped = false

  function push(entry: Waiting): void {
    let at = heap.push(entry) - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (heap[parent]!.at <= entry.at) break
      heap[at] = heap[parent]!
      at = parent
    }
    heap[at] = entry
  }

  function pop(): Waiting {
    const top = heap[0]!
    const last = heap.pop()!
    if (heap.length === 0) return top
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && heap[child + 1]!.at < heap[child]!.at) child += 1
      if (heap[child]!.at >= last.at) break
      heap[at] = heap[child]!
      at = child
    }
    heap[at] = last
    return top
  }

  /** Stale copies of far times must not pile up. */
  function sweep(): void {
    if (heap.length <= 2 * current.size + 64) return
    heap.length = 0
    for (const entry of current.values()) push(entry)
  }

  function release(): void {
    while (heap.length > 0 && heap[0]!.at <= runtime.monotonic()) {
      const entry = pop()
      if (current.get(entry.key) !== entry) continue
      current.delete(entry.key)
      onDue(entry.key, entry.urgent)
    }
    arm()
  }

  function arm(): void {
    const next = heap[0]
    if (stopped || !next || (timer && timer.at <= next.at)) return
    timer?.abort.abort(superseded)
    const mine = { at: next.at, abort: new AbortController() }
    timer = mine
    const ms = Math.min(longestSleepMs, Math.max(0, next.at - runtime.monotonic()))
    runtime.sleep(ms, mine.abort.signal).then(
      () => {
        if (timer !== mine) return
        timer = undefined
        release()
      },
      () => {},
    )
  }

  return {
    add(key, ms, urgent) {
      if (stopped) return
      const at = runtime.monotonic() + ms
      const known = current.get(key)
      if (known && known.at <= at) {
        known.urgent ||= urgent
        return
      }
      const entry = { key, at, urgent: urgent || (known?.urgent ?? false) }
      current.set(key, entry)
      push(entry)
      sweep()
      arm()
    },
    remove: (key) => void current.delete(key),
    get size() {
      return current.size
    },
    stop() {
      stopped = true
      heap.length = 0
      current.clear()
      timer?.abort.abort(superseded)
      timer = undefined
    },
  }
}

const superseded = new Error('an earlier key waits now')

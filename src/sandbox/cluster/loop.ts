import type { Runtime } from '../../runtime.ts'

/** A controller's queue of keys: each key is reconciled at most once at a time, after the writes that named it. */
export interface Loop {
  /** Asks for a reconcile of the key, `afterMs` from now when given. */
  add(key: string, afterMs?: number): void
  /** True while a key waits to be reconciled without delay. */
  busy(): boolean
  stop(): void
}

// One reason for all: an abort without one makes a DOMException with a stack each time.
const SUPERSEDED = new Error('no longer waited for')

/**
 * Runs `reconcile` for every added key, off the caller's stack, so that a handler of storage events never re-enters storage.
 * A reconcile that throws (a conflict, an admission policy that refuses) is tried again with exponential backoff up to 30 s.
 * @param reconcile may answer milliseconds after which it wants to look again
 */
export function createLoop(runtime: Runtime, reconcile: (key: string) => number | undefined): Loop {
  const dirty = new Set<string>()
  const failures = new Map<string, number>()
  const delayed = new Map<string, { dueMs: number; cancel: AbortController }>()
  let scheduled: NodeJS.Immediate | undefined
  let stopped = false

  function addAfter(key: string, afterMs: number): void {
    const dueMs = runtime.monotonic() + afterMs
    const earlier = delayed.get(key)
    if (earlier && earlier.dueMs <= dueMs) return
    earlier?.cancel.abort(SUPERSEDED)
    const entry = { dueMs, cancel: new AbortController() }
    delayed.set(key, entry)
    runtime.sleep(afterMs, entry.cancel.signal).then(
      () => {
        if (delayed.get(key) === entry) delayed.delete(key)
        add(key)
      },
      () => undefined,
    )
  }

  function add(key: string, afterMs = 0): void {
    if (stopped) return
    if (afterMs > 0) {
      addAfter(key, afterMs)
      return
    }
    dirty.add(key)
    scheduled ??= setImmediate(drain)
  }

  function drain(): void {
    scheduled = undefined
    const batch = [...dirty]
    dirty.clear()
    for (const key of batch) {
      if (stopped) return
      try {
        const again = reconcile(key)
        failures.delete(key)
        if (again !== undefined) add(key, Math.max(1, again))
      } catch {
        const count = (failures.get(key) ?? 0) + 1
        failures.set(key, count)
        add(key, Math.min(30_000, 5 * 2 ** count))
      }
    }
  }

  return {
    add,
    busy: () => dirty.size > 0,
    stop() {
      stopped = true
      if (scheduled) clearImmediate(scheduled)
      for (const { cancel } of delayed.values()) cancel.abort(SUPERSEDED)
      delayed.clear()
      dirty.clear()
    },
  }
}

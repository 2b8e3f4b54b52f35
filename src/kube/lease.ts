import type { Runtime } from '../runtime.ts'
import type { KubeClient } from './client.ts'
import { asKubeError } from './kube-error.ts'
import { heldLease, microTime, readLease, releasedLease } from './lease-record.ts'
import type { KubeObject, ObjectKey } from './object.ts'
import type { KubeLog } from './reflector.ts'
import { resources } from './resources.ts'

export interface ElectorOptions {
  client: Pick<KubeClient, 'get' | 'create' | 'replace'>
  runtime: Runtime
  log: KubeLog
  lease: Required<ObjectKey>
  /** Unique per process start (pod name plus something random): two processes with one identity both lead. */
  identity: string
  /** Others wait this long after the last renewal they saw. Whole seconds. Default 15 s. */
  leaseDurationMs?: number
  /** The leader stops acting this long after it sent its last successful renewal. Default 10 s. */
  renewDeadlineMs?: number
  /** Between renewals, and between a candidate's looks. Default 2 s. */
  retryPeriodMs?: number
  onElected?: () => void
  /** Leadership was lost (never called by `stop`); nothing is renewed meanwhile. When it resolves, this process is a candidate again. */
  onLost?: (reason: string) => void | Promise<void>
}

export interface Elector {
  start(): void
  /**
   * True while this process may act. Call it right before each guarded write, without awaiting anything in between:
   * it looks at the monotonic clock, so a process that was suspended finds out here.
   */
  isLeaderNow(): boolean
  /** Who holds the lease, as last seen; undefined when nobody does or nothing was seen yet. */
  holder(): string | undefined
  /**
   * Ends the candidacy. A leader runs `finish` (let guarded work end) while it still renews, and only then releases the
   * lease, so that a successor can start at once without ever overlapping.
   */
  stop(finish?: () => Promise<void>): Promise<void>
}

/**
 * Leader election on a Lease, after client-go (tools/leaderelection).
 *
 * Why two leaders do not act at once: the holder counts from *before* it sends a renewal and stops after
 * `renewDeadlineMs`; a candidate counts from *after* it has seen the record change and waits `leaseDurationMs`. Wall clocks
 * are never compared. That holds while the two monotonic clocks run at rates within `leaseDurationMs / renewDeadlineMs`, and
 * nobody deletes the Lease. A write that was permitted just before the deadline has `leaseDurationMs - renewDeadlineMs`
 * to land: keep write timeouts below that. It is no fencing: guarded writes carry a resourceVersion as well.
 */
export function createElector(options: ElectorOptions): Elector {
  const { client, runtime, log, lease, identity } = options
  const { leaseDurationMs = 15_000, renewDeadlineMs = 10_000, retryPeriodMs = 2_000 } = options
  checkTimings(leaseDurationMs, renewDeadlineMs, retryPeriodMs)
  const stopped = new AbortController()
  let leading = false
  /** Leading is permitted before this monotonic time. */
  let until = Number.NEGATIVE_INFINITY
  /** The Lease as last read or written. */
  let known: KubeObject | undefined
  /** What the record said, and since when we have seen it say so. */
  let observed = { record: '', at: 0 }
  let sequence = 0
  let stopping = false
  let running: Promise<void> | undefined

  function observe(fresh: KubeObject | undefined): void {
    known = fresh
    const record = JSON.stringify(fresh?.spec ?? null)
    if (record !== observed.record) observed = { record, at: runtime.monotonic() }
  }

  /** Writes the Lease with us as its holder. The write succeeds only if nobody wrote since `known`. */
  async function claim(signal: AbortSignal, timeoutMs: number): Promise<void> {
    const renewTime = microTime(runtime.now(), sequence++)
    const object = heldLease(lease, known, { holder: identity, durationMs: leaseDurationMs, renewTime })
    const sent = runtime.monotonic()
    const write = { fieldManager: 'sluice', signal, timeoutMs }
    const saved = known
      ? await client.replace(resources.leases, object, write)
      : await client.create(resources.leases, object, write)
    // An answer that comes after we were given up on must not make us leader.
    signal.throwIfAborted()
    observe(saved)
    until = sent + renewDeadlineMs
  }

  /** Runs `action`, but gives up on it after `ms`, whether it minds its signal or not. */
  async function within<T>(ms: number, action: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const attempt = new AbortController()
    const timer = new AbortController()
    const late = runtime.sleep(ms, timer.signal).then(
      () => Promise.reject(new Error(`no answer within ${Math.round(ms)} ms`)),
      () => Promise.reject(stopped.signal.reason),
    )
    late.catch(() => {})
    const onStop = () => timer.abort(stopped.signal.reason)
    stopped.signal.addEventListener('abort', onStop, { once: true })
    try {
      stopped.signal.throwIfAborted()
      return await Promise.race([action(attempt.signal), late])
    } finally {
      stopped.signal.removeEventListener('abort', onStop)
      attempt.abort(new Error('the election request is over'))
      timer.abort(new Error('answered'))
    }
  }

  async function refresh(timeoutMs: number): Promise<void> {
    await within(timeoutMs, async (signal) => {
      const fresh = await client.get(resources.leases, lease, { signal })
      signal.throwIfAborted()
      observe(fresh)
    })
  }

  const requestMs = Math.min(5_000, renewDeadlineMs / 2)

  /** One candidate's look; returns how long to wait for the next one. */
  async function tryToAcquire(): Promise<number> {
    await refresh(requestMs)
    const record = known && readLease(known)
    if (record && record.holder !== '' && record.holder !== identity) {
      const left = observed.at + (record.durationMs ?? leaseDurationMs) - runtime.monotonic()
      if (left > 0) return Math.min(left, retryPeriodMs * (1 + 0.2 * runtime.random()))
    }
    if (stopping) return retryPeriodMs
    await within(requestMs, (signal) => claim(signal, requestMs))
    leading = true
    log.info({ lease: lease.name, identity }, 'elected leader')
    guarded('onElected', options.onElected)
    return retryPeriodMs
  }

  /** Renews once; returns why leadership is gone, if it is. */
  async function renew(): Promise<string | undefined> {
    const left = () => until - runtime.monotonic()
    try {
      if (left() > 0) await within(Math.min(requestMs, left()), (signal) => claim(signal, Math.min(requestMs, left())))
    } catch (error) {
      const refusal = asKubeError(error)
      if (!stopped.signal.aborted) log.warn({ lease: lease.name, err: error }, 'lease not renewed')
      if (refusal && left() > 0 && (refusal.status === 409 || refusal.isNotFound)) {
        await refresh(Math.min(requestMs, left())).catch(() => {})
        const holder = known && readLease(known).holder
        if (holder !== undefined && holder !== identity)
          return holder ? `"${holder}" holds the lease` : 'the lease was released'
        // Still ours: someone touched the object, or a renewal landed after we had given it up. Try again at once.
        if (left() > 0) await within(Math.min(requestMs, left()), (signal) => claim(signal, requestMs)).catch(() => {})
      }
    }
    return left() > 0 ? undefined : `the lease was not renewed within ${renewDeadlineMs} ms`
  }

  async function lose(reason: string): Promise<void> {
    leading = false
    until = Number.NEGATIVE_INFINITY
    log.warn({ lease: lease.name, identity, reason }, 'leadership lost')
    try {
      await options.onLost?.(reason)
    } catch (error) {
      log.error({ err: error }, 'onLost failed')
    }
  }

  function guarded(name: string, callback: (() => void) | undefined): void {
    try {
      callback?.()
    } catch (error) {
      log.error({ err: error }, `${name} failed`)
    }
  }

  async function campaign(): Promise<void> {
    let wait = 0
    while (!stopped.signal.aborted) {
      try {
        await runtime.sleep(leading ? Math.max(0, Math.min(wait, until - runtime.monotonic())) : wait, stopped.signal)
        if (leading) {
          const lost = await renew()
          if (lost !== undefined && !stopped.signal.aborted) await lose(lost)
          wait = leading ? retryPeriodMs : 0
        } else {
          wait = await tryToAcquire()
        }
      } catch (error) {
        if (stopped.signal.aborted) return
        log.warn({ lease: lease.name, err: error }, 'looking at the lease failed')
        wait = retryPeriodMs * (1 + 0.2 * runtime.random())
      }
    }
  }

  const isLeaderNow = () => leading && runtime.monotonic() < until

  return {
    start() {
      running ??= campaign()
    },
    isLeaderNow,
    holder: () => (known && readLease(known).holder) || undefined,
    async stop(finish) {
      stopping = true
      try {
        await finish?.()
      } finally {
        stopped.abort(new Error('The elector was stopped.'))
        await running
        const held = isLeaderNow() ? known : undefined
        leading = false
        if (held) {
          const object = releasedLease(held, microTime(runtime.now(), sequence++))
          const write = { fieldManager: 'sluice', timeoutMs: requestMs }
          // A successor waits a lease duration longer if this fails; nothing else is lost.
          await client.replace(resources.leases, object, write).catch((error: unknown) => {
            log.warn({ lease: lease.name, err: error }, 'lease not released')
          })
        }
      }
    },
  }
}

function checkTimings(leaseDurationMs: number, renewDeadlineMs: number, retryPeriodMs: number): void {
  if (leaseDurationMs < 1000 || leaseDurationMs % 1000 !== 0) {
    throw new RangeError(`The lease duration must be whole seconds, not ${leaseDurationMs} ms.`)
  }
  if (renewDeadlineMs >= leaseDurationMs) {
    throw new RangeError(
      `The renew deadline (${renewDeadlineMs} ms) must be shorter than the lease (${leaseDurationMs} ms).`,
    )
  }
  if (retryPeriodMs <= 0 || renewDeadlineMs <= 1.2 * retryPeriodMs) {
    throw new RangeError(
      `The renew deadline (${renewDeadlineMs} ms) must exceed 1.2 retry periods (${retryPeriodMs} ms).`,
    )
  }
}

import { randomUUID } from 'node:crypto'
import type { Runtime } from '../runtime.ts'
import { type BackoffOptions, delayOf } from './backoff.ts'
import type { KubeClient } from './client.ts'
import { type CorrelationOptions, createCorrelator, createLru } from './event-correlation.ts'
import { type EventInput, type EventRecord, eventObject } from './event-message.ts'
import { asKubeError } from './kube-error.ts'
import type { ObjectKey } from './object.ts'
import type { KubeLog } from './reflector.ts'
import { resources } from './resources.ts'

export interface EventRecorderOptions {
  client: Pick<KubeClient, 'create' | 'patch'>
  runtime: Runtime
  log: KubeLog
  /** Shown by `kubectl describe` as the source. Default `sluice`. */
  component?: string
  /** This process, for example the pod's name. */
  instance: string
  correlation?: Partial<CorrelationOptions>
  /** Events that wait to be written; further ones are dropped. Default 1000. */
  maxQueue?: number
  /** Attempts per event. Default 5. */
  attempts?: number
  backoff?: BackoffOptions
}

/** Writes Kubernetes Events in the background. Events are a courtesy: they may be dropped, and they delay and break nothing. */
export interface EventRecorder {
  /** Never throws and never waits. */
  record(event: EventInput): void
  /** Events not written: filtered as spam, or because the queue was full or the server refused. */
  readonly dropped: number
  /** Resolves when what was recorded so far is written or dropped. */
  flush(): Promise<void>
  /** Stops writing at once. */
  stop(): Promise<void>
}

interface Written {
  key: ObjectKey
  count: number
}

export function createEventRecorder(options: EventRecorderOptions): EventRecorder {
  const { client, runtime, log, component = 'sluice', instance, maxQueue = 1000, attempts = 5 } = options
  const { backoff = { initialMs: 200, maxMs: 10_000 } } = options
  const correlate = createCorrelator(options.correlation)
  const written = createLru<Written>(4096)
  const stopped = new AbortController()
  const queue: { record: EventRecord; key: string; at: string }[] = []
  const source = { component, instance }
  let dropped = 0
  let writing: Promise<void> | undefined

  async function write({ record, key, at }: (typeof queue)[number]): Promise<void> {
    const known = written.get(key)
    if (known) {
      const body = { count: known.count + 1, lastTimestamp: at, message: record.message }
      try {
        const patch = { type: 'merge', body } as const
        await client.patch(resources.events, known.key, patch, { fieldManager: component, signal: stopped.signal })
        known.count += 1
        written.set(key, known)
        return
      } catch (error) {
        // Events expire, after an hour by default: begin a new one.
        if (!asKubeError(error)?.isNotFound) throw error
        written.delete(key)
      }
    }
    const object = eventObject(record, source, at, randomUUID())
    await client.create(resources.events, object, { fieldManager: component, signal: stopped.signal })
    const { namespace, name } = object.metadata
    written.set(key, { key: { namespace, name }, count: 1 })
  }

  async function writeAll(): Promise<void> {
    for (let next = queue.shift(); next && !stopped.signal.aborted; next = queue.shift()) {
      for (let attempt = 0; ; attempt++) {
        try {
          await write(next)
          break
        } catch (error) {
          if (stopped.signal.aborted) return
          const known = asKubeError(error)
          if (!known?.isTransient || attempt + 1 >= attempts) {
            dropped += 1
            const { reason, target } = next.record
            log.warn({ err: error, reason, kind: target.kind, name: target.name }, 'event not written')
            break
          }
          const ms = Math.max(delayOf(backoff, attempt, runtime.random), known.retryAfterMs ?? 0)
          await runtime.sleep(ms, stopped.signal).catch(() => {})
        }
      }
    }
  }

  function kick(): void {
    writing ??= writeAll().finally(() => {
      writing = undefined
      // Something may have been recorded after the last look into the queue.
      if (queue.length > 0 && !stopped.signal.aborted) kick()
    })
  }

  return {
    record(event) {
      try {
        if (stopped.signal.aborted) return
        const correlated = correlate(event, runtime.monotonic())
        if (!correlated || queue.length >= maxQueue) {
          dropped += 1
          return
        }
        queue.push({ ...correlated, at: new Date(runtime.now()).toISOString().replace(/\.\d+Z$/, 'Z') })
        kick()
      } catch (error) {
        dropped += 1
        log.error({ err: error }, 'event not recorded')
      }
    },
    get dropped() {
      return dropped
    },
    async flush() {
      while (writing) await writing
    },
    async stop() {
      stopped.abort(new Error('The event recorder was stopped.'))
      await writing
    },
  }
}

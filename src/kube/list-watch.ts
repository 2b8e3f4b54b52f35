import type { Runtime } from '../runtime.ts'
import { type BackoffOptions, createBackoff } from './backoff.ts'
import type { KubeClient, WatchEvent } from './client.ts'
import { asKubeError, type KubeError } from './kube-error.ts'
import { type KubeObject, keyOf, type Resource } from './object.ts'

export interface ListWatchTimings {
  /** Objects per page of a list. */
  pageSize: number
  /** A watch is asked to end after between one and two times this long, in seconds. */
  watchSeconds: number
  /** Silence after which a watch counts as dead; bookmarks come about once a minute. */
  silenceMs: number
  /** A watch that lived this long proves that the server is well again: backoff starts over. */
  steadyMs: number
  backoff: BackoffOptions
}

export const defaultTimings: ListWatchTimings = {
  pageSize: 500,
  watchSeconds: 300,
  silenceMs: 100_000,
  steadyMs: 10_000,
  backoff: { initialMs: 250, maxMs: 30_000, jitter: 1 },
}

export interface ListWatchOptions {
  client: Pick<KubeClient, 'list' | 'watch'>
  runtime: Runtime
  /** Asked before every list, so that a CRD that appears later, or at another version, is found. */
  resource: () => Promise<Resource | undefined>
  namespace?: string
  labelSelector?: string
  fieldSelector?: string
  timings: ListWatchTimings
  signal: AbortSignal
  /** An object as it is now. */
  onObject(object: KubeObject): void
  /** The object with this key is gone. */
  onGone(key: string): void
  /** A list is complete: these keys exist, and no others. */
  onListed(keys: ReadonlySet<string>): void
  /** The server was heard from: an event, a bookmark, a page. */
  onActivity(): void
  /** Something failed and will be tried again after `retryMs`. `missing`: the cluster does not serve the resource. */
  onTrouble(trouble: Trouble): void
}

export type Trouble =
  | { kind: 'missing'; retryMs: number }
  | { kind: 'expired'; retryMs: number; error: KubeError }
  | { kind: 'failed'; retryMs: number; error: unknown }

/**
 * Lists, then watches, for ever: the protocol of client-go's Reflector. A broken or ended watch resumes from the last
 * resourceVersion seen; only when that is too old (410), or the stream cannot be understood twice in a row, everything is
 * listed again. The caller compares keys after a list, so deletions missed meanwhile come out.
 * Resolves when `signal` is aborted, and never rejects.
 */
export async function listAndWatch(options: ListWatchOptions): Promise<void> {
  const { client, runtime, timings, signal } = options
  const backoff = createBackoff(timings.backoff, runtime.random)
  let resource: Resource | undefined
  let version: string | undefined
  let unintelligible = 0
  let paginate = true
  let watchStarted = Number.POSITIVE_INFINITY

  async function list(of: Resource): Promise<string> {
    const { namespace, labelSelector, fieldSelector } = options
    const seen = new Set<string>()
    let first: string | undefined
    let token: string | undefined
    do {
      const page = await client.list(of, {
        namespace,
        labelSelector,
        fieldSelector,
        signal,
        continue: token,
        limit: paginate ? timings.pageSize : undefined,
      })
      signal.throwIfAborted()
      options.onActivity()
      for (const object of page.items) {
        seen.add(keyOf(object))
        options.onObject(object)
      }
      // The first page's version: should later pages be newer, the watch repeats what they showed.
      first ??= page.resourceVersion
      token = page.continue
    } while (token !== undefined)
    options.onListed(seen)
    return first
  }

  async function watch(of: Resource, from: string): Promise<void> {
    const { namespace, labelSelector, fieldSelector } = options
    watchStarted = runtime.monotonic()
    let events = 0
    for await (const event of client.watch(of, {
      namespace,
      labelSelector,
      fieldSelector,
      signal,
      resourceVersion: from,
      timeoutSeconds: Math.ceil(timings.watchSeconds * (1 + runtime.random())),
      silenceMs: timings.silenceMs,
      onOpen: options.onActivity,
    })) {
      signal.throwIfAborted()
      events += 1
      unintelligible = 0
      backoff.reset()
      options.onActivity()
      deliver(event)
      version = event.object.metadata.resourceVersion ?? version
    }
    options.onActivity()
    // A server that accepts watches only to end them at once must not be asked in a tight loop.
    if (events === 0 && runtime.monotonic() - watchStarted < 1_000) await runtime.sleep(backoff.next(), signal)
  }

  function deliver(event: WatchEvent): void {
    if (event.type === 'DELETED') options.onGone(keyOf(event.object))
    else if (event.type !== 'BOOKMARK') options.onObject(event.object)
  }

  async function recover(error: unknown): Promise<void> {
    const known = asKubeError(error)
    if (runtime.monotonic() - watchStarted > timings.steadyMs) backoff.reset()
    watchStarted = Number.POSITIVE_INFINITY
    const retryMs = Math.max(backoff.next(), known?.retryAfterMs ?? 0)
    if (known?.isNotFound) {
      version = undefined
      resource = undefined
      options.onTrouble({ kind: 'missing', retryMs })
    } else if (known && (known.isGone || isFromTheFuture(known))) {
      // During a list, the continue token expired: read everything in one page this time, as client-go does.
      paginate = version !== undefined
      version = undefined
      options.onTrouble({ kind: 'expired', retryMs, error: known })
    } else {
      if (known?.reason === 'BadResponse' && ++unintelligible >= 2) version = undefined
      options.onTrouble({ kind: 'failed', retryMs, error })
    }
    await runtime.sleep(retryMs, signal)
  }

  while (!signal.aborted) {
    try {
      if (resource === undefined || version === undefined) {
        resource = await options.resource()
        if (resource === undefined) {
          const retryMs = backoff.next()
          options.onTrouble({ kind: 'missing', retryMs })
          await runtime.sleep(retryMs, signal)
          continue
        }
        version = await list(resource)
        paginate = true
      }
      await watch(resource, version)
    } catch (error) {
      if (signal.aborted) return
      await recover(error).catch(() => {})
    }
  }
}

/** After a restore from backup our version is one the server has not reached: it says so with a 504 instead of a 410. */
function isFromTheFuture(error: KubeError): boolean {
  return error.details?.causes?.some((cause) => cause.reason === 'ResourceVersionTooLarge') ?? false
}

import type { Runtime } from '../runtime.ts'
import type { KubeClient } from './client.ts'
import { asKubeError } from './kube-error.ts'
import { defaultTimings, type ListWatchTimings, listAndWatch, type Trouble } from './list-watch.ts'
import { type KubeObject, keyOf, type Resource } from './object.ts'
import { resourceName } from './resources.ts'
import { createStore, type IndexFunction } from './store.ts'

/** The part of a logger that a reflector needs; pino's order of arguments. */
export interface KubeLog {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

export interface ReflectorOptions {
  client: Pick<KubeClient, 'list' | 'watch'>
  /** A function where the served version must be discovered first; undefined from it means not installed (yet). */
  resource: Resource | (() => Promise<Resource | undefined>)
  /** For messages, where `resource` is a function. */
  name?: string
  /** The namespaces to follow; all of them when left out. */
  namespaces?: readonly string[]
  labelSelector?: string
  fieldSelector?: string
  runtime: Runtime
  /**
   * Slims an object before it is kept; undefined: it is not kept, as if it were not there. Default: drops managedFields and kubectl's
   * last-applied annotation.
   */
  transform?: (object: KubeObject) => KubeObject | undefined
  /** Told about every change after it is in the cache; undefined means gone. What it throws is logged, and nothing else happens. */
  onChange?: (key: string, object: KubeObject | undefined, previous: KubeObject | undefined) => void
  log: KubeLog
  timings?: Partial<ListWatchTimings>
}

/** A copy of a collection that follows the server. Objects in it are shared: never change them. */
export interface Reflector {
  start(): void
  /** Resolves when nothing runs any more; the cache stays readable. */
  stop(): Promise<void>
  /** Resolves once everything has been listed; rejects when stopped before. */
  readonly synced: Promise<void>
  hasSynced(): boolean
  /** By `namespace/name`, or name for cluster-scoped objects. */
  get(key: string): KubeObject | undefined
  list(): KubeObject[]
  index(name: string, fn: IndexFunction): void
  byIndex(name: string, value: string): KubeObject[]
  /** Monotonic time at which the server was last heard from, of the scope heard from longest ago; undefined before the first answer. */
  lastActivity(): number | undefined
  /** True while the cluster does not serve the resource: its CRD is not installed. */
  isMissing(): boolean
  /**
   * While the server forbids to read the resource: what it says. Of what was listed before, only after 15 s: a server that has just
   * started refuses everybody until it has read its roles.
   */
  refusal(): string | undefined
}

const REFUSED_FOR_MS = 15_000

interface Scope {
  namespace: string | undefined
  listed: boolean
  missing: boolean
  refused: { since: number; message: string } | undefined
  lastActivity: number | undefined
}

/**
 * Follows one resource, in all namespaces or in some. A missing CRD is waited for; no error, no garbage from the server
 * and no exception from a handler ends it: only `stop()` does.
 */
export function createReflector(options: ReflectorOptions): Reflector {
  const { runtime, log, transform = slim } = options
  const timings = { ...defaultTimings, ...options.timings }
  const fixed = typeof options.resource === 'function' ? undefined : options.resource
  const resolve = typeof options.resource === 'function' ? options.resource : async () => fixed
  const name = options.name ?? (fixed ? resourceName(fixed) : 'resource')
  const store = createStore((index, key, error) =>
    log.error({ resource: name, index, key, err: error }, 'index failed'),
  )
  const scopes: Scope[] = [...new Set<string | undefined>(options.namespaces ?? [undefined])].map((namespace) => ({
    namespace,
    listed: false,
    missing: false,
    refused: undefined,
    lastActivity: undefined,
  }))
  const stopped = new AbortController()
  const synced = Promise.withResolvers<void>()
  synced.promise.catch(() => {})
  let running: Promise<unknown> | undefined

  function notify(key: string, object: KubeObject | undefined, previous: KubeObject | undefined): void {
    const failed = (error: unknown) => log.error({ resource: name, key, err: error }, 'change handler failed')
    try {
      const result: unknown = options.onChange?.(key, object, previous)
      if (result instanceof Promise) result.catch(failed)
    } catch (error) {
      failed(error)
    }
  }

  function keep(fresh: KubeObject): void {
    const key = keyOf(fresh)
    const previous = store.get(key)
    // Versions are opaque, but equal ones of one object mean equal content: a repeated list changes nothing.
    const { uid, resourceVersion } = fresh.metadata
    if (previous?.metadata.uid === uid && previous?.metadata.resourceVersion === resourceVersion) {
      if (resourceVersion !== undefined) return
    }
    const object = transformed(key, fresh)
    if (object === undefined) {
      drop(key)
      return
    }
    store.set(key, object)
    notify(key, object, previous)
  }

  function transformed(key: string, fresh: KubeObject): KubeObject | undefined {
    try {
      return transform(fresh)
    } catch (error) {
      log.error({ resource: name, key, err: error }, 'transform failed; the whole object is kept')
      return fresh
    }
  }

  function drop(key: string): void {
    const previous = store.get(key)
    if (!previous) return
    store.delete(key)
    notify(key, undefined, previous)
  }

  function onListed(scope: Scope, keys: ReadonlySet<string>): void {
    for (const key of [...store.keys()]) {
      if (keys.has(key)) continue
      if (scope.namespace === undefined || store.get(key)?.metadata.namespace === scope.namespace) drop(key)
    }
    if (scope.missing) log.info({ resource: name, namespace: scope.namespace }, 'the resource is served now')
    scope.missing = false
    scope.listed = true
    if (scopes.every((each) => each.listed)) synced.resolve()
  }

  function onTrouble(scope: Scope, trouble: Trouble): void {
    const fields = { resource: name, namespace: scope.namespace, retryMs: Math.round(trouble.retryMs) }
    if (trouble.kind === 'missing') {
      if (!scope.missing) log.warn(fields, 'the cluster does not serve this resource; waiting for its CRD')
      scope.missing = true
    } else if (trouble.kind === 'expired') {
      log.info(fields, 'the resource version is too old; listing again')
    } else {
      const known = asKubeError(trouble.error)
      const since = scope.refused?.since ?? runtime.monotonic()
      scope.refused = known?.isForbidden ? { since, message: known.message } : undefined
      log.warn({ ...fields, err: trouble.error }, 'list or watch failed; trying again')
    }
  }

  function follow(scope: Scope): Promise<void> {
    return listAndWatch({
      client: options.client,
      runtime,
      resource: resolve,
      namespace: scope.namespace,
      labelSelector: options.labelSelector,
      fieldSelector: options.fieldSelector,
      timings,
      signal: stopped.signal,
      onObject: keep,
      onGone: drop,
      onListed: (keys) => onListed(scope, keys),
      onActivity: () => {
        scope.refused = undefined
        scope.lastActivity = runtime.monotonic()
      },
      onTrouble: (trouble) => onTrouble(scope, trouble),
    })
  }

  return {
    start() {
      if (stopped.signal.aborted) throw new Error(`The reflector of ${name} was stopped; create another.`)
      if (scopes.length === 0) synced.resolve()
      running ??= Promise.all(scopes.map(follow))
    },
    async stop() {
      stopped.abort(new Error(`The reflector of ${name} was stopped.`))
      synced.reject(stopped.signal.reason)
      await running
    },
    synced: synced.promise,
    hasSynced: () => scopes.every((scope) => scope.listed),
    get: store.get,
    list: store.list,
    index: store.index,
    byIndex: store.byIndex,
    lastActivity() {
      let oldest: number | undefined = Number.POSITIVE_INFINITY
      for (const { lastActivity } of scopes) {
        if (lastActivity === undefined) return undefined
        oldest = Math.min(oldest, lastActivity)
      }
      return oldest
    },
    isMissing: () => scopes.some((scope) => scope.missing),
    refusal() {
      const since = runtime.monotonic() - REFUSED_FOR_MS
      return scopes.find(({ listed, refused }) => refused && (!listed || refused.since <= since))?.refused?.message
    },
  }
}

const lastApplied = 'kubectl.kubernetes.io/last-applied-configuration'

/** The object without managedFields and kubectl's copy of the manifest: often half of its size, and read by nobody here. */
export function slim(object: KubeObject): KubeObject {
  const { managedFields: _fields, ...metadata } = object.metadata
  if (metadata.annotations && lastApplied in metadata.annotations) {
    const { [lastApplied]: _copy, ...annotations } = metadata.annotations
    return { ...object, metadata: { ...metadata, annotations } }
  }
  return { ...object, metadata }
}

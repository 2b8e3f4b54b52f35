import type { Runtime } from '../runtime.ts'
import type { KubeConnection } from './connection.ts'
import { createDiscovery } from './discovery.ts'
import type { KubeObject, ObjectKey, Resource } from './object.ts'
import { contentTypes, describeTarget, encodePatch, objectPath, writeQuery } from './request.ts'
import { parseList, parseObject } from './response.ts'
import { createTransport, type RequestInfo } from './transport.ts'
import { watchStream } from './watch.ts'

export interface KubeList {
  items: KubeObject[]
  /** Version of the whole collection: where a watch takes over. */
  resourceVersion: string
  /** Present when more pages follow. */
  continue?: string
}

/** One change seen by a watch. A BOOKMARK carries only `metadata.resourceVersion`. */
export interface WatchEvent {
  type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK'
  object: KubeObject
}

export interface GetOptions {
  signal?: AbortSignal
}

export interface ListOptions {
  /** All namespaces when left out. */
  namespace?: string
  labelSelector?: string
  fieldSelector?: string
  limit?: number
  continue?: string
  resourceVersion?: string
  signal?: AbortSignal
}

export interface WatchOptions {
  namespace?: string
  labelSelector?: string
  fieldSelector?: string
  resourceVersion: string
  /** The server ends the watch after this long. */
  timeoutSeconds: number
  /** Without a single byte for this long (events, bookmarks), the connection is taken for dead. Default 100 s. */
  silenceMs?: number
  /** The server has let us in; the first event may be long in coming. */
  onOpen?: () => void
  signal: AbortSignal
}

export interface WriteOptions {
  subresource?: 'status' | 'scale'
  fieldManager?: string
  dryRun?: boolean
  fieldValidation?: 'Strict' | 'Warn' | 'Ignore'
  timeoutMs?: number
  signal?: AbortSignal
  /** Act as this user: needs the `impersonate` verb. Service accounts get their groups from the server. */
  impersonate?: { user: string; groups?: string[] }
}

export interface JsonPatchOperation {
  op: 'test' | 'add' | 'replace' | 'remove' | 'move' | 'copy'
  path: string
  value?: unknown
  from?: string
}

/** The four patch types of the API. A strategic merge works on built-in kinds only. */
export type Patch =
  | { type: 'json'; ops: JsonPatchOperation[] }
  | { type: 'merge'; body: object }
  | { type: 'strategic'; body: object }
  | { type: 'apply'; body: object; force?: boolean }

export interface DeleteOptions {
  propagationPolicy?: 'Background' | 'Foreground' | 'Orphan'
  preconditions?: { uid?: string; resourceVersion?: string }
  timeoutMs?: number
  signal?: AbortSignal
  impersonate?: { user: string; groups?: string[] }
}

export interface RequestOptions {
  body?: unknown
  contentType?: string
  accept?: string
  timeoutMs?: number
  signal?: AbortSignal
}

/**
 * A small client of the Kubernetes API. Objects are plain JSON: fields nobody here knows survive a read and a write.
 * Every failure is a `KubeError`, except that an aborted `signal` rejects with the signal's own reason.
 * Nothing is retried, with two exceptions that cannot act twice: a read whose pooled connection turned out
 * to be dead, and a request refused with 401, after the credentials were read again.
 */
export interface KubeClient {
  /** The object, or undefined when it does not exist (or its CRD does not). */
  get(resource: Resource, key: ObjectKey, options?: GetOptions): Promise<KubeObject | undefined>
  /** One page (all of it without `limit`). Items carry apiVersion and kind, which the server leaves out. */
  list(resource: Resource, options?: ListOptions): Promise<KubeList>
  /**
   * Changes since `resourceVersion`, bookmarks included. Ends when the server ends the watch; throws a KubeError
   * (`isGone` when the version is too old) when it breaks, falls silent or reports an error.
   */
  watch(resource: Resource, options: WatchOptions): AsyncIterable<WatchEvent>
  create(resource: Resource, object: KubeObject, options?: WriteOptions): Promise<KubeObject>
  /** Replaces the whole object; with a `metadata.resourceVersion` that is not the newest it fails with a conflict. */
  replace(resource: Resource, object: KubeObject, options?: WriteOptions): Promise<KubeObject>
  patch(
    resource: Resource,
    key: ObjectKey,
    patch: Patch,
    options: WriteOptions & { fieldManager: string },
  ): Promise<KubeObject>
  /** Resolves when the deletion was accepted; an object that does not exist is deleted already. */
  delete(resource: Resource, key: ObjectKey, options?: DeleteOptions): Promise<void>
  /** The resource that serves a kind, or undefined when the cluster does not know it. Cached; looked up again on a miss. */
  resourceFor(apiVersion: string, kind: string): Promise<Resource | undefined>
  /** Any other path. Answers with parsed JSON, or text where the server does not send JSON. */
  request(method: string, path: string, options?: RequestOptions): Promise<unknown>
  /** Closes idle connections; requests under way finish. */
  close(): void
}

export interface ClientConfig {
  connection: KubeConnection
  runtime: Runtime
  /** Sent as User-Agent; the server derives a field manager from it where none is given. */
  userAgent?: string
  /** Milliseconds until an unanswered request fails. Writes are short, so that a deposed leader's last one is. */
  timeouts?: { readMs?: number; listMs?: number; writeMs?: number }
  /** Called once per request when it is over; must not throw. */
  onRequest?: (info: RequestInfo) => void
}

/** A client on one pool of connections. Does not talk to the server before the first call. */
export function connect(config: ClientConfig): KubeClient {
  const { readMs = 10_000, listMs = 60_000, writeMs = 4_000 } = config.timeouts ?? {}
  const transport = createTransport(config)
  const discovery = createDiscovery({
    runtime: config.runtime,
    fetch: (path) => transport.json({ verb: 'get', method: 'GET', path, target: path, timeoutMs: readMs }),
  })

  async function write(
    verb: 'create' | 'update' | 'patch' | 'apply',
    method: string,
    resource: Resource,
    key: Partial<ObjectKey>,
    payload: { body: unknown; contentType: string; force?: boolean },
    options: WriteOptions,
  ): Promise<KubeObject> {
    const timeoutMs = options.timeoutMs ?? writeMs
    const target = describeTarget(resource, key, options.subresource)
    const answer = await transport.json({
      verb,
      method,
      resource,
      target,
      timeoutMs,
      path: objectPath(resource, key, options.subresource) + writeQuery(options, timeoutMs, payload.force),
      body: payload.body,
      contentType: payload.contentType,
      signal: options.signal,
      impersonate: options.impersonate,
    })
    return parseObject(answer, target)
  }

  return {
    async get(resource, key, options = {}) {
      const target = describeTarget(resource, key)
      const answer = await transport.json({
        verb: 'get',
        method: 'GET',
        resource,
        target,
        path: objectPath(resource, key),
        timeoutMs: readMs,
        signal: options.signal,
        missing: 'undefined',
      })
      return answer === undefined ? undefined : parseObject(answer, target)
    },

    async list(resource, options = {}) {
      const { namespace, signal, limit, ...rest } = options
      const target = describeTarget(resource, { namespace })
      const answer = await transport.json({
        verb: 'list',
        method: 'GET',
        resource,
        target,
        path: objectPath(resource, { namespace }, undefined, { ...rest, limit: limit?.toString() }),
        timeoutMs: listMs,
        signal,
      })
      return parseList(answer, resource, target)
    },

    watch(resource, options) {
      return watchStream(transport, config.runtime, resource, options)
    },

    create(resource, object, options = {}) {
      const key = { namespace: object.metadata.namespace }
      return write('create', 'POST', resource, key, { body: object, contentType: contentTypes.json }, options)
    },

    replace(resource, object, options = {}) {
      const { namespace, name } = object.metadata
      const payload = { body: object, contentType: contentTypes.json }
      return write('update', 'PUT', resource, { namespace, name }, payload, options)
    },

    patch(resource, key, patch, options) {
      const verb = patch.type === 'apply' ? 'apply' : 'patch'
      return write(verb, 'PATCH', resource, key, encodePatch(patch), options)
    },

    async delete(resource, key, options = {}) {
      const { propagationPolicy, preconditions } = options
      const timeoutMs = options.timeoutMs ?? writeMs
      await transport.json({
        verb: 'delete',
        method: 'DELETE',
        resource,
        target: describeTarget(resource, key),
        path: objectPath(resource, key) + writeQuery({}, timeoutMs),
        body: { apiVersion: 'v1', kind: 'DeleteOptions', propagationPolicy, preconditions },
        contentType: contentTypes.json,
        timeoutMs,
        signal: options.signal,
        impersonate: options.impersonate,
        missing: 'undefined',
      })
    },

    resourceFor: discovery.resourceFor,

    request(method, path, options = {}) {
      const read = method === 'GET' || method === 'HEAD'
      return transport.json({
        verb: method.toLowerCase(),
        method,
        path,
        target: path,
        body: options.body,
        contentType: options.contentType ?? (options.body === undefined ? undefined : contentTypes.json),
        accept: options.accept,
        timeoutMs: options.timeoutMs ?? (read ? readMs : writeMs),
        signal: options.signal,
        textAllowed: true,
      })
    },

    close: transport.close,
  }
}

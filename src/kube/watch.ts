import type { Runtime } from '../runtime.ts'
import type { WatchEvent, WatchOptions } from './client.ts'
import { asKubeError, KubeError } from './kube-error.ts'
import type { KubeObject, Resource } from './object.ts'
import { describeTarget, objectPath } from './request.ts'
import { badResponse, errorFromStatus, isRecord } from './response.ts'
import type { Transport } from './transport.ts'

/** Objects are limited to about 3 MB by etcd; a line this long is not a watch event. */
const maxLineBytes = 32 * 1024 * 1024
const newline = 10

/** The events of one watch request. The protocol: https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes */
export async function* watchStream(
  transport: Transport,
  runtime: Runtime,
  resource: Resource,
  options: WatchOptions,
): AsyncGenerator<WatchEvent> {
  const { namespace, labelSelector, fieldSelector, resourceVersion, timeoutSeconds, signal } = options
  // Real servers send a bookmark about once a minute (60 to 75 s), so a longer silence means a dead connection.
  const silenceMs = options.silenceMs ?? 100_000
  const target = describeTarget(resource, { namespace })
  const path = objectPath(resource, { namespace }, undefined, {
    watch: 'true',
    allowWatchBookmarks: 'true',
    resourceVersion,
    timeoutSeconds: String(timeoutSeconds),
    labelSelector,
    fieldSelector,
  })
  const response = await transport.stream({
    verb: 'watch',
    method: 'GET',
    path,
    target,
    resource,
    timeoutMs: Math.min(silenceMs, 30_000),
    signal,
  })
  options.onOpen?.()
  const over = new AbortController()
  let lastByte = runtime.monotonic()
  let silent = false
  const onAbort = () => response.destroy()
  signal.addEventListener('abort', onAbort, { once: true })
  const guard = async () => {
    for (let left = silenceMs; left > 0; left = lastByte + silenceMs - runtime.monotonic()) {
      await runtime.sleep(left, over.signal)
    }
    silent = true
    response.destroy()
  }
  guard().catch(() => {})
  try {
    signal.throwIfAborted()
    const lines = createLineReader(target)
    for await (const chunk of response) {
      lastByte = runtime.monotonic()
      for (const line of lines(chunk)) yield parseEvent(line, resource, target)
    }
    // Destroying an answer that was read to its current end looks like a clean end.
    signal.throwIfAborted()
    if (silent) throw new Error('silent')
  } catch (error) {
    signal.throwIfAborted()
    if (asKubeError(error)) throw error
    const what = silent ? `silent for ${silenceMs} ms` : error instanceof Error ? error.message : String(error)
    throw new KubeError(`Kubernetes API, watch ${target}: connection lost (${what})`, {
      status: 0,
      reason: silent ? 'Timeout' : 'ConnectionLost',
    })
  } finally {
    over.abort(new Error('the watch is over'))
    signal.removeEventListener('abort', onAbort)
    response.destroy()
  }
}

/** Splits a stream of bytes at newlines; half a line waits for its other half. */
function createLineReader(target: string): (chunk: Buffer) => Generator<string> {
  let rest: Buffer[] = []
  let restBytes = 0
  return function* (chunk) {
    let from = 0
    for (let at = chunk.indexOf(newline); at >= 0; at = chunk.indexOf(newline, from)) {
      rest.push(chunk.subarray(from, at))
      const line = rest.length === 1 ? rest[0]! : Buffer.concat(rest)
      rest = []
      restBytes = 0
      from = at + 1
      if (line.length > 0) yield line.toString('utf8')
    }
    if (from < chunk.length) {
      rest.push(chunk.subarray(from))
      restBytes += chunk.length - from
    }
    if (restBytes > maxLineBytes) throw badResponse(`watch ${target}`, `a line of more than ${maxLineBytes} bytes`)
  }
}

function parseEvent(line: string, resource: Resource, target: string): WatchEvent {
  let event: unknown
  try {
    event = JSON.parse(line)
  } catch {
    throw badResponse(`watch ${target}`, 'an event is not JSON')
  }
  if (!isRecord(event) || !isRecord(event.object)) throw badResponse(`watch ${target}`, 'an event has no object')
  const { type, object } = event
  switch (type) {
    case 'ERROR': {
      const code = typeof object.code === 'number' ? object.code : 500
      throw errorFromStatus(`watch ${target}`, code, object)
    }
    case 'ADDED':
    case 'MODIFIED':
    case 'DELETED':
    case 'BOOKMARK':
      return { type, object: watchedObject(object, resource, target, type === 'BOOKMARK') }
    default:
      throw badResponse(`watch ${target}`, `an event of unknown type ${JSON.stringify(type)?.slice(0, 40)}`)
  }
}

function watchedObject(
  object: Record<string, unknown>,
  resource: Resource,
  target: string,
  bookmark: boolean,
): KubeObject {
  const { metadata } = object
  const version = isRecord(metadata) ? metadata.resourceVersion : undefined
  const name = isRecord(metadata) ? metadata.name : undefined
  if (!isRecord(metadata) || typeof version !== 'string') {
    throw badResponse(`watch ${target}`, 'an event has no resourceVersion')
  }
  if (typeof name !== 'string' && !bookmark) throw badResponse(`watch ${target}`, 'an event has no object name')
  return {
    ...object,
    apiVersion: typeof object.apiVersion === 'string' ? object.apiVersion : resource.version,
    kind: typeof object.kind === 'string' ? object.kind : resource.kind,
    metadata: { ...metadata, name: typeof name === 'string' ? name : '' },
  }
}

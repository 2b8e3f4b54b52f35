import type { KubeObject } from '../../kube/object.ts'
import { type Format, negotiate, partialMetadata } from './encoding.ts'
import type { FaultTarget } from './faults.ts'
import { notAcceptable, selectionOf, tableOptions } from './list.ts'
import type { StoreEvent } from './object-store.ts'
import { apiVersionIn } from './resource-type.ts'
import type { ResourceRequest, ServerParts } from './server-parts.ts'
import { badRequest, expired } from './status.ts'
import { tableOf } from './table.ts'

/** An open watch. */
export interface OpenWatch {
  target: FaultTarget
  bookmark(): void
  /** Ends the response as a watch that timed out ends. */
  end(): void
  /** Cuts the connection. */
  drop(): void
}

/** The open watches of a server, and the one timer that bookmarks them. */
export interface Watches {
  open: Set<OpenWatch>
  stop(): void
}

export function createWatches(bookmarkIntervalMs: number): Watches {
  const open = new Set<OpenWatch>()
  const timer = setInterval(() => {
    for (const watch of open) watch.bookmark()
  }, bookmarkIntervalMs)
  timer.unref()
  return {
    open,
    stop() {
      clearInterval(timer)
      for (const watch of [...open]) watch.drop()
    },
  }
}

/** A client that leaves this much unread is cut off, as the real server closes watchers that lag. */
const maxBuffered = 64 * 1024 * 1024

interface Wire {
  type: string
  object: unknown
}

export function handleWatch(request: ResourceRequest, parts: ServerParts, target: FaultTarget): void {
  const { query, response, type } = request
  const format = negotiate(request.request.headers.accept)
  if (!format) throw notAcceptable()
  const start = startOf(query)
  const selection = selectionOf(request)
  const ref = type.alias?.of ?? type
  const wantsBookmarks = query.get('allowWatchBookmarks') === 'true'
  let tableHeaderSent = false
  let sent = 0

  response.writeHead(200, { 'Content-Type': 'application/json', 'Cache-Control': 'no-cache, private' })
  response.flushHeaders()

  const silent = () => parts.faults.isSilent(target)
  const write = (text: string) => {
    if (silent()) return
    response.write(text)
    if (response.writableLength > maxBuffered) watch.drop()
  }
  const send = (wire: Wire) => write(`${JSON.stringify(wire)}\n`)
  const sendObject = (eventType: string, object: KubeObject) => {
    if (silent()) return
    if (format.kind === 'object') {
      write(`{"type":"${eventType}","object":${parts.encoder.encode(type, request.route.version, object)}}\n`)
    } else send({ type: eventType, object: shown(object) })
  }
  const shown = (object: KubeObject) => {
    if (format.kind !== 'table') return partialMetadata(object, apiVersionOf(format))
    const table = tableOf(type, [object], {
      ...tableOptions(request, parts, format.apiVersion),
      metadata: { resourceVersion: object.metadata.resourceVersion },
    })
    // Only the first table of a stream describes its columns.
    if (tableHeaderSent) table.columnDefinitions = []
    tableHeaderSent = true
    return table
  }
  const onEvent = (event: StoreEvent) => {
    sent = event.resourceVersion
    const is = event.type !== 'DELETED' && selection.selects(event.object)
    const was = event.previous !== undefined && selection.selects(event.previous)
    if (is) sendObject(was ? 'MODIFIED' : 'ADDED', event.object)
    else if (was) {
      // Leaving the selection is told as a deletion, with the object as it was, under the new version.
      const last = event.type === 'DELETED' ? event.object : withVersion(event.previous, event.object)
      sendObject('DELETED', last)
    }
  }

  const initial = start.initial ? parts.store.list(ref, request.route.namespace) : []
  const replay = start.initial ? [] : parts.store.since(ref, start.resourceVersion)
  if (!Array.isArray(replay)) {
    const status = expired(`too old resource version: ${start.resourceVersion} (${replay.oldest})`).status
    send({ type: 'ERROR', object: status })
    response.end()
    return
  }
  for (const object of initial) if (selection.selects(object)) sendObject('ADDED', object)
  for (const event of replay) onEvent(event)
  sent = parts.store.resourceVersion()

  const sendBookmark = (annotations?: Record<string, string>) => {
    const metadata = {
      resourceVersion: String(Math.max(sent, parts.store.resourceVersion())),
      creationTimestamp: null,
      ...(annotations ? { annotations } : {}),
    }
    const bookmark = { kind: type.kind, apiVersion: apiVersionIn(type, request.route.version), metadata }
    send({ type: 'BOOKMARK', object: bookmark })
  }
  if (start.sendInitialEvents && wantsBookmarks) sendBookmark({ 'k8s.io/initial-events-end': 'true' })

  const unsubscribe = parts.store.subscribe(ref, onEvent)
  const timer = setTimeout(() => watch.end(), timeoutMs(query))
  timer.unref()
  const watch: OpenWatch = {
    target,
    bookmark() {
      if (wantsBookmarks) sendBookmark()
    },
    end() {
      if (silent()) return
      if (wantsBookmarks) sendBookmark()
      close()
      response.end()
    },
    drop() {
      close()
      response.destroy()
    },
  }
  const close = () => {
    unsubscribe()
    clearTimeout(timer)
    parts.watches.open.delete(watch)
  }
  parts.watches.open.add(watch)
  response.on('close', close)
}

function apiVersionOf(format: Format): string {
  return format.kind === 'object' ? 'v1' : format.apiVersion
}

function withVersion(previous: KubeObject | undefined, object: KubeObject): KubeObject {
  if (!previous) return object
  return { ...previous, metadata: { ...previous.metadata, resourceVersion: object.metadata.resourceVersion } }
}

interface Start {
  /** Begin with what exists. */
  initial: boolean
  sendInitialEvents: boolean
  resourceVersion: number
}

function startOf(query: URLSearchParams): Start {
  const text = query.get('resourceVersion') ?? ''
  const resourceVersion = Number(text)
  if (!(Number.isInteger(resourceVersion) && resourceVersion >= 0)) {
    throw badRequest(`resourceVersion: Invalid value: ${JSON.stringify(text)}: strconv.ParseUint: invalid syntax`)
  }
  const asked = query.get('sendInitialEvents')
  if (asked !== null && query.get('resourceVersionMatch') !== 'NotOlderThan') {
    throw badRequest(
      'sendInitialEvents: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan',
    )
  }
  const sendInitialEvents = asked === 'true'
  const initial = sendInitialEvents || (asked !== 'false' && resourceVersion === 0)
  return { initial, sendInitialEvents, resourceVersion }
}

/** As asked, else between 30 and 60 minutes on the real server; 30 here. */
function timeoutMs(query: URLSearchParams): number {
  const asked = Number(query.get('timeoutSeconds') ?? 0)
  return asked > 0 ? asked * 1000 : 30 * 60 * 1000
}

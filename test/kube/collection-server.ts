import type { ServerResponse } from 'node:http'
import { json, type ScriptedServer, startScriptedServer, status } from './scripted-server.ts'

interface StoredPod {
  kind: 'Pod'
  apiVersion: 'v1'
  metadata: { name: string; namespace: string; uid: string; resourceVersion: string }
  value: number
}

interface Change {
  version: number
  type: 'ADDED' | 'MODIFIED' | 'DELETED'
  object: StoredPod
}

/** What may go wrong with the next requests; each is the chance, 0 to 1. */
export interface Faults {
  /** Cut the connection instead of an answer, or in the middle of a watch. */
  reset: number
  /** 500, 429 or 503. */
  refuse: number
  /** A watch that says nothing any more. */
  silence: number
  /** A line in a watch that is no event. */
  garbage: number
  /** 410 for a watch or a continue token that would have been fine. */
  expire: number
}

export const noFaults: Faults = { reset: 0, refuse: 0, silence: 0, garbage: 0, expire: 0 }

/** Pods by list and watch over real HTTP, with a short history and faults on demand. */
export interface CollectionServer extends ScriptedServer {
  put(namespace: string, name: string): void
  remove(namespace: string, name: string): void
  contents(): Record<string, string>
  faults: Faults
  /** Only this many of the newest changes can be watched from; older versions are 410. */
  history: number
  served: boolean
  /** Accepts watches only to end them. */
  endsWatches: boolean
  /** Tells every open watch how far the collection is. Returns that version. */
  bookmark(): string
  /** Watches open now. */
  watching(): number
}

export async function startCollectionServer(random: () => number): Promise<CollectionServer> {
  const pods = new Map<string, StoredPod>()
  const changes: Change[] = []
  const watches = new Set<{ response: ServerResponse; namespace: string | undefined; silent: boolean }>()
  /** Snapshots that continue tokens refer to. */
  const snapshots = new Map<string, { version: number; items: StoredPod[] }>()
  let version = 100
  let uid = 0

  function publish(type: Change['type'], object: StoredPod): void {
    changes.push({ version, type, object })
    for (const watch of watches) {
      if (watch.namespace !== undefined && watch.namespace !== object.metadata.namespace) continue
      if (random() < server.faults.silence) watch.silent = true
      if (watch.silent) continue
      if (random() < server.faults.garbage) watch.response.write('{"type":"ADD\n')
      watch.response.write(`${JSON.stringify({ type, object })}\n`)
      if (random() < server.faults.reset) watch.response.socket?.destroy()
    }
  }

  const expired = status(410, 'Expired', 'too old resource version')

  function list(query: URLSearchParams, namespace: string | undefined, response: ServerResponse): void {
    const token = query.get('continue')
    const limit = Number(query.get('limit') ?? 0)
    let snapshot = token === null ? undefined : snapshots.get(token)
    if (token !== null && (!snapshot || random() < server.faults.expire)) {
      json(response, 410, expired)
      return
    }
    const items = [...pods.values()].filter((pod) => namespace === undefined || pod.metadata.namespace === namespace)
    snapshot ??= { version, items }
    const page = limit > 0 ? snapshot.items.slice(0, limit) : snapshot.items
    const rest = snapshot.items.slice(page.length)
    const next = rest.length > 0 ? `token-${snapshots.size}` : undefined
    if (next) snapshots.set(next, { version: snapshot.version, items: rest })
    json(response, 200, { metadata: { resourceVersion: String(snapshot.version), continue: next }, items: page })
  }

  function watch(query: URLSearchParams, namespace: string | undefined, response: ServerResponse): void {
    const from = Number(query.get('resourceVersion'))
    const oldest = changes.at(-server.history)?.version ?? 0
    if ((from < oldest && changes.length > server.history) || random() < server.faults.expire) {
      json(response, 410, expired)
      return
    }
    response.writeHead(200, { 'content-type': 'application/json' })
    response.flushHeaders()
    if (server.endsWatches) {
      response.end()
      return
    }
    const entry = { response, namespace, silent: false }
    watches.add(entry)
    response.on('close', () => watches.delete(entry))
    for (const change of changes) {
      if (change.version <= from) continue
      if (namespace !== undefined && change.object.metadata.namespace !== namespace) continue
      response.write(`${JSON.stringify({ type: change.type, object: change.object })}\n`)
    }
  }

  const scripted = await startScriptedServer((request, response) => {
    const { faults } = server
    if (!server.served) return json(response, 404, status(404, 'NotFound', 'the server could not find the resource'))
    if (random() < faults.reset) return void response.socket?.destroy()
    if (random() < faults.refuse) {
      const code = [500, 429, 503][Math.floor(random() * 3)]!
      return json(response, code, status(code, 'Fault', 'on purpose'), code === 500 ? {} : { 'retry-after': '0' })
    }
    const namespace = /^\/api\/v1\/namespaces\/([^/]+)\/pods$/.exec(request.path)?.[1]
    if (request.query.get('watch')) watch(request.query, namespace, response)
    else list(request.query, namespace, response)
  })

  const server: CollectionServer = Object.assign(scripted, {
    put(namespace: string, name: string) {
      const known = pods.get(`${namespace}/${name}`)
      version += 1
      const metadata = { name, namespace, uid: known?.metadata.uid ?? `uid-${uid++}`, resourceVersion: String(version) }
      const pod: StoredPod = { kind: 'Pod', apiVersion: 'v1', metadata, value: version }
      pods.set(`${namespace}/${name}`, pod)
      publish(known ? 'MODIFIED' : 'ADDED', pod)
    },
    remove(namespace: string, name: string) {
      const known = pods.get(`${namespace}/${name}`)
      if (!known) return
      version += 1
      pods.delete(`${namespace}/${name}`)
      publish('DELETED', { ...known, metadata: { ...known.metadata, resourceVersion: String(version) } })
    },
    contents: () => versionsOf([...pods.values()]),
    faults: noFaults,
    history: 1000,
    served: true,
    endsWatches: false,
    bookmark() {
      const object = { kind: 'Pod', apiVersion: 'v1', metadata: { resourceVersion: String(version) } }
      for (const { response } of watches) response.write(`${JSON.stringify({ type: 'BOOKMARK', object })}\n`)
      return String(version)
    },
    watching: () => watches.size,
  })
  return server
}

/** Key to resourceVersion: what two copies of a collection must agree on. */
export function versionsOf(
  objects: readonly { metadata: { name: string; namespace?: string; resourceVersion?: string } }[],
): Record<string, string> {
  return Object.fromEntries(
    objects
      .map(({ metadata }) => [`${metadata.namespace}/${metadata.name}`, metadata.resourceVersion ?? ''])
      .sort(([a], [b]) => (a! < b! ? -1 : 1)),
  )
}

import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { connect, type KubeClient } from '../../src/kube/client.ts'
import { connectionTo } from '../../src/kube/connection.ts'
import type { KubeObject } from '../../src/kube/object.ts'
import { systemRuntime } from '../../src/runtime.ts'
import { jsonPatch } from '../../src/sandbox/apiserver/json-patch.ts'
import { ApiError } from '../../src/sandbox/apiserver/status.ts'

/** An API server that knows Approvals only: versions, JSON patches with tests, the status subresource, preconditions. */
export interface ObjectsServer {
  client: KubeClient
  url: string
  objects: Map<string, KubeObject>
  /** Answer the next requests of this method with a status instead of doing them. */
  refuse: { method: string; status: number; times: number }
  /** Do the next patch, but drop the connection before the answer. */
  dropAnswers: number
  patches: number
  stop(): Promise<void>
}

export async function startObjectsServer(now: () => number = Date.now): Promise<ObjectsServer> {
  const objects = new Map<string, KubeObject>()
  const state = { refuse: { method: '', status: 0, times: 0 }, dropAnswers: 0, patches: 0 }
  let version = 100

  function store(key: string, object: KubeObject): KubeObject {
    const stored = { ...object, metadata: { ...object.metadata, resourceVersion: `${++version}` } }
    objects.set(key, stored)
    return stored
  }

  function answer(method: string, url: URL, body: unknown): unknown {
    const [, , , , , namespace = '', , name, subresource] = url.pathname.split('/')
    const key = `${namespace}/${name ?? (body as KubeObject | undefined)?.metadata?.name}`
    if (method === 'GET' && name === undefined) {
      const [label = '', value] = (url.searchParams.get('labelSelector') ?? '').split('=')
      const items = [...objects.values()].filter((o) => !label || o.metadata.labels?.[label] === value)
      return {
        kind: 'ApprovalList',
        apiVersion: 'sluice.dev/v1alpha1',
        metadata: { resourceVersion: `${version}` },
        items,
      }
    }
    const current = objects.get(key)
    if (method === 'POST') {
      if (current) throw new ApiError(409, 'AlreadyExists', `approvals "${name}" already exists`)
      const object = body as KubeObject
      const creationTimestamp = new Date(now()).toISOString()
      return store(key, { ...object, metadata: { ...object.metadata, uid: `uid-${++version}`, creationTimestamp } })
    }
    if (!current) throw new ApiError(404, 'NotFound', `approvals "${name}" not found`)
    if (method === 'DELETE') {
      const uid = (body as { preconditions?: { uid?: string } }).preconditions?.uid
      if (uid !== undefined && uid !== current.metadata.uid) throw new ApiError(409, 'Conflict', 'the UID is another')
      objects.delete(key)
      return { kind: 'Status', apiVersion: 'v1', status: 'Success' }
    }
    if (method === 'PATCH') {
      state.patches++
      const patched = jsonPatch(current, body) as KubeObject
      const kept =
        subresource === 'status' ? { ...current, status: patched.status } : { ...patched, status: current.status }
      return store(key, kept)
    }
    return current
  }

  const server = http.createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const text = Buffer.concat(chunks).toString()
    const method = request.method ?? ''
    let status = 200
    let body: unknown
    try {
      if (state.refuse.times > 0 && state.refuse.method === method) {
        state.refuse.times--
        throw new ApiError(state.refuse.status, 'InternalError', 'refused by the test')
      }
      body = answer(method, new URL(request.url ?? '', 'http://x'), text === '' ? undefined : JSON.parse(text))
      if (method === 'PATCH' && state.dropAnswers > 0) {
        state.dropAnswers--
        request.socket.destroy()
        return
      }
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      status = error.status.code ?? 500
      body = error.status
    }
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const client = connect({ connection: connectionTo(url), runtime: systemRuntime })
  return Object.assign(state, {
    client,
    url,
    objects,
    stop: async () => {
      client.close()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  })
}

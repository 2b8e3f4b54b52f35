import { afterEach, describe, expect, test } from 'vitest'
import { type ClientConfig, connect, type KubeClient } from '../../src/kube/client.ts'
import { connectionTo } from '../../src/kube/connection.ts'
import { KubeError } from '../../src/kube/kube-error.ts'
import type { KubeObject } from '../../src/kube/object.ts'
import { resources } from '../../src/kube/resources.ts'
import type { RequestInfo } from '../../src/kube/transport.ts'
import { systemRuntime } from '../../src/runtime.ts'
import { json, type Script, type ScriptedServer, startScriptedServer, status } from './scripted-server.ts'

const open: { close(): unknown }[] = []
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close()
})

async function serve(script: Script, config: Partial<ClientConfig> = {}): Promise<[KubeClient, ScriptedServer]> {
  const server = await startScriptedServer(script)
  const client = connect({
    connection: connectionTo(server.url, { token: 'sesame-4711' }),
    runtime: systemRuntime,
    ...config,
  })
  open.push(server, client)
  return [client, server]
}

async function failure(promise: Promise<unknown>): Promise<KubeError> {
  const error = await promise.then(
    () => new Error('it succeeded'),
    (reason: unknown) => reason,
  )
  if (error instanceof KubeError) return error
  throw error
}

const key = { namespace: 'shop', name: 'checkout' }
const pod: KubeObject = { apiVersion: 'v1', kind: 'Pod', metadata: { ...key } }

describe('requests', () => {
  test('go to the paths of the API with the token, and objects come back whole', async () => {
    const whole = { ...pod, metadata: { ...pod.metadata, future: 1 }, spec: { unknown: [1, { deep: true }] } }
    const [client, server] = await serve((_request, response) => json(response, 200, whole))
    expect(await client.get(resources.pods, key)).toEqual(whole)
    await client.get(resources.rollouts, key)
    await client.get(resources.namespaces, { name: 'shop' })
    expect(server.requests.map((request) => request.path)).toEqual([
      '/api/v1/namespaces/shop/pods/checkout',
      '/apis/sluice.dev/v1alpha1/namespaces/shop/rollouts/checkout',
      '/api/v1/namespaces/shop',
    ])
    expect(server.requests[0]?.headers.authorization).toBe('Bearer sesame-4711')
  })

  test('keep the path prefix of a proxied API server', async () => {
    const server = await startScriptedServer((_request, response) => json(response, 200, pod))
    const client = connect({ connection: connectionTo(`${server.url}/k8s/clusters/c1/`), runtime: systemRuntime })
    open.push(server, client)
    await client.get(resources.pods, key)
    expect(server.requests[0]?.path).toBe('/k8s/clusters/c1/api/v1/namespaces/shop/pods/checkout')
  })

  test('each patch type has its content type; writes carry manager, dry run, validation and a deadline', async () => {
    const [client, server] = await serve((_request, response) => json(response, 200, pod))
    const options = { fieldManager: 'sluice', dryRun: true, fieldValidation: 'Strict', timeoutMs: 1500 } as const
    await client.patch(resources.pods, key, { type: 'json', ops: [{ op: 'test', path: '/a', value: 1 }] }, options)
    await client.patch(resources.pods, key, { type: 'merge', body: { a: 1 } }, { ...options, subresource: 'status' })
    await client.patch(resources.pods, key, { type: 'strategic', body: {} }, options)
    await client.patch(resources.pods, key, { type: 'apply', body: pod, force: true }, options)
    expect(server.requests.map((request) => request.headers['content-type'])).toEqual([
      'application/json-patch+json',
      'application/merge-patch+json',
      'application/strategic-merge-patch+json',
      'application/apply-patch+yaml',
    ])
    expect(server.requests[1]?.path).toBe('/api/v1/namespaces/shop/pods/checkout/status')
    expect(Object.fromEntries(server.requests[3]?.query ?? [])).toEqual({
      fieldManager: 'sluice',
      dryRun: 'All',
      fieldValidation: 'Strict',
      force: 'true',
      timeout: '1500ms',
    })
  })

  test('impersonation travels in headers', async () => {
    const [client, server] = await serve((_request, response) => json(response, 200, pod))
    await client.create(resources.pods, pod, { impersonate: { user: 'system:serviceaccount:shop:deployer' } })
    expect(server.requests[0]?.headers['impersonate-user']).toBe('system:serviceaccount:shop:deployer')
  })

  test('field managers that GitOps engines would undo are refused before anything is sent', async () => {
    const [client, server] = await serve((_request, response) => json(response, 200, pod))
    const write = client.patch(resources.pods, key, { type: 'merge', body: {} }, { fieldManager: 'kubectl-sluice' })
    await expect(write).rejects.toThrow('must not start with "kubectl"')
    expect(server.requests).toEqual([])
  })

  test('fifty lists one after the other use one connection', async () => {
    const [client, server] = await serve((_request, response) => json(response, 200, { metadata: {}, items: [] }))
    for (let i = 0; i < 50; i++) await client.list(resources.pods)
    expect(server.connections()).toBe(1)
  })

  test('list items get the apiVersion and kind that the server leaves out', async () => {
    const [client] = await serve((_request, response) =>
      json(response, 200, {
        metadata: { resourceVersion: '7', continue: 'next' },
        items: [{ metadata: { name: 'a' } }],
      }),
    )
    expect(await client.list(resources.virtualServices)).toEqual({
      resourceVersion: '7',
      continue: 'next',
      items: [{ apiVersion: 'networking.istio.io/v1', kind: 'VirtualService', metadata: { name: 'a' } }],
    })
  })
})

describe('answers that are errors', () => {
  test('an object that does not exist is undefined to get, and gone already to delete', async () => {
    const [client] = await serve((_request, response) =>
      json(response, 404, status(404, 'NotFound', 'pods "x" not found')),
    )
    expect(await client.get(resources.pods, key)).toBeUndefined()
    await client.delete(resources.pods, key)
    expect((await failure(client.replace(resources.pods, pod))).isNotFound).toBe(true)
  })

  test('say what was asked, what the server said, and what to make of it', async () => {
    const details = { causes: [{ reason: 'FieldValueInvalid', field: 'spec.x', message: 'no' }] }
    const answers: [number, object, object][] = [
      [409, status(409, 'Conflict', 'the object has been modified'), {}],
      [409, status(409, 'AlreadyExists', 'pods "checkout" already exists'), {}],
      [422, status(422, 'Invalid', 'Pod is invalid', details), {}],
      [429, status(429, 'TooManyRequests', 'slow down', { retryAfterSeconds: 9 }), { 'retry-after': '2' }],
      [410, status(410, 'Expired', 'too old'), {}],
      [403, status(403, 'Forbidden', 'no'), {}],
    ]
    const [client] = await serve((_request, response) => json(response, ...answers.shift()!))
    const conflict = await failure(client.replace(resources.pods, pod))
    expect(conflict.message).toBe(
      'Kubernetes API, update pods shop/checkout: 409 Conflict: the object has been modified',
    )
    expect([conflict.isConflict, conflict.isTransient]).toEqual([true, false])
    const exists = await failure(client.create(resources.pods, pod))
    expect([exists.isConflict, exists.isAlreadyExists]).toEqual([false, true])
    const invalid = await failure(client.replace(resources.pods, pod))
    expect([invalid.isInvalid, invalid.details?.causes]).toEqual([true, details.causes])
    const busy = await failure(client.replace(resources.pods, pod))
    expect([busy.isTransient, busy.retryAfterMs]).toEqual([true, 2000])
    expect((await failure(client.list(resources.pods))).isGone).toBe(true)
    expect((await failure(client.list(resources.pods))).isForbidden).toBe(true)
  })

  test('an object that is larger than etcd takes is refused for good, whatever the API server calls it', async () => {
    const words = [
      'etcdserver: request is too large',
      'rpc error: code = ResourceExhausted desc = trying to send message larger than max (2500268 vs. 2097152)',
      'etcdserver: leader changed',
    ]
    const [client] = await serve((_request, response) =>
      json(response, 500, status(500, 'InternalError', words.shift() ?? '')),
    )
    const errors = []
    for (let i = 0; i < 3; i++) errors.push(await failure(client.replace(resources.pods, pod)))
    expect(errors.map(({ reason, isTransient }) => [reason, isTransient])).toEqual([
      ['RequestEntityTooLarge', false],
      ['RequestEntityTooLarge', false],
      ['InternalError', true],
    ])
    expect(errors[0]?.message).toMatch(/413 RequestEntityTooLarge: etcdserver: request is too large$/)
  })

  test('a login page instead of the API is recognised, and not printed', async () => {
    const [client] = await serve((_request, response) => response.end('<html>secret-session=123</html>'))
    const error = await failure(client.get(resources.pods, key))
    expect(error.reason).toBe('BadResponse')
    expect(error.message).toMatch(/not JSON.*proxy or a login page/)
    expect(error.message).not.toContain('secret-session')
  })

  test('a path that the API server does not know is an object that is not there: its CRD is not installed', async () => {
    const [client] = await serve((_request, response) => {
      response.writeHead(404, { 'content-type': 'text/plain; charset=utf-8' })
      response.end('404 page not found\n')
    })
    expect(await client.get(resources.rollouts, key)).toBeUndefined()
  })

  test('a 404 that is not from the API server does not mean that the object is gone', async () => {
    const [client] = await serve((_request, response) => {
      response.writeHead(404)
      response.end('<html>nginx</html>')
    })
    expect((await failure(client.get(resources.pods, key))).status).toBe(404)
  })

  test('no error holds the token', async () => {
    const [client, server] = await serve((_request, response) => response.socket?.destroy())
    const error = await failure(
      client.patch(resources.pods, key, { type: 'merge', body: {} }, { fieldManager: 'sluice' }),
    )
    await server.close()
    const refused = await failure(client.get(resources.pods, key))
    for (const each of [error, refused, error.cause, refused.cause]) {
      expect(JSON.stringify(each, Object.getOwnPropertyNames(each ?? {}))).not.toContain('sesame')
    }
  })
})

describe('connections that break', () => {
  test('a read on a connection that the server had closed is sent once more', async () => {
    let cut = false
    const [client, server] = await serve((request, response) => {
      if (cut && request.connection === 1) response.socket?.destroy()
      else json(response, 200, pod)
    })
    await client.get(resources.pods, key)
    cut = true
    expect(await client.get(resources.pods, key)).toEqual(pod)
    expect(server.requests).toHaveLength(3)
  })

  test('a read on a fresh connection that breaks is not', async () => {
    const [client, server] = await serve((_request, response) => response.socket?.destroy())
    const error = await failure(client.get(resources.pods, key))
    expect([error.reason, error.isTransient, error.ambiguous]).toEqual(['ConnectionLost', true, false])
    expect(server.requests).toHaveLength(1)
  })

  test('a write whose connection breaks is not repeated, and says that it may have happened', async () => {
    let cut = false
    const [client, server] = await serve((_request, response) =>
      cut ? response.socket?.destroy() : json(response, 200, pod),
    )
    await client.get(resources.pods, key)
    cut = true
    const error = await failure(client.replace(resources.pods, pod))
    expect([error.status, error.reason, error.ambiguous]).toEqual([0, 'ConnectionLost', true])
    expect(server.requests).toHaveLength(2)
  })

  test('a server that is not there is unreachable, and nothing can have happened', async () => {
    const [client, server] = await serve(() => {})
    await server.close()
    const error = await failure(client.replace(resources.pods, pod))
    expect([error.reason, error.ambiguous]).toEqual(['Unreachable', false])
  })

  test('a server that accepts and never answers times out, and its pooled connections are not used again', async () => {
    let stalled = false
    const [client, server] = await serve((_request, response) => {
      if (!stalled) json(response, 200, pod)
    })
    await Promise.all([1, 2, 3].map(() => client.get(resources.pods, key)))
    expect(server.connections()).toBe(3)
    stalled = true
    const error = await failure(client.replace(resources.pods, pod, { timeoutMs: 50 }))
    expect([error.reason, error.ambiguous]).toEqual(['Timeout', true])
    stalled = false
    await client.replace(resources.pods, pod)
    expect(server.requests.at(-1)?.connection).toBe(4)
  })

  test('an answer that stops half way times out too', async () => {
    const [client] = await serve(
      (_request, response) => {
        response.writeHead(200, { 'content-length': '1000' })
        response.write('{"kind":')
      },
      { timeouts: { readMs: 50 } },
    )
    expect((await failure(client.get(resources.pods, key))).reason).toBe('Timeout')
  })

  test('an aborted request rejects with the reason of its signal', async () => {
    const [client] = await serve(() => {})
    const abort = new AbortController()
    const reason = new Error('shutting down')
    const pending = client.get(resources.pods, key, { signal: abort.signal })
    setTimeout(() => abort.abort(reason), 10)
    await expect(pending).rejects.toBe(reason)
    await expect(client.get(resources.pods, key, { signal: abort.signal })).rejects.toBe(reason)
  })
})

describe('credentials', () => {
  test('are read again after a 401, once', async () => {
    let current = 'old'
    let reads = 0
    const server = await startScriptedServer((request, response) => {
      if (request.headers.authorization === 'Bearer new') json(response, 200, pod)
      else json(response, 401, status(401, 'Unauthorized', 'Unauthorized'))
    })
    let remembered: string | undefined
    const connection = {
      ...connectionTo(server.url),
      credentials: async () => {
        remembered ??= current
        reads += 1
        return { headers: { authorization: `Bearer ${remembered}` }, tls: {} }
      },
      refresh: () => {
        remembered = undefined
      },
    }
    const client = connect({ connection, runtime: systemRuntime })
    open.push(server, client)
    expect((await failure(client.replace(resources.pods, pod))).status).toBe(401)
    expect(reads).toBe(2)
    current = 'new'
    expect(await client.replace(resources.pods, pod)).toEqual(pod)
  })
})

describe('metrics', () => {
  test('every request is reported once, with its verb, resource and status', async () => {
    const seen: RequestInfo[] = []
    const [client, server] = await serve(
      (request, response) =>
        request.method === 'GET' ? json(response, 200, pod) : json(response, 409, status(409, 'Conflict', 'no')),
      { onRequest: (info) => seen.push(info) },
    )
    await client.get(resources.pods, key)
    await failure(client.patch(resources.pods, key, { type: 'apply', body: pod }, { fieldManager: 'sluice' }))
    await server.close()
    await failure(client.delete(resources.pods, key))
    expect(seen.map((info) => [info.verb, info.resource?.plural, info.status])).toEqual([
      ['get', 'pods', 200],
      ['apply', 'pods', 409],
      ['delete', 'pods', 0],
    ])
  })
})

describe('discovery', () => {
  test('finds the resource of a kind, remembers it, and asks again for what is missing, but not all the time', async () => {
    let now = 0
    const served = [
      { name: 'pods', kind: 'Pod', namespaced: true },
      { name: 'pods/log', kind: 'Pod', namespaced: true },
    ]
    const [client, server] = await serve(
      (request, response) =>
        request.path === '/api/v1'
          ? json(response, 200, { kind: 'APIResourceList', groupVersion: 'v1', resources: served })
          : json(response, 404, status(404, 'NotFound', 'not found')),
      { runtime: { ...systemRuntime, monotonic: () => now } },
    )
    expect(await client.resourceFor('v1', 'Pod')).toEqual(resources.pods)
    expect(await client.resourceFor('v1', 'Pod')).toEqual(resources.pods)
    expect(server.requests).toHaveLength(1)
    expect(await client.resourceFor('v1', 'Widget')).toBeUndefined()
    expect(await client.resourceFor('example.com/v1', 'Widget')).toBeUndefined()
    expect(server.requests).toHaveLength(2)
    served.push({ name: 'widgets', kind: 'Widget', namespaced: true })
    expect(await client.resourceFor('v1', 'Widget')).toBeUndefined()
    expect(server.requests).toHaveLength(2)
    now += 2_001
    expect((await client.resourceFor('v1', 'Widget'))?.plural).toBe('widgets')
  })

  test('notices after a while that a version is served no more, but not because the server is away', async () => {
    let now = 0
    let answer: [number, object] = [200, { resources: [{ name: 'widgets', kind: 'Widget', namespaced: true }] }]
    const runtime = { ...systemRuntime, monotonic: () => now }
    const [client] = await serve((_request, response) => json(response, ...answer), { runtime })
    const plural = async () => (await client.resourceFor('example.com/v1', 'Widget'))?.plural
    expect(await plural()).toBe('widgets')
    answer = [503, status(503, 'ServiceUnavailable', 'restarting')]
    now += 600_001
    expect([await plural(), await plural()]).toEqual(['widgets', 'widgets'])
    answer = [404, status(404, 'NotFound', 'no such version')]
    now += 600_001
    expect(await plural()).toBeUndefined()
  })

  test('a failed look is not remembered as an answer', async () => {
    let up = false
    const [client] = await serve((_request, response) =>
      up
        ? json(response, 200, { resources: [{ name: 'pods', kind: 'Pod', namespaced: true }] })
        : json(response, 503, status(503, 'ServiceUnavailable', 'starting')),
    )
    expect((await failure(client.resourceFor('v1', 'Pod'))).status).toBe(503)
    up = true
    expect((await client.resourceFor('v1', 'Pod'))?.plural).toBe('pods')
  })
})

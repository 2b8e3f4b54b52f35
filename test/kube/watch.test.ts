import type { ServerResponse } from 'node:http'
import { afterEach, describe, expect, test } from 'vitest'
import { connect, type WatchEvent } from '../../src/kube/client.ts'
import { connectionTo } from '../../src/kube/connection.ts'
import { KubeError } from '../../src/kube/kube-error.ts'
import { resources } from '../../src/kube/resources.ts'
import { systemRuntime } from '../../src/runtime.ts'
import { json, startScriptedServer, status } from './scripted-server.ts'

const open: { close(): unknown }[] = []
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close()
})

function line(type: string, name: string, resourceVersion: string): string {
  return `${JSON.stringify({ type, object: { kind: 'Pod', apiVersion: 'v1', metadata: { name, resourceVersion } } })}\n`
}

async function watch(
  answer: (response: ServerResponse) => unknown,
  { silenceMs = 5000, signal = new AbortController().signal } = {},
): Promise<{ events: WatchEvent[]; error: unknown; query: URLSearchParams | undefined }> {
  const server = await startScriptedServer((_request, response) => void answer(response))
  const client = connect({ connection: connectionTo(server.url), runtime: systemRuntime })
  open.push(server, client)
  const events: WatchEvent[] = []
  try {
    const options = { resourceVersion: '5', timeoutSeconds: 30, labelSelector: 'app=a', silenceMs, signal }
    for await (const event of client.watch(resources.pods, options)) events.push(event)
    return { events, error: undefined, query: server.requests[0]?.query }
  } catch (error) {
    return { events, error, query: server.requests[0]?.query }
  }
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

describe('a watch', () => {
  test('asks for bookmarks and an end, and ends when the server ends it', async () => {
    const { events, error, query } = await watch((response) => {
      response.write(line('ADDED', 'a', '6'))
      response.end(line('BOOKMARK', '', '9'))
    })
    expect(error).toBeUndefined()
    expect(events.map((event) => [event.type, event.object.metadata.resourceVersion])).toEqual([
      ['ADDED', '6'],
      ['BOOKMARK', '9'],
    ])
    expect(Object.fromEntries(query ?? [])).toEqual({
      watch: 'true',
      allowWatchBookmarks: 'true',
      resourceVersion: '5',
      timeoutSeconds: '30',
      labelSelector: 'app=a',
    })
  })

  test('puts events together again that arrive in pieces, even inside a character', async () => {
    const bytes = Buffer.from(line('ADDED', 'grüße-☕', '6') + line('MODIFIED', 'b', '7'))
    const { events } = await watch(async (response) => {
      for (let at = 0; at < bytes.length; at += 13) {
        response.write(bytes.subarray(at, at + 13))
        await pause(1)
      }
      response.end()
    })
    expect(events.map((event) => event.object.metadata.name)).toEqual(['grüße-☕', 'b'])
  })

  test('throws Gone for an expired version, whether said at once or in the stream', async () => {
    const gone = status(410, 'Expired', 'too old resource version: 5 (900)')
    const atOnce = await watch((response) => json(response, 410, gone))
    const inStream = await watch((response) => {
      response.write(line('ADDED', 'a', '6'))
      response.end(`${JSON.stringify({ type: 'ERROR', object: gone })}\n`)
    })
    expect(inStream.events).toHaveLength(1)
    for (const { error } of [atOnce, inStream]) expect(error).toMatchObject({ name: 'KubeError', isGone: true })
  })

  test('notices a connection on which nothing comes any more', async () => {
    const { events, error } = await watch((response) => response.write(line('ADDED', 'a', '6')), { silenceMs: 80 })
    expect(events).toHaveLength(1)
    expect(error).toMatchObject({ reason: 'Timeout', isTransient: true })
  })

  test('notices a server that accepts it and never answers', async () => {
    const { error } = await watch(() => {}, { silenceMs: 80 })
    expect(error).toMatchObject({ reason: 'Timeout' })
  })

  test('is not silent while bytes come, however slowly', async () => {
    const { events, error } = await watch(
      async (response) => {
        for (let i = 0; i < 6; i++) {
          response.write(line('BOOKMARK', '', String(i)))
          await pause(40)
        }
        response.end()
      },
      { silenceMs: 120 },
    )
    expect([events.length, error]).toEqual([6, undefined])
  })

  test('reports a reset after the events before it', async () => {
    const { events, error } = await watch(async (response) => {
      response.write(line('ADDED', 'a', '6') + line('ADDED', 'b', '7').slice(0, 20))
      await pause(20)
      response.socket?.destroy()
    })
    expect(events.map((event) => event.object.metadata.name)).toEqual(['a'])
    expect(error).toMatchObject({ reason: 'ConnectionLost', isTransient: true })
  })

  test.each([
    ['not JSON', 'what is this\n'],
    ['no object', '{"type":"ADDED"}\n'],
    ['no resourceVersion', '{"type":"ADDED","object":{"metadata":{"name":"a"}}}\n'],
    ['no object name', '{"type":"ADDED","object":{"metadata":{"resourceVersion":"6"}}}\n'],
    ['unknown type', '{"type":"EXPLODED","object":{"metadata":{"resourceVersion":"6","name":"a"}}}\n'],
  ])('refuses a stream it cannot understand: %s', async (what, garbage) => {
    const { error } = await watch((response) => response.end(garbage))
    expect(error).toBeInstanceOf(KubeError)
    expect(error).toMatchObject({ reason: 'BadResponse', message: expect.stringContaining(what) })
  })

  test('ends with the reason of its signal', async () => {
    const abort = new AbortController()
    const reason = new Error('enough')
    setTimeout(() => abort.abort(reason), 50)
    const { events, error } = await watch((response) => response.write(line('ADDED', 'a', '6')), {
      signal: abort.signal,
    })
    expect([events.length, error]).toEqual([1, reason])
  })
})

import { afterAll, describe, expect, test, vi } from 'vitest'
import { connect } from '../../src/kube/client.ts'
import { connectionTo } from '../../src/kube/connection.ts'
import { createReflector } from '../../src/kube/reflector.ts'
import { resources } from '../../src/kube/resources.ts'
import { systemRuntime } from '../../src/runtime.ts'
import { type ApiServer, startApiServer } from '../../src/sandbox/apiserver/index.ts'
import { realServer } from './apiserver.real.ts'
import { kubeLayerConformance } from './kube-layer.conformance.ts'

const started: { stop(): Promise<void> }[] = []
afterAll(async () => {
  for (const server of started) await server.stop()
})

async function sandbox(): Promise<ApiServer> {
  const server = await startApiServer()
  started.push(server)
  return server
}

kubeLayerConformance('the sandbox', async () => {
  const server = await sandbox()
  return connectionTo(server.url, { token: server.token() })
})

const real = realServer()
if (real) {
  kubeLayerConformance('a real API server', async () => {
    const server = await real()
    started.push(server)
    return server.connection()
  })
} else test.skip('the kube layer against a real API server (none given)', () => {})

describe('the sandbox disturbed', () => {
  test('a reflector comes through restarts, compaction and faults with what there is', async () => {
    const server = await sandbox()
    const client = connect({ connection: connectionTo(server.url, { token: server.token() }), runtime: systemRuntime })
    const reflector = createReflector({
      client,
      resource: resources.configMaps,
      namespaces: ['default'],
      runtime: systemRuntime,
      log: { info() {}, warn() {}, error() {} },
      timings: { backoff: { initialMs: 5, maxMs: 50 }, silenceMs: 500, pageSize: 10 },
    })
    reflector.start()
    await reflector.synced
    const ref = { group: '', plural: 'configmaps' }
    const put = (name: string) => {
      const metadata = { name, namespace: 'default' }
      server.storage.create(ref, { apiVersion: 'v1', kind: 'ConfigMap', metadata })
    }
    const settled = () =>
      vi.waitFor(() => {
        const names = server.storage.list(ref, { namespace: 'default' }).map((each) => each.metadata.name)
        expect(
          reflector
            .list()
            .map((each) => each.metadata.name)
            .sort(),
        ).toEqual(names.sort())
      }, 5000)
    for (let i = 0; i < 30; i++) put(`a-${i}`)
    await settled()
    await server.restart({ downMs: 30 })
    put('after-restart')
    server.storage.remove(ref, { namespace: 'default', name: 'a-0' })
    server.compact()
    await settled()
    server.faults.set({ probability: 0.5, error: 503, retryAfter: 0 }, { probability: 0.3, reset: true })
    server.faults.dropWatches()
    for (let i = 0; i < 10; i++) put(`b-${i}`)
    server.storage.remove(ref, { namespace: 'default', name: 'a-1' })
    server.compact()
    server.faults.clear()
    await settled()
    server.faults.silenceWatches(true)
    put('unheard')
    server.faults.silenceWatches(false)
    await settled()
    await reflector.stop()
    client.close()
  })

  test('a server that refuses everybody for a moment after it has started has not taken a role away', async () => {
    const server = await sandbox()
    const client = connect({ connection: connectionTo(server.url, { token: server.token() }), runtime: systemRuntime })
    let [later, refused] = [0, 0]
    const follow = () =>
      createReflector({
        client,
        resource: resources.configMaps,
        runtime: { ...systemRuntime, monotonic: () => systemRuntime.monotonic() + later },
        log: { info() {}, warn: () => void refused++, error() {} },
        timings: { backoff: { initialMs: 5, maxMs: 20 }, silenceMs: 60_000, pageSize: 10 },
      })
    const reflector = follow()
    reflector.start()
    await reflector.synced
    server.faults.set({ match: ({ resource }) => resource === 'configmaps', error: 403 })
    server.faults.dropWatches()
    await vi.waitFor(() => expect(refused).toBeGreaterThan(3), 5000)
    expect(reflector.refusal()).toBeUndefined()
    // Whoever has never been let in has no role; and who is kept out has none any more.
    const stranger = follow()
    stranger.start()
    await vi.waitFor(() => expect(stranger.refusal()).toBeDefined(), 5000)
    later = 20_000
    expect(reflector.refusal()).toBeDefined()
    server.faults.clear()
    await vi.waitFor(() => expect([reflector.refusal(), stranger.refusal()]).toEqual([undefined, undefined]), 5000)
    await Promise.all([reflector.stop(), stranger.stop()])
    client.close()
  })
})

import { expect, test } from 'vitest'
import { type Runtime, systemRuntime } from '../../../src/runtime.ts'
import { startCluster } from '../../../src/sandbox/cluster/index.ts'
import { DEPLOYMENTS, isPodReady, PODS, type Pod, SERVICES, view } from '../../../src/sandbox/cluster/objects.ts'
import { startLoad, startMesh } from '../../../src/sandbox/mesh/index.ts'
import { deployment, eventually, service, testStorage } from '../cluster/world.ts'

/** The system's runtime, with a count of the sleeps under way. */
function countingRuntime(): Runtime & { sleeping(): number } {
  let sleeping = 0
  return {
    ...systemRuntime,
    sleeping: () => sleeping,
    async sleep(ms, signal) {
      sleeping++
      try {
        await systemRuntime.sleep(ms, signal)
      } finally {
        sleeping--
      }
    },
  }
}

test('stopped in the middle of everything, nothing listens, waits or answers any more', async () => {
  const runtime = countingRuntime()
  const storage = testStorage()
  const cluster = startCluster({ storage, runtime })
  const mesh = await startMesh({ storage, cluster, runtime })
  storage.create(SERVICES, service('checkout', { app: 'checkout' }))
  const labels = { app: 'checkout' }
  const shapes: Record<string, Record<string, string>> = {
    good: {},
    slow: { SANDBOX_LATENCY_MS: '5000' },
    hanging: { SANDBOX_HANG_RATE: '1' },
    unready: { SANDBOX_READY: 'false' },
    crashing: { SANDBOX_CRASH_AFTER_MS: '10' },
  }
  for (const [name, env] of Object.entries(shapes))
    storage.create(DEPLOYMENTS, deployment({ name, env, labels: { ...labels, name } }))
  storage.create(DEPLOYMENTS, deployment({ name: 'unpullable', image: 'unpullable.example/app:1' }))
  const pods = () => storage.list(PODS).map((object) => view<Pod>(object))
  await eventually(() => pods().filter(isPodReady).length >= 6)
  await mesh.settled()
  const load = startLoad({ url: mesh.url, host: 'checkout.shop', ratePerSecond: 200, timeoutMs: 500, runtime })
  await eventually(() => load.counts().sent > 50)
  storage.remove(PODS, pods().find(isPodReady)!.metadata)
  const urls = [
    mesh.url,
    ...mesh.targets().map(({ url }) => url),
    ...pods().map(({ status }) => `http://${status.podIP}:8080`),
  ]

  await mesh.stop()
  await cluster.stop()
  await load.stop()
  await eventually(() => runtime.sleeping() === 0, 1000)
  for (const url of urls) await expect(fetch(url)).rejects.toThrow()
})

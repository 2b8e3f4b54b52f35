import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { ROLLOUTS } from './shop.ts'
import { quiet, setStage } from './stage.ts'

/** What one start of the controller cost, and what it does when there is nothing to do. */
export interface Idleness {
  /** From the start of the process until every cache was read. */
  syncedMs: number
  /** Requests other than watches until it went quiet. */
  settling: number
  /** Of those, writes. */
  writes: number
  /** Requests while idle, counted by the servers. */
  idleSeconds: number
  requests: number
  watches: number
  queries: number
  /** What was asked while idle, for whoever has to find out why. */
  seen: string[]
  /** Resident memory at the end, bytes. */
  rssBytes: number
  /** Of it, JavaScript objects that are in use or not collected yet. */
  heapBytes: number
}

export interface IdleResult {
  rollouts: number
  /** Rollouts that are Healthy at the end. */
  healthy: number
  /** The controller meets the Rollouts for the first time, and then once more after a restart. */
  adoption: Idleness
  restart: Idleness
}

const READS = ['get', 'list', 'watch']

/** Runs the controller as its own process over so many Rollouts of which nothing is desired. */
export async function measureIdle(options: {
  rollouts: number
  idleSeconds: number
  /** Options of Node for the controller. */
  node?: readonly string[]
}): Promise<IdleResult> {
  const prometheus = await startEmptyPrometheus()
  const stage = await setStage({
    rollouts: options.rollouts,
    steps: [{ weight: 10 }, { weight: 100 }],
    analysis: { slis: [{ name: 'success-rate', successRate: { objective: 99 } }] },
    perNamespace: 20,
  })
  try {
    async function start(): Promise<Idleness> {
      const { records } = stage
      records.length = 0
      const controller = await stage.controller(prometheus.url, options.node)
      try {
        const before = await quiet(() => records.filter((record) => record.verb !== 'watch').length)
        const from = records.length
        const queriesBefore = prometheus.asked()
        await sleep(options.idleSeconds * 1000)
        const during = records.slice(from)
        const metrics = await controller.metrics()
        return {
          syncedMs: controller.syncedMs,
          settling: before,
          writes: records.slice(0, from).filter((record) => !READS.includes(record.verb)).length,
          idleSeconds: options.idleSeconds,
          requests: during.filter((record) => record.verb !== 'watch').length,
          watches: during.filter((record) => record.verb === 'watch').length,
          queries: prometheus.asked() - queriesBefore,
          seen: [...new Set(during.map((record) => `${record.verb} ${record.path}`))],
          rssBytes: metrics.get('process_resident_memory_bytes') ?? Number.NaN,
          heapBytes: metrics.get('nodejs_heap_size_used_bytes') ?? Number.NaN,
        }
      } finally {
        await controller.stop()
      }
    }

    const adoption = await start()
    const restart = await start()
    const phases = stage.api.storage.list(ROLLOUTS).map((rollout) => Object(rollout.status).phase)
    return {
      rollouts: options.rollouts,
      healthy: phases.filter((phase) => phase === 'Healthy').length,
      adoption,
      restart,
    }
  } finally {
    await prometheus.stop()
    await stage.stop()
  }
}

/** Counts what it is asked, and has nothing to say. */
async function startEmptyPrometheus() {
  let asked = 0
  const server = createServer((_request, response) => {
    asked++
    response.setHeader('content-type', 'application/json')
    response.end('{"status":"success","data":{"resultType":"vector","result":[]}}')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    asked: () => asked,
    stop: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

import { setTimeout as sleep } from 'node:timers/promises'
import type { RequestRecord } from '../../src/sandbox/apiserver/index.ts'
import type { ControllerProcess } from './controller-process.ts'
import { isPlainWrite } from './plain-writes.ts'

/** What a controller cost over a while in which nothing new happened. */
export interface Costs {
  seconds: number
  /** Share of one core. */
  core: number
  /** The most that was resident at any sample. */
  rssBytes: number
  /** Requests to the API server a minute: all but watches, and of them writes of a Rollout's status. */
  requestsPerMinute: number
  statusWritesPerMinute: number
  /** Watches begun anew a minute. */
  watchesPerMinute: number
  /** Writes of status of the one Rollout that had most. */
  mostStatusWrites: number
  /** Prometheus queries a minute. */
  queriesPerMinute: number
  /** Reconciles a minute, of all Rollouts. */
  reconcilesPerMinute: number
}

const SAMPLES = 5

/** Watches a controller for so long. `records` is where the API server's requests are collected. */
export async function measureCosts(
  controller: ControllerProcess,
  records: readonly RequestRecord[],
  ms: number,
): Promise<Costs> {
  const from = records.length
  const before = await controller.metrics()
  const started = performance.now()
  let rssBytes = 0
  for (let sample = 0; sample < SAMPLES; sample++) {
    await sleep(ms / SAMPLES)
    rssBytes = Math.max(rssBytes, totalOf(await controller.metrics(), 'process_resident_memory_bytes'))
  }
  const after = await controller.metrics()
  const seconds = (performance.now() - started) / 1000
  const during = records.slice(from).filter((record) => !isPlainWrite(record))
  const grown = (name: string) => totalOf(after, name) - totalOf(before, name)
  const perMinute = (count: number) => (60 * count) / seconds
  const statuses = during.filter(({ resource, subresource }) => resource === 'rollouts' && subresource === 'status')
  const byRollout = Object.groupBy(statuses, ({ namespace, name }) => `${namespace}/${name}`)
  return {
    seconds,
    core: grown('process_cpu_seconds_total') / seconds,
    rssBytes,
    requestsPerMinute: perMinute(during.filter(({ verb }) => verb !== 'watch').length),
    statusWritesPerMinute: perMinute(statuses.length),
    watchesPerMinute: perMinute(during.filter(({ verb }) => verb === 'watch').length),
    mostStatusWrites: Math.max(0, ...Object.values(byRollout).map((writes) => writes?.length ?? 0)),
    queriesPerMinute: perMinute(grown('sluice_prometheus_queries_total')),
    reconcilesPerMinute: perMinute(grown('sluice_reconcile_duration_seconds_count')),
  }
}

/** The sum of a metric over its labels. */
export function totalOf(metrics: ReadonlyMap<string, number>, name: string): number {
  let sum = 0
  for (const [series, value] of metrics) if (series === name || series.startsWith(`${name}{`)) sum += value
  return sum
}

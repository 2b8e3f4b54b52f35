import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { crdOf } from '../../src/api/crd.ts'
import { kinds } from '../../src/api/kinds.ts'
import type { KubeObject } from '../../src/kube/object.ts'
import { type ApiServer, type RequestRecord, startApiServer } from '../../src/sandbox/apiserver/index.ts'
import { startPrometheus } from '../../src/sandbox/prometheus/server.ts'
import { mean, quantile, seeded } from '../judge-random.ts'
import { startControllerProcess } from './controller-process.ts'
import { boundOf, bucketsOf, shareWithin } from './histogram.ts'
import { startLiveTraffic } from './live-traffic.ts'
import { ROLLOUTS, storeApps, VIRTUAL_SERVICES } from './shop.ts'

export interface BreachOptions {
  rollouts: number
  /** Of the analysis, and of the scrapes. */
  intervalSeconds: number
  errorRate: number
  /** How many canaries break; nine of ten where it is left out. */
  broken?: number
  seed: number
}

export interface BreachResult {
  /** Rollouts whose canary broke, and those of them whose traffic is back. */
  broken: number
  putBack: number
  /** Rollouts whose canary stayed well, and those of them that kept their weight. */
  well: number
  kept: number
  /** Verdict → accepted write, seconds: the mean; the histogram's bound that half, and 99 of 100, keep; the share within 50 ms. */
  writeMean: number
  writeP50: number
  writeP99: number
  within50ms: number
  /** One weight write by an idle client against the same server in the same run, seconds. */
  plainMean: number
  plainP50: number
  plainP99: number
  /** Onset → weight 0, in units of one scrape plus one interval. */
  unitsP50: number
  unitsP90: number
  /** Of the controller while all are in flight and well: share of one core, and what it asked. */
  core: number
  rssBytes: number
  queriesPerInterval: number
  /** Writes of status of the one Rollout that had most, and the time in which they were counted. */
  mostStatusWrites: number
  calmSeconds: number
}

/** Canary requests per interval at 10 %: those of 100 requests a second and 15 s. */
const CANARY_REQUESTS = 150

/** Rollouts held at 10 % by a controller of its own process; most canaries break at moments of their own. */
export async function measureBreaches(options: BreachOptions): Promise<BreachResult> {
  const { rollouts, intervalSeconds } = options
  const random = seeded(options.seed)
  const interval = intervalSeconds * 1000
  const dir = await mkdtemp(join(tmpdir(), 'sluice-bench-'))
  const stops: (() => Promise<unknown>)[] = [() => rm(dir, { recursive: true, force: true })]
  try {
    const api = await startApiServer({ tokens: {} })
    stops.push(() => api.stop())
    const prometheus = await startPrometheus({ targets: () => [], scrapeIntervalMs: 60_000, retentionMs: 1_200_000 })
    stops.push(() => prometheus.stop())
    for (const kind of Object.values(kinds)) {
      const crd: unknown = crdOf(kind)
      api.storage.create({ group: 'apiextensions.k8s.io', plural: 'customresourcedefinitions' }, crd as KubeObject)
    }
    const apps = storeApps(api.storage, {
      rollouts,
      steps: [{ weight: 10, hold: '1h' }, { weight: 100 }],
      analysis: {
        interval: `${intervalSeconds}s`,
        slis: [{ name: 'success-rate', successRate: { objective: 99 } }],
      },
      perNamespace: 20,
    })
    const kubeconfig = join(dir, 'kubeconfig')
    await writeFile(kubeconfig, api.kubeconfig(), { mode: 0o600 })
    const records: RequestRecord[] = []
    api.onRequest((record) => records.push(record))
    const controller = await startControllerProcess({ kubeconfig, prometheus: prometheus.url, workDir: dir })
    stops.push(() => controller.stop())
    const traffic = startLiveTraffic({
      storage: api.storage,
      store: prometheus.store,
      apps,
      scrapeMs: interval,
      requests: CANARY_REQUESTS * 10,
      random,
    })
    stops.push(() => traffic.stop())

    await until('every Rollout is Healthy', 120_000, () =>
      api.storage.list(ROLLOUTS).every((rollout) => Object(rollout.status).phase === 'Healthy'),
    )
    for (const app of apps)
      api.storage.patchMerge(ROLLOUTS, app, { spec: { workload: { subsets: { desired: 'v2' } } } })
    await until('every canary has 10 %', 120_000 + 4 * interval, () =>
      apps.every((app) => traffic.weightOf(app) === 10),
    )
    await sleep(2 * interval)

    const before = { at: performance.now(), metrics: await controller.metrics(), records: records.length }
    const calm = Math.max(4 * interval, 5_000)
    const plain = await plainWrites(api, calm)
    await sleep(Math.max(0, before.at + calm - performance.now()))
    const after = { at: performance.now(), metrics: await controller.metrics(), records: records.length }
    const seconds = (after.at - before.at) / 1000
    const grown = (name: string) => sumOf(after.metrics, name) - sumOf(before.metrics, name)
    const statusWrites = Object.groupBy(
      records
        .slice(before.records, after.records)
        .filter(({ resource, subresource }) => resource === 'rollouts' && subresource === 'status'),
      ({ namespace, name }) => `${namespace}/${name}`,
    )

    const every = rollouts / (options.broken ?? rollouts * 0.9)
    const broken = apps.filter((_, i) => Math.floor((i + 1) / every) > Math.floor(i / every))
    const well = apps.filter((app) => !broken.includes(app))
    const start = Date.now()
    const onset = new Map(broken.map((app) => [app, start + 4 * interval * random()]))
    for (const [app, at] of onset) traffic.breakCanary(app, at, options.errorRate)
    await until('traffic is back', 24 * interval, () => broken.every((app) => traffic.putBackAt(app)), false)
    await sleep(200)
    const end = await controller.metrics()
    const buckets = bucketsOf(end, 'sluice_breach_to_weight_seconds')
    const units = broken.flatMap((app) => {
      const at = traffic.putBackAt(app)
      return at === undefined ? [] : [(at - onset.get(app)!) / (2 * interval)]
    })
    return {
      broken: broken.length,
      putBack: units.length,
      well: well.length,
      kept: well.filter((app) => traffic.weightOf(app) === 10).length,
      writeMean:
        sumOf(end, 'sluice_breach_to_weight_seconds_sum') / sumOf(end, 'sluice_breach_to_weight_seconds_count'),
      writeP50: boundOf(buckets, 0.5),
      writeP99: boundOf(buckets, 0.99),
      within50ms: shareWithin(buckets, 0.05),
      plainMean: mean(plain),
      plainP50: quantile(plain, 0.5),
      plainP99: quantile(plain, 0.99),
      unitsP50: quantile(units, 0.5),
      unitsP90: quantile(units, 0.9),
      core: grown('process_cpu_seconds_total') / seconds,
      rssBytes: after.metrics.get('process_resident_memory_bytes') ?? Number.NaN,
      queriesPerInterval: (grown('sluice_prometheus_queries_total') * intervalSeconds) / seconds,
      mostStatusWrites: Math.max(0, ...Object.values(statusWrites).map((writes) => writes?.length ?? 0)),
      calmSeconds: seconds,
    }
  } finally {
    for (const stop of stops.reverse()) await stop()
  }
}

/** The same kind of write as a retreat, on a route that belongs to nobody: seconds that each took. */
async function plainWrites(api: ApiServer, ms: number): Promise<number[]> {
  const name = 'calibration'
  const route = [
    { destination: { host: 'nobody', subset: 'v1' }, weight: 100 },
    { destination: { host: 'nobody', subset: 'v2' }, weight: 0 },
  ]
  api.storage.create(VIRTUAL_SERVICES, {
    apiVersion: 'networking.istio.io/v1',
    kind: 'VirtualService',
    metadata: { namespace: 'default', name },
    ...{ spec: { hosts: ['nobody'], http: [{ name: 'primary', route }] } },
  })
  const url = `${api.url}/apis/networking.istio.io/v1/namespaces/default/virtualservices/${name}`
  const headers = { authorization: `Bearer ${api.token()}`, 'content-type': 'application/json-patch+json' }
  const taken: number[] = []
  const rounds = 50
  for (let i = 0; i < rounds; i++) {
    const path = '/spec/http/0/route'
    const patch = [
      { op: 'replace', path: `${path}/0/weight`, value: 100 - (i % 2) },
      { op: 'replace', path: `${path}/1/weight`, value: i % 2 },
    ]
    const started = performance.now()
    const answer = await fetch(url, { method: 'PATCH', headers, body: JSON.stringify(patch) })
    await answer.text()
    if (!answer.ok) throw new Error(`the calibrating write was answered ${answer.status}`)
    taken.push((performance.now() - started) / 1000)
    await sleep(ms / rounds / 2)
  }
  return taken
}

function sumOf(metrics: ReadonlyMap<string, number>, name: string): number {
  let sum = 0
  for (const [series, value] of metrics) if (series === name || series.startsWith(`${name}{`)) sum += value
  return sum
}

async function until(what: string, ms: number, done: () => boolean, must = true): Promise<void> {
  const deadline = performance.now() + ms
  while (!done()) {
    if (performance.now() > deadline) {
      if (must) throw new Error(`after ${(ms / 1000).toFixed(0)} s it is still not so that ${what}`)
      return
    }
    await sleep(20)
  }
}

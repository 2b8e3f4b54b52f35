import { startPrometheus } from '../../src/sandbox/prometheus/server.ts'
import { mean, quantile, seeded } from '../judge-random.ts'
import { type Costs, measureCosts, totalOf } from './costs.ts'
import { boundOf, bucketsOf, shareWithin } from './histogram.ts'
import { startLiveTraffic } from './live-traffic.ts'
import { plainWrites } from './plain-writes.ts'
import { ROLLOUTS } from './shop.ts'
import { quiet, setStage, until } from './stage.ts'

export interface FleetOptions {
  rollouts: number
  /** Of them, how many are brought to 10 % and held there; the others have nothing to do. All where it is left out. */
  inFlight?: number
  /** Of those in flight, how many canaries break; nine of ten where it is left out. */
  broken?: number
  /** Of the analysis, and of the scrapes. */
  intervalSeconds: number
  errorRate: number
  seed: number
  /** How long the costs are watched before anything is released; not at all where it is left out. */
  idleSeconds?: number
  /** How long they are watched while all in flight are well; at least four intervals where it is left out. */
  busySeconds?: number
  /** Canaries break within so many intervals, each at a moment of its own. */
  onsetIntervals?: number
  /** Options of Node for the controller. */
  node?: readonly string[]
  /** Told about every stage, for people who wait. */
  progress?: (text: string) => void
}

export interface FleetResult {
  inFlight: number
  /** From the start of the process until every cache was read, ms. */
  syncedMs: number
  idle?: Costs
  busy: Costs
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
}

/** Canary requests per interval at 10 %: those of 100 requests a second and 15 s. */
const CANARY_REQUESTS = 150

/** Rollouts under a controller of its own process: idle, then some held at 10 %, then some of their canaries break. */
export async function measureFleet(options: FleetOptions): Promise<FleetResult> {
  const { rollouts, intervalSeconds, progress = () => undefined } = options
  const { inFlight = rollouts, onsetIntervals = 4 } = options
  const { broken: breaking = Math.floor(inFlight * 0.9), busySeconds = Math.max(4 * intervalSeconds, 5) } = options
  const random = seeded(options.seed)
  const interval = intervalSeconds * 1000
  const stops: (() => Promise<unknown>)[] = []
  try {
    const stage = await setStage({
      rollouts,
      steps: [{ weight: 10, hold: '1h' }, { weight: 100 }],
      analysis: {
        interval: `${intervalSeconds}s`,
        slis: [{ name: 'success-rate', successRate: { objective: 99 } }],
      },
      perNamespace: 20,
    })
    stops.push(() => stage.stop())
    const { api, records } = stage
    const prometheus = await startPrometheus({ targets: () => [], scrapeIntervalMs: 60_000, retentionMs: 1_200_000 })
    stops.push(() => prometheus.stop())
    const controller = await stage.controller(prometheus.url, options.node)
    stops.push(() => controller.stop())
    progress(`${rollouts} Rollouts: synced after ${(controller.syncedMs / 1000).toFixed(1)} s`)

    await until('every Rollout is Healthy', 240_000, () =>
      api.storage.list(ROLLOUTS).every((rollout) => Object(rollout.status).phase === 'Healthy'),
    )
    await quiet(() => records.length)
    const idle = options.idleSeconds ? await measureCosts(controller, records, options.idleSeconds * 1000) : undefined
    progress('all adopted, none has anything to do')

    const flying = stage.apps.slice(0, inFlight)
    const traffic = startLiveTraffic({
      storage: api.storage,
      store: prometheus.store,
      apps: flying,
      scrapeMs: interval,
      requests: CANARY_REQUESTS * 10,
      random,
    })
    stops.push(() => traffic.stop())
    for (const app of flying)
      api.storage.patchMerge(ROLLOUTS, app, { spec: { workload: { subsets: { desired: 'v2' } } } })
    await until('every canary has 10 %', 120_000 + 4 * interval, () =>
      flying.every((app) => traffic.weightOf(app) === 10),
    )
    progress(`${inFlight} in flight`)
    // The numbers of the first windows are written at once: after two intervals it is as it will be for hours.
    await new Promise((resolve) => setTimeout(resolve, 2 * interval))

    const [busy, plain] = await Promise.all([
      measureCosts(controller, records, busySeconds * 1000),
      plainWrites(api, busySeconds * 1000),
    ])
    progress('watched for a while')

    const broken = flying.filter(
      (_, i) => Math.floor(((i + 1) * breaking) / inFlight) > Math.floor((i * breaking) / inFlight),
    )
    const well = flying.filter((app) => !broken.includes(app))
    const start = Date.now()
    const onset = new Map(broken.map((app) => [app, start + onsetIntervals * interval * random()]))
    for (const [app, at] of onset) traffic.breakCanary(app, at, options.errorRate)
    const patience = (onsetIntervals + 20) * interval
    await until('traffic is back', patience, () => broken.every((app) => traffic.putBackAt(app)), false)
    progress('broken canaries are put back')
    await new Promise((resolve) => setTimeout(resolve, 200))
    const end = await controller.metrics()
    const buckets = bucketsOf(end, 'sluice_breach_to_weight_seconds')
    const units = broken.flatMap((app) => {
      const at = traffic.putBackAt(app)
      return at === undefined ? [] : [(at - onset.get(app)!) / (2 * interval)]
    })
    return {
      inFlight,
      syncedMs: controller.syncedMs,
      ...(idle ? { idle } : {}),
      busy,
      broken: broken.length,
      putBack: units.length,
      well: well.length,
      kept: well.filter((app) => traffic.weightOf(app) === 10).length,
      writeMean:
        totalOf(end, 'sluice_breach_to_weight_seconds_sum') / totalOf(end, 'sluice_breach_to_weight_seconds_count'),
      writeP50: boundOf(buckets, 0.5),
      writeP99: boundOf(buckets, 0.99),
      within50ms: shareWithin(buckets, 0.05),
      plainMean: mean(plain),
      plainP50: quantile(plain, 0.5),
      plainP99: quantile(plain, 0.99),
      unitsP50: quantile(units, 0.5),
      unitsP90: quantile(units, 0.9),
    }
  } finally {
    for (const stop of stops.reverse()) await stop()
  }
}

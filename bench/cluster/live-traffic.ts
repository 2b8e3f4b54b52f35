import { setTimeout as sleep } from 'node:timers/promises'
import type { Storage } from '../../src/sandbox/apiserver/index.ts'
import type { Store } from '../../src/sandbox/prometheus/store.ts'
import { binomial } from '../judge-random.ts'
import { createPodCounters } from '../mesh/counters.ts'
import { type App, VIRTUAL_SERVICES } from './shop.ts'

/** Traffic that follows the weights of the VirtualServices, counted as a mesh counts it, in real time. */
export interface LiveTraffic {
  /** Points the canary has now. */
  weightOf(app: App): number
  /** From this moment (epoch ms) on the canary fails this share of its requests. */
  breakCanary(app: App, at: number, errorRate: number): void
  /** When the canary's weight first became 0 after it was broken, epoch ms. */
  putBackAt(app: App): number | undefined
  stop(): Promise<void>
}

/** Scrapes happen in so many slots of an interval; an app keeps its slot. */
const SLOTS = 20
const HEALTHY_RATE = 0.001

/** Requests and scrapes of every app from now on, straight into the store. */
export function startLiveTraffic(options: {
  storage: Storage
  store: Store
  apps: readonly App[]
  scrapeMs: number
  /** Per app and scrape interval, both versions together. */
  requests: number
  random: () => number
}): LiveTraffic {
  const { storage, store, scrapeMs, requests, random } = options
  const routes = new Map<string, { weight: number; brokenAt: number; errorRate: number; putBackAt?: number }>()
  const keyOf = ({ namespace, name }: Pick<App, 'namespace' | 'name'>) => `${namespace}/${name}`
  for (const app of options.apps)
    routes.set(keyOf(app), { weight: 0, brokenAt: Number.POSITIVE_INFINITY, errorRate: 0 })
  const routeOf = (app: App) => {
    const found = routes.get(keyOf(app))
    if (!found) throw new Error(`${keyOf(app)} is no app of this traffic`)
    return found
  }
  const unsubscribe = storage.subscribe(VIRTUAL_SERVICES, (_type, { metadata, ...object }) => {
    const route = routes.get(`${metadata.namespace}/${metadata.name}`)
    if (!route) return
    route.weight = canaryWeight(object)
    if (route.weight === 0 && Date.now() >= route.brokenAt) route.putBackAt ??= Date.now()
  })
  const pods = options.apps.map((app, i) => ({
    app,
    slot: i % SLOTS,
    scrapedAt: Date.now(),
    stable: createPodCounters({ namespace: app.namespace, workload: app.stable }),
    canary: createPodCounters({ namespace: app.namespace, workload: app.canary }),
  }))

  function scrape(pod: (typeof pods)[number], now: number): void {
    const route = routeOf(pod.app)
    const passed = Math.min(2, (now - pod.scrapedAt) / scrapeMs)
    const n = Math.round((requests * passed * route.weight) / 100)
    const sick = Math.round(n * Math.min(1, Math.max(0, (now - route.brokenAt) / (now - pod.scrapedAt))))
    pod.canary.serve(n, binomial(random, sick, route.errorRate) + binomial(random, n - sick, HEALTHY_RATE))
    const rest = Math.round(requests * passed) - n
    pod.stable.serve(rest, binomial(random, rest, HEALTHY_RATE))
    for (const counters of [pod.canary, pod.stable]) counters.scrape(store, now)
    pod.scrapedAt = now
  }

  const stopping = new AbortController()
  async function run(): Promise<void> {
    for (let tick = 0; !stopping.signal.aborted; tick++) {
      await sleep(scrapeMs / SLOTS)
      const now = Date.now()
      for (const pod of pods) if (pod.slot === tick % SLOTS && now > pod.scrapedAt) scrape(pod, now)
      if (tick % (SLOTS * 20) === 0) store.prune(now)
    }
  }
  const running = run()

  return {
    weightOf: (app) => routeOf(app).weight,
    breakCanary: (app, at, errorRate) => void Object.assign(routeOf(app), { brokenAt: at, errorRate }),
    putBackAt: (app) => routeOf(app).putBackAt,
    async stop() {
      stopping.abort()
      unsubscribe()
      await running
    },
  }
}

function canaryWeight(virtualService: object): number {
  return Object(virtualService).spec.http[0].route[1].weight
}

import { listAt, textAt } from '../../src/kube/field.ts'
import { systemRuntime as runtime } from '../../src/runtime.ts'
import { createIstioMetrics, type Peer, UNKNOWN_PEER } from '../../src/sandbox/mesh/istio-metrics.ts'
import type { Target } from '../../src/sandbox/prometheus/target.ts'
import type { Manifest } from '../deploy/kustomize.ts'

/** Requests that nobody sends: what the sidecars of an app would have counted if clients had followed its route. */
export interface Traffic {
  /** What Prometheus scrapes, one process a workload. */
  targets(): Target[]
  /** From now on this share of the requests that a workload gets fail. */
  fail(workload: string, share: number): void
}

export interface TrafficGiven {
  namespace: string
  service: string
  /** The live VirtualService, asked at every scrape. */
  route(): Promise<Manifest | undefined>
  /** The workloads by the subsets that the route names. */
  workloads: Record<string, string>
  ratePerSecond: number
}

/** Counters that grow with time in proportion to the weights of the live route. */
export function createTraffic({ namespace, service, route, workloads, ratePerSecond }: TrafficGiven): Traffic {
  const failing = new Map<string, number>()
  let known: Manifest | undefined

  const weightOf = async (subset: string): Promise<number> => {
    // While the API server is away, the mesh goes on as it was told last.
    known = (await route().catch(() => undefined)) ?? known
    const entry = listAt(listAt(known, 'spec', 'http')[0], 'route').find(
      (each) => textAt(each, 'destination', 'subset') === subset,
    ) as Manifest
    return entry?.weight ?? 0
  }

  function targetOf(subset: string, workload: string): Target {
    const metrics = createIstioMetrics()
    const peer = (name: string): Peer => ({ ...UNKNOWN_PEER, workload: name, namespace, app: name })
    let last = runtime.monotonic()
    let [due, bad] = [0, 0]
    return {
      job: 'istio-proxies',
      instance: `${workload}.${namespace}:15020`,
      labels: { namespace, pod: `${workload}-0` },
      async read() {
        const weight = await weightOf(subset)
        const now = runtime.monotonic()
        due += (((now - last) / 1000) * ratePerSecond * weight) / 100
        last = now
        for (; due >= 1; due--) {
          bad += failing.get(workload) ?? 0
          const isBad = bad >= 1
          if (isBad) bad--
          metrics.record({
            reporter: 'destination',
            source: peer('frontend'),
            destination: peer(workload),
            service: { host: `${service}.${namespace}.svc.cluster.local`, name: service, namespace },
            responseCode: isBad ? 503 : 200,
            responseFlags: '-',
            grpcStatus: '',
            protocol: 'http',
            durationMs: 12,
          })
        }
        return metrics.render()
      },
    }
  }

  const targets = Object.entries(workloads).map(([subset, workload]) => targetOf(subset, workload))
  return { targets: () => targets, fail: (workload, share) => void failing.set(workload, share) }
}

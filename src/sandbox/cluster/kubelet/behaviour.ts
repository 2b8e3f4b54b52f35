import type { Container, Pod } from '../objects.ts'

/**
 * How one version of a workload behaves. Every setting is an environment variable of the first container (its own, or of a ConfigMap or
 * Secret, as those were when the container started), or, with precedence and effect on running pods at once, an annotation of the pod: `SANDBOX_ERROR_RATE=0.2` is `sandbox.sluice.dev/error-rate: "0.2"`.
 *
 * | variable | meaning | default |
 * |---|---|---|
 * | SANDBOX_ERROR_RATE | share of requests answered with the error status | 0 |
 * | SANDBOX_ERROR_STATUS | that status | 500 |
 * | SANDBOX_LATENCY_MS | median time to answer | 0 |
 * | SANDBOX_LATENCY_P99_MS | 99th percentile; log-normal between the two | the median |
 * | SANDBOX_SLOW_RATE | share of requests that take SANDBOX_SLOW_MS | 0 |
 * | SANDBOX_SLOW_MS | how long those take | 2000 |
 * | SANDBOX_HANG_RATE | share of requests never answered | 0 |
 * | SANDBOX_RESET_RATE | share of requests whose connection the app cuts | 0 |
 * | SANDBOX_DEGRADE_AFTER_MS | errors, slowness, hangs and resets begin this long after the container's start | 0 |
 * | SANDBOX_READY_AFTER_MS | not ready before this time after the container's start | 0 |
 * | SANDBOX_READY | `false`: never ready | true |
 * | SANDBOX_CRASH_AFTER_MS | the container exits with code 1 after this time, again and again | never |
 * | SANDBOX_UNREACHABLE | `true`: counts as ready, but nothing listens at its address | false |
 * | SANDBOX_UNSCHEDULABLE | `true`: no node takes the pod | false |
 * | SANDBOX_SHUTDOWN_MS | goes on serving this long after it was asked to end | 500 |
 * | SANDBOX_CPU_UTILIZATION | percent, as a HorizontalPodAutoscaler would measure it | unknown |
 * | SANDBOX_VERSION | the version the pod answers with | the image's tag |
 * | SANDBOX_SEED | repeats the same draws | the sandbox's seed |
 */
export interface Behaviour {
  version: string
  errorRate: number
  errorStatus: number
  latencyMs: number
  latencyP99Ms: number
  slowRate: number
  slowMs: number
  hangRate: number
  resetRate: number
  degradeAfterMs: number
  readyAfterMs: number
  ready: boolean
  crashAfterMs: number | undefined
  unreachable: boolean
  unschedulable: boolean
  shutdownMs: number
  cpuUtilization: number | undefined
  seed: number | undefined
}

const ANNOTATION_PREFIX = 'sandbox.sluice.dev/'

/** Reads a pod's behaviour; a value that is no number reads as absent. `env`: the environment of its container, once that has started. */
export function behaviourOf(pod: Pod, env: ReadonlyMap<string, string> = declaredEnv(pod)): Behaviour {
  const container = appContainer(pod)
  const annotations = pod.metadata.annotations ?? {}
  const text = (setting: string): string | undefined =>
    annotations[ANNOTATION_PREFIX + setting] ?? env.get(`SANDBOX_${setting.toUpperCase().replaceAll('-', '_')}`)
  const optional = (setting: string): number | undefined => {
    const value = text(setting)
    if (value === undefined || value.trim() === '') return undefined
    const number = Number(value)
    return Number.isFinite(number) ? number : undefined
  }
  const number = (setting: string, otherwise: number) => optional(setting) ?? otherwise
  const latencyMs = number('latency-ms', 0)
  return {
    version: text('version') ?? tagOf(container?.image ?? ''),
    errorRate: number('error-rate', 0),
    errorStatus: number('error-status', 500),
    latencyMs,
    latencyP99Ms: Math.max(latencyMs, number('latency-p99-ms', latencyMs)),
    slowRate: number('slow-rate', 0),
    slowMs: number('slow-ms', 2000),
    hangRate: number('hang-rate', 0),
    resetRate: number('reset-rate', 0),
    degradeAfterMs: number('degrade-after-ms', 0),
    readyAfterMs: number('ready-after-ms', 0),
    ready: text('ready') !== 'false',
    crashAfterMs: optional('crash-after-ms'),
    unreachable: text('unreachable') === 'true',
    unschedulable: text('unschedulable') === 'true',
    shutdownMs: number('shutdown-ms', 500),
    cpuUtilization: optional('cpu-utilization'),
    seed: optional('seed'),
  }
}

/** The variables that the pod itself gives a value. */
function declaredEnv(pod: Pod): Map<string, string> {
  return new Map((appContainer(pod)?.env ?? []).map(({ name, value }) => [name, value ?? '']))
}

/** The container that serves: the first that is not the mesh's own. */
export function appContainer(pod: Pod): Container | undefined {
  return pod.spec.containers.find(({ name }) => name !== 'istio-proxy')
}

/** The ports the app listens on: those its container declares. Declaring none is no statement in Kubernetes: then 8080, and whatever port it is asked on. */
export function portsOf(pod: Pod): { ports: number[]; anyPort: boolean } {
  const declared = (appContainer(pod)?.ports ?? []).map(({ containerPort }) => containerPort)
  return declared.length > 0 ? { ports: [...new Set(declared)], anyPort: false } : { ports: [8080], anyPort: true }
}

/** An image's tag, or `latest`. */
function tagOf(image: string): string {
  const [withoutDigest = ''] = image.split('@')
  const colon = withoutDigest.lastIndexOf(':')
  return colon > withoutDigest.lastIndexOf('/') ? withoutDigest.slice(colon + 1) : 'latest'
}

/** Whether the image can be pulled: not from the registry `unpullable.example`, not with a tag of `does-not-exist`. */
export function isPullable(image: string): boolean {
  return !image.startsWith('unpullable.example/') && !image.includes('does-not-exist')
}

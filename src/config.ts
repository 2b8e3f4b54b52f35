import { hostname } from 'node:os'
import { type Topic, topics } from './api/notify.ts'
import { SluiceError } from './errors.ts'

/** Everything the controller can be told, by flag or by environment variable; flags win. */
export interface ControllerConfig {
  kubeconfig?: string
  /** Base URL of Prometheus for Rollouts that name none. */
  prometheus?: string
  /** Only these namespaces; all when empty. */
  namespaces: string[]
  listen: string
  /** Where the web page listens; nowhere when left out. */
  page?: string
  /** Names by which the page may be called besides addresses and localhost. */
  pageHosts: string[]
  clusterName?: string
  /** Take over state files that another cluster wrote. */
  takeOver: boolean
  logLevel: string
  /** Where clones of repositories are kept. */
  workDir: string
  leaderElection: boolean
  /** Namespace of the Lease. */
  leaseNamespace: string
  /** Others take over this long after the leader's last sign of life, milliseconds; whole seconds. */
  leaseMs: number
  identity: string
  /** How often evidence is written to status while nothing else changes, milliseconds. */
  checkpointMs: number
  /**
   * `appToken` opens a socket for clicks where Slack cannot reach the cluster.
   * `apiUrl`: base URL of Slack's Web API where it is not the usual one, as in GovSlack or behind a proxy.
   */
  slack: { token?: string; appToken?: string; channel?: string; signingSecrets: string[]; apiUrl?: string }
  webhook?: { url: string; secret?: string }
  /** What the controller's own Slack channel and webhook are told; the usual when left out. */
  notifyOn?: Topic[]
  workers: number
  /** Variables that git may see: where programs, proxies and authorities are. */
  gitEnv: Record<string, string>
}

/** The variables that matter for finding a cluster; see kube/kubeconfig. */
export interface KubeEnv {
  KUBECONFIG?: string
  HOME?: string
  KUBERNETES_SERVICE_HOST?: string
  KUBERNETES_SERVICE_PORT?: string
}

type Env = Record<string, string | undefined>

/** The process environment: read here and nowhere else. */
export function environment(): Env {
  return process.env
}

export function kubeEnv(env: Env = environment()): KubeEnv {
  const { KUBECONFIG, HOME, KUBERNETES_SERVICE_HOST, KUBERNETES_SERVICE_PORT } = env
  return { KUBECONFIG, HOME, KUBERNETES_SERVICE_HOST, KUBERNETES_SERVICE_PORT }
}

/** What the environment says about the terminal. COLUMNS, where it is a number, is the width of a line. */
export function terminalEnv(env: Env = environment()): { env: Env; columns: number | undefined; noColour: boolean } {
  const columns = /^[1-9][0-9]{0,4}$/.test(env.COLUMNS ?? '') ? Number(env.COLUMNS) : undefined
  return { env, columns, noColour: (env.NO_COLOR ?? '') !== '' }
}

/** Flags as commander gives them. */
export interface ControllerFlags {
  kubeconfig?: string
  prometheus?: string
  namespace?: string[]
  listen?: string
  page?: string
  clusterName?: string
  takeOver?: boolean
  logLevel?: string
  workDir?: string
  leaderElect?: boolean
}

export function controllerConfig(flags: ControllerFlags = {}, env: Env = environment()): ControllerConfig {
  const kubeconfig = flags.kubeconfig ?? env.SLUICE_KUBECONFIG
  const prometheus = httpUrl(flags.prometheus ?? env.SLUICE_PROMETHEUS)
  const clusterName = flags.clusterName ?? env.SLUICE_CLUSTER_NAME
  const inCluster = env.KUBERNETES_SERVICE_HOST !== undefined && kubeconfig === undefined
  const listen = flags.listen ?? env.SLUICE_LISTEN ?? (inCluster ? '0.0.0.0:8080' : '127.0.0.1:8080')
  const page = flags.page ?? env.SLUICE_PAGE ?? defaultPage(listen)
  return {
    ...(kubeconfig ? { kubeconfig } : {}),
    ...(prometheus ? { prometheus } : {}),
    ...(clusterName ? { clusterName } : {}),
    namespaces: flags.namespace ?? list(env.SLUICE_NAMESPACES),
    listen,
    ...(page === 'off' ? {} : { page }),
    pageHosts: list(env.SLUICE_PAGE_HOSTS),
    takeOver: flags.takeOver ?? env.SLUICE_TAKE_OVER === 'true',
    logLevel: flags.logLevel ?? env.SLUICE_LOG_LEVEL ?? 'info',
    workDir: flags.workDir ?? env.SLUICE_WORK_DIR ?? `${env.TMPDIR ?? '/tmp'}/sluice`,
    leaderElection: flags.leaderElect ?? (env.SLUICE_LEADER_ELECT ? env.SLUICE_LEADER_ELECT === 'true' : inCluster),
    leaseNamespace: env.SLUICE_LEASE_NAMESPACE ?? env.POD_NAMESPACE ?? 'sluice-system',
    leaseMs: Number(env.SLUICE_LEASE_SECONDS ?? 15) * 1000,
    identity: env.POD_NAME ?? hostname(),
    checkpointMs: Number(env.SLUICE_CHECKPOINT_SECONDS ?? 60) * 1000,
    slack: {
      ...(env.SLUICE_SLACK_TOKEN ? { token: env.SLUICE_SLACK_TOKEN } : {}),
      ...(env.SLUICE_SLACK_APP_TOKEN ? { appToken: env.SLUICE_SLACK_APP_TOKEN } : {}),
      ...(env.SLUICE_SLACK_CHANNEL ? { channel: env.SLUICE_SLACK_CHANNEL } : {}),
      ...(env.SLUICE_SLACK_API_URL ? { apiUrl: env.SLUICE_SLACK_API_URL } : {}),
      signingSecrets: list(env.SLUICE_SLACK_SIGNING_SECRETS ?? env.SLUICE_SLACK_SIGNING_SECRET),
    },
    ...(env.SLUICE_WEBHOOK_URL
      ? {
          webhook: {
            url: env.SLUICE_WEBHOOK_URL,
            ...(env.SLUICE_WEBHOOK_SECRET ? { secret: env.SLUICE_WEBHOOK_SECRET } : {}),
          },
        }
      : {}),
    ...(env.SLUICE_NOTIFY_ON ? { notifyOn: topicsOf(env.SLUICE_NOTIFY_ON) } : {}),
    workers: Number(env.SLUICE_WORKERS ?? 8),
    gitEnv: gitEnv(env),
  }
}

/** Only this machine, or this pod: who may forward a port to it may look. A free port where the rest takes a free one. */
function defaultPage(listen: string): string {
  return listen.endsWith(':0') ? '127.0.0.1:0' : '127.0.0.1:8081'
}

const forGit = [
  'PATH',
  'HTTP_PROXY',
  'HTTPS_PROXY',
  'NO_PROXY',
  'http_proxy',
  'https_proxy',
  'no_proxy',
  'SSL_CERT_FILE',
  'SSL_CERT_DIR',
  'TMPDIR',
]

function gitEnv(env: Env): Record<string, string> {
  return Object.fromEntries(
    forGit.flatMap((name): [string, string][] => (env[name] === undefined ? [] : [[name, env[name]]])),
  )
}

function topicsOf(text: string): Topic[] {
  return list(text).map((name) => {
    const topic = topics.find((known) => known === name)
    if (topic) return topic
    const message = `SLUICE_NOTIFY_ON names "${name}"; known are ${topics.join(', ')}`
    throw new SluiceError({ reason: 'InvalidSpec', message, field: 'SLUICE_NOTIFY_ON' })
  })
}

function httpUrl(text: string | undefined): string | undefined {
  if (!text) return undefined
  const parsed = URL.canParse(text) ? new URL(text) : undefined
  if (parsed?.protocol === 'http:' || parsed?.protocol === 'https:') return text
  throw new SluiceError({
    reason: 'PrometheusUnreachable',
    message: `--prometheus is "${text}", which is no http:// or https:// URL`,
  })
}

function list(text: string | undefined): string[] {
  return (text ?? '')
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
}

import { readFile } from 'node:fs/promises'
import { isIPv6 } from 'node:net'
import { delimiter, join } from 'node:path'
import type { Runtime } from '../runtime.ts'
import type { KubeConnection } from './connection.ts'
import { createCredentials } from './credentials.ts'
import {
  type ClusterEntry,
  type Kubeconfig,
  KubeconfigError,
  mergeKubeconfigs,
  readKubeconfig,
  type UserEntry,
} from './kubeconfig-file.ts'

export { KubeconfigError }

export interface LoadOptions {
  /** The file named by `--kubeconfig`. */
  path?: string
  /** The context to use instead of the current one. */
  context?: string
  /** The variables that matter; read from the environment by the caller. */
  env: {
    KUBECONFIG?: string
    HOME?: string
    KUBERNETES_SERVICE_HOST?: string
    KUBERNETES_SERVICE_PORT?: string
  }
  runtime: Runtime
  /** Where pods find their token, CA and namespace. */
  serviceAccountDir?: string
}

/**
 * The cluster to talk to: `path`, else KUBECONFIG (several files are merged), else the cluster this pod runs in, else
 * `~/.kube/config`. Throws KubeconfigError, one sentence, when there is none or it cannot be used.
 */
export async function loadKubeconfig(options: LoadOptions): Promise<KubeConnection> {
  const { path, env, runtime } = options
  if (path !== undefined) {
    const config = await readKubeconfig(path)
    if (!config) throw new KubeconfigError(`The kubeconfig ${path} does not exist; check the path.`)
    return connectionOf(config, options.context, runtime)
  }
  const files = (env.KUBECONFIG ?? '').split(delimiter).filter(Boolean)
  if (files.length > 0) {
    const configs = (await Promise.all(files.map(readKubeconfig))).filter((config) => config !== undefined)
    if (configs.length > 0) return connectionOf(mergeKubeconfigs(configs), options.context, runtime)
    throw new KubeconfigError(`KUBECONFIG names ${files.join(', ')}, which does not exist; correct or unset it.`)
  }
  const pod = await inCluster(options)
  if (pod) return pod
  const home = env.HOME ? await readKubeconfig(join(env.HOME, '.kube', 'config')) : undefined
  if (home) return connectionOf(home, options.context, runtime)
  throw new KubeconfigError(
    'No cluster is configured: there is no KUBECONFIG, no service account and no ~/.kube/config; pass --kubeconfig FILE.',
  )
}

function connectionOf(config: Kubeconfig, chosen: string | undefined, runtime: Runtime): KubeConnection {
  const where = config.files.join(', ')
  const name = chosen ?? config.currentContext
  const known = [...config.contexts.keys()]
  const choose = known.length > 0 ? `it knows ${known.map((each) => `"${each}"`).join(', ')}` : 'it has no contexts'
  if (name === '') {
    throw new KubeconfigError(`${where} has no current-context; set one (kubectl config use-context NAME): ${choose}.`)
  }
  const context = config.contexts.get(name)
  if (!context) throw new KubeconfigError(`${where} has no context "${name}"; ${choose}.`)
  const cluster = config.clusters.get(context.cluster)
  if (!cluster)
    throw new KubeconfigError(`${where}: context "${name}" names the cluster "${context.cluster}", which is not there.`)
  const user = context.user ? config.users.get(context.user) : {}
  if (!user)
    throw new KubeconfigError(`${where}: context "${name}" names the user "${context.user}", which is not there.`)
  return connection(cluster, user, runtime, context.namespace ?? 'default', `${where}, context "${name}"`)
}

async function inCluster(options: LoadOptions): Promise<KubeConnection | undefined> {
  const { env, serviceAccountDir = '/var/run/secrets/kubernetes.io/serviceaccount' } = options
  const host = env.KUBERNETES_SERVICE_HOST
  if (!host) return undefined
  const tokenFile = join(serviceAccountDir, 'token')
  const readable = await readFile(tokenFile).then(
    () => true,
    () => false,
  )
  if (!readable) return undefined
  const namespace = await readFile(join(serviceAccountDir, 'namespace'), 'utf8').catch(() => 'default')
  const cluster: ClusterEntry = {
    server: `https://${isIPv6(host) ? `[${host}]` : host}:${env.KUBERNETES_SERVICE_PORT ?? '443'}`,
    'certificate-authority': join(serviceAccountDir, 'ca.crt'),
  }
  return connection(cluster, { tokenFile }, options.runtime, namespace.trim(), 'in-cluster')
}

function connection(
  cluster: ClusterEntry,
  user: UserEntry,
  runtime: Runtime,
  namespace: string,
  origin: string,
): KubeConnection {
  return { server: cluster.server.replace(/\/+$/, ''), namespace, origin, ...createCredentials(cluster, user, runtime) }
}

import { type Command, InvalidArgumentError } from 'commander'
import { kubeEnv } from '../config.ts'
import { type ErrorCode, SluiceError } from '../errors.ts'
import type { KubeClient } from '../kube/client.ts'
import type { KubeConnection } from '../kube/connection.ts'
import { asKubeError } from '../kube/kube-error.ts'
import type { Terminal } from './terminal.ts'

/** Flags of every command that talks to a cluster, as commander gives them. */
export interface ClusterFlags {
  kubeconfig?: string
  context?: string
  namespace?: string
}

/** The cluster a command talks to. */
export interface Cluster {
  client: KubeClient
  /** Of `--namespace`, or of the kubeconfig's context. */
  namespace: string
  /** Where the API server is, for messages. */
  server: string
}

/** A Rollout as it is named on the command line. */
export interface RolloutName {
  namespace?: string
  name: string
}

export function clusterOptions(command: Command): Command {
  return command
    .option('--kubeconfig <file>', 'the cluster; otherwise KUBECONFIG, or ~/.kube/config')
    .option('--context <name>', 'the context of the kubeconfig to use')
    .option('-n, --namespace <name>', "the namespace; otherwise the one of the kubeconfig's context")
}

/** Reads `NAME` or `NAMESPACE/NAME`. @throws {InvalidArgumentError} for anything else. */
export function rolloutName(text: string): RolloutName {
  const match = /^(?:([a-z0-9][a-z0-9-]*)\/)?([a-z0-9][a-z0-9.-]*)$/.exec(text)
  if (!match?.[2]) throw new InvalidArgumentError('Name a Rollout as NAME or NAMESPACE/NAME.')
  return match[1] === undefined ? { name: match[2] } : { namespace: match[1], name: match[2] }
}

/**
 * Does `work` with a client of the cluster that the flags name.
 * @throws {SluiceError} with place and fix where the cluster cannot be reached or refuses; {KubeconfigError}.
 */
export async function withCluster<T>(
  flags: ClusterFlags,
  terminal: Terminal,
  work: (cluster: Cluster) => Promise<T>,
): Promise<T> {
  const [{ connect }, { loadKubeconfig }] = await Promise.all([
    import('../kube/client.ts'),
    import('../kube/kubeconfig.ts'),
  ])
  const { runtime } = terminal
  const connection = await loadKubeconfig({
    env: kubeEnv(terminal.env),
    runtime,
    ...(flags.kubeconfig === undefined ? {} : { path: flags.kubeconfig }),
    ...(flags.context === undefined ? {} : { context: flags.context }),
  })
  const timeouts = { readMs: 10_000, listMs: 20_000, writeMs: 10_000 }
  const client = connect({ connection, runtime, userAgent: 'sluice-cli', timeouts })
  try {
    return await work({ client, namespace: flags.namespace ?? connection.namespace, server: connection.server })
  } catch (error) {
    throw explained(error, connection)
  } finally {
    client.close()
  }
}

/** A refusal of the API server as a sentence with place and fix; every other error as it is. */
function explained(error: unknown, { server, origin }: Pick<KubeConnection, 'server' | 'origin'>): unknown {
  const refusal = asKubeError(error)
  if (refusal === undefined) return error
  const said = refusal.message.replace(/^Kubernetes API, [^:]*: (?:\d{3} \w+: )?/, '').replace(/[.\s]+$/, '')
  const problem = (reason: ErrorCode, message: string) => new SluiceError({ reason, message }, { cause: error })
  if (['Unreachable', 'ConnectionLost', 'Timeout'].includes(refusal.reason) && refusal.status === 0) {
    return problem('ApiUnreachable', `the API server ${server} (${origin}) cannot be reached: ${said}`)
  }
  if (refusal.status === 401) return problem('Unauthorized', `the API server ${server} does not know who you are`)
  if (refusal.status === 403) return problem('Forbidden', said)
  return error
}

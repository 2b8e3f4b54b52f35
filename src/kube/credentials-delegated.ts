import type { RequestOptions } from 'node:https'
import type { Runtime } from '../runtime.ts'
import { type Credentials, credentialsError } from './connection.ts'
import { asKubeError } from './kube-error.ts'
import type { ClusterEntry, UserEntry } from './kubeconfig-file.ts'

/** A login in a browser takes a person a while; a plugin that waits for input takes for ever. */
const pluginTimeoutMs = 60_000

export function needsDelegation(cluster: ClusterEntry, user: UserEntry): boolean {
  return Boolean(user.exec || user['auth-provider'] || cluster['proxy-url'])
}

/** Credentials by way of @kubernetes/client-node, which caches what a plugin returned until that expires. */
export function delegatedCredentials(
  cluster: ClusterEntry,
  user: UserEntry,
  runtime: Runtime,
): () => Promise<Credentials> {
  const loaded = import('@kubernetes/client-node').then(({ KubeConfig }) => {
    const config = new KubeConfig()
    config.loadFromOptions(optionsOf(cluster, user))
    return config
  })
  loaded.catch(() => {})
  return async () => {
    const config = await loaded
    const options: RequestOptions = {}
    const timer = new AbortController()
    try {
      await Promise.race([
        config.applyToHTTPSOptions(options),
        runtime.sleep(pluginTimeoutMs, timer.signal).then(() => {
          throw credentialsError(`${describe(user)} gave no answer within ${pluginTimeoutMs / 1000} s`)
        }),
      ])
    } catch (error) {
      throw asKubeError(error) ?? credentialsError(explain(error, user))
    } finally {
      timer.abort(new Error('answered'))
    }
    return {
      headers: headersOf(options),
      tls: {
        ca: pem(options.ca),
        cert: pem(options.cert),
        key: pem(options.key),
        servername: options.servername,
        rejectUnauthorized: options.rejectUnauthorized,
      },
      agent: cluster['proxy-url'] && typeof options.agent === 'object' ? options.agent : undefined,
    }
  }
}

function optionsOf(cluster: ClusterEntry, user: UserEntry) {
  return {
    currentContext: 'current',
    contexts: [{ name: 'current', cluster: 'cluster', user: 'user' }],
    clusters: [
      {
        name: 'cluster',
        server: cluster.server,
        caData: cluster['certificate-authority-data'],
        caFile: cluster['certificate-authority'],
        tlsServerName: cluster['tls-server-name'],
        proxyUrl: cluster['proxy-url'],
        // client-node refuses plain http unless told so; there is no TLS to skip then.
        skipTLSVerify: cluster['insecure-skip-tls-verify'] === true || cluster.server.startsWith('http:'),
      },
    ],
    users: [
      {
        name: 'user',
        token: user.tokenFile ? undefined : user.token,
        certData: user['client-certificate-data'],
        certFile: user['client-certificate'],
        keyData: user['client-key-data'],
        keyFile: user['client-key'],
        username: user.username,
        password: user.password,
        exec: execOf(cluster, user),
        authProvider: user.tokenFile
          ? { name: 'tokenFile', config: { tokenFile: user.tokenFile } }
          : user['auth-provider'],
      },
    ],
  }
}

/** client-node does not tell plugins what client-go does; some (GKE's) refuse to run without it. */
function execOf(cluster: ClusterEntry, user: UserEntry) {
  const { exec } = user
  if (!exec) return undefined
  const info = {
    apiVersion: exec.apiVersion,
    kind: 'ExecCredential',
    spec: {
      interactive: false,
      ...(exec.provideClusterInfo
        ? {
            cluster: {
              server: cluster.server,
              'certificate-authority-data': cluster['certificate-authority-data'],
              'tls-server-name': cluster['tls-server-name'],
              'insecure-skip-tls-verify': cluster['insecure-skip-tls-verify'],
            },
          }
        : {}),
    },
  }
  const env = [...(exec.env ?? []), { name: 'KUBERNETES_EXEC_INFO', value: JSON.stringify(info) }]
  return { ...exec, args: exec.args ?? [], env }
}

function headersOf(options: RequestOptions): Credentials['headers'] {
  const headers: Credentials['headers'] = {}
  for (const [name, value] of Object.entries(options.headers ?? {})) {
    if (typeof value === 'string') headers[name.toLowerCase()] = value.trim()
  }
  if (options.auth && !headers.authorization) {
    headers.authorization = `Basic ${Buffer.from(options.auth).toString('base64')}`
  }
  return headers
}

function pem(value: unknown): string | Buffer | undefined {
  return typeof value === 'string' || Buffer.isBuffer(value) ? value : undefined
}

function describe(user: UserEntry): string {
  return user.exec ? `the exec plugin "${user.exec.command}"` : `the auth provider "${user['auth-provider']?.name}"`
}

/** Never the original error: what a plugin printed may hold the very token, and JSON errors quote their input. */
function explain(error: unknown, user: UserEntry): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'ENOENT') {
    const hint = user.exec?.installHint?.split('\n')[0]
    return `${describe(user)} is not installed${hint ? ` (${hint})` : '; install it, or put it on the PATH'}`
  }
  if (error instanceof SyntaxError || error instanceof TypeError)
    return `${describe(user)} did not print an ExecCredential`
  const said = error instanceof Error ? (error.message.trim().split('\n').at(-1) ?? '') : ''
  const safe = said.replace(/[\w\-.+/=]{24,}/g, '…').slice(0, 200)
  return `${describe(user)} failed${safe ? `: ${safe}` : ''}`
}

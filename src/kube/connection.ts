import type { Agent } from 'node:http'
import { KubeError } from './kube-error.ts'

/** TLS material for connections to the API server, as `tls.connect` takes it. */
export interface TlsMaterial {
  ca?: string | Buffer
  cert?: string | Buffer
  key?: string | Buffer
  servername?: string
  rejectUnauthorized?: boolean
}

/** What a request needs to be let in. Headers are secret: never log them. */
export interface Credentials {
  headers: Record<string, string | string[]>
  tls: TlsMaterial
  /** Only where the kubeconfig names a proxy: connections go through this agent. */
  agent?: Agent
}

/** Where the API server is and how to be let in. */
export interface KubeConnection {
  /** For example `https://10.0.0.1:6443`; may carry a path prefix; no slash at the end. */
  server: string
  /** The namespace the context or the pod is in. */
  namespace: string
  /** Where this came from, for messages: a file and a context, or `in-cluster`. */
  origin: string
  /** Current credentials; cheap to call per request. Rejects with a `Credentials` KubeError. */
  credentials(): Promise<Credentials>
  /**
   * Forget what is remembered, because the server refused it: the next `credentials()` reads everything again.
   * With `refused`, only if these are still the remembered ones.
   */
  refresh(refused?: Credentials): void
}

/** A connection to a known address with a fixed token: the sandbox, tests, a port-forward. */
export function connectionTo(
  server: string,
  options: { token?: string; namespace?: string; tls?: TlsMaterial } = {},
): KubeConnection {
  const headers: Record<string, string> = options.token ? { authorization: `Bearer ${options.token}` } : {}
  const credentials: Credentials = { headers, tls: options.tls ?? {} }
  return {
    server: server.replace(/\/+$/, ''),
    namespace: options.namespace ?? 'default',
    origin: server,
    credentials: async () => credentials,
    refresh: () => {},
  }
}

/** No credentials could be had. `what` must not quote any of them. */
export function credentialsError(what: string): KubeError {
  return new KubeError(`Kubernetes credentials: ${what}.`, { status: 0, reason: 'Credentials' })
}

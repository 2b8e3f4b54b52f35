import { startApiServer } from '../../src/sandbox/apiserver/index.ts'
import { CONTROLLER_USER } from '../../src/sandbox/sandbox.ts'
import { type RawClient, rawClient } from '../conformance/apiserver.client.ts'
import { realServer } from '../conformance/apiserver.real.ts'

/** An API server with nothing behind it, over HTTP: the sandbox's own, or a real one. */
export interface BareServer {
  /** An administrator. */
  client: RawClient
  /** How a kubeconfig names it, credentials left out. */
  cluster: Record<string, unknown>
  /** A bearer token of the service account that deploy/ gives the controller. */
  controllerToken(): Promise<string>
  /** Goes away and comes back with the same data; absent where it is not ours. */
  restart?: () => Promise<void>
  stop(): Promise<void>
}

/** The sandbox's API server without the sandbox's pods and mesh, with authorization on. */
export async function sandboxServer(): Promise<BareServer> {
  const user = { username: CONTROLLER_USER, groups: ['system:serviceaccounts', 'system:authenticated'] }
  const server = await startApiServer({ rbac: true, tokens: { 'sandbox-controller': user } })
  return {
    client: rawClient(server.url, server.token()),
    cluster: { server: server.url },
    controllerToken: async () => server.token(CONTROLLER_USER),
    restart: () => server.restart({ downMs: 500 }),
    stop: () => server.stop(),
  }
}

/** The real one that the environment names, if it names one. */
export function namedServer(): (() => Promise<BareServer>) | undefined {
  const start = realServer()
  if (!start) return undefined
  return async () => {
    const server = await start()
    const client = rawClient(server.url, server.token)
    return {
      client,
      cluster: server.cluster,
      async controllerToken() {
        const path = '/api/v1/namespaces/sluice-system/serviceaccounts/sluice/token'
        const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { expirationSeconds: 3600 } }
        const answer = await client.request('POST', path, { body })
        if (answer.status !== 201) throw new Error(`no token for the controller: ${JSON.stringify(answer.body)}`)
        return answer.body.status.token
      },
      ...(server.restart ? { restart: server.restart } : {}),
      stop: server.stop,
    }
  }
}

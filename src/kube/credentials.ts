import { readFile } from 'node:fs/promises'
import type { Runtime } from '../runtime.ts'
import { type Credentials, credentialsError } from './connection.ts'
import { delegatedCredentials, needsDelegation } from './credentials-delegated.ts'
import type { ClusterEntry, UserEntry } from './kubeconfig-file.ts'

/** Files and plugins are asked again after this long: projected service account tokens rotate on disk. */
const rememberMs = 10_000

export interface CredentialSource {
  credentials(): Promise<Credentials>
  refresh(refused?: Credentials): void
}

/**
 * Credentials of one kubeconfig user at one cluster. Tokens, token files, certificates and basic auth are read here; exec
 * plugins, auth providers and proxies are left to @kubernetes/client-node, which is loaded only then: it costs about 90 MB.
 */
export function createCredentials(cluster: ClusterEntry, user: UserEntry, runtime: Runtime): CredentialSource {
  let remembered: { at: number; value: Promise<Credentials>; known?: Credentials } | undefined
  let delegate: ReturnType<typeof delegatedCredentials> | undefined

  async function read(): Promise<Credentials> {
    if (!needsDelegation(cluster, user)) return await readCredentials(cluster, user)
    delegate ??= delegatedCredentials(cluster, user, runtime)
    const delegated = await delegate()
    Object.assign(delegated.headers, impersonation(user))
    return delegated
  }

  return {
    credentials() {
      if (!remembered || runtime.monotonic() - remembered.at > rememberMs) {
        const entry: typeof remembered = { at: runtime.monotonic(), value: read() }
        remembered = entry
        entry.value.then(
          (known) => {
            entry.known = known
          },
          () => {
            if (remembered === entry) remembered = undefined
          },
        )
      }
      return remembered.value
    },
    refresh(refused) {
      // Of a hundred requests refused together, the first asks for new credentials; the others find them.
      if (refused && remembered?.known !== refused) return
      remembered = undefined
      delegate = undefined
    },
  }
}

async function readCredentials(cluster: ClusterEntry, user: UserEntry): Promise<Credentials> {
  const [ca, cert, key, token] = await Promise.all([
    material('certificate-authority', cluster['certificate-authority-data'], cluster['certificate-authority']),
    material('client-certificate', user['client-certificate-data'], user['client-certificate']),
    material('client-key', user['client-key-data'], user['client-key']),
    user.tokenFile ? readSecret('tokenFile', user.tokenFile) : undefined,
  ])
  const headers = impersonation(user)
  const bearer = (token?.toString('utf8') ?? user.token ?? '').trim()
  if (bearer) headers.authorization = `Bearer ${bearer}`
  else if (user.username) {
    headers.authorization = `Basic ${Buffer.from(`${user.username}:${user.password ?? ''}`).toString('base64')}`
  }
  return {
    headers,
    tls: {
      ca,
      cert,
      key,
      servername: cluster['tls-server-name'] ?? undefined,
      rejectUnauthorized: cluster['insecure-skip-tls-verify'] ? false : undefined,
    },
  }
}

function impersonation(user: UserEntry): Credentials['headers'] {
  const headers: Credentials['headers'] = {}
  if (user.as) headers['impersonate-user'] = user.as
  if (user['as-groups']?.length) headers['impersonate-group'] = user['as-groups']
  return headers
}

async function material(
  field: string,
  data: string | null | undefined,
  file: string | null | undefined,
): Promise<Buffer | undefined> {
  if (data) {
    const decoded = Buffer.from(data, 'base64')
    if (decoded.includes('-----BEGIN ')) return decoded
    throw credentialsError(`\`${field}-data\` in the kubeconfig is not base64 of a PEM block`)
  }
  return file ? await readSecret(field, file) : undefined
}

async function readSecret(field: string, file: string): Promise<Buffer> {
  try {
    return await readFile(file)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : 'unknown error'
    throw credentialsError(`\`${field}\`: ${file} cannot be read (${String(code)})`)
  }
}

import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Problem } from '../errors.ts'
import type { KubeObject } from '../kube/object.ts'
import { readPrivateKey } from './private-key.ts'
import { isSsh, originOf } from './url.ts'

/** What lets us into a remote. Never printed; reaches git through the environment of one child, or a private file. */
export interface Credentials {
  /** `namespace/name` of the Secret they are from, for sentences about them. */
  secret?: string
  username?: string
  password?: string
  bearerToken?: string
  /** Private key and known_hosts, for ssh. */
  identity?: string
  knownHosts?: string
  /** PEM of the authority that signed the server's certificate. */
  caCert?: string
}

export type CredentialsResult = { ok: true; credentials: Credentials } | { ok: false; problem: Problem }

/** Reads the Secret of `spec.secretRef`, with the keys that Flux users know: username, password, bearerToken, identity, known_hosts, ca.crt. */
export function credentialsOf(secret: KubeObject, url: string): CredentialsResult {
  const data = secretData(secret)
  const { namespace, name } = secret.metadata
  const credentials: Credentials = {
    secret: namespace ? `${namespace}/${name}` : name,
    username: data.username?.trim(),
    password: data.password?.replace(/\r?\n$/, ''),
    bearerToken: data.bearerToken?.trim(),
    identity: data.identity ?? data['ssh-privatekey'],
    knownHosts: data.known_hosts,
    caCert: data['ca.crt'] ?? data.caFile,
  }
  const missing = missingKey(credentials, url)
  if (missing) {
    const message = `the Secret ${credentials.secret} has no ${missing}, which ${url.replace(/\?.*$/, '')} needs`
    return { ok: false, problem: { reason: 'GitAuth', message, field: 'spec.secretRef' } }
  }
  const key = isSsh(url) ? readPrivateKey(credentials.identity ?? '') : undefined
  if (key && !key.ok) {
    const field = data.identity === undefined ? 'ssh-privatekey' : 'identity'
    const message = `${field} in the Secret ${credentials.secret} ${key.fault}`
    return { ok: false, problem: { reason: 'GitAuth', message, field: 'spec.secretRef' } }
  }
  return { ok: true, credentials: key ? { ...credentials, identity: key.key } : credentials }
}

function missingKey(c: Credentials, url: string): string | undefined {
  if (isSsh(url)) return c.identity === undefined ? 'identity' : c.knownHosts === undefined ? 'known_hosts' : undefined
  if (c.username !== undefined && c.password === undefined) return 'password'
  if (c.password === undefined && c.bearerToken === undefined && c.caCert === undefined) return 'password'
  return undefined
}

/** The fields of a Secret as texts. */
export function secretData(secret: KubeObject): Record<string, string> {
  const result: Record<string, string> = {}
  for (const [key, value] of Object.entries(record(secret.data)))
    result[key] = Buffer.from(value, 'base64').toString('utf8')
  return { ...result, ...record(secret.stringData) }
}

function record(value: unknown): Record<string, string> {
  if (value === null || typeof value !== 'object') return {}
  return Object.fromEntries(Object.entries(value).filter((e): e is [string, string] => typeof e[1] === 'string'))
}

/** Every text that must not appear in an error, in the spellings in which git or a server may repeat it. */
export function secretsOf(credentials: Credentials | undefined): string[] {
  if (!credentials) return []
  const { username, password, bearerToken, identity } = credentials
  const texts = [password, bearerToken, identity].filter((text) => text !== undefined)
  const basic = password === undefined ? [] : [Buffer.from(`${username ?? ''}:${password}`).toString('base64')]
  return [...texts, ...basic, ...texts.map(encodeURIComponent)].filter((text) => text.length > 2)
}

/**
 * The environment that gives one git child its credentials. Http headers are bound to the remote's origin, so that
 * a redirect elsewhere does not carry them; keys and certificates are written to `dir` with mode 0600.
 */
export async function credentialEnvironment(
  credentials: Credentials | undefined,
  url: string,
  dir: string,
): Promise<Record<string, string>> {
  const environment: Record<string, string> = {}
  if (!credentials) return environment
  const write = async (name: string, text: string) => {
    await mkdir(dir, { recursive: true, mode: 0o700 })
    const file = join(dir, name)
    await writeFile(file, text.endsWith('\n') ? text : `${text}\n`, { mode: 0o600 })
    return file
  }
  if (isSsh(url)) {
    if (credentials.identity === undefined || credentials.knownHosts === undefined) return environment
    const identity = await write('identity', credentials.identity)
    const knownHosts = await write('known_hosts', credentials.knownHosts)
    environment.GIT_SSH_COMMAND = sshCommand(identity, knownHosts)
    return environment
  }
  if (credentials.caCert !== undefined) environment.GIT_SSL_CAINFO = await write('ca.crt', credentials.caCert)
  const header = authorization(credentials)
  const origin = originOf(url)
  if (header && origin) {
    environment.GIT_CONFIG_COUNT = '1'
    environment.GIT_CONFIG_KEY_0 = `http.${origin}.extraHeader`
    environment.GIT_CONFIG_VALUE_0 = header
  }
  return environment
}

function authorization({ username, password, bearerToken }: Credentials): string | undefined {
  if (bearerToken !== undefined) return `Authorization: Bearer ${bearerToken}`
  if (password === undefined) return undefined
  return `Authorization: Basic ${Buffer.from(`${username ?? 'git'}:${password}`).toString('base64')}`
}

function sshCommand(identity: string, knownHosts: string): string {
  const quote = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`
  const options = [
    'BatchMode=yes',
    'IdentitiesOnly=yes',
    'StrictHostKeyChecking=yes',
    'ConnectTimeout=10',
    'ServerAliveInterval=10',
    'ServerAliveCountMax=3',
  ]
  const flags = options.map((option) => `-o ${option}`).join(' ')
  return `ssh -F /dev/null ${flags} -o ${quote(`UserKnownHostsFile=${knownHosts}`)} -i ${quote(identity)}`
}

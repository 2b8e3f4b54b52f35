import { type ChildProcess, spawn } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { parse } from 'yaml'
import { connectionTo, type KubeConnection } from '../../src/kube/connection.ts'
import { loadKubeconfig } from '../../src/kube/kubeconfig.ts'
import { systemRuntime } from '../../src/runtime.ts'
import { rawClient } from './apiserver.client.ts'
import type { ConnectedServer } from './apiserver.conformance.ts'

/** An API server that is no sandbox. */
export interface RealServer {
  url: string
  /** A bearer token of an administrator. */
  token: string | undefined
  /** Whether garbage collection and namespace deletion run (envtest has no controllers). */
  controllers: boolean
  connection(): Promise<KubeConnection>
  /** How a kubeconfig names it, credentials left out. */
  cluster: Record<string, unknown>
  /** Kills it and starts it again with the same data; absent where it is not ours. */
  restart?: () => Promise<void>
  stop(): Promise<void>
}

/**
 * How to reach a real API server, if the environment names one: KUBEBUILDER_ASSETS (a folder with etcd and
 * kube-apiserver, which are started as envtest does) or SLUICE_TEST_KUBECONFIG (with a bearer token).
 */
export function realServer(): (() => Promise<RealServer>) | undefined {
  const assets = process.env.KUBEBUILDER_ASSETS
  const kubeconfig = process.env.SLUICE_TEST_KUBECONFIG
  if (kubeconfig) return () => fromKubeconfig(kubeconfig)
  return assets ? () => fromAssets(assets) : undefined
}

/** The same, as the suites over raw HTTP take it. */
export function realApiServer(): (() => Promise<ConnectedServer>) | undefined {
  const start = realServer()
  return (
    start &&
    (async () => {
      const { url, token, controllers, stop } = await start()
      return { client: rawClient(url, token), controllers, stop }
    })
  )
}

async function fromKubeconfig(path: string): Promise<RealServer> {
  const config = parse(readFileSync(path, 'utf8'))
  const context = config.contexts.find((each: { name: string }) => each.name === config['current-context']).context
  const cluster = config.clusters.find((each: { name: string }) => each.name === context.cluster).cluster
  const authority = cluster['certificate-authority']
  const user = config.users.find((each: { name: string }) => each.name === context.user).user
  return {
    url: cluster.server,
    token: user.token,
    controllers: true,
    // A kubeconfig elsewhere says the same.
    cluster: authority ? { ...cluster, 'certificate-authority': resolve(dirname(path), authority) } : cluster,
    connection: async () => loadKubeconfig({ path, env: {}, runtime: systemRuntime }),
    stop: async () => {},
  }
}

async function fromAssets(assets: string): Promise<RealServer> {
  const folder = mkdtempSync(join(tmpdir(), 'real-apiserver-'))
  const [etcdPort, peerPort, port] = [await freePort(), await freePort(), await freePort()]
  writeFileSync(join(folder, 'tokens.csv'), 'conformance,admin,1,"system:masters"\n')
  const key = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
  writeFileSync(join(folder, 'sa.key'), key.export({ type: 'pkcs8', format: 'pem' }))
  const etcd = launch(join(assets, 'etcd'), join(folder, 'etcd.log'), [
    `--data-dir=${join(folder, 'etcd')}`,
    `--listen-client-urls=http://127.0.0.1:${etcdPort}`,
    `--advertise-client-urls=http://127.0.0.1:${etcdPort}`,
    `--listen-peer-urls=http://127.0.0.1:${peerPort}`,
    '--unsafe-no-fsync',
  ])
  const log = join(folder, 'kube-apiserver.log')
  const words = [
    `--etcd-servers=http://127.0.0.1:${etcdPort}`,
    `--cert-dir=${join(folder, 'certs')}`,
    '--bind-address=127.0.0.1',
    `--secure-port=${port}`,
    `--token-auth-file=${join(folder, 'tokens.csv')}`,
    `--service-account-signing-key-file=${join(folder, 'sa.key')}`,
    `--service-account-key-file=${join(folder, 'sa.key')}`,
    '--service-account-issuer=https://127.0.0.1',
    '--service-cluster-ip-range=10.0.0.0/24',
    '--authorization-mode=RBAC',
    '--disable-admission-plugins=ServiceAccount',
  ]
  let apiserver = launch(join(assets, 'kube-apiserver'), log, words)
  const [url, token] = [`https://127.0.0.1:${port}`, 'conformance']
  const client = rawClient(url, token)
  const stop = async () => {
    await ended(apiserver)
    await ended(etcd)
    rmSync(folder, { recursive: true, force: true })
  }
  const isReady = async () => (await client.request('GET', '/api/v1/namespaces/default')).status === 200
  const ready = async () => {
    for (let attempt = 0; !(await isReady().catch(() => false)); attempt++) {
      if (attempt < 600 && apiserver.exitCode === null && etcd.exitCode === null) {
        await new Promise((resolve) => setTimeout(resolve, 100))
        continue
      }
      const lastWords = readFileSync(log, 'utf8').split('\n').slice(-5).join('\n')
      await stop()
      throw new Error(`kube-apiserver of ${assets} did not come up within a minute; its last words:\n${lastWords}`)
    }
  }
  await ready()
  return {
    url,
    token,
    controllers: false,
    cluster: { server: url, 'insecure-skip-tls-verify': true },
    connection: async () => connectionTo(url, { token, tls: { rejectUnauthorized: false } }),
    async restart() {
      // Asked politely it would wait for its watches.
      await ended(apiserver, 'SIGKILL')
      apiserver = launch(join(assets, 'kube-apiserver'), log, words)
      await ready()
    },
    stop,
  }
}

/** Its output goes to a file: a pipe that nobody reads fills up and stalls it. */
function launch(binary: string, log: string, words: string[]): ChildProcess {
  const output = openSync(log, 'a')
  const child = spawn(binary, words, { stdio: ['ignore', output, output] })
  child.once('exit', () => closeSync(output))
  return child
}

async function ended(child: ChildProcess, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exit = new Promise((resolve) => child.once('exit', resolve))
  child.kill(signal)
  await exit
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.once('error', reject)
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address()
      probe.close(() => (typeof address === 'object' && address ? resolve(address.port) : reject(new Error('no port'))))
    })
  })
}

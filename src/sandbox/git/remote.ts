import { execFile } from 'node:child_process'
import { chmod, mkdir, stat, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { basename, dirname, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { type Runtime, systemRuntime } from '../../runtime.ts'
import { gitHttpBackend } from './cgi.ts'
import { createFaults, type GitFaults } from './faults.ts'

export interface GitRemoteOptions {
  /** Folder of the bare repository; made when it does not exist. Its name should end in `.git`. */
  dir: string
  /** The branch that HEAD names. */
  branch?: string
  /** 0, the default, takes any free port. */
  port?: number
  /** Asked of every request by basic authentication, when given. */
  credentials?: { username: string; password: string }
  /** Whether clones may leave files out and ask for single ones later, as the well-known forges let them. Default true. */
  partial?: boolean
  runtime?: Runtime
}

/** A Git remote of the sandbox: a bare repository served over smart HTTP on loopback. */
export interface GitRemote {
  /** http://127.0.0.1:<port>/<name> */
  url: string
  fileUrl: string
  dir: string
  faults: GitFaults
  /** What went over http since it was started. */
  readonly traffic: GitTraffic
  stop(): Promise<void>
}

export interface GitTraffic {
  requests: number
  /** Bytes over the sockets, both ways. */
  sent: number
  received: number
}

const run = promisify(execFile)

/** Hooks see why pushes are declined through a file, so that the switch also works for file:// remotes. */
const preReceive = `#!/bin/sh
reason="$(dirname "$0")/../sluice-reject"
if [ -s "$reason" ]; then cat "$reason" >&2; exit 1; fi
if [ -n "$SLUICE_REJECT_PUSH" ]; then echo "$SLUICE_REJECT_PUSH" >&2; exit 1; fi
`

/** Starts a remote that only this machine can reach. */
export async function startGitRemote(options: GitRemoteOptions): Promise<GitRemote> {
  const { runtime = systemRuntime } = options
  const dir = resolve(options.dir)
  await initialise(dir, options.branch ?? 'main', options.partial ?? true)
  const traffic: GitTraffic = { requests: 0, sent: 0, received: 0 }
  const faults = createFaults()
  const sockets = new Set<Socket>()
  const server = createServer((request, response) => {
    count(request, response, traffic)
    void answer().catch(() => response.destroy())
    async function answer(): Promise<void> {
      if (faults.down) return void request.socket.destroy()
      if (faults.delayMs === Number.POSITIVE_INFINITY) return
      if (faults.delayMs > 0) await runtime.sleep(faults.delayMs)
      if (faults.status !== undefined) return void response.writeHead(faults.status).end()
      const user = userOf(request.headers.authorization, options.credentials)
      if (user === undefined) {
        return void response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end('unauthorized\n')
      }
      const push = request.method === 'POST' && (request.url ?? '').endsWith('/git-receive-pack')
      const loseAnswer = push && faults.loseAnswers > 0
      if (loseAnswer) faults.loseAnswers -= 1
      const environment: Record<string, string> =
        faults.rejectPush === undefined ? {} : { SLUICE_REJECT_PUSH: faults.rejectPush }
      gitHttpBackend(request, response, { projectRoot: dirname(dir), user, environment, loseAnswer })
    }
  })
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    if (faults.down) socket.destroy()
  })
  const port = await listen(server, options.port ?? 0)
  return {
    url: `http://127.0.0.1:${port}/${basename(dir)}`,
    fileUrl: pathToFileURL(dir).href,
    dir,
    faults,
    traffic,
    stop: () =>
      new Promise((done) => {
        for (const socket of sockets) socket.destroy()
        server.close(() => done())
      }),
  }
}

function count(request: IncomingMessage, response: ServerResponse, traffic: GitTraffic): void {
  traffic.requests += 1
  const { socket } = request
  const [read, written] = [socket.bytesRead, socket.bytesWritten]
  response.once('close', () => {
    traffic.received += socket.bytesRead - read
    traffic.sent += socket.bytesWritten - written
  })
}

async function initialise(dir: string, branch: string, partial: boolean): Promise<void> {
  const exists = await stat(join(dir, 'HEAD')).then(
    () => true,
    () => false,
  )
  if (!exists) {
    await mkdir(dir, { recursive: true })
    await run('git', ['init', '--quiet', '--bare', `--initial-branch=${branch}`, dir])
  }
  for (const [key, value] of [
    ['http.receivepack', 'true'],
    ['uploadpack.allowFilter', String(partial)],
    ['uploadpack.allowAnySHA1InWant', 'true'],
    ['receive.denyNonFastForwards', 'true'],
  ] as const) {
    await run('git', ['-C', dir, 'config', key, value])
  }
  await mkdir(join(dir, 'hooks'), { recursive: true })
  await writeFile(join(dir, 'hooks', 'pre-receive'), preReceive)
  await chmod(join(dir, 'hooks', 'pre-receive'), 0o755)
}

function userOf(header: string | undefined, wanted: GitRemoteOptions['credentials']): string | undefined {
  if (wanted === undefined) return 'anonymous'
  const expected = `Basic ${Buffer.from(`${wanted.username}:${wanted.password}`).toString('base64')}`
  return header === expected ? wanted.username : undefined
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolvePort, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', () => {
      const address = server.address()
      resolvePort(typeof address === 'object' && address ? address.port : port)
    })
  })
}

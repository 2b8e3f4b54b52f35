import { type ChildProcessByStdio, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { onTestFinished } from 'vitest'

const program = '/usr/sbin/sshd'

/** Why there can be no ssh server here; undefined when there can. */
export const noSshd = existsSync(program) ? undefined : `${program} is not installed (Debian: openssh-server)`

export interface Sshd {
  port: number
  /** A line for known_hosts. */
  knownHosts: string
  url(path: string): string
  /** Lets this public key in. */
  allow(publicKey: string): void
  /** From now on it shows another host key. */
  changeHostKey(): Promise<void>
}

/** A real OpenSSH server on loopback, run by whoever runs the test, which lets that account in by key; it goes away with the test. */
export async function startSshd(): Promise<Sshd> {
  // Run by root it wants the folder that the system's own service would have made.
  if (userInfo().uid === 0) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 })
  const dir = mkdtempSync(join(tmpdir(), 'sluice-sshd-'))
  chmodSync(dir, 0o700)
  const port = await freePort()
  const hostKey = join(dir, 'host')
  const authorized = join(dir, 'authorized_keys')
  writeFileSync(authorized, '', { mode: 0o600 })
  let server = run()

  function run() {
    rmSync(hostKey, { force: true })
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', hostKey], { input: 'y\n' })
    const settings = {
      ListenAddress: '127.0.0.1',
      Port: port,
      HostKey: hostKey,
      AuthorizedKeysFile: authorized,
      StrictModes: 'no',
      PasswordAuthentication: 'no',
      KbdInteractiveAuthentication: 'no',
      UsePAM: 'no',
      PidFile: 'none',
      AllowAgentForwarding: 'no',
    }
    const config = join(dir, 'sshd_config')
    writeFileSync(
      config,
      Object.entries(settings)
        .map(([key, value]) => `${key} ${value}\n`)
        .join(''),
    )
    return spawn(program, ['-D', '-e', '-f', config], { stdio: ['ignore', 'ignore', 'pipe'] })
  }

  async function stop(): Promise<void> {
    if (server.exitCode !== null) return
    const gone = once(server, 'exit')
    server.kill()
    await gone
  }
  onTestFinished(async () => {
    await stop()
    rmSync(dir, { recursive: true, force: true })
  })
  await listening(server)
  return {
    port,
    get knownHosts() {
      return `[127.0.0.1]:${port} ${readFileSync(`${hostKey}.pub`, 'utf8').trim()}\n`
    },
    url: (path) => `ssh://${userInfo().username}@127.0.0.1:${port}${path}`,
    allow: (publicKey) => writeFileSync(authorized, `${publicKey}\n`),
    async changeHostKey() {
      await stop()
      server = run()
      await listening(server)
    },
  }
}

/** Resolves when it says that it listens; throws with its words when it ends instead. */
async function listening(server: ChildProcessByStdio<null, null, Readable>): Promise<void> {
  let said = ''
  await new Promise<void>((resolve, reject) => {
    server.stderr.on('data', (chunk) => {
      said += String(chunk)
      if (said.includes('Server listening on')) resolve()
    })
    server.once('exit', () => reject(new Error(`sshd did not start: ${said}`)))
  })
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0))
    })
  })
}

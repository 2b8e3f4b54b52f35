import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { environment } from '../../src/config.ts'
import { textAt } from '../../src/kube/field.ts'
import { systemRuntime as runtime } from '../../src/runtime.ts'
import type { Sandbox } from '../../src/sandbox/sandbox.ts'
import { type Slack, startSlack } from './slack.ts'

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url))
const MANAGER = new URL('../../src/controller/manager.ts', import.meta.url).href
const LEASES = { group: 'coordination.k8s.io', plural: 'leases' }
const NAMESPACES = { group: '', plural: 'namespaces' }
const LEASE_NAMESPACE = 'sluice-system'
/** Others take over after this long. */
const LEASE_SECONDS = 3

/** Controllers as a cluster runs them: each a process of its own, started again whenever it ends. */
export interface Fleet {
  /** How often a process was started. */
  readonly starts: number
  /** How often one was killed, by what was being done. */
  readonly kills: ReadonlyMap<string, number>
  /** The workspace that they tell and that answers. */
  slack: Slack
  /** Where those that run can be reached by HTTP; leaders and others. */
  urls(): string[]
  /** SIGKILL to the process that acts now: the holder of the lease, or the only one. `when` names the boundary. */
  killLeader(when?: string): void
  /** SIGKILL to all of them. */
  killAll(when?: string): void
  /** Stops the leader's clock for a while, as a machine that swaps does: it wakes up deposed. */
  freezeLeader(ms: number): void
  /** The file that names the processes, for hooks that kill. They say at which boundary in a file beside it, `.why`. */
  pidFile: string
  /** The newest lines of the logs, oldest first. */
  log(): string[]
  stop(): Promise<void>
}

export interface FleetOptions {
  sandbox: Sandbox
  dir: string
  controllers: number
  /** Whether the n-th start of a controller finds the clone of the one before, as a restarted container does, or none, as a moved pod. */
  keepsWork?: (start: number) => boolean
  onEvent?: (what: string) => void
}

/** Starts the controllers; they lead by lease when there is more than one. */
export async function startFleet(options: FleetOptions): Promise<Fleet> {
  const { sandbox, dir, controllers, keepsWork = () => true, onEvent } = options
  const { storage } = sandbox.api
  const compiled = join(dir, 'compiled')
  const pidFile = join(dir, 'controllers.pid')
  const running = new Map<number, ChildProcess>()
  const lines: string[] = []
  const work: number[] = Array.from({ length: controllers }, () => 0)
  const urls = new Map<number, string>()
  const kills = new Map<string, number>()
  const slack = await startSlack()
  let starts = 0
  let stopping = false
  if (controllers > 1)
    storage.create(NAMESPACES, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: LEASE_NAMESPACE } })

  function start(index: number): void {
    starts++
    if (!keepsWork(starts)) work[index] = starts
    const child = spawn(
      process.execPath,
      [
        MAIN,
        'controller',
        ...['--kubeconfig', sandbox.controllerKubeconfig],
        ...['--prometheus', sandbox.prometheus.url],
        ...['--listen', '127.0.0.1:0'],
        ...['--work-dir', join(dir, `work-${index}-${work[index]}`)],
        ...(controllers > 1 ? ['--leader-elect'] : []),
      ],
      {
        stdio: ['ignore', 'ignore', 'pipe'],
        env: {
          PATH: environment().PATH,
          HOME: dir,
          NODE_COMPILE_CACHE: compiled,
          POD_NAME: `controller-${index}`,
          SLUICE_LEASE_NAMESPACE: LEASE_NAMESPACE,
          SLUICE_LEASE_SECONDS: String(LEASE_SECONDS),
          SLUICE_CHECKPOINT_SECONDS: '1',
          // Nobody is ever reached here; that must not matter.
          SLUICE_WEBHOOK_URL: 'http://127.0.0.1:9/down',
          ...slack.env,
        },
      },
    )
    running.set(index, child)
    writeFileSync(pidFile, [...running.values()].map((each) => each.pid).join(' '))
    if (child.stderr)
      createInterface({ input: child.stderr }).on('line', (line) => {
        lines.push(`${index}#${child.pid} ${line}`)
        const listen = /"listen":"([^"]+)"/.exec(line)?.[1]
        if (listen && running.get(index) === child) urls.set(index, listen)
        if (lines.length > 4_000) lines.splice(0, 1_000)
      })
    child.once('exit', (code, signal) => {
      if (running.get(index) === child) {
        running.delete(index)
        urls.delete(index)
      }
      if (signal === 'SIGKILL' && !child.killed && !stopping) died(whyOf(pidFile))
      if (signal !== 'SIGKILL') onEvent?.(`controller ${index} ended with ${code ?? signal}`)
      if (!stopping) start(index)
    })
  }

  function leader(): ChildProcess | undefined {
    if (controllers === 1) return running.get(0)
    const lease = storage.get(LEASES, { namespace: LEASE_NAMESPACE, name: 'sluice' })
    const holder = textAt(lease, 'spec', 'holderIdentity')
    const found = /^controller-(\d+)_/.exec(holder ?? '')
    return found ? running.get(Number(found[1])) : undefined
  }

  function died(when: string): void {
    kills.set(when, (kills.get(when) ?? 0) + 1)
    onEvent?.(`controller killed: ${when}`)
  }

  function kill(child: ChildProcess | undefined, when: string): void {
    if (!child || child.exitCode !== null || child.signalCode !== null || child.killed) return
    child.kill('SIGKILL')
    died(when)
  }

  const killEverybody = () => {
    stopping = true
    for (const child of running.values()) child.kill('SIGKILL')
  }
  process.once('exit', killEverybody)
  await mkdir(dir, { recursive: true })
  // Who is killed leaves no compiled code to its successor: it is left here once, and every start is twice as fast.
  await promisify(execFile)(
    process.execPath,
    ['--input-type=module', '--eval', `await import(${JSON.stringify(MANAGER)})`],
    { env: { PATH: environment().PATH, NODE_COMPILE_CACHE: compiled } },
  )
  for (let i = 0; i < controllers; i++) start(i)

  return {
    get starts() {
      return starts
    },
    kills,
    slack,
    urls: () => [...urls.values()],
    pidFile,
    killLeader: (when = 'at any time') => kill(leader(), when),
    killAll: (when = 'at any time') => {
      for (const child of running.values()) kill(child, when)
    },
    freezeLeader(ms) {
      const child = leader()
      if (!child) return
      child.kill('SIGSTOP')
      onEvent?.(`leader frozen for ${ms} ms`)
      void runtime.sleep(ms).then(() => child.kill('SIGCONT'))
    },
    log: () => lines.slice(),
    async stop() {
      process.removeListener('exit', killEverybody)
      const ended = [...running.values()].map((child) => new Promise((resolve) => child.once('exit', resolve)))
      killEverybody()
      await Promise.all(ended)
      await slack.stop()
    },
  }
}

/** At which boundary a hook has killed. */
function whyOf(pidFile: string): string {
  try {
    return readFileSync(`${pidFile}.why`, 'utf8').trim()
  } catch {
    return 'by somebody else'
  }
}

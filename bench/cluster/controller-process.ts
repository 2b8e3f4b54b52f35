import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { environment } from '../../src/config.ts'

/** A controller in a process of its own, as it is deployed. */
export interface ControllerProcess {
  /** Milliseconds from the start of the process until all caches were read. */
  syncedMs: number
  /** What it says about itself: values of /metrics by name and labels. */
  metrics(): Promise<Map<string, number>>
  /** Ends it as a cluster does, and waits. */
  stop(): Promise<void>
}

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

/** Starts `sluice controller`, and waits until its caches are read; rejects with its last words when it ends before. */
export async function startControllerProcess(options: {
  kubeconfig: string
  prometheus: string
  workDir: string
  /** Options of Node itself. */
  node?: readonly string[]
}): Promise<ControllerProcess> {
  // As the image has it, and built with what Node compiled; see deploy/Dockerfile.
  const env = {
    MALLOC_ARENA_MAX: '1',
    PATH: environment().PATH,
    HOME: options.workDir,
    NODE_COMPILE_CACHE: join(options.workDir, 'compiled'),
  }
  const compiled = spawn(process.execPath, [MAIN, 'controller', '--kubeconfig', '/dev/null'], { stdio: 'ignore', env })
  await once(compiled, 'exit')
  const started = performance.now()
  const child = spawn(
    process.execPath,
    [
      ...(options.node ?? []),
      MAIN,
      'controller',
      ...['--kubeconfig', options.kubeconfig],
      ...['--prometheus', options.prometheus],
      ...['--listen', '127.0.0.1:0'],
      ...['--work-dir', options.workDir],
    ],
    { stdio: ['ignore', 'ignore', 'pipe'], env },
  )
  // A bench that is interrupted takes its controller along.
  const kill = () => void child.kill('SIGKILL')
  process.once('exit', kill)
  const url = await untilSynced(child)
  const syncedMs = performance.now() - started
  return {
    syncedMs,
    async metrics() {
      const answer = await fetch(`${url}/metrics`)
      return readMetrics(await answer.text())
    },
    async stop() {
      process.removeListener('exit', kill)
      if (child.exitCode !== null) return
      const ended = once(child, 'exit')
      child.kill('SIGTERM')
      await ended
    },
  }
}

/** The address that the log line "synced" names. */
async function untilSynced(child: ChildProcess): Promise<string> {
  if (!child.stderr) throw new Error('the controller has no log')
  let last = ''
  const listening = Promise.withResolvers<string>()
  const lines = createInterface({ input: child.stderr })
  lines.on('line', (line) => {
    last = line
    if (!line.includes('"msg":"synced"')) return
    const { listen }: { listen: string } = JSON.parse(line)
    listening.resolve(listen)
  })
  child.once('exit', (code) => listening.reject(new Error(`the controller ended with code ${code}: ${last}`)))
  return listening.promise
}

function readMetrics(text: string): Map<string, number> {
  const values = new Map<string, number>()
  for (const line of text.split('\n')) {
    const space = line.lastIndexOf(' ')
    if (line !== '' && !line.startsWith('#')) values.set(line.slice(0, space), Number(line.slice(space + 1)))
  }
  return values
}

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

/** `sluice …` as a process of its own, as a user or a kubelet starts it. */
export interface SluiceProcess {
  child: ChildProcess
  /** Lines of standard error so far. */
  stderr: string[]
  stdout(): string
  /** Resolves with the exit code, or the signal's name. */
  ended: Promise<number | string>
  kill(signal: NodeJS.Signals): Promise<number | string>
}

const root = join(import.meta.dirname, '..', '..')

export function sluice(args: string[], env: Record<string, string> = {}): SluiceProcess {
  const child = spawn(process.execPath, [join(root, 'src', 'main.ts'), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH, HOME: '/nonexistent', ...env },
  })
  const stderr: string[] = []
  let stdout = ''
  createInterface({ input: child.stderr }).on('line', (line) => stderr.push(line))
  child.stdout.on('data', (data: Buffer) => {
    stdout += data.toString()
  })
  const ended = once(child, 'close').then(([code, signal]: unknown[]) =>
    typeof code === 'number' ? code : String(signal),
  )
  return {
    child,
    stderr,
    stdout: () => stdout,
    ended,
    kill(signal) {
      child.kill(signal)
      return ended
    },
  }
}

/** The controller against a sandbox, with its own working folder. */
export function sluiceController(options: {
  kubeconfig: string
  prometheus: string
  workDir: string
  args?: string[]
  env?: Record<string, string>
}): SluiceProcess {
  const { kubeconfig, prometheus, workDir, args = [], env } = options
  const where = [
    '--kubeconfig',
    kubeconfig,
    '--prometheus',
    prometheus,
    '--listen',
    '127.0.0.1:0',
    '--work-dir',
    workDir,
  ]
  return sluice(['controller', ...where, ...args], { SLUICE_CHECKPOINT_SECONDS: '1', ...env })
}

import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** A real Prometheus process on loopback. */
export interface RealPrometheus {
  url: string
  /** Replaces the addresses of one job; Prometheus takes some seconds to notice. */
  setTargets(job: string, addresses: string[]): Promise<void>
  stop(): Promise<void>
}

export interface RealOptions {
  /** OpenMetrics text (ending in `# EOF`) to load before the start. */
  openMetrics?: string
  /** Things to scrape, as host:port, with their job's name. */
  scrape?: { job: string; address: string }[]
  scrapeInterval?: string
}

/** Whether `prometheus` and `promtool` of the version the sandbox follows (2.42) are installed; says so when not. */
export async function realPrometheusInstalled(): Promise<boolean> {
  try {
    const { stdout, stderr } = await run('prometheus', ['--version'])
    await run('promtool', ['--version'])
    const version = /version (\d+\.\d+)/.exec(stdout + stderr)?.[1]
    if (version === '2.42') return true
    console.warn(`SKIPPED: the cross-checks need Prometheus 2.42, the installed one is ${version}`)
  } catch {
    console.warn('SKIPPED: the cross-checks need `prometheus` and `promtool` 2.42 on the PATH')
  }
  return false
}

/** Starts a real Prometheus in a directory of its own; `stop` ends the process and removes the directory. */
export async function startRealPrometheus(options: RealOptions): Promise<RealPrometheus> {
  const directory = await mkdtemp(join(tmpdir(), 'sluice-prometheus-'))
  const data = join(directory, 'data')
  await mkdir(data)
  if (options.openMetrics !== undefined) {
    const file = join(directory, 'samples.om')
    await writeFile(file, options.openMetrics)
    await run('promtool', ['tsdb', 'create-blocks-from', 'openmetrics', '--quiet', file, data])
  }
  const config = {
    global: {
      scrape_interval: options.scrapeInterval ?? '1m',
      scrape_timeout: options.scrapeInterval ?? '10s',
      evaluation_interval: '1m',
    },
    scrape_configs: (options.scrape ?? []).map(({ job }) => ({
      job_name: job,
      file_sd_configs: [{ files: [join(directory, `${job}.json`)] }],
    })),
  }
  const setTargets = async (job: string, addresses: string[]) => {
    const file = join(directory, `${job}.json`)
    await writeFile(`${file}.new`, JSON.stringify([{ targets: addresses }]))
    await rename(`${file}.new`, file)
  }
  for (const { job, address } of options.scrape ?? []) await setTargets(job, [address])
  await writeFile(join(directory, 'prometheus.yml'), JSON.stringify(config))
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const child = spawn(
    'prometheus',
    [
      `--config.file=${join(directory, 'prometheus.yml')}`,
      `--storage.tsdb.path=${data}`,
      '--storage.tsdb.retention.time=100y',
      `--web.listen-address=127.0.0.1:${port}`,
      '--log.level=warn',
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  )
  let log = ''
  child.stderr.on('data', (chunk: Buffer) => {
    log = (log + chunk.toString()).slice(-4000)
  })
  const stop = async () => {
    await end(child)
    await rm(directory, { recursive: true, force: true })
  }
  for (let attempt = 0; attempt < 200; attempt++) {
    if (child.exitCode !== null) break
    const ready = await fetch(`${url}/-/ready`).then(
      (response) => response.ok,
      () => false,
    )
    if (ready) return { url, setTargets, stop }
    await sleep(50)
  }
  await stop()
  throw new Error(`Prometheus did not become ready: ${log}`)
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGKILL')
  await exited
}

async function freePort(): Promise<number> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

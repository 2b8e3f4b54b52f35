import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Command } from 'commander'
import type { CommandFactory } from './command.ts'
import { untilStopped } from './signals.ts'

export const sandboxCommand: CommandFactory = () =>
  new Command('sandbox')
    .description(
      'a cluster in one process: API server, pods, mesh, Prometheus and Git remote on loopback, until stopped',
    )
    .option('--dir <folder>', 'where kubeconfig and repository are kept; a temporary folder unless told')
    .option('--scrape-interval <seconds>', 'how often Prometheus scrapes', '1')
    .action(async (options: { dir?: string; scrapeInterval: string }) => {
      // Loaded when it is wanted: the other commands start faster without a cluster in their pocket.
      const { startSandbox } = await import('../sandbox/sandbox.ts')
      const dir = options.dir ?? (await mkdtemp(join(tmpdir(), 'sluice-sandbox-')))
      const sandbox = await startSandbox({ dir, scrapeIntervalMs: Number(options.scrapeInterval) * 1000 })
      const { kubeconfig, api, prometheus, mesh, git } = sandbox
      process.stdout.write(
        `${JSON.stringify({ kubeconfig, api: api.url, prometheus: prometheus.url, mesh: mesh.url, git: git.url })}\n`,
      )
      await untilStopped()
      await sandbox.stop()
      if (options.dir === undefined) await rm(dir, { recursive: true, force: true })
    })

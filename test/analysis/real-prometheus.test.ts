import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type AnalysisRequest, createAnalyst } from '../../src/analysis/analyst.ts'
import { createPrometheus } from '../../src/analysis/prometheus.ts'
import { rolloutSpec } from '../../src/api/rollout.ts'
import type { AnalysisObservation } from '../../src/plan/observation.ts'
import { systemRuntime } from '../../src/runtime.ts'

const installed = spawnSync('prometheus', ['--version']).status === 0
if (!installed) console.warn('SKIPPED: prometheus is not on the PATH, the analyst is not checked against a real one')

const PODS = ['v1-a', 'v2-a', 'v2-b', 'gateway'] as const
type Pod = (typeof PODS)[number]

/** What each pod exposes; a pod without counters is not born yet. */
const exposed = new Map<Pod, Map<string, number>>()

function serve(pod: Pod, workload: string, code: string, n: number, how: { ms?: number; flags?: string } = {}) {
  const counters = exposed.get(pod) ?? new Map<string, number>()
  exposed.set(pod, counters)
  const reporter = pod === 'gateway' ? 'source' : 'destination'
  const labels = `reporter="${reporter}",destination_workload="${workload}",destination_workload_namespace="shop",response_code="${code}",response_flags="${how.flags ?? '-'}"`
  const add = (series: string, value: number) => counters.set(series, (counters.get(series) ?? 0) + value)
  add(`istio_requests_total{${labels}}`, n)
  for (const le of ['100', '500', '1e+06', '+Inf']) {
    const bound = Number(le === '+Inf' ? Number.POSITIVE_INFINITY : le)
    add(`istio_request_duration_milliseconds_bucket{${labels},le="${le}"}`, (how.ms ?? 20) <= bound ? n : 0)
  }
}

describe.skipIf(!installed)('against a real Prometheus', () => {
  let target: Server
  let directory: string
  let url: string
  let child: ChildProcess

  async function freePort(): Promise<number> {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    server.close()
    return port
  }

  async function startPrometheus() {
    const { host } = new URL(url)
    child = spawn(
      'prometheus',
      [
        `--config.file=${join(directory, 'prometheus.yml')}`,
        `--storage.tsdb.path=${join(directory, 'data')}`,
        `--web.listen-address=${host}`,
        '--log.level=error',
      ],
      { stdio: 'ignore' },
    )
    for (let tries = 0; tries < 200; tries++) {
      const ready = await fetch(`${url}/-/ready`).catch(() => undefined)
      if (ready?.ok) return
      await sleep(100)
    }
    throw new Error('prometheus did not become ready')
  }

  async function stopPrometheus() {
    if (!child || child.exitCode !== null) return
    const exited = once(child, 'exit')
    child.kill('SIGTERM')
    await exited
  }

  beforeAll(async () => {
    target = createServer((request, response) => {
      const counters = exposed.get((request.url ?? '').slice(1) as Pod)
      if (!counters) response.statusCode = 404
      response.setHeader('content-type', 'text/plain; version=0.0.4')
      response.end([...(counters ?? [])].map(([series, value]) => `${series} ${value}\n`).join(''))
    }).listen(0, '127.0.0.1')
    await once(target, 'listening')
    const { port } = target.address() as AddressInfo
    directory = await mkdtemp(join(tmpdir(), 'analyst-'))
    const jobs = PODS.map((pod) => ({
      job_name: pod,
      metrics_path: `/${pod}`,
      static_configs: [{ targets: [`127.0.0.1:${port}`], labels: { pod } }],
    }))
    const global = { scrape_interval: '500ms', scrape_timeout: '500ms' }
    await writeFile(join(directory, 'prometheus.yml'), JSON.stringify({ global, scrape_configs: jobs }))
    url = `http://127.0.0.1:${await freePort()}`
    await startPrometheus()
  })

  afterAll(async () => {
    await stopPrometheus()
    target?.close()
    if (directory) await rm(directory, { recursive: true, force: true })
  })

  test('the analyst’s counts are the truth, through births, a restart, an outage and its own restarts', async () => {
    const prometheus = createPrometheus({ url })
    const create = () =>
      createAnalyst({ prometheusFor: async () => ({ ok: true, value: prometheus }), runtime: systemRuntime })
    let analyst = create()
    let latest: AnalysisObservation | undefined
    serve('v1-a', 'checkout-v1', '200', 100)
    for (let tries = 0; tries < 100; tries++) {
      const scraped = await prometheus.instant('istio_requests_total', Date.now())
      if (scraped.ok && scraped.value.length > 0) break
      await sleep(100)
    }
    // The baseline is the aligned instant before the start.
    await sleep(1000)
    const request: AnalysisRequest = {
      key: 'shop/checkout',
      attempt: 'uid/1',
      startedAt: Date.now(),
      namespace: 'shop',
      name: 'checkout',
      stable: { workloads: ['checkout-v1'], revision: 'v1' },
      canary: { workloads: ['checkout-v2'], revision: 'v2' },
      analysis: rolloutSpec.shape.analysis.parse({
        interval: '1s',
        alpha: 0.000001,
        slis: [
          { name: 'errors', successRate: { objective: 50 } },
          { name: 'slow', latency: { objective: 50, threshold: '500ms' } },
          { name: 'very-slow', latency: { objective: 50, threshold: '1000s' } },
          { name: 'own', query: { promql: 'sum(up{pod="v1-a"})', min: 1, failureLimit: 3 } },
        ],
      }),
      stepSince: Date.now(),
      checkpoints: {},
    }
    const truth = { errors: [0, 0], slow: [0, 0] }
    const canary = (pod: Pod, code: string, n: number, how: { ms?: number } = {}) => {
      serve(pod, 'checkout-v2', code, n, how)
      truth.errors[code === '503' ? 1 : 0]! += n
      truth.slow[(how.ms ?? 20) > 500 ? 1 : 0]! += n
    }
    const counts = () => {
      const [errors, slow] = latest?.slis ?? []
      return { errors: [errors?.good, errors?.bad], slow: [slow?.good, slow?.bad] }
    }
    const settled = async () => {
      for (let tries = 0; tries < 20; tries++) {
        await sleep(500)
        latest = await analyst.look(request, Date.now())
        if (JSON.stringify(counts()) === JSON.stringify(truth)) break
      }
      expect(counts()).toEqual(truth)
      expect(latest?.slis.map((sli) => [sli.name, sli.answer, sli.message])).toEqual(
        request.analysis.slis.map(({ name }) => [name, 'Fresh', undefined]),
      )
    }

    latest = await analyst.look(request, Date.now())
    canary('v2-a', '200', 20)
    canary('v2-a', '503', 3)
    canary('v2-a', '200', 4, { ms: 800 })
    await settled()

    // A birth with its first errors, and a restart that is noticed as one.
    canary('v2-b', '503', 2)
    exposed.delete('v2-a')
    canary('v2-a', '200', 5)
    canary('v2-a', '503', 1)
    await settled()

    // What the gateway saw cut off never arrived anywhere.
    serve('gateway', 'checkout-v2', '503', 4, { flags: 'UF,URX' })
    truth.errors[1]! += 4
    truth.slow[1]! += 4
    await settled()

    const checkpoints = Object.fromEntries(latest!.slis.map((sli) => [sli.name, sli.checkpoint]))
    await stopPrometheus()
    canary('v2-a', '200', 30)
    canary('v2-b', '503', 5)
    await sleep(1100)
    const during = await analyst.look(request, Date.now())
    expect(during.slis.map((sli) => sli.verdict)).toEqual(['Error', 'Error', 'Error', 'Error'])
    expect(during.slis[0]?.message).toContain('refuses connections')
    await startPrometheus()
    await settled()

    // Restarted with the checkpoint of before the outage, and without any.
    analyst = create()
    request.checkpoints = checkpoints
    await settled()
    analyst = create()
    request.checkpoints = {}
    await settled()
    expect(latest?.slis.map((sli) => sli.gap ?? false)).toEqual([false, false, false, false])
    expect(latest?.slis[2]).toMatchObject({ good: latest!.slis[0]!.good + latest!.slis[0]!.bad - 4, bad: 4 })
  }, 60_000)
})

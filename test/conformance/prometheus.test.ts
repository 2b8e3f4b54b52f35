import { describe } from 'vitest'
import { startPrometheus } from '../../src/sandbox/prometheus/server.ts'
import { load, openMetrics, testData } from '../sandbox/prometheus/samples.ts'
import { prometheusConformance } from './prometheus.ts'
import { realPrometheusInstalled, startRealPrometheus } from './prometheus-real.ts'

prometheusConformance('the sandbox', async () => {
  const prometheus = await startPrometheus({
    targets: () => [],
    scrapeIntervalMs: 60_000,
    retentionMs: Number.MAX_SAFE_INTEGER,
  })
  load(prometheus.store, testData())
  return prometheus
})

describe.skipIf(!(await realPrometheusInstalled()))('installed', () => {
  prometheusConformance('a real one', () => startRealPrometheus({ openMetrics: openMetrics(testData()) }))
})

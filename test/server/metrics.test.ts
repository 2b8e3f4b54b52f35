import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createMetrics, type Metrics } from '../../src/server/metrics.ts'

/** The exposition as `name{labels}` → value. */
async function samples(metrics: Metrics): Promise<Map<string, number>> {
  const { body } = await metrics.render()
  const lines = body.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]),
  )
}

describe('Rollouts', () => {
  test('are counted by phase and shown with weight and step', async () => {
    const metrics = createMetrics()
    metrics.rollout('shop/checkout', { phase: 'Progressing', weight: 10, step: 1, pending: 0 })
    metrics.rollout('shop/cart', { phase: 'Healthy', weight: 0, step: 0, pending: 0 })
    metrics.rollout('shop/checkout', { phase: 'RolledBack', weight: 0, step: 0, pending: 0 })
    const seen = await samples(metrics)
    expect(seen.get('sluice_rollouts{phase="RolledBack"}')).toBe(1)
    expect(seen.get('sluice_rollouts{phase="Progressing"}')).toBe(0)
    expect(seen.get('sluice_rollouts{phase="Healthy"}')).toBe(1)
    expect(seen.get('sluice_rollout_weight{namespace="shop",rollout="checkout"}')).toBe(0)
  })

  test('that are gone leave no series with their name', async () => {
    const metrics = createMetrics()
    for (let i = 0; i < 200; i++) metrics.rollout(`shop/app-${i}`, { phase: 'Healthy', weight: 0, step: 0, pending: 0 })
    for (let i = 0; i < 200; i++) metrics.forgetRollout(`shop/app-${i}`)
    metrics.forgetRollout('shop/app-1')
    metrics.forgetRollout('shop/never-seen')
    const { body } = await metrics.render()
    expect(body).not.toContain('app-')
    expect((await samples(metrics)).get('sluice_rollouts{phase="Healthy"}')).toBe(0)
  })

  test('whatever comes and goes, the phases add up to the Rollouts that are there', async () => {
    const phase = fc.constantFrom('Healthy' as const, 'Progressing' as const, 'Paused' as const)
    const steps = fc.array(fc.tuple(fc.nat(5), fc.option(phase)), { maxLength: 40 })
    await fc.assert(
      fc.asyncProperty(steps, async (changes) => {
        const metrics = createMetrics()
        const there = new Map<string, string>()
        for (const [id, to] of changes) {
          const key = `ns/r${id}`
          if (to === null) {
            metrics.forgetRollout(key)
            there.delete(key)
          } else {
            metrics.rollout(key, { phase: to, weight: id, step: 1, pending: 0 })
            there.set(key, to)
          }
        }
        const seen = await samples(metrics)
        for (const name of ['Healthy', 'Progressing', 'Paused']) {
          const expected = [...there.values()].filter((value) => value === name).length
          expect(seen.get(`sluice_rollouts{phase="${name}"}`) ?? 0).toBe(expected)
        }
        expect([...seen.keys()].filter((name) => name.startsWith('sluice_rollout_weight'))).toHaveLength(there.size)
      }),
      { numRuns: 50 },
    )
  })
})

describe('labels', () => {
  test('a reason that nobody foresaw cannot make series without bound', async () => {
    const metrics = createMetrics()
    for (let i = 0; i < 1000; i++) metrics.rollback(`Reason${i}`)
    metrics.rollback('success-rate 93.1% "quoted"\nnewline')
    const reasons = [...(await samples(metrics)).keys()].filter((name) => name.startsWith('sluice_rollbacks_total'))
    expect(reasons).toHaveLength(41)
    expect((await samples(metrics)).get('sluice_rollbacks_total{reason="Other"}')).toBe(961)
    expect((await samples(metrics)).get('sluice_rollbacks_total{reason="Reason7"}')).toBe(1)
  })

  test('requests to the API server are counted by verb and class of answer', async () => {
    const metrics = createMetrics()
    for (const status of [200, 201, 404, 409, 410, 429, 503, 0, 999]) metrics.kubeRequest('patch', status)
    metrics.kubeRequest('PROPFIND', 200)
    const seen = await samples(metrics)
    const code = (name: string) => seen.get(`sluice_kube_requests_total{verb="patch",code="${name}"}`)
    expect(['2xx', '4xx', '409', '410', '429', '5xx', 'none', 'Other'].map(code)).toEqual([2, 1, 1, 1, 1, 1, 1, 1])
    expect(seen.get('sluice_kube_requests_total{verb="Other",code="2xx"}')).toBe(1)
  })
})

test('durations arrive in milliseconds and leave in seconds', async () => {
  const metrics = createMetrics()
  metrics.breachToWeight(40)
  metrics.reconciled(1500)
  metrics.queueLatency(2)
  const seen = await samples(metrics)
  expect(seen.get('sluice_breach_to_weight_seconds_sum')).toBeCloseTo(0.04)
  expect(seen.get('sluice_breach_to_weight_seconds_bucket{le="0.05"}')).toBe(1)
  expect(seen.get('sluice_breach_to_weight_seconds_bucket{le="0.025"}')).toBe(0)
  expect(seen.get('sluice_reconcile_duration_seconds_sum')).toBeCloseTo(1.5)
  expect(seen.get('sluice_queue_latency_seconds_sum')).toBeCloseTo(0.002)
})

test('everything else is counted under its name', async () => {
  const metrics = createMetrics({ process: true })
  metrics.verdict('Breach', 'latency')
  metrics.outcome('Promoted')
  metrics.reconcileError('transient')
  metrics.queueDepth(3)
  metrics.gitPush('lost-race')
  metrics.rollout('shop/pending', { phase: 'Progressing', weight: 10, step: 1, pending: 2 })
  metrics.prometheusQuery('empty')
  metrics.leader(true)
  metrics.approvalDecision('slack', 'Recorded')
  metrics.notificationLost('slack')
  expect((await samples(metrics)).get('sluice_slack_socket{state="connected"}')).toBeUndefined()
  metrics.slackSocket(false)
  metrics.slackSocket(true)
  const seen = await samples(metrics)
  expect(seen.get('sluice_slack_socket{state="connected"}')).toBe(1)
  expect(seen.get('sluice_verdicts_total{verdict="Breach",kind="latency"}')).toBe(1)
  expect(seen.get('sluice_outcomes_total{result="Promoted"}')).toBe(1)
  expect(seen.get('sluice_reconcile_errors_total{class="transient"}')).toBe(1)
  expect(seen.get('sluice_queue_depth')).toBe(3)
  expect(seen.get('sluice_git_pushes_total{result="lost-race"}')).toBe(1)
  expect(seen.get('sluice_git_pending')).toBe(2)
  expect(seen.get('sluice_prometheus_queries_total{result="empty"}')).toBe(1)
  expect(seen.get('sluice_leader')).toBe(1)
  expect(seen.get('sluice_approval_decisions_total{channel="slack",result="Recorded"}')).toBe(1)
  expect(seen.get('sluice_notifications_lost_total{adapter="slack"}')).toBe(1)
  expect(seen.get('process_resident_memory_bytes')).toBeGreaterThan(0)
})

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { FaultState } from '../../src/sandbox/prometheus/faults.ts'
import { openStage, refs, type Stage } from './stage.ts'

let stage: Stage
beforeAll(async () => {
  stage = await openStage()
  const controller = await stage.controller()
  await controller.synced
}, 60_000)
afterAll(() => stage.stop(), 60_000)

const faults: [string, Partial<FaultState>, RegExp][] = [
  ['refuses connections', { outage: 'refused' }, /refused|unreachable|cannot be reached|connect/i],
  ['cuts connections', { outage: 'reset' }, /reset|cut|closed|hang up|unreachable/i],
  ['answers 500', { status: 500 }, /500/],
  ['answers 503', { status: 503 }, /gave up/],
  ['answers HTML', { html: true }, /not .*Prometheus|HTML|JSON/i],
  ['does not end its answer', { stalled: true }, /did not answer within|timed? ?out/i],
  ['answers NaN', { answers: 'nan' }, /NaN/],
  ['answers Inf', { answers: 'inf' }, /infinite|Inf/],
  ['answers nothing', { answers: 'empty' }, /no series|not in Prometheus/i],
  ['scrapes no more', { stale: true }, /newest sample is/],
]

describe.concurrent('nothing is guessed while Prometheus', { timeout: 240_000 }, () => {
  test.for(faults)('%s: holds at its weight, says why, and goes on afterwards', async ([title, fault, reason]) => {
    await using s = await stage.scene(title.toLowerCase().replaceAll(' ', '-'), {
      ownPrometheus: true,
      rate: 20,
      rollout: {
        steps: [
          { weight: 50, hold: '2s' },
          { weight: 100, hold: '1s' },
        ],
        analysis: { maxSampleAge: '4s' },
      },
    })
    await s.desire('v2')
    await s.until('at 50 %', (status) => status.step?.weight === 50)
    await s.prometheus.faults.set(fault)
    await s.until('saying why', (status) => reason.test(status.message ?? ''))
    expect(s.status().analysis?.[0]?.verdict).toMatch(/NoData|Error/)
    await s.stays('held at 50 %', (status) => s.weight('v2') === 50 && status.phase === 'Progressing', 3_000)
    await s.prometheus.faults.clear()
    await s.until('promoted', (status) => status.lastOutcome?.result === 'Promoted')
    expect(s.weights('v2')).toEqual([0, 50, 100])
    expect(s.status().attempt).toBe(1)
  })
})

describe.concurrent('events are counted', { timeout: 240_000 }, () => {
  test('no traffic moves before Prometheus has answered once', async () => {
    await using s = await stage.scene('never-answered', { ownPrometheus: true, rate: 20 })
    await s.prometheus.faults.set({ outage: 'refused' })
    await s.desire('v2')
    await s.until('waiting', (status) => /^waits: success-rate/.test(status.message ?? ''))
    expect(s.weights('v2')).toEqual([0])
    await s.prometheus.faults.clear()
    await s.until('at 10 %', () => s.weight('v2') === 10)
  })

  test('errors that happened while Prometheus was away are found afterwards', async () => {
    await using s = await stage.scene('outage', {
      ownPrometheus: true,
      rollout: { steps: [{ weight: 50, hold: '10m' }, { weight: 100 }] },
    })
    await s.desire('v2')
    await s.until('at 50 %', (status) => status.step?.weight === 50)
    await s.prometheus.faults.set({ outage: 'refused' })
    await s.until('without answers', (status) => status.analysis?.[0]?.verdict === 'Error')
    s.behave('v2', { 'error-rate': '1' })
    await s.stays('held at 50 %', () => s.weight('v2') === 50, 2_000)
    await s.prometheus.faults.clear()
    await s.until('rolled back', (status) => status.phase === 'RolledBack')
    expect(s.weights('v2')).toEqual([0, 50, 0])
    expect(s.status().lastOutcome?.reason).toBe('Breach.success-rate')
  })

  test('the first errors of a version count, although their series begins with them', async () => {
    await using s = await stage.scene('first-errors', {
      rate: 60,
      versions: [{ name: 'v1' }, { name: 'v2', behaviour: { ERROR_RATE: '1', ERROR_STATUS: '503' } }],
      rollout: { steps: [{ weight: 50, hold: '10m' }, { weight: 100 }] },
    })
    await s.desire('v2')
    await s.until('rolled back', (status) => status.phase === 'RolledBack')
    const counted = s.statuses().findLast((status) => (status.analysis?.[0]?.bad ?? 0) > 0)?.analysis?.[0]
    expect(counted?.good).toBe(0)
    expect(s.load?.counts().versions.v2?.bad).toBeGreaterThanOrEqual(counted?.bad ?? 0)
  })

  test('a pod that is replaced neither takes events away nor counts them twice', async () => {
    await using s = await stage.scene('restarts', {
      rollout: { steps: [{ weight: 50, hold: '10m' }, { weight: 100 }] },
    })
    await s.desire('v2')
    await s.until('counting', (status) => (status.analysis?.[0]?.good ?? 0) > 20)
    const { storage } = stage.sandbox.api
    const pod = storage
      .list(refs.pods, { namespace: 'restarts' })
      .find((each) => each.metadata.labels?.version === 'v2')!
    storage.remove(refs.pods, { namespace: 'restarts', name: pod.metadata.name })
    const before = s.status().analysis?.[0]?.good ?? 0
    await s.until('counting on', (status) => (status.analysis?.[0]?.good ?? 0) > before + 20)
    const goods = s
      .statuses()
      .filter((status) => status.exposedAt && status.analysis?.[0]?.stepEvents)
      .map((status) => status.analysis?.[0]?.good ?? 0)
    expect(goods).toEqual(goods.toSorted((a, b) => a - b))
    await s.load!.stop()
    const answers = s.load!.counts().versions.v2?.total ?? 0
    await s.stays(
      'not counting twice',
      (status) => {
        const { good = 0, bad = 0 } = status.analysis?.[0] ?? {}
        return good + bad <= answers + 5
      },
      2_500,
    )
  })

  test('a canary without requests is rolled back after the time given, where that is wished', async () => {
    await using s = await stage.scene('too-few', {
      rollout: {
        steps: [{ weight: 10, hold: '1s' }, { weight: 100 }],
        analysis: { minRequests: 100_000, onInsufficientData: { after: '3s', do: 'Rollback' } },
      },
    })
    await s.desire('v2')
    await s.until('rolled back', (status) => status.phase === 'RolledBack')
    expect(s.status().lastOutcome).toMatchObject({ reason: 'InsufficientData' })
    expect(s.weights('v2')).toEqual([0, 10, 0])
  })

  test('a canary without requests goes on after the time given, where that is wished, but not into stable', async () => {
    await using s = await stage.scene('proceeds', {
      rollout: {
        steps: [
          { weight: 10, hold: '1s' },
          { weight: 100, hold: '1s' },
        ],
        analysis: { minRequests: 100_000, onInsufficientData: { after: '2s', do: 'Proceed' } },
      },
    })
    await s.desire('v2')
    await s.until('at 100 %', (status) => status.step?.weight === 100)
    await s.until('told', () => s.events().some((event) => event.startsWith('HoldWaived')))
    await s.stays('in flight', (status) => status.canary?.name === 'v2', 4_000)
  })

  test('a canary without requests holds, where nothing else is wished, and says what is missing', async () => {
    await using s = await stage.scene('holds', {
      rollout: { steps: [{ weight: 10, hold: '1s' }, { weight: 100 }], analysis: { minRequests: 100_000 } },
    })
    await s.desire('v2')
    await s.until('saying what is missing', (status) => /100000|100,000/.test(status.message ?? ''))
    await s.stays('at 10 %', () => s.weight('v2') === 10, 2_000)
  })

  test('a threshold that is no bucket bound is refused before traffic moves, with the bounds that exist', async () => {
    await using s = await stage.scene('threshold', {
      rollout: { analysis: { slis: [{ name: 'latency', latency: { objective: 99, threshold: '333ms' } }] } },
    })
    await s.desire('v2')
    await s.until('refused', (status) => status.phase === 'Invalid')
    expect(s.status().message).toMatch(/spec\.analysis\.slis\[0\].*333ms.*250ms.*500ms/)
    expect(s.weights('v2')).toEqual([0])
    s.edit({ analysis: { slis: [{ name: 'latency', latency: { objective: 99, threshold: '500ms' } }] } })
    await s.until('moving', () => s.weight('v2') === 10)
  })

  test('a query that answers two series holds and says so', async () => {
    await using s = await stage.scene('two-series', {
      rollout: {
        steps: [{ weight: 50, hold: '1s' }, { weight: 100 }],
        analysis: {
          slis: [
            { name: 'success-rate', successRate: { objective: 99 } },
            {
              name: 'pods',
              query: { promql: 'istio_requests_total{destination_workload_namespace="two-series"}', max: 1 },
            },
          ],
        },
      },
    })
    await s.desire('v2')
    await s.until('said', (status) => /pods.*(series|more than one)/.test(status.message ?? ''))
    expect(s.status().lastOutcome).toBeUndefined()
  })
})

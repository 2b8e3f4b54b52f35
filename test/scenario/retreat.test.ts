import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openStage, refs, type Stage } from './stage.ts'

const failing = { ERROR_RATE: '1' }

let stage: Stage
beforeAll(async () => {
  stage = await openStage()
  const controller = await stage.controller()
  await controller.synced
}, 60_000)
afterAll(() => stage.stop(), 60_000)

describe.concurrent('traffic goes back', { timeout: 240_000 }, () => {
  test('a version that fails at 10 % goes straight back to 0, is known bad, and people read why', async () => {
    await using s = await stage.scene('errors', { versions: [{ name: 'v1' }, { name: 'v2', behaviour: failing }] })
    await s.desire('v2')
    await s.until('rolled back', (status) => status.phase === 'RolledBack')
    expect(s.weights('v2')).toEqual([0, 10, 0])
    expect(s.status()).toMatchObject({
      phase: 'RolledBack',
      stable: { name: 'v1' },
      lastOutcome: { result: 'RolledBack', reason: 'Breach.success-rate' },
      knownBad: [{ name: 'v2', reason: 'Breach.success-rate' }],
    })
    expect(s.status().message).toMatch(/success-rate .*%, objective 99 ?%/)
    expect(s.status().conditions).toContainEqual(expect.objectContaining({ type: 'Ready', status: 'False' }))
    await s.until('told by an event', () => s.events().some((event) => event.startsWith('RolledBack: success-rate')))
    // The next write after the verdict is the weight: no status of the outcome is older than weight 0.
    const zero = s.routes().at(-1)
    const outcome = s.statuses().find((status) => status.lastOutcome)
    expect(Number(zero?.metadata.resourceVersion)).toBeGreaterThan(0)
    expect(outcome?.step?.weight).toBe(0)
    // The stable version desired again heals the rest.
    await s.desire('v1')
    await s.until('Healthy', (status) => status.phase === 'Healthy')
    expect(s.status().lastOutcome?.result).toBe('RolledBack')
  })

  test('of two objectives the one that fails is named with what was measured and what was promised', async () => {
    await using s = await stage.scene('slow', {
      versions: [{ name: 'v1' }, { name: 'v2', behaviour: { SLOW_RATE: '1', SLOW_MS: '700' } }],
      rollout: {
        analysis: {
          slis: [
            { name: 'success-rate', successRate: { objective: 99 } },
            { name: 'latency', latency: { objective: 99, threshold: '500ms' } },
          ],
        },
      },
    })
    await s.desire('v2')
    await s.until('rolled back', (status) => status.phase === 'RolledBack')
    expect(s.weights('v2')).toEqual([0, 10, 0])
    expect(s.status().lastOutcome).toMatchObject({ result: 'RolledBack', reason: 'Breach.latency' })
    expect(s.status().lastOutcome?.message).toMatch(/latency .*0.* objective 99.*500 ?ms/)
    expect(s.status().analysis?.find((sli) => sli.name === 'success-rate')?.bad).toBe(0)
  })

  test('a version that never answers is rolled back, although its own side logs no error', async () => {
    await using s = await stage.scene('silent', {
      versions: [{ name: 'v1' }, { name: 'v2', behaviour: { HANG_RATE: '1' } }],
      route: { timeout: '0.5s' },
    })
    await s.desire('v2')
    await s.until('rolled back', (status) => status.phase === 'RolledBack')
    expect(s.weights('v2')).toEqual([0, 10, 0])
    expect(s.status().lastOutcome?.reason).toBe('Breach.success-rate')
  })

  test('a breach in the last hold, at 100 %, sends everything back to stable', async () => {
    await using s = await stage.scene('bake', { rollout: { steps: [{ weight: 100, hold: '10m' }] } })
    await s.desire('v2')
    await s.until('at 100 %', (status) => status.step?.weight === 100)
    s.behave('v2', { 'error-rate': '1' })
    await s.until('rolled back', (status) => status.phase === 'RolledBack')
    expect(s.weights('v2')).toEqual([0, 100, 0])
    expect(s.weights('v1')).toEqual([100, 0, 100])
  })

  test('a breach while the rollout is paused sends traffic back all the same', async () => {
    await using s = await stage.scene('paused', { rollout: { steps: [{ weight: 20, hold: '10m' }, { weight: 100 }] } })
    await s.desire('v2')
    await s.until('at 20 %', (status) => status.step?.weight === 20)
    s.request('pause')
    await s.until('paused', (status) => status.phase === 'Paused')
    expect(s.status().message).toContain('user:dana')
    s.behave('v2', { 'error-rate': '1' })
    await s.until('rolled back', (status) => status.phase === 'RolledBack')
    expect(s.weights('v2')).toEqual([0, 20, 0])
  })

  test('a breach outside every window sends traffic back all the same', async () => {
    await using s = await stage.scene('window', { rollout: { steps: [{ weight: 20, hold: '1s' }, { weight: 100 }] } })
    await s.desire('v2')
    await s.until('at 20 %', (status) => status.step?.weight === 20)
    // Open for one minute in five years: 29 February at midnight.
    s.edit({ windows: [{ allow: '0 0 29 2 *', for: '1m' }] })
    await s.until('waiting for the window', (status) => /window/.test(status.message ?? ''))
    s.behave('v2', { 'error-rate': '1' })
    await s.until('rolled back', (status) => status.phase === 'RolledBack')
    expect(s.weights('v2')).toEqual([0, 20, 0])
  })

  test('pods of the canary that all crash at 50 % are a breach of their own', async () => {
    await using s = await stage.scene('crash', { rollout: { steps: [{ weight: 50, hold: '10m' }, { weight: 100 }] } })
    await s.desire('v2')
    await s.until('at 50 %', (status) => status.step?.weight === 50)
    s.behave('v2', { ready: 'false' })
    await s.until('rolled back', (status) => status.phase === 'RolledBack')
    expect(s.weights('v2')).toEqual([0, 50, 0])
    // What callers see (503 without a destination) belongs to no version, so readiness has to say it.
    expect(s.status().lastOutcome?.reason).toBe('NoReadyPods')
    expect(s.status().lastOutcome?.message).toContain('my-app-v2-')
  })

  test('with no ready pod on either side nothing moves, and that is said', async () => {
    await using s = await stage.scene('nowhere', { rollout: { steps: [{ weight: 50, hold: '10m' }, { weight: 100 }] } })
    await s.desire('v2')
    await s.until('at 50 %', (status) => status.step?.weight === 50)
    s.behave('v1', { ready: 'false' })
    s.behave('v2', { ready: 'false' })
    await s.until('said', (status) => /v1 has no ready pod to go back to/.test(status.message ?? ''))
    expect(s.weights('v2')).toEqual([0, 50])
    s.behave('v1', { ready: 'true' })
    await s.until('rolled back', (status) => status.phase === 'RolledBack')
    expect(s.weights('v2')).toEqual([0, 50, 0])
  })

  test('a stable version that fails too does not save the canary, and the message says so', async () => {
    await using s = await stage.scene('both', { rollout: { steps: [{ weight: 50, hold: '10m' }, { weight: 100 }] } })
    await s.desire('v2')
    await s.until('at 50 %', (status) => status.step?.weight === 50)
    // Stable first, and seen by Prometheus, so that the breach finds it failing whichever pod is scraped first.
    s.behave('v1', { 'error-rate': '1' })
    const failed =
      'sum(istio_requests_total{reporter="destination",destination_workload="my-app-v1",destination_workload_namespace="both",response_code="500"})'
    await s.until('stable seen failing', () => {
      const answer = stage.sandbox.prometheus.query(failed, Date.now())
      return answer.type === 'vector' && (answer.samples[0]?.value ?? 0) >= 30
    })
    s.behave('v2', { 'error-rate': '1' })
    await s.until('rolled back', (status) => status.phase === 'RolledBack')
    expect(s.weights('v2')).toEqual([0, 50, 0])
    expect(s.status().lastOutcome?.message).toContain('stable is failing too')
  })

  test('known bad content is not tried again until retry, and other content under its name is tried', async () => {
    await using s = await stage.scene('known-bad', {
      versions: [{ name: 'v1' }, { name: 'v2', behaviour: failing }],
      rollout: {
        steps: [
          { weight: 20, hold: '1s' },
          { weight: 100, hold: '1s' },
        ],
      },
    })
    await s.desire('v2')
    await s.until('rolled back', (status) => status.phase === 'RolledBack')
    const { revision } = s.status().knownBad![0]!
    await s.desire('v1')
    await s.until('Healthy', (status) => status.phase === 'Healthy')
    await s.desire('v2')
    await s.until('kept out', (status) =>
      Boolean(status.conditions?.some((c) => c.type === 'Stalled' && c.status === 'True' && c.reason === 'KnownBad')),
    )
    expect(s.weights('v2')).toEqual([0, 20, 0])
    s.request('retry', { revision })
    await s.until('tried again', () => s.weights('v2').join() === '0,20,0,20')
    await s.until('rolled back again', (status) => status.phase === 'RolledBack' && status.attempt === 2)
    const well = { containers: [{ name: 'app', image: 'my-app:v2-fixed', env: [] }] }
    stage.sandbox.api.storage.patchMerge(
      refs.deployments,
      { namespace: 'known-bad', name: 'my-app-v2' },
      { spec: { template: { spec: well } } },
    )
    await s.until('promoted', (status) => status.lastOutcome?.result === 'Promoted')
    expect(s.status().stable?.name).toBe('v2')
    expect(s.status().stable?.revision).not.toBe(revision)
  })

  test('a weight raised by hand is put back at once, naming who raised it', async () => {
    await using s = await stage.scene('raised', { rollout: { steps: [{ weight: 10, hold: '10m' }, { weight: 100 }] } })
    await s.desire('v2')
    await s.until('at 10 %', (status) => status.step?.weight === 10)
    s.shift({ v1: 20, v2: 80 }, 'eager-operator')
    await s.until('put back', () => s.weight('v2') === 10)
    expect(s.weights('v2')).toEqual([0, 10, 80, 10])
    await s.until('told', () => s.events().some((e) => e.startsWith('WeightRaised') && e.includes('eager-operator')))
    expect(s.status().attempt).toBe(1)
  })

  test('a weight lowered by hand is respected until the evidence is in, and the third time is a dispute', async () => {
    await using s = await stage.scene('lowered', {
      rollout: { steps: [{ weight: 10, hold: '1s' }, { weight: 50, hold: '10m' }, { weight: 100 }] },
    })
    await s.desire('v2')
    await s.until('at 50 %', (status) => status.step?.weight === 50)
    for (const round of [1, 2]) {
      s.shift({ v1: 90, v2: 10 }, 'careful-operator')
      await s.until(`seen (${round})`, (status) => status.lowered?.count === round)
      await s.until(`up again (${round})`, (status) => status.step?.weight === 50 && s.weight('v2') === 50)
    }
    s.shift({ v1: 100, v2: 0 }, 'careful-operator')
    await s.until('contested', (status) => status.phase === 'Paused' && status.paused?.reason === 'WeightContested')
    expect(s.status().message).toContain('careful-operator')
    expect(s.weights('v2')).toEqual([0, 10, 50, 10, 50, 10, 50, 0])
    s.request('resume')
    await s.until('on again', () => s.weight('v2') === 10)
  })

  test('weights edited while nothing is released are left alone and reported', async () => {
    await using s = await stage.scene('left-alone')
    s.shift({ v1: 70, v2: 30 })
    await s.until('reported', (status) => /70%/.test(status.message ?? ''))
    expect(s.status().phase).toBe('Healthy')
    expect(s.weights('v2')).toEqual([0, 30])
  })

  test('a VirtualService deleted mid-flight is missed by name, and right again once it is back', async () => {
    await using s = await stage.scene('deleted-route', {
      rollout: { steps: [{ weight: 30, hold: '10m' }, { weight: 100 }] },
    })
    await s.desire('v2')
    await s.until('at 30 %', (status) => status.step?.weight === 30)
    const { storage } = stage.sandbox.api
    const { resourceVersion, uid, creationTimestamp, generation, managedFields, ...metadata } = s
      .routes()
      .at(-1)!.metadata
    storage.remove(refs.virtualServices, { namespace: 'deleted-route', name: 'my-app' })
    await s.until('missed', (status) => /VirtualService \S*my-app/.test(status.message ?? ''))
    expect(s.status().phase).toBe('Invalid')
    storage.create(refs.virtualServices, {
      ...structuredClone(s.routes()[0]!),
      metadata,
    })
    await s.until('going on', (status) => status.phase === 'Progressing' && s.weight('v2') === 30)
    expect(s.status().attempt).toBe(1)
  })

  test('suspend means hands off, loudly; afterwards the rollout goes on', async () => {
    await using s = await stage.scene('suspended', {
      rollout: {
        steps: [
          { weight: 20, hold: '2s' },
          { weight: 100, hold: '1s' },
        ],
      },
    })
    await s.desire('v2')
    await s.until('at 20 %', (status) => status.step?.weight === 20)
    s.edit({ suspend: true })
    await s.until('suspended', (status) => /UNGUARDED/.test(status.message ?? ''))
    s.shift({ v1: 60, v2: 40 })
    await s.stays('left alone', () => s.weight('v2') === 40, 3_000)
    s.edit({ suspend: false })
    await s.until('promoted', (status) => status.lastOutcome?.result === 'Promoted')
    expect(s.weights('v2')).toEqual([0, 20, 40, 20, 100])
  })

  test('promote that was typed for the version before is void, and says so', async () => {
    await using s = await stage.scene('void', {
      versions: [{ name: 'v1' }, { name: 'v2' }, { name: 'v3' }],
      rollout: { steps: [{ weight: 10, hold: '10m' }, { weight: 100 }] },
    })
    await s.desire('v2')
    await s.until('at 10 %', (status) => status.step?.weight === 10)
    const revision = s.status().canary!.revision
    await s.desire('v3')
    await s.until('v3 at 10 %', (status) => status.canary?.name === 'v3' && status.step?.weight === 10)
    s.request('promote', { revision })
    await s.until('answered', (status) => status.lastRequest?.verb === 'promote')
    expect(s.status().lastRequest).toMatchObject({ result: 'Void' })
    expect(s.status().lastRequest?.message).toContain(revision)
    expect(s.weight('v3')).toBe(10)
    s.request('promote')
    await s.until('at 100 %', () => s.weight('v3') === 100)
  })

  test('a breach and a revert seen in one look end as a revert, and nobody is marked bad', async () => {
    await using s = await stage.scene('breach-revert', {
      rollout: { steps: [{ weight: 50, hold: '10m' }, { weight: 100 }] },
    })
    await s.desire('v2')
    await s.until('at 50 %', (status) => status.step?.weight === 50)
    s.edit({ suspend: true })
    await s.until('suspended', (status) => status.phase === 'Paused')
    s.behave('v2', { 'error-rate': '1' })
    await s.stays('suspended', (status) => status.phase === 'Paused', 2_000)
    s.edit({ suspend: false, workload: { subsets: { desired: 'v1' } } })
    await s.until('Healthy', (status) => status.phase === 'Healthy')
    expect(s.status().lastOutcome?.result).toBe('Reverted')
    expect(s.status().knownBad ?? []).toEqual([])
    expect(s.weights('v2')).toEqual([0, 50, 0])
  })

  test('a Rollout deleted at 50 % puts traffic back before it is gone', async () => {
    await using s = await stage.scene('removed', { rollout: { steps: [{ weight: 50, hold: '10m' }, { weight: 100 }] } })
    await s.desire('v2')
    await s.until('at 50 %', (status) => status.step?.weight === 50)
    stage.sandbox.api.storage.remove(refs.rollouts, { namespace: 'removed', name: 'my-app' })
    await s.until('gone', () => s.rollout() === undefined)
    expect(s.weights('v2')).toEqual([0, 50, 0])
  })
})

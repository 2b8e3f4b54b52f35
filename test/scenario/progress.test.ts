import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { fieldAt, textAt } from '../../src/kube/field.ts'
import { rolloutOf } from './manifests.ts'
import { openStage, refs, type Stage, weightOf } from './stage.ts'

let stage: Stage
beforeAll(async () => {
  stage = await openStage()
  const controller = await stage.controller()
  await controller.synced
}, 60_000)
afterAll(() => stage.stop(), 60_000)

describe.concurrent('a rollout makes progress', { timeout: 240_000 }, () => {
  test('a Rollout that is created on what runs already becomes Healthy and restarts nothing', async () => {
    await using s = await stage.scene('adopted')
    const pods = stage.sandbox.api.storage.list(refs.pods, { namespace: 'adopted' }).map((pod) => pod.metadata.uid)
    expect(s.status()).toMatchObject({ phase: 'Healthy', stable: { name: 'v1' } })
    expect(s.status().canary).toBeUndefined()
    expect(s.status().analysis).toBeUndefined()
    expect(s.weights('v1')).toEqual([100])
    expect(stage.sandbox.api.storage.list(refs.pods, { namespace: 'adopted' }).map((p) => p.metadata.uid)).toEqual(pods)
  })

  test('a good version gets exactly 10, 50 and 100, each for its hold, and is stable then', async () => {
    await using s = await stage.scene('good')
    await s.desire('v2')
    await s.until('promoted', (status) => status.lastOutcome?.result === 'Promoted')
    expect(s.weights('v2')).toEqual([0, 10, 50, 100])
    expect(s.weights('v1')).toEqual([100, 90, 50, 0])
    expect(s.status()).toMatchObject({ phase: 'Healthy', stable: { name: 'v2' } })
    const entered = new Map<number, number>()
    for (const status of s.statuses())
      if (status.step && !entered.has(status.step.index)) entered.set(status.step.index, Date.parse(status.step.since))
    expect(entered.get(2)! - entered.get(1)!).toBeGreaterThanOrEqual(2_000)
    expect(entered.get(3)! - entered.get(2)!).toBeGreaterThanOrEqual(2_000)
    const others = s.routes().map((route) => {
      const copy = structuredClone(route) as typeof route & { spec: { http: { route: { weight?: number }[] }[] } }
      for (const http of copy.spec.http) for (const entry of http.route) delete entry.weight
      return JSON.stringify(copy.spec)
    })
    expect(new Set(others).size).toBe(1)
  })

  test('canary pods that are not ready keep the weight at 0, and the message names the pod', async () => {
    await using s = await stage.scene('unready', {
      versions: [{ name: 'v1' }, { name: 'v2', behaviour: { READY: 'false' } }],
    })
    await s.desire('v2')
    await s.until('telling the pod', (status) => /my-app-v2-\S+/.test(status.message ?? ''))
    await s.stays('at 0', () => s.weight('v2') === 0, 2_000)
    s.behave('v2', { ready: 'true' })
    await s.until('going on by itself', () => s.weight('v2') > 0)
    expect(s.weights('v2').slice(0, 2)).toEqual([0, 10])
  })

  test('a newer version mid-flight sends traffic back first, then starts from the first step', async () => {
    await using s = await stage.scene('superseded', {
      versions: [{ name: 'v1' }, { name: 'v2' }, { name: 'v3' }],
      rollout: {
        steps: [
          { weight: 10, hold: '10m' },
          { weight: 100, hold: '1s' },
        ],
      },
    })
    await s.desire('v2')
    await s.until('at 10 %', (status) => status.step?.index === 1)
    const before = s.status()
    await s.desire('v3')
    await s.until('v3 at 10 %', (status) => status.canary?.name === 'v3' && status.step?.index === 1)
    expect(s.weights('v2')).toEqual([0, 10, 0])
    expect(s.weights('v3')).toEqual([0, 10])
    // No state in between gave both of them traffic.
    expect(s.routes().every((route) => weightOf(route, 'v2') === 0 || weightOf(route, 'v3') === 0)).toBe(true)
    expect(s.status()).toMatchObject({ lastOutcome: { result: 'Superseded' }, attempt: (before.attempt ?? 0) + 1 })
    expect(s.status().knownBad ?? []).toEqual([])
    expect(s.status().stable?.name).toBe('v1')
  })

  test('the stable version desired again mid-flight is an abort: weights back at once, nobody is marked bad', async () => {
    await using s = await stage.scene('reverted', {
      rollout: { steps: [{ weight: 50, hold: '10m' }, { weight: 100 }] },
    })
    await s.desire('v2')
    await s.until('at 50 %', (status) => status.step?.index === 1)
    await s.desire('v1')
    await s.until('Healthy', (status) => status.phase === 'Healthy' && status.canary === undefined)
    expect(s.weights('v2')).toEqual([0, 50, 0])
    expect(s.status()).toMatchObject({ lastOutcome: { result: 'Reverted' }, stable: { name: 'v1' }, attempt: 1 })
    expect(s.status().knownBad ?? []).toEqual([])
    expect(s.status().step?.weight ?? 0).toBe(0)
  })

  test('unrelated edits, more replicas and a busier Deployment change neither weight nor step nor revision', async () => {
    await using s = await stage.scene('unrelated', {
      rollout: { steps: [{ weight: 10, hold: '10m' }, { weight: 100 }] },
    })
    await s.desire('v2')
    await s.until('at 10 %', (status) => status.step?.index === 1)
    const before = s.status()
    const { storage } = stage.sandbox.api
    const key = { namespace: 'unrelated', name: 'my-app' }
    storage.patchMerge(refs.rollouts, key, { metadata: { labels: { team: 'shop' }, annotations: { note: 'hello' } } })
    storage.patchMerge(refs.virtualServices, key, { metadata: { labels: { team: 'shop' } } })
    for (const name of ['my-app-v1', 'my-app-v2'])
      storage.patchMerge(
        refs.deployments,
        { namespace: 'unrelated', name },
        { metadata: { labels: { team: 'shop' } }, spec: { replicas: 2 } },
      )
    await s.until('scaled', () =>
      storage
        .list(refs.deployments, { namespace: 'unrelated' })
        .every((d) => fieldAt(d, 'status', 'readyReplicas') === 2),
    )
    const looked = s.status().analysis?.[0]?.stepEvents ?? 0
    await s.until('looked again', (status) => (status.analysis?.[0]?.stepEvents ?? 0) > looked)
    expect(s.status()).toMatchObject({ attempt: before.attempt, step: { index: 1, since: before.step?.since } })
    expect(s.status().canary?.revision).toBe(before.canary?.revision)
    expect(s.status().stable?.revision).toBe(before.stable?.revision)
    expect(s.weights('v2')).toEqual([0, 10])
  })

  test('steps that are edited mid-flight keep the weight and go on at the first later step', async () => {
    await using s = await stage.scene('edited', {
      rollout: { steps: [{ weight: 10, hold: '1s' }, { weight: 30, hold: '10m' }, { weight: 100 }] },
    })
    await s.desire('v2')
    await s.until('at 30 %', (status) => status.step?.index === 2)
    s.edit({
      steps: [
        { weight: 5, hold: '1s' },
        { weight: 20, hold: '1s' },
        { weight: 60, hold: '1s' },
        { weight: 100, hold: '1s' },
      ],
    })
    await s.until('promoted', (status) => status.lastOutcome?.result === 'Promoted')
    expect(s.weights('v2')).toEqual([0, 10, 30, 60, 100])
    expect(s.status().attempt).toBe(1)
  })

  test('of two Rollouts on one route the younger is Invalid, names the older, and moves nothing', async () => {
    await using s = await stage.scene('rivals')
    const { storage } = stage.sandbox.api
    // Seconds decide who is older.
    await new Promise((resolve) => setTimeout(resolve, 1_100))
    storage.create(refs.rollouts, rolloutOf('rivals', { desired: 'v2' }, 'usurper'))
    const usurper = () => storage.get(refs.rollouts, { namespace: 'rivals', name: 'usurper' })
    await s.until('refused', () => textAt(usurper(), 'status', 'phase') === 'Invalid')
    expect(textAt(usurper(), 'status', 'message')).toContain('rivals/my-app')
    expect(s.weights('v2')).toEqual([0])
    // When the older one goes, the younger takes over.
    storage.remove(refs.rollouts, { namespace: 'rivals', name: 'my-app' })
    await s.until('valid', () => textAt(usurper(), 'status', 'phase') !== 'Invalid')
  })

  test('a split that is found as it is moves nothing, is guarded from now, and goes on from there', async () => {
    await using s = await stage.scene('found', {
      weights: { v1: 90, v2: 10 },
      rollout: {
        desired: 'v2',
        steps: [
          { weight: 10, hold: '2s' },
          { weight: 50, hold: '1s' },
          { weight: 100, hold: '1s' },
        ],
      },
      asleep: true,
    })
    await s.until('promoted', (status) => status.lastOutcome?.result === 'Promoted')
    expect(s.weights('v2')).toEqual([10, 50, 100])
    expect(s.events().join()).toContain('found with 10%')
  })

  test('a found split that fails its objective goes back to the version with the most traffic', async () => {
    await using s = await stage.scene('found-bad', {
      weights: { v1: 80, v2: 20 },
      versions: [{ name: 'v1' }, { name: 'v2', behaviour: { ERROR_RATE: '1' } }],
      rollout: { desired: 'v2', steps: [{ weight: 10, hold: '2s' }, { weight: 100 }] },
      asleep: true,
    })
    await s.until('rolled back', (status) => status.lastOutcome?.result === 'RolledBack')
    expect(s.weights('v2')).toEqual([20, 0])
  })
})

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openStage, refs, type Stage } from './stage.ts'

let stage: Stage
beforeAll(async () => {
  stage = await openStage()
  const controller = await stage.controller()
  await controller.synced
}, 60_000)
afterAll(() => stage.stop(), 60_000)

describe.concurrent('a rollout makes progress', { timeout: 120_000 }, () => {
  test('a Rollout that is created on what runs already becomes Healthy and restarts nothing', async () => {
    const s = await stage.scene('adopted')
    const pods = stage.sandbox.api.storage.list(refs.pods, { namespace: 'adopted' }).map((pod) => pod.metadata.uid)
    expect(s.status()).toMatchObject({ phase: 'Healthy', stable: { name: 'v1' } })
    expect(s.status().canary).toBeUndefined()
    expect(s.status().analysis).toBeUndefined()
    expect(s.weights('v1')).toEqual([100])
    expect(stage.sandbox.api.storage.list(refs.pods, { namespace: 'adopted' }).map((p) => p.metadata.uid)).toEqual(pods)
  })

  test('a good version gets exactly 10, 50 and 100, each for its hold, and is stable then', async () => {
    const s = await stage.scene('good')
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
})

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Fault } from '../../src/sandbox/apiserver/index.ts'
import { controllersRequests, openStage, refs, type Stage } from './stage.ts'

let stage: Stage
beforeAll(async () => {
  stage = await openStage()
  const controller = await stage.controller()
  await controller.synced
}, 60_000)
afterAll(() => stage.stop(), 60_000)

const unguarded = {
  rollout: { steps: [{ weight: 50, hold: '10m' }, { weight: 100 }] },
}

const ways: [string, Fault[]][] = [
  ['409', [{ error: 409, count: 3 }]],
  ['429', [{ error: 429, retryAfter: 1, count: 2 }]],
  ['500', [{ error: 500, count: 3 }]],
  ['503', [{ error: 503, count: 3 }]],
  ['a reset', [{ reset: true, count: 3 }]],
  ['an answer that is lost after the write', [{ resetAfter: true, count: 1 }]],
  ['a stall of 5 s', [{ latencyMs: 5_000, count: 1 }]],
  ['403 for a while', [{ error: 403, count: 5 }]],
  ['twenty errors in a row', [{ error: 500, count: 20 }]],
]

describe.concurrent('a weight write that meets', { timeout: 240_000 }, () => {
  test.for(ways)('%s still takes the traffic off a bad version', async ([title, faults]) => {
    const namespace = title.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')
    await using s = await stage.scene(namespace, unguarded)
    await s.desire('v2')
    await s.until('at 50 %', (status) => status.step?.weight === 50)
    const aim = controllersRequests(namespace, 'patch', 'virtualservices')
    const met: number[] = []
    const unsubscribe = stage.sandbox.api.onRequest((record) => {
      if (record.resource === 'virtualservices' && record.namespace === namespace && record.verb === 'patch')
        met.push(record.status)
    })
    const ends = faults.map((fault) => stage.sandbox.api.faults.add({ ...aim, ...fault }))
    s.behave('v2', { 'error-rate': '1' })
    await s.until('rolled back', (status) => status.phase === 'RolledBack')
    for (const end of ends) end()
    unsubscribe()
    expect(s.weights('v2')).toEqual([0, 50, 0])
    expect(s.status().lastOutcome).toMatchObject({ result: 'RolledBack', reason: 'Breach.success-rate' })
    expect(s.status().history).toHaveLength(1)
    expect(met.length).toBeGreaterThan(0)
  })

  test.for(ways.slice(0, 6))('%s still moves a good version forward, each step once', async ([title, faults]) => {
    const namespace = `up-${title.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')}`
    await using s = await stage.scene(namespace, {
      rollout: {
        steps: [
          { weight: 50, hold: '1s' },
          { weight: 100, hold: '1s' },
        ],
      },
    })
    const aim = controllersRequests(namespace, 'patch', 'virtualservices')
    for (const fault of faults) stage.sandbox.api.faults.add({ ...aim, ...fault })
    await s.desire('v2')
    await s.until('promoted', (status) => status.lastOutcome?.result === 'Promoted')
    expect(s.weights('v2')).toEqual([0, 50, 100])
    expect(s.status().attempt).toBe(1)
  })
})

describe.concurrent('an API server that', { timeout: 240_000 }, () => {
  test('does not take the status still gets the retreat, and the status afterwards', async () => {
    await using s = await stage.scene('no-status', unguarded)
    await s.desire('v2')
    await s.until('at 50 %', (status) => status.step?.weight === 50)
    const end = stage.sandbox.api.faults.add({
      ...controllersRequests('no-status', 'update', 'rollouts', 'status'),
      error: 500,
    })
    s.behave('v2', { 'error-rate': '1' })
    await s.until('weight back', () => s.weight('v2') === 0)
    await s.stays('at 0', () => s.weight('v2') === 0, 2_000)
    expect(s.status().phase).toBe('Progressing')
    end()
    await s.until('recorded', (status) => status.phase === 'RolledBack')
    expect(s.status().lastOutcome?.reason).toMatch(/^Breach/)
    expect(s.weights('v2')).toEqual([0, 50, 0])
    expect(s.status().history).toHaveLength(1)
  })

  test('takes neither weight nor status is asked on and on, and gets both once it can', async () => {
    await using s = await stage.scene('nothing-works', unguarded)
    await s.desire('v2')
    await s.until('at 50 %', (status) => status.step?.weight === 50)
    let asked = 0
    const end = stage.sandbox.api.faults.add({
      user: controllersRequests('nothing-works', '', '').user,
      match: (target) => {
        if (target.namespace !== 'nothing-works' || target.verb === 'watch') return false
        if (target.resource === 'virtualservices') asked++
        return true
      },
      error: 503,
    })
    s.behave('v2', { 'error-rate': '1' })
    // More attempts than one look makes: it never gives up, and its pauses do not grow to half a minute.
    await s.until('asked often', () => asked > 25, 30_000)
    end()
    await s.until('rolled back', (status) => status.phase === 'RolledBack')
    expect(s.weights('v2')).toEqual([0, 50, 0])
  })

  test('drops every watch and forgets its history leaves no rollout behind', async () => {
    await using s = await stage.scene('watches', {
      rollout: {
        steps: [
          { weight: 20, hold: '2s' },
          { weight: 60, hold: '2s' },
          { weight: 100, hold: '1s' },
        ],
      },
    })
    await s.desire('v2')
    await s.until('at 20 %', (status) => status.step?.weight === 20)
    const { api } = stage.sandbox
    api.faults.dropWatches((target) => target.userAgent.startsWith('sluice'))
    api.compact()
    await s.until('at 60 %', (status) => status.step?.weight === 60)
    api.compact()
    api.faults.dropWatches((target) => target.userAgent.startsWith('sluice'))
    s.shift({ v1: 10, v2: 90 }, 'eager-operator')
    await s.until('put back', () => s.weights('v2').includes(90) && s.weight('v2') !== 90)
    await s.until('promoted', (status) => status.lastOutcome?.result === 'Promoted')
    expect(s.weights('v2')).toEqual([0, 20, 60, 90, 60, 100])
  })

  test('loses a Rollout and gets one of the same name treats it as a new one', async () => {
    await using s = await stage.scene('recreated', unguarded)
    await s.desire('v2')
    await s.until('at 50 %', (status) => status.step?.weight === 50)
    const { storage } = stage.sandbox.api
    const key = { namespace: 'recreated', name: 'my-app' }
    const { rolloutOf } = await import('./manifests.ts')
    const uid = s.rollout()?.metadata.uid
    storage.remove(refs.rollouts, key)
    await s.until('gone', () => s.rollout() === undefined)
    storage.create(
      refs.rollouts,
      rolloutOf('recreated', {
        steps: [
          { weight: 30, hold: '1s' },
          { weight: 100, hold: '1s' },
        ],
      }),
    )
    await s.until('Healthy', (status) => status.phase === 'Healthy')
    expect(s.rollout()?.metadata.uid).not.toBe(uid)
    expect(s.status().attempt).toBeUndefined()
    await s.desire('v2')
    await s.until('promoted', (status) => status.lastOutcome?.result === 'Promoted')
    expect(s.weights('v2')).toEqual([0, 50, 0, 30, 100])
  })

  test('deletes the namespace mid-flight is not held up by the Rollout', async () => {
    await using s = await stage.scene('ending', { ...unguarded, git: {} })
    await s.desire('v2')
    await s.until('at 50 %', (status) => status.step?.weight === 50)
    s.remote.faults.down = true
    const { storage } = stage.sandbox.api
    storage.remove(refs.namespaces, { name: 'ending' })
    await s.until('gone', () => storage.get(refs.namespaces, { name: 'ending' }) === undefined)
    expect(s.rollout()).toBeUndefined()
  })
})

test('a question that cannot be asked because the API server is silent keeps no breach waiting', async () => {
  const steps = [
    { weight: 10, hold: '1s' },
    { weight: 50, hold: '1s', approval: { from: ['user:dana'] } },
    { weight: 100, hold: '1s' },
  ]
  await using s = await stage.scene('silent-question', { rollout: { steps } })
  const end = stage.sandbox.api.faults.add({
    ...controllersRequests('silent-question', 'create', 'approvals'),
    latencyMs: 90_000,
  })
  await s.desire('v2')
  await s.until('asked', (status) => status.phase === 'AwaitingApproval')
  s.behave('v2', { 'error-rate': '1' })
  // Far sooner than the request that asks is given up.
  await s.until('back', () => s.weight('v2') === 0, 20_000)
  await s.until('rolled back', (status) => status.phase === 'RolledBack', 20_000)
  end()
}, 120_000)

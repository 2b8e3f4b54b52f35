import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseDocument } from 'yaml'
import { deploymentOf, destinationRuleOf, rolloutOf, serviceOf, virtualServiceOf } from './manifests.ts'
import { openStage, refs, type Scene, type Stage } from './stage.ts'

let stage: Stage
beforeAll(async () => {
  stage = await openStage()
  const controller = await stage.controller()
  await controller.synced
}, 60_000)
afterAll(() => stage.stop(), 60_000)

const failing = { ERROR_RATE: '1' }
const waiting = { rollout: { steps: [{ weight: 20, hold: '1s' }, { weight: 60, hold: '10m' }, { weight: 100 }] } }

/** Up to the moment at which the next move is intended and only Git is missing. */
async function intentWithoutGit(s: Scene): Promise<void> {
  await s.until('at 20 %', ({ step }) => step?.weight === 20)
  s.remote.faults.down = true
  await s.until('about to move', ({ step, message }) => step?.entering !== undefined && /Git/.test(message ?? ''))
}

/** Everything that was owed is in Git. */
async function settled(s: Scene): Promise<void> {
  await s.until('in Git', ({ git }) => git?.committed === true && (git.pending ?? []).length === 0)
}

describe.concurrent('while Git is down', { timeout: 240_000 }, () => {
  test('Prometheus goes as well: when Git is back, nothing moves before the evidence is', async () => {
    await using s = await stage.scene('blind-meanwhile', { ...waiting, git: {}, ownPrometheus: true })
    await s.desire('v2')
    await intentWithoutGit(s)
    await s.prometheus.faults.set({ outage: 'refused' })
    await s.until('blind', ({ message }) => /success-rate/.test(message ?? ''))
    s.remote.faults.clear()
    await s.stays('at 20 %', () => s.weight('v2') === 20, 3_000)
    await s.prometheus.faults.clear()
    await s.until('at 60 %', () => s.weight('v2') === 60)
    expect(s.weights('v2')).toEqual([0, 20, 60])
    expect((await s.commits()).filter((subject) => subject.startsWith('my-app: 20% → 60%'))).toHaveLength(1)
  })

  test('the window closes: when Git is back, nothing moves before it opens again', async () => {
    const namespace = 'closed-meanwhile'
    await using s = await stage.scene(namespace, { ...waiting, git: { apply: 'None' }, asleep: true })
    // Applied by hand: what is applied from Git takes back what people edit in the cluster.
    const { storage } = stage.sandbox.api
    for (const version of ['v1', 'v2']) storage.create(refs.deployments, deploymentOf(namespace, { name: version }))
    storage.create(refs.services, serviceOf(namespace))
    storage.create(refs.destinationRules, destinationRuleOf(namespace, ['v1', 'v2']))
    storage.create(refs.virtualServices, virtualServiceOf(namespace, { v1: 100, v2: 0 }))
    storage.create(refs.rollouts, rolloutOf(namespace, { ...waiting.rollout, source: 'config' }))
    await s.until('Healthy', ({ phase }) => phase === 'Healthy')
    s.edit({ workload: { subsets: { desired: 'v2' } } })
    await intentWithoutGit(s)
    // Open for one minute in five years: 29 February at midnight.
    s.edit({ windows: [{ allow: '0 0 29 2 *', for: '1m' }] })
    await s.until('closed', ({ message }) => /window/.test(message ?? ''))
    s.remote.faults.clear()
    await s.stays('at 20 %', () => s.weight('v2') === 20, 3_000)
    s.edit({ windows: [] })
    await s.until('at 60 %', () => s.weight('v2') === 60)
    expect(s.weights('v2')).toEqual([0, 20, 60])
  })

  test('a newer version that people push meanwhile is not undone by the rollback that waited', async () => {
    await using s = await stage.scene('overtaken', {
      git: {},
      versions: [{ name: 'v1' }, { name: 'v2', behaviour: failing }, { name: 'v3' }],
    })
    await s.desire('v2')
    await s.until('at 10 %', () => s.weight('v2') === 10)
    s.remote.faults.down = true
    await s.until('rolled back', ({ phase, git }) => phase === 'RolledBack' && git?.committed === false)
    await s.desire('v3')
    s.remote.faults.clear()
    await s.until('promoted', ({ lastOutcome }) => lastOutcome?.result === 'Promoted')
    await settled(s)
    expect(s.weights('v2')).toEqual([0, 10, 0])
    expect(s.weights('v3')).toEqual([0, 10, 50, 100])
    expect(s.status().knownBad).toMatchObject([{ name: 'v2' }])
    // At no commit was the newer version taken away again.
    const patches = await s.git('log', '-p', '--format=', 'main', '--', 'clusters/test/rollout-my-app.yaml')
    expect(patches.match(/^\+ +desired: .*$/gm)?.map((line) => line.trim().split(' ').at(-1))).toEqual([
      'v3',
      'v2',
      'v1',
    ])
    expect((await s.commits()).filter((subject) => subject.startsWith('my-app: roll back'))).toHaveLength(1)
  })
})

test('a revert that also puts the weights back in Git is a revert, and nobody has to say resume', {
  timeout: 240_000,
}, async () => {
  await using s = await stage.scene('restored', {
    git: {},
    rollout: { steps: [{ weight: 50, hold: '10m' }, { weight: 100 }] },
  })
  await s.desire('v2')
  await s.until('at 50 %', ({ step }) => step?.weight === 50)
  await s.developer.commit('back to v1', (files) => {
    const edit = (name: string, path: (string | number)[], value: unknown) => {
      const document = parseDocument(files.get(name) ?? '')
      document.setIn(path, value)
      files.set(name, document.toString())
    }
    edit('rollout-my-app.yaml', ['spec', 'workload', 'subsets', 'desired'], 'v1')
    edit('virtualservice-my-app.yaml', ['spec', 'http', 0, 'route', 0, 'weight'], 100)
    edit('virtualservice-my-app.yaml', ['spec', 'http', 0, 'route', 1, 'weight'], 0)
    return files
  })
  await s.until('Healthy', ({ phase, lastOutcome }) => phase === 'Healthy' && lastOutcome?.result === 'Reverted')
  await settled(s)
  expect(s.weights('v2')).toEqual([0, 50, 0])
  expect(s.status().knownBad ?? []).toEqual([])
  expect(s.status().paused).toBeUndefined()
  expect(await s.file('clusters/test/virtualservice-my-app.yaml')).toMatch(/weight: 100[\s\S]*weight: 0/)
  expect(await s.file('clusters/test/rollout-my-app.yaml')).toMatch(/desired: v1$/m)
})

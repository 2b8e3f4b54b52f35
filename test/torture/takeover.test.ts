import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openStage, type Stage } from '../scenario/stage.ts'
import { type Fleet, startFleet } from './fleet.ts'
import { trapMoment, weightSet } from './moment.ts'
import { prepareRelease, type Release } from './release.ts'

let stage: Stage
let fleet: Fleet
beforeAll(async () => {
  stage = await openStage()
  fleet = await startFleet({ sandbox: stage.sandbox, dir: stage.dir, controllers: 2 })
}, 60_000)
afterAll(async () => {
  await fleet.stop()
  await stage.stop()
}, 60_000)

describe.concurrent('with two controllers', { timeout: 300_000 }, () => {
  test('the other one goes on mid-step when the leader dies, and the weight never falters', async () => {
    const release = await prepareRelease(stage, fleet, 'dies', 'good')
    await release.begin()
    await release.scene.until('at 10 %', (status) => status.step?.index === 1)
    fleet.killLeader()
    await release.scene.until('at 50 %', (status) => status.step?.index === 2)
    fleet.killLeader()
    await ends(release)
  })

  test('a leader that wakes up after its lease has ended does nothing of what it had in mind', async () => {
    const release = await prepareRelease(stage, fleet, 'sleeps', 'gated')
    await release.begin()
    await release.scene.until('about to move', (status) => status.step?.entering?.index === 1)
    fleet.freezeLeader(4_000)
    await release.scene.until('about to move on', (status) => status.step?.entering?.index === 3)
    fleet.freezeLeader(4_000)
    await ends(release)
  })

  test('an API server that restarts in the middle delays, and changes nothing', async () => {
    const good = await prepareRelease(stage, fleet, 'restart-good', 'good')
    const bad = await prepareRelease(stage, fleet, 'restart-bad', 'bad')
    await Promise.all([good.begin(), bad.begin()])
    await bad.scene.until('at 10 %', () => bad.scene.weight('v2') === 10)
    await stage.sandbox.api.restart({ downMs: 1_000 })
    await Promise.all([ends(good), ends(bad)])
  })

  test('a rollback is committed once when Git comes back, though the leader died meanwhile', async () => {
    const release = await prepareRelease(stage, fleet, 'git-down', 'bad')
    await release.begin()
    await release.scene.until('at 10 %', () => release.scene.weight('v2') === 10)
    release.scene.remote.faults.down = true
    await release.scene.until('rolled back', (status) => status.phase === 'RolledBack')
    expect(release.scene.weight('v2')).toBe(0)
    const before = fleet.starts
    fleet.killLeader()
    await release.scene.until('started again', () => fleet.starts > before)
    release.scene.remote.faults.down = false
    await ends(release)
  })

  test('a retreat whose maker died before it was recorded is finished, though Prometheus is down by then', async () => {
    const release = await prepareRelease(stage, fleet, 'blind', 'bad')
    const { faults } = stage.sandbox.prometheus
    const deaths = trapMoment(stage.sandbox.api, 'blind', weightSet(10, 0), () => {
      fleet.killAll()
      // The second death is the one after which the weight is 0 and nobody has written down why.
      if (release.scene.weight('v2') === 0) void faults.set({ outage: 'refused' })
    })
    await release.begin()
    await release.scene.until('back at 0', () => deaths() === 2)
    await release.scene.until('rolled back', (status) => status.phase === 'RolledBack')
    expect(faults.current.outage).toBe('refused')
    await faults.clear()
    await ends(release)
  })
})

async function ends(release: Release): Promise<void> {
  await release.scene.until('at its end', release.isOver, 240_000)
  const { violations, story } = await release.judge()
  await release.stop()
  expect(violations, release.text(story)).toEqual([])
}

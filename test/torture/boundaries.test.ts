import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openStage, type Stage } from '../scenario/stage.ts'
import { type Fleet, startFleet } from './fleet.ts'
import { badMoments, goodMoments, type Moment, trapMoment } from './moment.ts'
import { type Kind, prepareRelease, type Release } from './release.ts'
import { trapPush } from './trap.ts'

let stage: Stage
let fleet: Fleet
beforeAll(async () => {
  stage = await openStage()
  fleet = await startFleet({ sandbox: stage.sandbox, dir: stage.dir, controllers: 1 })
}, 60_000)
afterAll(async () => {
  await fleet.stop()
  await stage.stop()
}, 60_000)

/** All of them go wrong at the same time: each meets its own deaths at their moments, and those of the others anywhere. */
describe.concurrent('killed before and after', { timeout: 300_000 }, () => {
  const cases = [
    ...badMoments.map((moment): [string, Kind, Moment] => [`a bad release, when ${moment.name}`, 'bad', moment]),
    ...goodMoments.map((moment): [string, Kind, Moment] => [`a good release, when ${moment.name}`, 'gated', moment]),
  ]
  for (const [i, [name, kind, moment]] of cases.entries())
    test(name, async () => {
      const release = await prepareRelease(stage, `moment-${i}`, kind)
      const deaths = trapMoment(stage.sandbox.api, release.namespace, moment, fleet.killAll)
      await ends(release)
      expect(deaths()).toBe(2)
    })

  for (const [name, kind, n] of [
    ['a bad release, at the push of its step', 'bad', 1],
    ['a bad release, at the push of its rollback', 'bad', 2],
    ['a good release, at the push of its promotion', 'gated', 4],
  ] as const)
    test(name, async () => {
      const release = await prepareRelease(stage, `push-${kind}-${n}`, kind)
      trapPush(join(stage.dir, `${release.namespace}.git`), fleet.pidFile, n, ['Before', 'After'])
      await ends(release)
    })
})

async function ends(release: Release): Promise<void> {
  await release.scene.desire('v2')
  await release.scene.until('at its end', release.isOver, 240_000)
  const { violations, story } = await release.judge()
  expect(violations, release.text(story)).toEqual([])
  release.stop()
}

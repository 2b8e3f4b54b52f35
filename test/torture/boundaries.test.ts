import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openStage, type Stage } from '../scenario/stage.ts'
import { type Fleet, startFleet } from './fleet.ts'
import { badMoments, goodMoments, type Moment, revertedMoments, trapMoment } from './moment.ts'
import type { Kind } from './plot.ts'
import { prepareRelease } from './release.ts'
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

interface Case {
  kind: Kind
  moments: Moment[]
  /** The push at which to die as well, from 1. */
  push?: number
}

const every = (list: Moment[], from: number) => list.filter((_, i) => i % 3 === from)
const cases: Case[] = [
  { kind: 'bad', moments: every(badMoments, 0), push: 1 },
  { kind: 'bad', moments: every(badMoments, 1), push: 2 },
  { kind: 'bad', moments: every(badMoments, 2) },
  { kind: 'reverted', moments: revertedMoments, push: 2 },
  { kind: 'gated', moments: every(goodMoments, 0), push: 2 },
  { kind: 'gated', moments: every(goodMoments, 1), push: 4 },
  { kind: 'gated', moments: every(goodMoments, 2) },
]

/** They run side by side under one controller: each meets its own deaths at their moments, and those of the others anywhere. */
describe.concurrent('killed before it is served, and again before it is answered', { timeout: 300_000 }, () => {
  for (const [i, { kind, moments, push }] of cases.entries())
    test(`a ${kind} release, ${moments.map(({ name }) => `when ${name}`).join(', ')}`, async () => {
      const release = await prepareRelease(stage, fleet, `moments-${i}`, kind)
      const deaths = moments.map((moment) => trapMoment(stage.sandbox.api, release.namespace, moment, fleet.killAll))
      if (push) trapPush(join(stage.dir, `${release.namespace}.git`), fleet.pidFile, push, ['Before', 'After'])
      // Long enough that traffic would move first if it did not wait for Git.
      release.scene.remote.faults.delayMs = 150
      await release.begin()
      await release.scene.until('at its end', release.isOver, 240_000)
      const { violations, story } = await release.judge()
      await release.stop()
      expect(violations, release.text(story)).toEqual([])
      // Nothing but deaths happened: no answer is asked for again, and no move is given up.
      const questions = new Set(story.seen.flatMap((entry) => (entry.kind === 'approval' ? [entry.name] : [])))
      expect(questions.size, release.text(story)).toBe(kind === 'gated' ? 1 : 0)
      expect(story.commits.filter(({ subject }) => subject.includes('given up'))).toEqual([])
      expect(deaths.map((died) => died())).toEqual(moments.map(() => 2))
    })
})

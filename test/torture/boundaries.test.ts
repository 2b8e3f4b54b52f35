import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openStage, type Stage } from '../scenario/stage.ts'
import { type Fleet, startFleet } from './fleet.ts'
import {
  badDeploymentMoments,
  badMoments,
  type Deaths,
  goodDeploymentMoments,
  goodMoments,
  type Moment,
  revertedMoments,
  trapMoment,
} from './moment.ts'
import type { Kind } from './plot.ts'
import { type Mode, prepareRelease } from './release.ts'
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
  mode?: Mode
  moments: Moment[]
  /** Turn and turn about unless told: before the one is served, before the next is answered. */
  deaths?: Deaths
  /** The push at which to die as well, from 1. */
  push?: number
}

const every = (list: Moment[], of: number, from: number) => list.filter((_, i) => i % of === from)
const cases: Case[] = [
  { kind: 'bad', moments: every(badMoments, 3, 0), deaths: 'Both', push: 1 },
  { kind: 'bad', moments: every(badMoments, 3, 1), deaths: 'Both', push: 2 },
  { kind: 'bad', moments: every(badMoments, 3, 2), deaths: 'Both' },
  { kind: 'reverted', moments: revertedMoments, deaths: 'Both' },
  { kind: 'gated', moments: goodMoments, push: 4 },
  { kind: 'good', mode: 'deployment', moments: goodDeploymentMoments },
  { kind: 'bad', mode: 'deployment', moments: badDeploymentMoments },
]

/** They run side by side under one controller: each meets its own deaths at their moments, and those of the others anywhere. */
describe.concurrent('killed at every write that means something', { timeout: 300_000 }, () => {
  for (const [i, { kind, mode = 'subsets', moments, deaths, push }] of cases.entries())
    test(`a ${kind} release (${mode}): ${moments.map(({ name }) => name).join(', ')}`, async () => {
      const release = await prepareRelease(stage, fleet, `moments-${i}`, kind, { mode })
      const { api } = stage.sandbox
      const how = moments.map((_, n): Deaths => deaths ?? (n % 2 === 0 ? 'Before' : 'After'))
      const died = moments.map((moment, n) => trapMoment(api, release.namespace, moment, fleet.killAll, how[n]))
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
      expect(died.map((times) => times())).toEqual(how.map((each) => (each === 'Both' ? 2 : 1)))
    })
})

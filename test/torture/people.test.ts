import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CONTROLLER_USER } from '../../src/sandbox/sandbox.ts'
import { openStage, refs, type Stage } from '../scenario/stage.ts'
import { type Fleet, startFleet } from './fleet.ts'
import { type Moment, statusOf, trapMoment } from './moment.ts'
import type { Kind } from './plot.ts'
import { prepareRelease } from './release.ts'

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

/** The status that acknowledges a request. */
const heard: Moment = {
  name: 'a request is acknowledged',
  ref: refs.rollouts,
  is: (now, before) =>
    statusOf(now).lastRequest !== undefined && statusOf(now).lastRequest?.id !== statusOf(before).lastRequest?.id,
}

/** What goes wrong while each of them is under way. */
const cases: [Kind, string, (namespace: string) => unknown][] = [
  ['clicked', 'and Slack fails at first', (namespace) => failAtFirst(namespace)],
  ['orphaned', 'and nobody is alive when it is given', () => undefined],
  [
    'paused',
    'and who heard it dies',
    (namespace) => trapMoment(stage.sandbox.api, namespace, heard, fleet.killAll, 'After'),
  ],
  [
    'aborted',
    'and who heard it dies',
    (namespace) => trapMoment(stage.sandbox.api, namespace, heard, fleet.killAll, 'After'),
  ],
  [
    'retried',
    'and who heard it dies',
    (namespace) => trapMoment(stage.sandbox.api, namespace, heard, fleet.killAll, 'After'),
  ],
  ['overtaken', 'and watches are dropped', () => stage.sandbox.api.faults.dropWatches()],
  ['contested', 'and answers to writes are lost', (namespace) => loseAnswers(namespace)],
]

/** Slack is down until the question of this namespace is a moment old. */
function failAtFirst(namespace: string): void {
  fleet.slack.break({ status: 503 })
  stage.sandbox.api.storage.subscribe(refs.approvals, (_, object) => {
    if (object.metadata.namespace === namespace) setTimeout(() => fleet.slack.mend(), 700)
  })
}

function loseAnswers(namespace: string): void {
  stage.sandbox.api.faults.add({
    user: CONTROLLER_USER,
    resetAfter: true,
    probability: 0.3,
    match: (target) => target.namespace === namespace && ['update', 'patch', 'create'].includes(target.verb),
  })
}

/** Under one controller, side by side: whoever dies for one of them dies for all. */
describe.concurrent('people who do something on the way', { timeout: 300_000 }, () => {
  test.for(cases)('%s, %s', async ([kind, , disturb]) => {
    const release = await prepareRelease(stage, fleet, kind, kind)
    disturb(kind)
    await release.begin()
    await release.scene.until('at its end', release.isOver, 240_000)
    const { violations, story } = await release.judge()
    await release.stop()
    expect(violations, release.text(story)).toEqual([])
  })
})

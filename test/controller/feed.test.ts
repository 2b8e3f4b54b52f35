import { describe, expect, test } from 'vitest'
import type { AnalysisRequest, Analyst } from '../../src/analysis/analyst.ts'
import { rolloutSpec } from '../../src/api/rollout.ts'
import { createAnalysisFeed } from '../../src/controller/feed.ts'
import type { SliObservation } from '../../src/plan/observation.ts'
import type { Runtime } from '../../src/runtime.ts'
import { createWorld } from '../kube/world.ts'

const INTERVAL = 5_000

const request: AnalysisRequest = {
  key: 'shop/checkout',
  attempt: 'uid/1',
  startedAt: 0,
  namespace: 'shop',
  name: 'checkout',
  stable: { workloads: ['checkout-v1'], revision: 'v1' },
  canary: { workloads: ['checkout-v2'], revision: 'v2' },
  analysis: rolloutSpec.shape.analysis.parse({ interval: '5s', maxSampleAge: '10s' }),
  stepSince: 0,
  checkpoints: {},
}

function sli(newestAt: number, verdict: SliObservation['verdict'] = 'Undecided'): SliObservation {
  return {
    name: 'success-rate',
    kind: 'successRate',
    answer: 'Fresh',
    verdict,
    good: 10,
    bad: 0,
    stepEvents: 10,
    stepWindows: 1,
    objective: '99 %',
    newestAt,
  }
}

/** A feed over an analyst whose looks take as long and say what a test wants. */
function setUp(look: (now: number) => Promise<SliObservation[]>, { early = 0 } = {}) {
  const world = createWorld()
  const runtime: Runtime = {
    ...world.runtime(),
    sleep: (ms, signal) => world.runtime().sleep(ms - early, signal),
  }
  const looks: number[] = []
  const told: { at: number; breached: boolean }[] = []
  const errors: unknown[] = []
  const analyst: Analyst = {
    async look(_request, now) {
      looks.push(now)
      return { slis: await look(now) }
    },
    forget: () => undefined,
    nextLookAt: (_request, now) => (Math.floor(now / INTERVAL) + 1) * INTERVAL,
  }
  const feed = createAnalysisFeed({
    analyst,
    runtime,
    onLook: (_key, breached) => told.push({ at: runtime.now(), breached }),
    onError: (_key, error) => errors.push(error),
  })
  return { world, runtime, feed, looks, told, errors }
}

describe('a rollout that is followed', () => {
  test('is looked at once per interval, however often it is asked for, and each look is told', async () => {
    const { world, feed, looks, told } = setUp(async (now) => [sli(now)])
    for (let i = 0; i < 20; i++) {
      feed.follow(request.key, { ...request })
      await world.runUntil(world.now() + 1_000)
    }
    await world.runUntil(world.now() + 10)
    expect(looks).toHaveLength(4)
    expect(told).toHaveLength(4)
    feed.stop()
  })

  test('misses no interval although timers come early by a part of a millisecond', async () => {
    const { world, feed, looks } = setUp(async (now) => [sli(now)], { early: 0.6 })
    feed.follow(request.key, request)
    await world.runUntil(world.now() + 10 * INTERVAL + 1_000)
    expect(looks.map((at) => Math.floor((at - looks[0]!) / INTERVAL + 0.5))).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    expect(looks.filter((at) => at % INTERVAL > INTERVAL / 2)).toEqual([])
    feed.stop()
  })

  test('is told urgently when the look says Breach', async () => {
    const { world, feed, told } = setUp(async (now) => [sli(now, 'Breach')])
    feed.follow(request.key, request)
    await world.runUntil(world.now() + INTERVAL + 10)
    expect(told).toMatchObject([{ breached: true }])
    feed.stop()
  })

  test('has no data once a look that hangs has left the last answer too old', async () => {
    let hang = false
    const { world, runtime, feed } = setUp(async (now) => (hang ? new Promise(() => undefined) : [sli(now)]))
    feed.follow(request.key, request)
    await world.runUntil(world.now() + INTERVAL + 10)
    hang = true
    expect(feed.latest(request.key, request, runtime.now()).slis).toMatchObject([{ answer: 'Fresh' }])
    await world.runUntil(world.now() + 20_000)
    expect(feed.latest(request.key, request, runtime.now()).slis).toMatchObject([{ answer: 'NoData' }])
    feed.stop()
  })

  test('is looked at again when it is followed again after its looks have died', async () => {
    let broken = true
    const { world, feed, looks, errors } = setUp(async (now) => {
      if (broken) throw new Error('on purpose')
      return [sli(now)]
    })
    feed.follow(request.key, request)
    await world.runUntil(world.now() + 2 * INTERVAL)
    expect([looks.length, errors.length]).toEqual([1, 1])
    broken = false
    feed.follow(request.key, request)
    await world.runUntil(world.now() + 2 * INTERVAL)
    expect(looks.length).toBeGreaterThan(1)
    feed.stop()
  })
})

describe('after the stop', () => {
  test('nothing is looked at, not even for a reconcile that was under way', async () => {
    const { world, feed, looks } = setUp(async (now) => [sli(now)])
    feed.follow(request.key, request)
    await world.runUntil(world.now() + INTERVAL + 10)
    feed.stop()
    feed.follow(request.key, request)
    feed.follow('shop/other', { ...request, key: 'shop/other' })
    await world.runUntil(world.now() + 5 * INTERVAL)
    expect(looks).toHaveLength(1)
  })
})

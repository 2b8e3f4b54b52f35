import { describe, expect, test } from 'vitest'
import type { AnalysisRequest, Analyst } from '../../src/analysis/analyst.ts'
import type { SliObservation } from '../../src/plan/observation.ts'
import { createWorld, type Process, type World } from './mesh-world.ts'

const V1 = 'checkout-v1'
const V2 = 'checkout-v2'

/** Stable has served for a while, the canary's pod is up and has served nothing. */
async function ready(options: Parameters<typeof createWorld>[0] = {}) {
  const world = createWorld(options)
  const stable = world.process('v1-a')
  const canary = world.process('v2-a')
  await world.run(60, () => world.serve(stable, V1, 90))
  return { world, stable, canary }
}

/** Runs second by second and looks whenever the analyst wants to; gives the observation after every look. */
async function watch(
  world: World,
  analyst: Analyst,
  request: AnalysisRequest,
  seconds: number,
  each?: (second: number) => void,
): Promise<SliObservation[]> {
  const seen: SliObservation[] = []
  for (let second = 0; second < seconds; second++) {
    await world.run(1, () => each?.(second))
    const now = world.now() + 600
    if (now % 15_000 >= 1000) continue
    const [sli] = (await analyst.look(request, now)).slis
    if (sli) seen.push(sli)
  }
  return seen
}

const total = (sli: SliObservation | undefined) => [sli?.good, sli?.bad]

describe('counting', () => {
  test('what is seen is what happened', async () => {
    const { world, stable, canary } = await ready()
    const seen = await watch(world, world.analyst(), world.request(), 300, (second) => {
      if (second >= 270) return
      world.serve(stable, V1, 90)
      world.serve(canary, V2, 10, second === 7 ? 1 : 0)
    })
    const last = seen.at(-1)
    expect(last).toMatchObject({ answer: 'Fresh', verdict: 'Pass', observed: '99.96 %', objective: '99 %' })
    expect(total(last)).toEqual([2700, 1])
    expect(last?.completeThrough).toBeLessThanOrEqual(world.now())
  })

  test('the first failures of a series that appears with them count', async () => {
    const { world, stable, canary } = await ready()
    const seen = await watch(world, world.analyst(), world.request(), 60, (second) => {
      world.serve(stable, V1, 90)
      if (second < 15) world.serve(canary, V2, 10)
      if (second === 20) world.serve(canary, V2, 0, 3)
    })
    expect(total(seen.at(-1))).toEqual([150, 3])
  })

  test('pods are born, restart and go', async () => {
    const { world, canary } = await ready()
    const other: Process[] = []
    const seen = await watch(world, world.analyst(), world.request(), 240, (second) => {
      if (second < 100) world.serve(canary, V2, 10, 1)
      if (second === 70) world.restart(canary)
      if (second === 120) other.push(world.process('v2-b'))
      if (second === 121) world.serve(other[0]!, V2, 50, 2)
      if (second === 160) canary.alive = false
    })
    // 70 seconds before the restart, of which those after the scrape at 67 are lost with the process, and 30 after it.
    const { good, bad } = seen.at(-1)!
    expect(good).toBe(10 * bad - 20 + 50)
    expect(bad).toBeGreaterThanOrEqual(85 + 2)
    expect(bad).toBeLessThanOrEqual(100 + 2)
  })

  test('a pod scraped by two jobs is counted once', async () => {
    const { world, canary } = await ready()
    const twin = world.process('v2-a', {
      job: 'envoy-stats',
      instance: canary.labels.instance.replace('15020', '15090'),
      offset: canary.offset,
    })
    twin.counters = canary.counters
    const seen = await watch(world, world.analyst(), world.request(), 60, (second) => {
      if (second < 30) world.serve(canary, V2, 9, 1)
    })
    expect(total(seen.at(-1))).toEqual([270, 30])
  })

  test('step counters hold complete windows that began after the weight was accepted', async () => {
    const { world, canary } = await ready()
    const analyst = world.analyst()
    const request = world.request()
    await watch(world, analyst, request, 60, () => world.serve(canary, V2, 10))
    const next = { ...request, stepSince: world.now() + 1000 }
    const seen = await watch(world, analyst, next, 61, () => world.serve(canary, V2, 20))
    expect(seen.map((sli) => sli.stepWindows)).toEqual([0, 1, 2, 3])
    expect(seen.at(-1)?.stepEvents).toBe(900)
    expect(seen.at(-1)!.good).toBeGreaterThan(900)
  })

  test('scrapes slower than looks: no newer sample is no look', async () => {
    const { world, canary } = await ready({ scrape: 60_000 })
    const request = world.request({ maxSampleAge: '2m' })
    const seen = await watch(world, world.analyst(), request, 300, () => world.serve(canary, V2, 10))
    expect(seen.every((sli) => sli.answer === 'Fresh')).toBe(true)
    expect(seen.at(-1)?.stepWindows).toBeLessThanOrEqual(5)
    expect(seen.at(-1)!.good).toBeGreaterThanOrEqual(2400)
  })

  test('maxSampleAge too short for the scrapes is said, with the fix', async () => {
    const { world, canary } = await ready({ scrape: 60_000 })
    const request = world.request({ maxSampleAge: '80s' })
    const seen = await watch(world, world.analyst(), request, 400, () => world.serve(canary, V2, 10))
    expect(seen.at(-1)?.message).toBe('samples come every 1m, maxSampleAge is 1m20s: raise it to at least 1m30s')
  })
})

describe('verdicts', () => {
  test('20 % errors at once are a breach at the first look that can see them', async () => {
    const { world, canary } = await ready()
    const seen = await watch(world, world.analyst(), world.request(), 60, () => world.serve(canary, V2, 8, 2))
    const at = seen.findIndex((sli) => sli.verdict === 'Breach')
    expect(at).toBeGreaterThanOrEqual(0)
    expect(at).toBeLessThanOrEqual(2)
    expect(seen[at]?.observed).toBe('80.00 %')
  })

  test('20 % errors at 10 canary requests/s are a breach within a scrape, an interval and five bad requests', async () => {
    for (let offset = 0; offset < 15; offset += 2) {
      for (const onset of [33, 38, 43]) {
        const { world, canary } = await ready()
        canary.offset = offset * 1000
        const analyst = world.analyst()
        const request = world.request({ slis: [{ name: 's', successRate: { objective: 99.5 } }] })
        let seconds = Number.POSITIVE_INFINITY
        await watch(world, analyst, request, onset, () => world.serve(canary, V2, 10))
        for (let second = 1; second <= 40 && seconds > 40; second++) {
          await world.run(1, () => world.serve(canary, V2, 8, 2))
          const { slis } = await analyst.look(request, world.now() + 600)
          if (slis[0]?.verdict === 'Breach') seconds = second
        }
        expect(seconds).toBeLessThanOrEqual(15 + 15 + 3)
      }
    }
  })

  test('after healthy hours the message is about the trouble, and the crossing is final', async () => {
    const { world, canary } = await ready()
    const analyst = world.analyst()
    const request = world.request()
    await watch(world, analyst, request, 7200, () => world.serve(canary, V2, 10))
    const seen = await watch(world, analyst, request, 46, () => world.serve(canary, V2, 8, 2))
    const breach = seen.find((sli) => sli.verdict === 'Breach')
    // The window of the onset began in health.
    expect(breach?.observed).toMatch(/^8\d\.00 %$/)
    const later = await watch(world, analyst, request, 600, () => world.serve(canary, V2, 10))
    expect(new Set(later.map((sli) => sli.verdict))).toEqual(new Set(['Breach']))
  })

  test('1 bad of 20 is undecided, 20 bad of 20 a breach', async () => {
    const once = async (good: number, bad: number) => {
      const { world, canary } = await ready()
      const seen = await watch(world, world.analyst(), world.request(), 60, (second) => {
        if (second === 20) world.serve(canary, V2, good, bad)
      })
      return seen.at(-1)?.verdict
    }
    expect(await once(19, 1)).toBe('Undecided')
    expect(await once(0, 20)).toBe('Breach')
  })

  test('a canary that never answers is a breach: callers see 504, the server logs code 0', async () => {
    const { world, canary } = await ready()
    const gateway = world.process('gateway')
    const seen = await watch(world, world.analyst(), world.request(), 90, () => {
      world.requests(canary, V2, 5, { code: '0', flags: 'DC' })
      world.requests(gateway, V2, 5, { code: '504', flags: 'UT', reporter: 'source' })
    })
    expect(seen.at(-1)?.verdict).toBe('Breach')
    expect(seen.at(-1)?.good).toBe(0)
  })

  test('a canary that refuses connections is a breach', async () => {
    const { world } = await ready()
    const gateway = world.process('gateway')
    const seen = await watch(world, world.analyst(), world.request(), 60, () =>
      world.requests(gateway, V2, 5, { code: '503', flags: 'UF,URX', reporter: 'source' }),
    )
    expect(seen.at(-1)?.verdict).toBe('Breach')
  })

  test('failures that the gateway reports before the servers report the rest do not weigh more', async () => {
    const { world, canary } = await ready()
    const gateway = world.process('gateway', { offset: 1000 })
    canary.offset = 14_000
    const seen = await watch(world, world.analyst(), world.request(), 300, (second) => {
      world.serve(canary, V2, 200)
      world.requests(gateway, V2, 199, { reporter: 'source' })
      if (second % 2 === 0) world.requests(gateway, V2, 1, { code: '503', flags: 'UF', reporter: 'source' })
    })
    expect(seen.every((sli) => sli.verdict !== 'Breach')).toBe(true)
    expect(seen.at(-1)!.bad).toBeGreaterThan(100)
  })

  test('a mesh where only callers count', async () => {
    const world = createWorld()
    const gateway = world.process('gateway')
    const both = () => {
      world.requests(gateway, V1, 90, { reporter: 'source' })
      world.requests(gateway, V2, 9, { reporter: 'source' })
      world.requests(gateway, V2, 1, { reporter: 'source', code: '500' })
    }
    await world.run(60, () => world.requests(gateway, V1, 90, { reporter: 'source' }))
    const seen = await watch(world, world.analyst(), world.request(), 60, both)
    expect(seen.at(-1)?.verdict).toBe('Breach')
    expect(seen.at(-1)!.good).toBe(9 * seen.at(-1)!.bad)
  })

  test('servers that are scraped later than the gateway add what callers had not counted', async () => {
    const { world, canary } = await ready()
    canary.unreachable = true
    const gateway = world.process('gateway')
    const seen = await watch(world, world.analyst(), world.request(), 150, (second) => {
      if (second === 60) canary.unreachable = false
      if (second >= 100) return
      world.serve(canary, V2, 9, 1)
      world.requests(gateway, V2, 9, { reporter: 'source' })
      world.requests(gateway, V2, 1, { reporter: 'source', code: '503' })
    })
    expect(total(seen.at(-1))).toEqual([900, 100])
  })

  test('gRPC failures by status, also with HTTP 200', async () => {
    const { world, canary } = await ready()
    const seen = await watch(world, world.analyst(), world.request(), 45, () => {
      world.requests(canary, V2, 2, { grpc: '14' })
      world.requests(canary, V2, 2, { grpc: '5' })
    })
    expect(seen.at(-1)?.good).toBe(seen.at(-1)?.bad)
    expect(seen.at(-1)?.verdict).toBe('Breach')
  })

  test('latency counts what is slower than the threshold', async () => {
    const { world, canary } = await ready()
    const slis = [{ name: 'latency', latency: { objective: 99, threshold: '500ms' } }]
    const seen = await watch(world, world.analyst(), world.request({ slis }), 60, () => {
      world.requests(canary, V2, 9)
      world.requests(canary, V2, 1, { ms: 800 })
    })
    expect(seen.at(-1)).toMatchObject({
      kind: 'latency',
      verdict: 'Breach',
      observed: '90.00 % < 500ms',
      objective: '99 % < 500ms',
    })
    expect(seen.at(-1)!.good).toBe(9 * seen.at(-1)!.bad)
  })

  test('a threshold that is no bucket bound is a problem that names the bounds', async () => {
    const { world, canary } = await ready()
    world.serve(canary, V2, 1)
    const slis = [{ name: 'latency', latency: { objective: 99, threshold: '300ms' } }]
    await world.run(15)
    const { problem, slis: seen } = await world.analyst().look(world.request({ slis }), world.now() + 600)
    expect(problem).toMatchObject({
      reason: 'ThresholdNotABucket',
      field: 'spec.analysis.slis[0].latency.threshold',
    })
    expect(problem?.message).toContain('250ms, 500ms, 1000ms')
    expect(seen[0]).toMatchObject({ answer: 'Error', verdict: 'Error', good: 0, bad: 0 })
  })

  test('stable failing too is said', async () => {
    const { world, stable, canary } = await ready()
    const seen = await watch(world, world.analyst(), world.request(), 60, () => {
      world.serve(stable, V1, 80, 10)
      world.serve(canary, V2, 8, 2)
    })
    expect(seen.at(-1)).toMatchObject({ verdict: 'Breach', stableBad: true })
  })

  test('an edited objective restarts the evidence of that test, and only that', async () => {
    const { world, canary } = await ready()
    const analyst = world.analyst()
    const slis = (objective: number) => [
      { name: 'a', successRate: { objective } },
      { name: 'b', successRate: { objective: 90 } },
    ]
    const request = world.request({ slis: slis(95) })
    await watch(world, analyst, request, 60, () => world.serve(canary, V2, 97, 3))
    const edited = { ...request, analysis: world.request({ slis: slis(96) }).analysis }
    await world.run(15, () => world.serve(canary, V2, 97, 3))
    const after = await analyst.look(edited, world.now() + 600)
    const [a, b] = after.slis
    expect(a!.bad).toBeLessThan(b!.bad)
    expect(a!.good + a!.bad).toBe(1500)
  })
})

describe('before and without data', () => {
  test('before the canary’s first series, fresh stable series are an answer with no events', async () => {
    const { world, stable } = await ready()
    const seen = await watch(world, world.analyst(), world.request(), 60, () => world.serve(stable, V1, 90))
    expect(seen.at(-1)).toMatchObject({ answer: 'Fresh', verdict: 'Undecided', good: 0, bad: 0 })
    expect(seen.at(-1)!.stepWindows).toBeGreaterThan(1)
  })

  test('no series of either side is no data', async () => {
    const world = createWorld()
    const seen = await watch(world, world.analyst(), world.request(), 60)
    expect(seen.at(-1)).toMatchObject({ answer: 'NoData', verdict: 'NoData' })
    expect(seen.at(-1)?.message).toContain('checkout-v2')
  })

  test('a canary whose series are gone is no data, however fresh stable is', async () => {
    const { world, stable, canary } = await ready()
    const seen = await watch(world, world.analyst(), world.request(), 120, (second) => {
      world.serve(stable, V1, 90)
      world.serve(canary, V2, 10)
      if (second === 60) canary.alive = false
    })
    expect(seen.at(-1)).toMatchObject({ answer: 'NoData', verdict: 'NoData' })
    expect(seen.at(-1)?.message).toContain('not in Prometheus any more')
  })

  test('old samples are no data, although Prometheus still answers with them', async () => {
    const { world, canary } = await ready()
    const analyst = world.analyst()
    const request = world.request()
    await watch(world, analyst, request, 60, () => world.serve(canary, V2, 10))
    world.setDown(true)
    await world.run(120)
    world.setDown(false)
    const { slis } = await analyst.look(request, world.now() + 600)
    expect(slis[0]).toMatchObject({ answer: 'NoData', verdict: 'NoData' })
    expect(slis[0]?.message).toMatch(/old, more than 45s/)
  })

  test('an hour without Prometheus loses nothing and proves nothing', async () => {
    const { world, canary } = await ready()
    const analyst = world.analyst()
    const request = world.request()
    await watch(world, analyst, request, 60, () => world.serve(canary, V2, 10))
    world.setDown(true)
    const during = await watch(world, analyst, request, 3600, () => world.serve(canary, V2, 10))
    expect(new Set(during.map((sli) => sli.verdict))).toEqual(new Set(['Error']))
    expect(during.at(-1)?.message).toBe('Prometheus refuses connections')
    world.setDown(false)
    const after = await watch(world, analyst, request, 60)
    expect(after.at(-1)).toMatchObject({ answer: 'Fresh', verdict: 'Pass', good: 36_600, bad: 0 })
  })

  test('a Prometheus that cannot be found holds', async () => {
    const { world, canary } = await ready()
    world.serve(canary, V2, 10)
    const { createAnalyst } = await import('../../src/analysis/analyst.ts')
    const problem = { reason: 'PrometheusMissing' as const, message: 'no Prometheus is configured' }
    const missing = createAnalyst({ prometheusFor: async () => ({ ok: false, problem }), runtime: world.runtime })
    expect(await missing.look(world.request(), world.now())).toMatchObject({
      problem,
      slis: [{ answer: 'Error', verdict: 'Error', message: problem.message }],
    })
    const broken = createAnalyst({ prometheusFor: () => Promise.reject(new Error('boom')), runtime: world.runtime })
    expect((await broken.look(world.request(), world.now())).slis[0]?.answer).toBe('Error')
  })
})

describe('restarts', () => {
  async function story(restartAt: number | undefined, keep: boolean) {
    const { world, stable, canary } = await ready()
    let analyst = world.analyst()
    const request = world.request({ slis: [{ name: 's', successRate: { objective: 95 } }] })
    let last: SliObservation | undefined
    for (let second = 0; second < 300; second++) {
      await world.run(1, () => {
        world.serve(stable, V1, 50)
        world.serve(canary, V2, 20, second % 20 === 0 ? 1 : 0)
        if (second === 130) world.restart(canary)
      })
      if (second === restartAt) analyst = world.analyst()
      const now = world.now() + 600
      const away = restartAt !== undefined && second > restartAt - 50 && second < restartAt
      if (now % 15_000 >= 1000 || away) continue
      const checkpoints = keep ? { s: last?.checkpoint } : {}
      last = (await analyst.look({ ...request, checkpoints }, now)).slis[0]
    }
    return last!
  }

  test('with a checkpoint or without, a restarted analyst comes to the same counts and evidence', async () => {
    const straight = await story(undefined, true)
    for (const restarted of [await story(200, true), await story(200, false)]) {
      expect(total(restarted)).toEqual(total(straight))
      expect(restarted.evidence).toBeCloseTo(straight.evidence!, 2)
      expect(restarted.stepEvents).toBe(straight.stepEvents)
      expect(restarted.gap).toBeUndefined()
    }
    expect(straight.checkpoint!.length).toBeLessThan(1024)
  })

  test('a crossing in the replayed past is a breach, though all is well now', async () => {
    const { world, canary } = await ready()
    const request = world.request()
    await world.run(60, () => world.serve(canary, V2, 5, 5))
    await world.run(600, () => world.serve(canary, V2, 200))
    const { slis } = await world.analyst().look(request, world.now() + 600)
    expect(slis[0]?.verdict).toBe('Breach')
  })

  test('a breach in the checkpoint needs no Prometheus to be known', async () => {
    const { world, canary } = await ready()
    const request = world.request()
    const seen = await watch(world, world.analyst(), request, 60, () => world.serve(canary, V2, 5, 5))
    world.setFault('refused')
    const checkpoints = { 'success-rate': seen.at(-1)?.checkpoint }
    const { slis } = await world.analyst().look({ ...request, checkpoints }, world.now() + 15_600)
    expect(slis[0]).toMatchObject({ answer: 'Error', verdict: 'Breach', observed: '50.00 %' })
  })

  test('a checkpoint of another attempt, or garbage, is not used', async () => {
    const { world, canary } = await ready()
    const request = world.request()
    const seen = await watch(world, world.analyst(), request, 60, () => world.serve(canary, V2, 5, 5))
    for (const checkpoint of [seen.at(-1)?.checkpoint, '{"v":2}', 'x', '']) {
      const again = world.request({}, { attempt: 'uid/2', checkpoints: { 'success-rate': checkpoint } })
      const { slis } = await world.analyst().look(again, world.now() + 600)
      expect(total(slis[0])).toEqual([0, 0])
    }
  })

  test('a counter that is away at the checkpoint is not counted twice when it returns', async () => {
    const { world, stable, canary } = await ready()
    const request = world.request()
    const each = () => {
      world.serve(stable, V1, 50)
      world.serve(canary, V2, 10, 1)
    }
    const other = world.process('v2-b')
    const before = await watch(world, world.analyst(), request, 91, (second) => {
      each()
      world.serve(other, V2, 10)
      if (second === 60) canary.unreachable = true
    })
    canary.unreachable = false
    const checkpoints = { 'success-rate': before.at(-1)?.checkpoint }
    const after = await watch(world, world.analyst(), { ...request, checkpoints }, 60)
    expect(after.at(-1)).toMatchObject({ good: 2 * 910, bad: 91 })
  })

  test('failures of a life before a restart do not hide those after it', async () => {
    const { world, canary } = await ready()
    const request = world.request()
    const before = await watch(world, world.analyst(), request, 91, (second) => {
      if (second < 30) world.serve(canary, V2, 10, second < 10 ? 1 : 0)
      if (second === 60) world.restart(canary)
      if (second > 60) world.serve(canary, V2, 1)
    })
    const checkpoints = { 'success-rate': before.at(-1)?.checkpoint }
    const after = await watch(world, world.analyst(), { ...request, checkpoints }, 60, (second) => {
      if (second === 0) world.serve(canary, V2, 0, 12)
    })
    expect(after.at(-1)?.bad).toBe(10 + 12)
  })

  test('cut-off requests that waited for a scrape count after a restart', async () => {
    const { world, canary } = await ready()
    const gateway = world.process('gateway', { offset: 14_000 })
    const request = world.request()
    const before = await watch(world, world.analyst(), request, 61, (second) => {
      world.serve(canary, V2, 10)
      if (second === 40) world.requests(gateway, V2, 6, { code: '503', flags: 'UF', reporter: 'source' })
    })
    const early = before.find((sli) => sli.checkpoint?.includes(',6]]'))
    expect(early?.bad).toBe(0)
    const checkpoints = { 'success-rate': early?.checkpoint }
    const { slis } = await world.analyst().look({ ...request, checkpoints }, world.now() + 600)
    expect(slis[0]?.bad).toBe(6)
  })

  test('another attempt begins without the evidence of the last', async () => {
    const { world, canary } = await ready()
    const analyst = world.analyst()
    await watch(world, analyst, world.request(), 60, () => world.serve(canary, V2, 5, 5))
    await world.run(30)
    const again = world.request({}, { attempt: 'uid/2' })
    const seen = await watch(world, analyst, again, 60, () => world.serve(canary, V2, 10))
    expect(seen.at(-1)).toMatchObject({ bad: 0, verdict: 'Pass' })
  })

  test.each(['long', 'just'])(
    'a canary with the name of one that is %s gone has not been seen yet, and then counts from its first event',
    async (since) => {
      const { world, stable, canary } = await ready()
      const gateway = world.process('gateway')
      const analyst = world.analyst()
      await watch(world, analyst, world.request(), 60, () => {
        world.serve(canary, V2, 5, 5)
        world.requests(gateway, V2, 5, { reporter: 'source' })
        world.requests(gateway, V2, 5, { reporter: 'source', code: '503' })
      })
      canary.alive = false
      await world.run(since === 'long' ? 40 : 2, () => world.serve(stable, V1, 90))
      const again = world.request({}, { attempt: 'uid/2' })
      const before = await watch(world, analyst, again, 60, () => world.serve(stable, V1, 90))
      expect(before.at(-1)).toMatchObject({ answer: 'Fresh', good: 0, bad: 0 })
      const next = world.process('v2-b')
      const after = await watch(world, analyst, again, 60, (second) => {
        world.serve(stable, V1, 90)
        if (second >= 20) return
        world.serve(next, V2, 10, second === 3 ? 2 : 0)
        world.requests(gateway, V2, 10, { reporter: 'source' })
      })
      expect(total(after.at(-1))).toEqual([200, 2])
    },
  )

  test('what Prometheus has forgotten is a gap', async () => {
    const { world, canary } = await ready()
    const request = world.request()
    const seen = await watch(world, world.analyst(), request, 60, () => world.serve(canary, V2, 10))
    await world.run(600, () => world.serve(canary, V2, 10))
    world.forgetBefore(world.now() - 60_000)
    const checkpoints = { 'success-rate': seen.at(-1)?.checkpoint }
    const { slis } = await world.analyst().look({ ...request, checkpoints }, world.now() + 600)
    expect(slis[0]).toMatchObject({ gap: true, answer: 'Fresh' })
    expect(slis[0]!.good).toBeLessThan(2000)
    const fresh = await world.analyst().look(request, world.now() + 600)
    expect(fresh.slis[0]).toMatchObject({ gap: true, answer: 'Fresh' })
  })
})

describe('sharing', () => {
  test('200 rollouts at one instant cost as many queries as there are kinds of SLI', async () => {
    const { world, stable, canary } = await ready()
    await world.run(60, () => {
      for (let i = 0; i < 200; i++) world.serve(canary, `app-${i}-v2`, 1)
      world.serve(stable, V1, 10)
    })
    const slis = [
      { name: 'a', successRate: { objective: 99 } },
      { name: 'b', successRate: { objective: 99.9 } },
      { name: 'c', latency: { objective: 99, threshold: '500ms' } },
    ]
    const analyst = world.analyst()
    const requests = Array.from({ length: 200 }, (_, i) =>
      world.request(
        { slis },
        {
          key: `shop/app-${i}`,
          stable: { workloads: [`app-${i}-v1`], revision: '1' },
          canary: { workloads: [`app-${i}-v2`], revision: '2' },
        },
      ),
    )
    const look = () => Promise.all(requests.map((request) => analyst.look(request, world.now() + 600)))
    await look()
    for (let round = 0; round < 3; round++) {
      await world.run(15, () => {
        for (let i = 0; i < 200; i++) world.serve(canary, `app-${i}-v2`, 1)
      })
      world.queries.length = 0
      const seen = await look()
      expect(world.queries.length).toBe(2)
      expect(seen.every(({ slis: [sli] }) => sli!.answer === 'Fresh')).toBe(true)
      if (round > 0) expect(seen.every(({ slis: [sli] }) => sli!.good > 0)).toBe(true)
    }
    await look()
    expect(world.queries.length).toBe(2)
  })

  test('a rollout that comes later at the same instant is asked for too', async () => {
    const { world, stable, canary } = await ready()
    world.serve(stable, 'other-v1', 5)
    world.serve(canary, V2, 5)
    await world.run(15)
    const analyst = world.analyst()
    await analyst.look(world.request(), world.now() + 600)
    const other = world.request(
      {},
      {
        key: 'shop/other',
        stable: { workloads: ['other-v1'], revision: '1' },
        canary: { workloads: [], revision: '2' },
      },
    )
    expect((await analyst.look(other, world.now() + 600)).slis[0]?.answer).toBe('Fresh')
  })

  test('two looks at one instant are one', async () => {
    const { world } = await ready()
    const analyst = world.analyst()
    const request = world.request()
    const first = await analyst.look(request, world.now() + 600)
    world.queries.length = 0
    await world.run(13)
    expect(await analyst.look(request, world.now())).toBe(first)
    expect(world.queries).toEqual([])
  })

  test('looks are due at aligned instants, a little later', async () => {
    const { world } = await ready()
    const analyst = world.analyst()
    const request = world.request()
    const first = analyst.nextLookAt(request, 15_000)
    expect(first).toBe(15_500)
    expect(analyst.nextLookAt(request, first)).toBe(30_500)
    expect(analyst.nextLookAt(request, 30_499)).toBe(30_500)
  })
})

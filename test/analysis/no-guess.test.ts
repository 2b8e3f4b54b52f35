import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createWorld, type Fault } from './mesh-world.ts'

const V1 = 'checkout-v1'
const V2 = 'checkout-v2'
const INTERVAL = 15

type Trouble = Fault | 'outage' | 'unscraped' | undefined

const round = fc.record({
  trouble: fc.oneof(
    { weight: 3, arbitrary: fc.constant<Trouble>(undefined) },
    { weight: 4, arbitrary: fc.constantFrom<Trouble>('refused', 'html', 'empty', 'NaN', 'outage', 'unscraped') },
  ),
  /** Rounds it lasts: an outage shorter than maxSampleAge is only seen by what it answers. */
  lasts: fc.integer({ min: 1, max: 5 }),
  good: fc.integer({ min: 0, max: 40 }),
  bad: fc.integer({ min: 0, max: 2 }),
  restartAnalyst: fc.boolean(),
})

test('I4: outages, HTML, NaN, nothing and stale samples are never counted, never a pass, never a breach', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(round, { minLength: 1, maxLength: 12 }), async (rounds) => {
      const world = createWorld()
      const stable = world.process('v1-a')
      const canary = world.process('v2-a')
      await world.run(60, () => world.serve(stable, V1, 10))
      const request = world.request({ slis: [{ name: 's', successRate: { objective: 99 } }], minRequests: 1 })
      let analyst = world.analyst()
      let served = { good: 0, bad: 0 }
      let known = { good: 0, bad: 0 }
      let breached = false
      let checkpoint: string | undefined

      const look = async () => {
        const now = world.now() + 600
        const { slis } = await analyst.look({ ...request, checkpoints: { s: checkpoint } }, now)
        checkpoint = slis[0]!.checkpoint
        return slis[0]!
      }
      await look()
      for (const { trouble, lasts, good, bad, restartAnalyst } of rounds) {
        world.setDown(trouble === 'outage')
        stable.unreachable = canary.unreachable = trouble === 'unscraped'
        world.setFault(trouble === 'outage' || trouble === 'unscraped' ? undefined : trouble)
        if (restartAnalyst) analyst = world.analyst()
        for (let i = 0; i < lasts; i++) {
          await world.run(INTERVAL, (second) => {
            if (second !== 0) return
            world.serve(stable, V1, 10)
            world.serve(canary, V2, good, bad)
            served = { good: served.good + good, bad: served.bad + bad }
          })
          const seen = await look()
          if (trouble === undefined) {
            expect(seen.answer).toBe('Fresh')
            expect({ good: seen.good, bad: seen.bad }).toEqual(served)
            known = served
            breached ||= seen.verdict === 'Breach'
            continue
          }
          expect(seen.answer).not.toBe('Fresh')
          expect(seen.message).toBeTruthy()
          const counts = { good: seen.good, bad: seen.bad }
          if (trouble === 'unscraped') {
            // Prometheus answers again: what it scraped while it could not be asked is true, and counts.
            expect(counts.good).toBeLessThanOrEqual(served.good)
            expect(counts.bad).toBeLessThanOrEqual(served.bad)
            if (counts.bad > known.bad) breached ||= seen.verdict === 'Breach'
            known = counts
          }
          expect(counts).toEqual(known)
          expect(seen.verdict).toBe(breached ? 'Breach' : seen.answer)
        }
      }
    }),
    { numRuns: 60 },
  )
})

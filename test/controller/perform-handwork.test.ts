import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { rolloutSpec } from '../../src/api/rollout.ts'
import { createHandwork, type Handwork } from '../../src/controller/handwork.ts'
import type { Problem } from '../../src/errors.ts'
import type { DeploymentEffect } from '../../src/plan/effects.ts'
import type { HandsResult, HandsTarget } from '../../src/workload/hands.ts'
import { type SimulatedRuntime, simulatedRuntime } from '../sandbox/cluster/simulated-runtime.ts'

const spec = rolloutSpec.parse({
  workload: { deployment: { name: 'web' } },
  traffic: { istio: { virtualService: { name: 'web' } } },
})
const target = (name = 'web'): HandsTarget => ({ key: `shop/${name}`, namespace: 'shop', rollout: name, spec })
const refused: Problem = { reason: 'CanaryRefused', message: 'exceeded quota' }
const resume = (resourceVersion: string): DeploymentEffect => ({ kind: 'resume', resourceVersion })
const remove: DeploymentEffect = { kind: 'removeCanary' }

interface World {
  runtime: SimulatedRuntime
  work: Handwork
  /** Effects that were begun: `web resume`. */
  begun: string[]
  /** Wakes: key and pause. */
  woken: [string, number][]
  /** Answers the oldest effect under way. */
  answer(result?: HandsResult | Error): Promise<void>
  /** What effects answer from now on, at once. */
  always?: HandsResult | undefined
}

function world(): World {
  const runtime = simulatedRuntime()
  const open: ((result: HandsResult | Error) => void)[] = []
  const w: World = {
    runtime,
    begun: [],
    woken: [],
    work: createHandwork({
      hands: {
        act: (of, effect) => {
          w.begun.push(`${of.rollout} ${effect.kind}`)
          if (w.always) return Promise.resolve(w.always)
          return new Promise((resolve, reject) =>
            open.push((result) => (result instanceof Error ? reject(result) : resolve(result))),
          )
        },
      },
      runtime,
      log: { warn() {}, error() {} },
      wake: (key, ms) => w.woken.push([key, ms]),
    }),
    async answer(result = { done: true }) {
      open.shift()?.(result)
      await runtime.advance(0)
    },
  }
  return w
}

describe('work on Deployments', () => {
  test('is not waited for, and done in order', async () => {
    const w = world()
    expect(w.work.ask(target(), [resume('1'), remove])).toEqual([])
    expect(w.begun).toEqual(['web resume'])
    await w.answer()
    expect(w.begun).toEqual(['web resume', 'web removeCanary'])
  })

  test('that was asked for and not begun is not done any more once a look asks for something else', async () => {
    const w = world()
    w.work.ask(target(), [remove, resume('1')])
    w.work.drop('shop/web')
    w.work.ask(target(), [resume('2')])
    await w.answer()
    expect(w.begun).toEqual(['web removeCanary', 'web resume'])
    await w.answer()
    expect(w.begun).toHaveLength(2)
  })

  test('that is under way is not begun a second time for asking again', async () => {
    const w = world()
    w.work.ask(target(), [remove])
    w.work.ask(target(), [remove])
    await w.answer()
    expect(w.begun).toEqual(['web removeCanary'])
  })

  test('that comes in just as the last has ended is done too', async () => {
    const w = world()
    w.always = { done: true }
    for (let i = 0; i < 20; i++) {
      w.work.ask(target(), [resume(String(i))])
      for (let turn = 0; turn < i; turn++) await Promise.resolve()
    }
    await w.runtime.advance(0)
    expect(w.begun.length).toBeGreaterThan(0)
    const before = w.begun.length
    w.work.ask(target(), [remove])
    await w.runtime.advance(0)
    expect(w.begun.slice(before)).toEqual(['web removeCanary'])
  })

  test('that fails is said, and tried again after growing pauses however often a look repeats it', async () => {
    const w = world()
    w.always = { done: false, problem: refused }
    w.work.ask(target(), [remove])
    await w.runtime.advance(0)
    for (let second = 0; second < 600; second++) {
      for (let look = 0; look < 10; look++) expect(w.work.ask(target(), [remove])).toEqual([refused])
      await w.runtime.advance(1_000)
    }
    expect(w.begun.length).toBeGreaterThan(8)
    expect(w.begun.length).toBeLessThan(25)
    w.always = { done: true }
    await w.runtime.advance(100_000)
    w.work.ask(target(), [remove])
    await w.runtime.advance(0)
    expect(w.work.ask(target(), [remove])).toEqual([])
  })

  test('that fails has the Rollout looked at again: at once to say so, and when it is tried again', async () => {
    const w = world()
    w.always = { done: false, problem: refused }
    w.work.ask(target(), [remove])
    await w.runtime.advance(0)
    expect(w.woken).toEqual([['shop/web', 0]])
    w.work.ask(target(), [remove])
    await w.runtime.advance(0)
    const [, again] = w.woken
    expect(again?.[1]).toBeGreaterThan(0)
    await w.runtime.advance(again?.[1] ?? 0)
    w.work.ask(target(), [remove])
    await w.runtime.advance(0)
    expect(w.begun).toHaveLength(2)
  })

  test('another effect of the kind that failed is tried at once', async () => {
    const w = world()
    w.always = { done: false, problem: refused }
    w.work.ask(target(), [resume('1')])
    await w.runtime.advance(0)
    w.work.ask(target(), [resume('2')])
    await w.runtime.advance(0)
    expect(w.begun).toHaveLength(2)
  })

  test('what stands in the way is not said any more when it is not asked for any more', async () => {
    const w = world()
    w.always = { done: false, problem: refused }
    w.work.ask(target(), [remove])
    await w.runtime.advance(0)
    expect(w.work.ask(target(), [])).toEqual([])
    expect(w.work.ask(target(), [remove])).toEqual([])
  })

  test('somebody else’s write in between is no problem, and looked at again', async () => {
    const w = world()
    w.always = { done: false }
    w.work.ask(target(), [resume('1')])
    await w.runtime.advance(0)
    expect(w.woken).toHaveLength(1)
    expect(w.work.ask(target(), [resume('1')])).toEqual([])
  })

  test('a bug in one effect is said and keeps none of the others', async () => {
    const w = world()
    w.work.ask(target(), [remove, resume('1')])
    await w.answer(new TypeError('x is not a function'))
    expect(w.begun).toEqual(['web removeCanary', 'web resume'])
    await w.answer()
    expect(w.work.ask(target(), [remove])).toEqual([{ reason: 'Internal', message: 'x is not a function' }])
  })

  test('of one Rollout does not wait for another’s, and not all are done at the same time', async () => {
    const w = world()
    for (let i = 0; i < 100; i++) w.work.ask(target(`r${i}`), [remove])
    expect(w.begun.length).toBeGreaterThan(4)
    expect(w.begun.length).toBeLessThan(40)
    for (let i = 0; i < 100; i++) await w.answer()
    expect(w.begun).toHaveLength(100)
  })

  test('ends with the process: what is under way is finished, nothing is begun', async () => {
    const w = world()
    w.work.ask(target(), [remove, resume('1')])
    let ended = false
    const stopping = w.work.stop().then(() => {
      ended = true
    })
    await w.runtime.advance(0)
    expect(ended).toBe(false)
    await w.answer()
    await stopping
    expect(w.begun).toEqual(['web removeCanary'])
  })

  test('of a Rollout that is gone is not begun', async () => {
    const w = world()
    w.work.ask(target(), [remove, resume('1')])
    w.work.forget('shop/web')
    await w.answer()
    expect(w.begun).toEqual(['web removeCanary'])
  })

  test('never does two things to one Deployment at a time, and always does what the last look asked for', async () => {
    const asked = fc.array(
      fc.constantFrom<DeploymentEffect>(remove, resume('1'), resume('2'), { kind: 'adopt', pause: false }),
      { maxLength: 3 },
    )
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(asked, fc.boolean()), { maxLength: 12 }), async (looks) => {
        const w = world()
        let busy = 0
        let most = 0
        const done: string[] = []
        const open: (() => void)[] = []
        const work = createHandwork({
          hands: {
            act: async (_, effect) => {
              most = Math.max(most, ++busy)
              await new Promise<void>((resolve) => open.push(resolve))
              busy--
              done.push(JSON.stringify(effect))
              return { done: true }
            },
          },
          runtime: w.runtime,
          log: { warn() {}, error() {} },
          wake: () => undefined,
        })
        let last: DeploymentEffect[] = []
        let since = 0
        for (const [effects, answered] of looks) {
          work.drop('shop/web')
          work.ask(target(), effects)
          last = effects
          since = done.length
          if (answered) open.shift()?.()
          await w.runtime.advance(0)
        }
        for (let i = 0; i < 10; i++) {
          open.shift()?.()
          await w.runtime.advance(0)
        }
        expect(most).toBeLessThanOrEqual(1)
        for (const effect of last) expect(done.slice(since)).toContain(JSON.stringify(effect))
      }),
      { numRuns: 60 },
    )
  })
})

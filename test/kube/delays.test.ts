import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createDelays } from '../../src/kube/delays.ts'
import { createWorld } from './world.ts'

test('every key comes exactly when it is due, at the earliest of its times, and keeps its urgency', async () => {
  const step = fc.record({
    key: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'),
    ms: fc.nat({ max: 200 }),
    urgent: fc.boolean(),
    pause: fc.nat({ max: 20 }),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 50 }), async (steps) => {
      const world = createWorld()
      const expected = new Map<string, { at: number; urgent: boolean }>()
      const delays = createDelays(world.runtime(), (key, urgent) => {
        expect(expected.get(key)).toEqual({ at: world.now(), urgent })
        expected.delete(key)
      })
      for (const { key, ms, urgent, pause } of steps) {
        const known = expected.get(key)
        const at = world.now() + ms
        expected.set(key, { at: Math.min(at, known?.at ?? at), urgent: urgent || (known?.urgent ?? false) })
        delays.add(key, ms, urgent)
        await world.runUntil(world.now() + pause)
        expect(delays.size).toBe(expected.size)
      }
      await world.runUntil(world.now() + 500)
      expect(expected.size).toBe(0)
    }),
    { numRuns: 200 },
  )
})

test('what was removed does not come', async () => {
  const step = fc.record({ key: fc.constantFrom('a', 'b', 'c'), ms: fc.nat({ max: 1_000_000 }), remove: fc.boolean() })
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 400 }), async (steps) => {
      const world = createWorld()
      const expected = new Set<string>()
      const due: string[] = []
      const delays = createDelays(world.runtime(), (key) => due.push(key))
      for (const { key, ms, remove } of steps) {
        if (remove) delays.remove(key)
        else delays.add(key, ms, false)
        if (remove) expected.delete(key)
        else expected.add(key)
        expect(delays.size).toBe(expected.size)
      }
      await world.runUntil(1_000_001)
      expect(due.sort()).toEqual([...expected].sort())
    }),
    { numRuns: 50 },
  )
})

test('nothing comes after the stop', async () => {
  const world = createWorld()
  const due: string[] = []
  const delays = createDelays(world.runtime(), (key) => due.push(key))
  delays.add('a', 10, false)
  delays.stop()
  delays.add('b', 10, false)
  await world.runUntil(1000)
  expect([due, delays.size]).toEqual([[], 0])
})

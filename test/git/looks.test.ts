import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createLooks } from '../../src/git/looks.ts'

test('every key that is asked for is looked at after it was asked for, never more at once than allowed', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(fc.nat(5), fc.nat(3)), { maxLength: 40 }), async (asks) => {
      const wanted = new Map<number, number>()
      const seen = new Map<number, number>()
      let now = 0
      let most = 0
      const looks = createLooks({
        atOnce: 2,
        signal: new AbortController().signal,
        onError: () => undefined,
        look: async (key) => {
          now += 1
          most = Math.max(most, now)
          const version = wanted.get(Number(key))!
          for (let i = 0; i < version % 3; i++) await Promise.resolve()
          seen.set(Number(key), version)
          now -= 1
          if (version % 7 === 6) throw new Error('a look that fails stops no other')
        },
      })
      for (const [i, [key, turns]] of asks.entries()) {
        wanted.set(key, i)
        looks.soon(String(key))
        for (let turn = 0; turn < turns; turn++)
          await (turn === 2 ? new Promise((r) => setImmediate(r)) : Promise.resolve())
      }
      await looks.idle()
      expect(seen).toEqual(wanted)
      expect(most).toBeLessThanOrEqual(2)
    }),
  )
})
